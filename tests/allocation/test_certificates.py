"""Certificates are sound: the true optimum, found by other solvers, lies between the bounds, for every kind of market.

Likewise what is returned: it is feasible, its welfare is the lower bound, and its gap survives judgement in float64.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from market_optima import by_cones_with_gap, by_programme
from random_markets import KINDS, random_market

from attnjax.allocation import AlphaFair, Nash, exposure_of, solve, welfare_of

TEMPERATURES = {"plain": 0.0, "varied": 0.5}


def in_double(market):
    """The same market in float64, digit for digit; to be used with x64 enabled."""
    return jax.tree.map(lambda x: x.astype(float) if jnp.issubdtype(x.dtype, jnp.floating) else x, market)


def assert_feasible(market, attention, tolerance):
    """Every constraint, relative to its bound, from the market's arrays."""
    with jax.enable_x64(True):
        market = in_double(market)
        a = np.asarray(attention, np.float64)
        exposure = np.asarray(exposure_of(market, jnp.asarray(a)))
    scores, budgets = np.asarray(market.scores), np.asarray(market.budgets)
    more, less = 1 + tolerance, 1 - tolerance
    assert (a >= 0).all()
    assert (a[~np.isfinite(scores)] == 0).all()
    if market.position_bias is None:
        assert (a.sum(axis=1) <= budgets * more).all()
        assert market.at_most or (a.sum(axis=1) >= budgets * less).all()
    else:  # the k largest have at most what the k first positions get, and all have all of it
        bias = np.asarray(market.position_bias)
        most = budgets[:, None] * np.append(np.cumsum(bias), [bias.sum()] * (a.shape[1] - bias.size))
        largest = np.cumsum(-np.sort(-a, axis=1), axis=1)
        assert (largest <= most * more).all()
        assert (largest[:, -1] >= most[:, -1] * less).all()
    if market.caps is not None:
        assert (a <= np.asarray(market.caps) * more).all()
    value = market.creator_value
    if hasattr(value, "floors") and not hasattr(value, "penalty"):
        assert (exposure >= np.asarray(value.floors) * less).all()
    if hasattr(value, "caps"):
        assert (exposure <= np.asarray(value.caps) * more).all()


def assert_sound(market, found, slack):
    """The optimum by HiGHS where all is linear, else by Clarabel, is no less than `lower` and no more than `upper`."""
    curved = float(market.temperature) > 0 or isinstance(market.creator_value, Nash | AlphaFair)
    optimum, own_gap = by_cones_with_gap(market) if curved else (by_programme(market), 0.0)
    # What Clarabel finds is a little infeasible, so its error may be more than its gap.
    slack = max(slack, 2e-7 if curved else 0) * max(1, abs(optimum)) + 2 * own_gap
    assert float(found.lower) - slack <= optimum <= float(found.upper) + slack


def best_by_hand(market, prices):
    """What users get from the best they can do at prices, without preference for variety: sum_u max <z_u, a>."""
    z = np.asarray(market.creators.on_items(prices + market.platform_rates))
    z = np.broadcast_to(z, market.scores.shape) if market.candidates is None else z[np.asarray(market.candidates)]
    z = np.asarray(market.scores) + z * (1 if market.impact is None else np.asarray(market.impact))
    total = 0.0
    for u, budget in enumerate(np.asarray(market.budgets)):
        if market.position_bias is not None:
            total += budget * np.sort(z[u])[::-1][: market.position_bias.size] @ np.asarray(market.position_bias)
            continue
        left = budget
        for i in np.argsort(-z[u]):  # the best first, each as far as it goes
            if np.isfinite(z[u, i]) and not (market.at_most and z[u, i] < 0):
                given = left if market.caps is None else min(left, float(market.caps[u, i]))
                total, left = total + given * z[u, i], left - given
    return total


@pytest.mark.parametrize("temperature", TEMPERATURES.values(), ids=TEMPERATURES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("x64")
def test_the_true_optimum_lies_between_the_bounds_and_what_attains_the_lower_is_feasible(kind, temperature):
    if "slates" in kind and temperature:
        pytest.skip("slates have no preference for variety")
    for seed in range(4):
        market = random_market(kind, seed, temperature)
        found = solve(market, 1e-6, method="newton")
        assert bool(found.converged)
        assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))
        assert_feasible(market, found.attention, 1e-9)
        assert_sound(market, found, 1e-9)
        np.testing.assert_allclose(found.exposure, exposure_of(market, found.attention), rtol=1e-9)
        assert float(found.lower) == pytest.approx(float(welfare_of(market, found.attention).total), rel=1e-9)
        assert float(found.upper) == pytest.approx(float(found.lower + found.gap), rel=1e-12)


def test_the_check_itself_would_notice_a_bound_that_is_wrong():
    with jax.enable_x64(True):
        market = random_market("box sparse", 0)
        found = solve(market, 1e-6, method="newton")
        with pytest.raises(AssertionError):
            assert_sound(market, found._replace(upper=found.lower - 1e-3), 1e-9)
        with pytest.raises(AssertionError):
            assert_feasible(market, found.attention * 1.001, 1e-9)
        dear = dataclasses.replace(market, creator_value=jax.tree.map(lambda x: x * 1.01, market.creator_value))
        with pytest.raises(AssertionError):
            assert_feasible(dear, found.attention, 1e-9)


@pytest.mark.compiled_in_full
@pytest.mark.parametrize(
    "kind", ["box sparse", "maxmin", "nash caps", "floors slates", "alpha slates impact", "soft sparse caps at_most"]
)
def test_in_single_precision_the_allocation_is_feasible_and_the_gap_true_to_1e_5(kind):
    """The same attention and prices judged in float64, from the formulas of the primal and the dual.

    To 1e-3 only: where few users choose sharply, what single precision leaves of worth over temperature moves exposure.
    """
    for seed in range(3):
        market = random_market(kind, seed, dtype=np.float32)
        found = solve(market, 1e-3, method="newton")
        assert found.attention.dtype == jnp.float32
        assert bool(found.converged)
        assert_feasible(market, found.attention, 1e-6)
        with jax.enable_x64(True):
            wide = in_double(market)
            prices, attention = (jnp.asarray(np.asarray(x, np.float64)) for x in (found.prices, found.attention))
            primal = float(welfare_of(wide, attention).total)
            dual = best_by_hand(wide, prices) + float(wide.creator_value.conjugate(prices).sum())
            parts = abs(float(welfare_of(wide, attention).satisfaction)) + float(abs(prices) @ found.exposure)
        assert float(found.gap) == pytest.approx(dual - primal, abs=1e-5 * parts)
        assert float(found.lower) == pytest.approx(primal, abs=1e-5 * parts)
