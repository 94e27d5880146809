"""The operator against closed forms and against code of others."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq, linprog, minimize

from attnjax.allocation import Entropy, Power, SquaredNorm, Tsallis, allocate

REFERENCE = json.loads((pathlib.Path(__file__).parents[1] / "references" / "entmax.json").read_text())
ALPHAS = {"entmax15": 1.5, "sparsemax": 2.0} | {
    name: float(name[len("entmax_bisect(") : -1]) for name in REFERENCE["answers"] if "bisect" in name
}
pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("name", REFERENCE["answers"])
def test_entmax_package_agrees(name):
    """To 1e-6; entmax_bisect renormalises after 100 halvings, so it is the reference that limits."""
    run = jax.jit(jax.vmap(lambda s: allocate(s, regularizer=Tsallis(ALPHAS[name])).weights))
    np.testing.assert_allclose(run(jnp.array(REFERENCE["scores"])), REFERENCE["answers"][name], atol=1e-6)


def test_entmax_reference_says_what_made_it():
    assert set(REFERENCE["versions"]) == {"entmax", "torch", "numpy"}
    assert set(ALPHAS.values()) >= {1.05, 1.25, 1.5, 1.75, 2.0}


def test_sparsemax_of_the_entmax_package_is_the_squared_norm():
    run = jax.vmap(lambda s: allocate(s, regularizer=SquaredNorm()).weights)
    np.testing.assert_allclose(run(jnp.array(REFERENCE["scores"])), REFERENCE["answers"]["sparsemax"], atol=1e-12)


@given(
    scores=arrays(np.float64, 7, elements=st.floats(-100, 100)),
    budget=st.floats(0.01, 100),
    temperature=st.floats(0.1, 10),
)
def test_the_squared_norm_is_optaxs_projection_onto_the_simplex(scores, budget, temperature):
    ours = allocate(scores, budget, None, SquaredNorm(), temperature=temperature).weights
    theirs = optax.projections.projection_simplex(jnp.asarray(scores / temperature), budget)
    np.testing.assert_allclose(ours, theirs, atol=1e-11 * (1 + budget + 100 / temperature))


@given(scores=arrays(np.float64, 7, elements=st.floats(-50, 50)), budget=st.floats(0.01, 100))
def test_entropy_is_softmax_times_the_budget(scores, budget):
    result = allocate(scores, budget, temperature=2.0)
    np.testing.assert_allclose(result.weights, budget * jax.nn.softmax(scores / 2.0), rtol=1e-13)
    value = 2.0 * budget * (jax.nn.logsumexp(scores / 2.0) - np.log(budget))
    assert float(result.value) == pytest.approx(float(value), rel=1e-12, abs=1e-12)
    # Budget scaling: twice the budget, twice each weight.
    np.testing.assert_allclose(allocate(scores, 2 * budget, temperature=2.0).weights, 2 * result.weights, rtol=1e-13)


@given(
    worth=arrays(np.float64, 6, elements=st.floats(0, 10)),
    budget=st.floats(0.05, 10),
    at_most=st.booleans(),
)
def test_the_cube_is_scipys_water_filling(worth, budget, at_most):
    """a_i = sqrt(max(s_i - tau, 0) / 3), with tau from SciPy's root finder."""

    def spent(tau):
        return np.sqrt(np.maximum(worth - tau, 0) / 3).sum() - budget

    low = worth.min() - 3 * budget**2 - 1
    tau = 0.0 if at_most and spent(0.0) <= 0 else brentq(spent, low, worth.max(), xtol=1e-15, rtol=1e-15)
    ours = allocate(worth, budget, None, Power(3), at_most=at_most)
    assert float(ours.threshold) == pytest.approx(tau, abs=1e-11)
    # A square root near 0 halves the digits of tau.
    np.testing.assert_allclose(ours.weights, np.sqrt(np.maximum(worth - tau, 0) / 3), atol=1e-6)


def test_a_general_solver_finds_the_same_cube():
    scores, cap = np.array([2.0, 1.5, 0.3, 1.0]), np.array([0.4, 1.0, 1.0, 0.35])
    found = minimize(
        lambda a: (a**3).sum() - scores @ a,
        np.full(4, 0.25),
        jac=lambda a: 3 * a**2 - scores,
        bounds=[(0, c) for c in cap],
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 500},
    )
    np.testing.assert_allclose(allocate(scores, 1.0, cap, Power(3)).weights, found.x, atol=1e-6)


@pytest.mark.parametrize("at_most", [False, True])
def test_a_small_temperature_approaches_the_linear_programme_of_highs(at_most):
    """The values differ by at most T max |Omega|, and the programme's never beats the bound so shifted."""
    scores, cap = np.array([1.0, -0.5, 0.8, 0.2, -0.1]), np.array([0.3, 2.0, 0.4, 0.2, 1.0])
    row = {"A_ub" if at_most else "A_eq": np.ones((1, 5)), "b_ub" if at_most else "b_eq": [1.2]}
    best = -linprog(-scores, bounds=list(zip(np.zeros(5), cap, strict=True)), method="highs", **row).fun
    for temperature in (1e-2, 1e-4, 1e-6):
        result = allocate(scores, 1.2, cap, SquaredNorm(), temperature=temperature, at_most=at_most)
        omega = float((result.weights**2).sum() / 2)
        assert float(result.value) <= best + 1e-12
        assert best <= float(result.bound) + temperature * 1.2**2 / 2 + 1e-12
        assert best - float(result.value) - temperature * omega <= temperature * 1.2**2 / 2 + 1e-12


# Small cases done by hand.
BY_HAND = {
    "softmax of log 3": ({"scores": [0, np.log(3)]}, [0.25, 0.75]),
    "sparsemax with one idle": ({"scores": [1, 0.5, -1], "regularizer": SquaredNorm()}, [0.75, 0.25, 0]),
    "sparsemax takes all": ({"scores": [2, 0.5], "regularizer": SquaredNorm()}, [1, 0]),
    "one entry": ({"scores": [-7.0], "budget": 2.5}, [2.5]),
    "equal scores": ({"scores": [4.0] * 4, "regularizer": Tsallis(1.5)}, [0.25] * 4),
    "cap shares the rest": ({"scores": [5.0, 0, 0], "cap": 0.5}, [0.5, 0.25, 0.25]),
    "caps sum to the budget": ({"scores": [5.0, 0], "cap": [0.25, 0.75]}, [0.25, 0.75]),
    "cube": ({"scores": [3.0, 12.0], "budget": 3, "regularizer": Power(3)}, [1, 2]),
    "cube with spare budget": ({"scores": [3.0, 12.0], "budget": 9, "regularizer": Power(3), "at_most": True}, [1, 2]),
    "entropy with spare budget": (
        {"scores": [1.0, 1.0], "budget": 9, "regularizer": Entropy(), "at_most": True},
        [1, 1],
    ),
    "worthless entries stay idle": ({"scores": [-1, -2], "regularizer": SquaredNorm(), "at_most": True}, [0, 0]),
    "excluded entry": ({"scores": [0, -np.inf, 0]}, [0.5, 0, 0.5]),
    "cap of zero": ({"scores": [9.0, 0, 0], "cap": [0, 1, 1]}, [0, 0.5, 0.5]),
}


@pytest.mark.parametrize(("call", "weights"), BY_HAND.values(), ids=BY_HAND)
def test_cases_done_by_hand(call, weights):
    result = allocate(**{**call, "scores": jnp.array(call["scores"], float)})
    np.testing.assert_allclose(result.weights, weights, atol=1e-15, rtol=1e-14)
    assert float(result.gap) <= 1e-14
