"""What every market solver owes: a feasible allocation between bounds that hold, whatever the creator value."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import CREATOR_VALUES, FISHER, PAIRS, REGULARIZERS, SOLVERS
from market_optima import by_cones
from scipy.optimize import minimize

from attnjax.allocation import Creators, Market, best_response, exposure_of, solve, welfare_of

U, N, C = 3, 4, 3
TOL = 1e-5
# Item 0 has two creators, item 3 one of them; creator 2 has two items.
INCIDENCE = np.array([[0.6, 0.4, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0.5]])
SCORES = np.array([[1.0, 0.2, -0.5, 0.3], [0.4, 1.5, 0.0, -np.inf], [2.0, 0.1, 0.6, 0.9]])
IMPACT = np.array([[1.0, 0.4, 0.2, 0.7], [0.5, 2.0, 0.3, 1.0], [0.1, 0.6, 0.9, 0.4]])
BUDGETS, RATES, TEMPERATURE = np.array([1.0, 0.5, 2.0]), np.array([0.1, 0.0, 0.3]), 0.7
SHIFT = np.array([0.5, 0, 0, 0])
by_pair = pytest.mark.parametrize(("method", "value"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
pytestmark = pytest.mark.usefixtures("x64")


def market_of(method, value, regularizer="entropy", factor=1.0, shift=0.0):
    """Users with tastes and a preference for variety; or, for Fisher markets, with impact and neither."""
    items, creators = np.nonzero(INCIDENCE)
    fisher = method in FISHER
    return Market.of(
        np.where(np.isfinite(SCORES), 0, SCORES) if fisher else SCORES * factor + shift,
        Creators.of(items, creators, INCIDENCE[items, creators], num_items=N, num_creators=C),
        CREATOR_VALUES[value].make(C),
        budgets=BUDGETS,
        platform_rates=0.0 if fisher else RATES,
        temperature=0.0 if fisher else TEMPERATURE,
        regularizer=REGULARIZERS[regularizer].make(N),
        impact=IMPACT + shift if fisher else None,
    )


def exposure_by_hand(method, attention):
    return (attention * (IMPACT if method in FISHER else 1)).sum(axis=0) @ INCIDENCE


def welfare(method, value, regularizer, attention):
    """The objective in NumPy, from the formula and a dense incidence."""
    exposure = exposure_by_hand(method, attention)
    creators = CREATOR_VALUES[value].phi(exposure).sum()
    if method in FISHER:
        return creators
    users = (np.where(np.isfinite(SCORES), SCORES, 0) * attention).sum()
    variety = sum(REGULARIZERS[regularizer].omega(row).sum() for row in attention)
    return users - TEMPERATURE * variety + creators + RATES @ exposure


@functools.cache
def optimum(method, value, regularizer):
    """Clarabel's; where the users' part is no cone, SciPy's by sequential quadratic programming."""
    if regularizer in ("entropy", "squared_norm"):
        return by_cones(market_of(method, value, regularizer))
    open_ = np.isfinite(SCORES)

    def whole(x):
        attention = np.zeros((U, N))
        attention[open_] = np.maximum(x, 1e-14)
        return attention

    rows = np.nonzero(open_)[0]
    found = minimize(
        lambda x: -welfare(method, value, regularizer, whole(x)),
        (BUDGETS / open_.sum(axis=1))[rows],
        bounds=[(1e-12, None)] * rows.size,
        constraints=[{"type": "eq", "fun": lambda x: whole(x).sum(axis=1) - BUDGETS}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return -found.fun


@functools.cache
def solution(method, value, regularizer="entropy"):
    with jax.enable_x64(True):
        market = market_of(method, value, regularizer)
        return market, solve(market, TOL, method=method)


@by_pair
def test_the_allocation_is_feasible_and_the_certificate_consistent(method, value):
    market, found = solution(method, value)
    attention = np.asarray(found.attention)
    assert (attention >= 0).all()
    assert attention[1, 3] == 0  # excluded
    np.testing.assert_allclose(attention.sum(axis=1), BUDGETS, rtol=1e-12)
    np.testing.assert_allclose(found.exposure, exposure_by_hand(method, attention), rtol=1e-12)
    assert (np.asarray(found.exposure) >= CREATOR_VALUES[value].floors(C) * (1 - 1e-6)).all()
    assert (np.asarray(found.exposure) <= CREATOR_VALUES[value].caps(C) * (1 + 1e-6)).all()
    assert bool(found.converged)
    assert float(found.lower) == pytest.approx(welfare(method, value, "entropy", attention), rel=1e-12, abs=1e-14)
    if method in FISHER:  # each user's budget goes where it is worth most
        users = BUDGETS @ np.where(np.isfinite(SCORES), IMPACT * (INCIDENCE @ np.asarray(found.prices)), 0).max(axis=1)
    else:
        users = float(best_response(market, found.prices).value)
    dual = users + float(market.creator_value.conjugate(found.prices).sum())
    assert float(found.upper) == pytest.approx(dual, rel=1e-12, abs=1e-14)
    assert float(found.gap) == pytest.approx(float(found.upper - found.lower), abs=1e-12)
    # Relative to welfare, or to the sizes of its parts, which may cancel in it.
    parts = welfare_of(market, found.attention)
    sizes = abs(float(parts.satisfaction + parts.variety)) + float((abs(found.prices) + RATES) @ found.exposure)
    assert 0 <= float(found.gap) <= TOL * max(sizes, abs(float(found.upper)), TEMPERATURE * BUDGETS.sum())


# Every pair with entropy, and every other regulariser with Nash welfare; Newton takes the squared norm only.
TRIPLES = [(*pair, "entropy") for pair in PAIRS] + [
    (method, "nash", regularizer)
    for method in SOLVERS
    for regularizer in ("squared_norm", "cube", "separable")
    if method not in FISHER and (method != "newton" or regularizer == "squared_norm")
]


@pytest.mark.parametrize(("method", "value", "regularizer"), TRIPLES, ids=["-".join(triple) for triple in TRIPLES])
def test_another_solvers_optimum_lies_between_lower_and_upper(method, value, regularizer):
    """SLSQP and Clarabel meet constraints and optimum to about 1e-6."""
    _, found = solution(method, value, regularizer)
    assert bool(found.converged)
    assert float(found.lower) - 2e-6 <= optimum(method, value, regularizer) <= float(found.upper) + 2e-6


@by_pair
def test_no_feasible_allocation_beats_the_bound(method, value):
    _, found = solution(method, value)
    random = np.random.default_rng(5)
    weights = np.where(np.isfinite(SCORES), random.exponential(size=(200, U, N)), 0)
    for draw in weights:
        attention = BUDGETS[:, None] * draw / draw.sum(axis=1, keepdims=True)
        exposure = exposure_by_hand(method, attention)
        if (exposure >= CREATOR_VALUES[value].floors(C)).all() and (exposure <= CREATOR_VALUES[value].caps(C)).all():
            assert welfare(method, value, "entropy", attention) <= float(found.upper) + 1e-12


@pytest.mark.parametrize("value", ["nash", "linear"])
def test_methods_agree_within_their_gaps(value):
    (_, one), (_, other) = solution("dual_gradient", value), solution("frank_wolfe", value)
    assert max(float(one.lower), float(other.lower)) <= min(float(one.upper), float(other.upper)) + 1e-12


@by_pair
def test_giving_up_early_is_reported_with_bounds_that_hold(method, value):
    market, full = solution(method, value)
    tilted = market_of(method, value, factor=3) if value in ("floors", "box", "soft_box") else market
    found = solve(tilted, 1e-12, method=method, max_iterations=1)
    assert int(found.iterations) == 1
    assert float(found.lower) <= float(found.upper)
    if value in ("box", "soft_box") and not np.isfinite(found.lower):  # one step may be too few to get below every cap
        assert float(found.gap) == np.inf
        return
    # Even then the allocation is feasible, so its welfare is a lower bound.
    assert np.isfinite(found.lower)
    assert (np.asarray(found.exposure) >= CREATOR_VALUES[value].floors(C) * (1 - 1e-6)).all()
    if value != "linear":  # which one iteration solves
        assert not bool(found.converged)
    if tilted is market:
        assert float(found.lower) <= float(full.upper) + 1e-12
        assert float(found.upper) >= float(full.lower) - 1e-12


@by_pair
def test_markets_batch(method, value):
    markets = [market_of(method, value), market_of(method, value, shift=SHIFT)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *markets)
    found = jax.vmap(lambda m: solve(m, TOL, method=method))(batch)
    assert found.converged.all()
    for row, market in enumerate(markets):
        alone = solve(market, TOL, method=method)
        np.testing.assert_allclose(found.attention[row], alone.attention, atol=1e-9)
        np.testing.assert_allclose(found.upper[row], alone.upper, rtol=1e-9)


@pytest.mark.parametrize(("method", "value"), [pair for pair in PAIRS if pair[0] not in FISHER])
def test_the_prices_support_the_exposure(method, value):
    """Best responses at the prices are close to the allocation: welfare is strongly concave in it."""
    market, found = solution(method, value)
    response = best_response(market, found.prices)
    # |a - a*|_1^2 / (2 R) T <= gap, per user, by Pinsker's inequality.
    band = 2 * np.sqrt(2 * float(found.gap) * BUDGETS.max() / TEMPERATURE) * U + 1e-9
    np.testing.assert_allclose(exposure_of(market, response.attention), found.exposure, atol=band)
    parts = welfare_of(market, found.attention)
    assert float(sum(parts)) == pytest.approx(float(parts.total), rel=1e-14)
