"""What every market solver owes: a feasible allocation between bounds that hold, whatever the creator value."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import CREATOR_VALUES, PAIRS, REGULARIZERS, SOLVERS
from scipy.optimize import minimize

from attnjax.allocation import Creators, Market, best_response, exposure_of, solve, welfare_of

U, N, C = 3, 4, 3
TOL = 1e-5
# Item 0 has two creators, item 3 one of them; creator 2 has two items.
INCIDENCE = np.array([[0.6, 0.4, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0.5]])
SCORES = np.array([[1.0, 0.2, -0.5, 0.3], [0.4, 1.5, 0.0, -np.inf], [2.0, 0.1, 0.6, 0.9]])
BUDGETS, RATES, TEMPERATURE = np.array([1.0, 0.5, 2.0]), np.array([0.1, 0.0, 0.3]), 0.7
by_pair = pytest.mark.parametrize(("method", "value"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
pytestmark = pytest.mark.usefixtures("x64")


def market_of(value, regularizer="entropy", scores=SCORES):
    items, creators = np.nonzero(INCIDENCE)
    return Market.of(
        jnp.asarray(scores, float),
        Creators.of(items, creators, INCIDENCE[items, creators], num_items=N, num_creators=C),
        CREATOR_VALUES[value].make(C),
        budgets=BUDGETS,
        platform_rates=RATES,
        temperature=TEMPERATURE,
        regularizer=REGULARIZERS[regularizer].make(N),
    )


def welfare(value, regularizer, attention):
    """The objective in NumPy, from the formula and a dense incidence."""
    exposure = attention.sum(axis=0) @ INCIDENCE
    users = (np.where(np.isfinite(SCORES), SCORES, 0) * attention).sum()
    variety = sum(REGULARIZERS[regularizer].omega(row).sum() for row in attention)
    return users - TEMPERATURE * variety + CREATOR_VALUES[value].phi(exposure).sum() + RATES @ exposure


@functools.cache
def optimum(value, regularizer):
    """SciPy's, by sequential quadratic programming over the admitted entries."""
    open_ = np.isfinite(SCORES)

    def whole(x):
        attention = np.zeros((U, N))
        attention[open_] = np.maximum(x, 1e-14)
        return attention

    rows = np.nonzero(open_)[0]
    floors = CREATOR_VALUES[value].floors(C)
    caps = np.minimum(CREATOR_VALUES[value].caps(C), 2 * BUDGETS.sum())
    found = minimize(
        lambda x: -welfare(value, regularizer, whole(x)),
        (BUDGETS / open_.sum(axis=1))[rows],
        bounds=[(1e-12, None)] * rows.size,
        constraints=[
            {"type": "eq", "fun": lambda x: whole(x).sum(axis=1) - BUDGETS},
            {"type": "ineq", "fun": lambda x: whole(x).sum(axis=0) @ INCIDENCE - floors},
            {"type": "ineq", "fun": lambda x: caps - whole(x).sum(axis=0) @ INCIDENCE},
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return -found.fun


@functools.cache
def solution(method, value, regularizer="entropy"):
    with jax.enable_x64(True):
        market = market_of(value, regularizer)
        return market, solve(market, TOL, method=method)


@by_pair
def test_the_allocation_is_feasible_and_the_certificate_consistent(method, value):
    market, found = solution(method, value)
    attention = np.asarray(found.attention)
    assert (attention >= 0).all()
    assert attention[1, 3] == 0  # excluded
    np.testing.assert_allclose(attention.sum(axis=1), BUDGETS, rtol=1e-12)
    np.testing.assert_allclose(found.exposure, attention.sum(axis=0) @ INCIDENCE, rtol=1e-12)
    assert (np.asarray(found.exposure) >= CREATOR_VALUES[value].floors(C) * (1 - 1e-6)).all()
    assert (np.asarray(found.exposure) <= CREATOR_VALUES[value].caps(C) * (1 + 1e-6)).all()
    assert bool(found.converged)
    assert float(found.lower) == pytest.approx(welfare(value, "entropy", attention), rel=1e-12)
    dual = float(best_response(market, found.prices).value + market.creator_value.conjugate(found.prices).sum())
    assert float(found.upper) == pytest.approx(dual, rel=1e-12)
    assert float(found.gap) == pytest.approx(float(found.upper - found.lower), abs=1e-12)
    assert 0 <= float(found.gap) <= TOL * max(abs(float(found.upper)), TEMPERATURE * BUDGETS.sum())


# Every pair with entropy, and every other regulariser with Nash welfare; Newton takes entropy only.
TRIPLES = [(*pair, "entropy") for pair in PAIRS] + [
    (method, "nash", regularizer)
    for method in SOLVERS
    if method != "newton"
    for regularizer in ("squared_norm", "cube", "separable")
]


@pytest.mark.parametrize(("method", "value", "regularizer"), TRIPLES, ids=["-".join(triple) for triple in TRIPLES])
def test_scipys_optimum_lies_between_lower_and_upper(method, value, regularizer):
    """SLSQP meets constraints and optimum to about 1e-6."""
    _, found = solution(method, value, regularizer)
    assert bool(found.converged)
    assert float(found.lower) - 2e-6 <= optimum(value, regularizer) <= float(found.upper) + 2e-6


@by_pair
def test_no_feasible_allocation_beats_the_bound(method, value):
    _, found = solution(method, value)
    random = np.random.default_rng(5)
    weights = np.where(np.isfinite(SCORES), random.exponential(size=(200, U, N)), 0)
    for draw in weights:
        attention = BUDGETS[:, None] * draw / draw.sum(axis=1, keepdims=True)
        exposure = attention.sum(axis=0) @ INCIDENCE
        if (exposure >= CREATOR_VALUES[value].floors(C)).all() and (exposure <= CREATOR_VALUES[value].caps(C)).all():
            assert welfare(value, "entropy", attention) <= float(found.upper) + 1e-12


@pytest.mark.parametrize("value", ["nash", "linear"])
def test_methods_agree_within_their_gaps(value):
    (_, one), (_, other) = solution("dual_gradient", value), solution("frank_wolfe", value)
    assert max(float(one.lower), float(other.lower)) <= min(float(one.upper), float(other.upper)) + 1e-12


@by_pair
def test_giving_up_early_is_reported_with_bounds_that_hold(method, value):
    market, full = solution(method, value)
    tilted = market_of(value, scores=SCORES * 3) if value in ("floors", "box") else market
    found = solve(tilted, 1e-12, method=method, max_iterations=1)
    assert int(found.iterations) == 1
    assert float(found.lower) <= float(found.upper)
    if value == "box" and not np.isfinite(found.lower):  # one step may be too few to get below every cap
        assert float(found.gap) == np.inf
        return
    # Even then the allocation is feasible, so its welfare is a lower bound.
    assert np.isfinite(found.lower)
    assert (np.asarray(found.exposure) >= CREATOR_VALUES[value].floors(C) * (1 - 1e-6)).all()
    if value != "linear":  # which one iteration solves
        assert not bool(found.converged)
    if value not in ("floors", "box"):
        assert float(found.lower) <= float(full.upper) + 1e-12
        assert float(found.upper) >= float(full.lower) - 1e-12


@by_pair
def test_markets_batch(method, value):
    markets = [market_of(value), market_of(value, scores=SCORES + np.array([[0.5, 0, 0, 0]] * U))]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *markets)
    found = jax.vmap(lambda m: solve(m, TOL, method=method))(batch)
    assert found.converged.all()
    for row, market in enumerate(markets):
        alone = solve(market, TOL, method=method)
        np.testing.assert_allclose(found.attention[row], alone.attention, atol=1e-9)
        np.testing.assert_allclose(found.upper[row], alone.upper, rtol=1e-9)


@by_pair
def test_the_prices_support_the_exposure(method, value):
    """Best responses at the prices are close to the allocation: welfare is strongly concave in it."""
    market, found = solution(method, value)
    response = best_response(market, found.prices)
    # |a - a*|_1^2 / (2 R) T <= gap, per user, by Pinsker's inequality.
    band = 2 * np.sqrt(2 * float(found.gap) * BUDGETS.max() / TEMPERATURE) * U + 1e-9
    np.testing.assert_allclose(exposure_of(market, response.attention), found.exposure, atol=band)
    parts = welfare_of(market, found.attention)
    assert float(sum(parts)) == pytest.approx(float(parts.total), rel=1e-14)
