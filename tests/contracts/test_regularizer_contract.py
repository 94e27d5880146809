"""What every regulariser owes: four maps that fit together, and an exact, certified, differentiable allocation."""

import functools

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import REGULARIZERS, feasible_point
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from attnjax.allocation import Regularizer, allocate

N = 5
EPS = np.finfo(np.float64).eps
VARIANTS = {
    "simplex": (False, False),
    "capped": (True, False),
    "at_most": (False, True),
    "capped_at_most": (True, True),
}
by_case = pytest.mark.parametrize("case", REGULARIZERS.values(), ids=REGULARIZERS)
by_variant = pytest.mark.parametrize(("capped", "at_most"), VARIANTS.values(), ids=VARIANTS)
pytestmark = pytest.mark.usefixtures("x64")

problems = st.fixed_dictionaries(
    {
        "scores": arrays(np.float64, N, elements=st.floats(-5, 5)),
        "budget": st.floats(0.05, 3),
        "temperature": st.floats(0.05, 5),
        "room": arrays(np.float64, N, elements=st.floats(0.05, 1)),
        "draw": arrays(np.float64, N, elements=st.floats(0.01, 1)),
    }
)


def solved(case, problem, capped, at_most):
    """The allocation of a problem, the caps (inf if none) and the objective in NumPy."""
    scores, budget, temperature = problem["scores"], problem["budget"], problem["temperature"]
    # Scaled so that equality can be met: the caps sum to 1.5 budgets.
    cap = 1.5 * budget * problem["room"] / problem["room"].sum() if capped else None
    result = allocate(scores, budget, cap, case.make(N), temperature=temperature, at_most=at_most)

    def objective(a):
        return scores @ a - temperature * case.omega(np.asarray(a)).sum()

    return result, np.full(N, np.inf) if cap is None else cap, objective


def scale_of(problem):
    """The size of the numbers that a rounding error is relative to."""
    return (np.abs(problem["scores"]).max() + 10 * problem["temperature"] + 1) * max(1.0, problem["budget"])


# --- the four maps -----------------------------------------------------------------------------------------------


@by_case
def test_it_meets_the_protocol_and_is_a_pytree(case):
    regularizer = case.make(N)
    assert isinstance(regularizer, Regularizer)
    leaves, tree = jax.tree.flatten(regularizer)
    again = jax.tree.unflatten(tree, leaves)
    a = jnp.linspace(0.1, 1, N)
    np.testing.assert_array_equal(again.value(a), regularizer.value(a))
    assert hash(tree) == hash(jax.tree.structure(case.make(N)))


@by_case
def test_value_is_the_formula_and_starts_at_zero(case):
    a = np.array([0.0, 0.1, 0.5, 1.0, 2.5])
    np.testing.assert_allclose(case.make(N).value(a), case.omega(a), rtol=1e-13, atol=1e-14)
    assert float(case.make(N).value(jnp.zeros(N)).max()) == 0


@by_case
def test_derivative_and_curvature_are_those_of_the_value(case):
    regularizer, a = case.make(N), np.array([0.05, 0.2, 0.5, 1.0, 2.5])
    slope = np.diag(central_differences.jacobian(case.omega, a))
    np.testing.assert_allclose(regularizer.derivative(a), slope, rtol=1e-7, atol=1e-8)
    curve = np.diag(central_differences.jacobian(regularizer.derivative, a))
    assert (curve > 0).all()  # strictly convex
    np.testing.assert_allclose(regularizer.inverse_curvature(a), 1 / curve, rtol=1e-7)


@by_case
def test_inverse_derivative_inverts_and_clips(case):
    regularizer, upper = case.make(N), jnp.full(N, 0.8)
    a = jnp.array([1e-3, 0.1, 0.3, 0.6, 0.7999])
    np.testing.assert_allclose(regularizer.inverse_derivative(regularizer.derivative(a), upper), a, rtol=1e-9)
    high = regularizer.derivative(jnp.full(N, 0.81))
    np.testing.assert_array_equal(regularizer.inverse_derivative(high, upper), upper)
    low = regularizer.derivative(jnp.full(N, 1e-12)) - 50
    np.testing.assert_allclose(regularizer.inverse_derivative(low, upper), np.zeros(N), atol=1e-20)


# --- feasibility, optimality, certificate ------------------------------------------------------------------------


@by_variant
@by_case
@given(problem=problems)
def test_allocation_is_feasible_optimal_and_its_certificate_sound(case, capped, at_most, problem):
    result, cap, objective = solved(case, problem, capped, at_most)
    a, tau, scale = np.asarray(result.weights), float(result.threshold), scale_of(problem)
    budget, temperature = problem["budget"], problem["temperature"]
    # Feasible.
    assert bool(result.feasible)
    assert (a >= 0).all()
    assert (a <= cap).all()
    assert a.sum() <= budget * (1 + 16 * EPS)
    if not at_most:
        assert a.sum() >= budget * (1 - 16 * EPS)
    # Karush-Kuhn-Tucker: the marginal surplus is 0 on free entries, <= 0 at zero, >= 0 at a cap.
    tiny = np.full(N, np.finfo(float).tiny)
    surplus = problem["scores"] - tau - temperature * np.asarray(case.make(N).derivative(np.maximum(a, tiny)))
    # An entry's weight is known to about EPS; its marginal cost to EPS * omega''.
    stiff = temperature / np.asarray(case.make(N).inverse_curvature(np.maximum(a, 1e-12)))
    band = 64 * EPS * (scale + stiff * budget)
    assert (surplus[(a > 1e-9) & (a < cap)] <= band[(a > 1e-9) & (a < cap)]).all()
    assert (surplus[a > 1e-9] >= -band[a > 1e-9]).all()
    assert (surplus[a == 0] <= 64 * EPS * scale).all()
    if at_most:
        assert tau >= 0
        assert tau * (budget - a.sum()) <= 64 * EPS * scale  # complementary slackness
    # The certificate: value is the objective, the gap is small, and no feasible point beats the bound.
    assert float(result.value) == pytest.approx(objective(a), abs=64 * EPS * scale)
    assert 0 <= float(result.gap) <= 64 * EPS * scale
    point = feasible_point(problem["draw"], budget, cap)
    points = [point, (point + a) / 2, 0.999 * a + 0.001 * point] + ([point / 2] if at_most else [])
    assert max(map(objective, points)) <= float(result.bound) + 64 * EPS * scale


@by_variant
@by_case
def test_scipys_optimum_lies_between_value_and_bound(case, capped, at_most):
    problem = {
        "scores": np.array([1.0, 0.4, -0.2, 0.9, -2.0]),
        "budget": 1.3,
        "temperature": 0.6,
        "room": np.array([0.2, 1.0, 0.5, 0.7, 0.6]),
    }
    result, cap, objective = solved(case, problem, capped, at_most)
    found = minimize(
        lambda a: -objective(np.maximum(a, 0)),
        feasible_point(np.ones(N), problem["budget"], cap),
        bounds=[(1e-12, min(c, 1.3)) for c in cap],
        constraints={"type": "ineq" if at_most else "eq", "fun": lambda a: problem["budget"] - a.sum()},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    # SLSQP meets its constraints and its optimum to about 1e-7.
    assert float(result.value) - 1e-6 <= -found.fun <= float(result.bound) + 1e-6


@by_case
@given(problem=problems, shift=st.floats(-3, 3))
def test_invariance_monotonicity_and_scaling(case, problem, shift):
    scores, budget, temperature = problem["scores"], problem["budget"], problem["temperature"]
    run = functools.partial(allocate, budget=budget, cap=None, regularizer=case.make(N))
    base = run(scores, temperature=temperature)
    h = np.asarray(case.make(N).inverse_curvature(np.maximum(base.weights, 1e-12))) / temperature
    band = 64 * EPS * (10 + scale_of(problem) * (1 + h.max()))
    # A shift of all scores moves the threshold and nothing else.
    shifted = run(scores + shift, temperature=temperature)
    np.testing.assert_allclose(shifted.weights, base.weights, atol=band)
    assert float(shifted.threshold) == pytest.approx(float(base.threshold) + shift, abs=64 * EPS * scale_of(problem))
    # Only scores over temperature matter.
    scaled = run(3 * scores, temperature=3 * temperature)
    np.testing.assert_allclose(scaled.weights, base.weights, atol=band)
    assert float(scaled.value) == pytest.approx(3 * float(base.value), abs=256 * EPS * scale_of(problem))
    # An entry whose score rises gets no less, and the others no more.
    raised = run(scores + abs(shift) * np.eye(N)[2], temperature=temperature)
    rise = np.asarray(raised.weights - base.weights)
    assert rise[2] >= -band
    assert (np.delete(rise, 2) <= band).all()


@pytest.mark.parametrize("name", [name for name in REGULARIZERS if name != "separable"])
@given(problem=problems, order=st.permutations(range(N)))
def test_permuting_the_entries_permutes_the_answer(name, problem, order):
    case, order = REGULARIZERS[name], np.array(order)
    cap = 1.5 * problem["budget"] * problem["room"] / problem["room"].sum()
    run = functools.partial(allocate, budget=problem["budget"], regularizer=case.make(N))
    base, moved = run(problem["scores"], cap=cap), run(problem["scores"][order], cap=cap[order])
    h = np.asarray(case.make(N).inverse_curvature(np.maximum(base.weights, 1e-12)))
    band = 64 * EPS * scale_of(problem) * (1 + h.max())
    np.testing.assert_allclose(moved.weights, np.asarray(base.weights)[order], atol=band)


@by_case
def test_an_upper_bound_that_binds_is_an_equality_and_one_that_does_not_is_no_bound(case):
    scores, regularizer = jnp.array([3.0, 2.5, 2.0, 2.8, -1.0]), case.make(N)
    equal, most = (allocate(scores, 0.3, None, regularizer, temperature=0.5, at_most=m) for m in (False, True))
    assert float(equal.threshold) > 0
    for one, other in zip(equal, most, strict=True):
        np.testing.assert_array_equal(one, other)
    loose = allocate(scores, 1e6, None, regularizer, temperature=0.5, at_most=True)
    assert float(loose.threshold) == 0
    alone = regularizer.inverse_derivative(scores / 0.5, jnp.full(N, jnp.inf))
    np.testing.assert_allclose(loose.weights, alone, rtol=1e-12)


@by_case
def test_one_program_for_all_values_and_the_same_answer_batched(case):
    keys = np.random.default_rng(3).normal(size=(4, N))
    budgets, cap = jnp.array([0.5, 1.0, 1.5, 2.0]), jnp.full(N, 0.6)
    regularizer = case.make(N)
    traces = 0

    @jax.jit
    def run(scores, budget, regularizer):
        nonlocal traces
        traces += 1
        return allocate(scores, budget, cap, regularizer)

    eager = [allocate(s, r, cap, regularizer) for s, r in zip(jnp.asarray(keys), budgets, strict=True)]
    jitted = [run(s, r, regularizer) for s, r in zip(jnp.asarray(keys), budgets, strict=True)]
    batched = jax.vmap(lambda s, r: allocate(s, r, cap, regularizer))(jnp.asarray(keys), budgets)
    assert traces == 1
    for row in range(4):
        for one, two, three in zip(eager[row], jitted[row], batched, strict=True):
            np.testing.assert_allclose(two, one, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(three[row], one, rtol=1e-13, atol=1e-14)


# --- derivatives -------------------------------------------------------------------------------------------------


@functools.cache
def differentiable(name):
    """All inputs of a capped problem as one vector, and weights, threshold and value as a function of it.

    Entry 0 rests at its cap, entry 4 at zero (or near it, for the dense), the others are free.
    """
    inputs = {
        "scores": jnp.array([2.0, 0.9, 0.7, 0.75, -4.0]),
        "budget": jnp.asarray(1.0),
        "cap": jnp.array([0.3, 2.0, 2.0, 0.9, 0.9]),
        "temperature": jnp.asarray(0.6),
        "regularizer": REGULARIZERS[name].make(N),
    }
    x, restore = ravel_pytree(inputs)

    def outputs(x):
        given_ = restore(x)
        result = allocate(
            given_["scores"],
            given_["budget"],
            given_["cap"],
            given_["regularizer"],
            temperature=given_["temperature"],
        )
        return jnp.concatenate([result.weights, jnp.stack([result.threshold, result.value])])

    places = jax.tree.map(np.asarray, restore(jnp.arange(x.size, dtype=x.dtype)))
    return np.asarray(x), jax.jit(outputs), places


@functools.cache
def forward(name):
    """The Jacobian of all outputs in all inputs, forward mode."""
    x, outputs, _ = differentiable(name)
    return np.asarray(jax.jit(jax.jacfwd(outputs))(x))


by_name = pytest.mark.parametrize("name", REGULARIZERS)


@by_name
def test_first_derivatives_are_exact(name):
    """In scores, budget, caps, temperature and the regulariser's own parameters."""
    x, outputs, _ = differentiable(name)
    central_differences.assert_close(forward(name), central_differences.jacobian(outputs, x), 1e-6)


@by_name
def test_reverse_mode_agrees_and_second_derivatives_are_exact(name):
    """Second ones against central differences of the exact first ones.

    The band is looser, 1e-5: third derivatives of the cube grow as a^-5 where weights are small.
    """
    x, outputs, _ = differentiable(name)
    mix = jnp.array([1.0, -0.7, 0.4, 0.3, 0.9, 0.5, 0.8])
    gradient = jax.jit(jax.grad(lambda x: mix @ outputs(x)))
    np.testing.assert_allclose(gradient(x), mix @ forward(name), rtol=1e-12, atol=1e-12)
    hessian = jax.jit(jax.jacfwd(gradient))(x)
    central_differences.assert_close(hessian, central_differences.jacobian(gradient, x), 1e-5)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-9, atol=1e-9 * np.abs(hessian).max())


@by_name
def test_the_values_derivatives_are_the_envelope_theorems(name):
    x, outputs, places = differentiable(name)
    out = np.asarray(outputs(x))
    weights, threshold, slope = out[:N], out[N], forward(name)[N + 1]
    place = {key: np.asarray(places[key], int) for key in ("scores", "budget", "cap", "temperature")}
    np.testing.assert_allclose(slope[place["scores"]], weights, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(slope[place["budget"]], threshold, rtol=1e-12)
    np.testing.assert_allclose(slope[place["temperature"]], -REGULARIZERS[name].omega(weights).sum(), rtol=1e-10)
    # The multiplier of the cap that binds, and none of the others'.
    marginal = np.asarray(REGULARIZERS[name].make(N).derivative(jnp.asarray(weights)))
    np.testing.assert_allclose(slope[place["cap"]][0], 2.0 - threshold - 0.6 * marginal[0], rtol=1e-9)
    assert slope[place["cap"]][0] > 0.1
    np.testing.assert_array_equal(slope[place["cap"]][1:], np.zeros(N - 1))


@by_name
def test_the_jacobian_in_the_scores_is_symmetric_semidefinite_and_conserves_the_budget(name):
    _, _, places = differentiable(name)
    jacobian = forward(name)[:N]
    in_scores = jacobian[:, np.asarray(places["scores"], int)]
    np.testing.assert_allclose(in_scores, in_scores.T, atol=1e-12)
    assert np.linalg.eigvalsh(in_scores).min() >= -1e-12
    np.testing.assert_allclose(in_scores.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(jacobian[:, int(places["budget"])].sum(), 1, atol=1e-12)
    np.testing.assert_allclose(jacobian[:, np.asarray(places["cap"], int)].sum(), 0, atol=1e-12)


@by_name
def test_the_point_of_the_derivative_tests_is_away_from_kinks(name):
    x, outputs, _ = differentiable(name)
    weights = np.asarray(outputs(x))[:N]
    cap = x[np.asarray(differentiable(name)[2]["cap"], int)]
    assert weights[0] == cap[0]
    assert ((weights[1:4] > 0.01) & (weights[1:4] < cap[1:4] - 0.01)).all()
    assert weights[4] < 1e-3
    if not REGULARIZERS[name].dense:
        assert weights[4] == 0
