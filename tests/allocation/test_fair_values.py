"""Alpha-fair and max-min welfare, soft floors: what is known of their optima, and how they meet in the limits."""

import dataclasses
import itertools

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_markets import C, random_market

from attnjax.allocation import (
    AlphaFair,
    Box,
    Creators,
    Linear,
    Market,
    MaxMin,
    Nash,
    SoftBox,
    alpha_fair,
    solve,
)
from attnjax.errors import UserError

double = pytest.mark.usefixtures("x64")


def fair(kind="nash", seed=0, **change):
    return dataclasses.replace(random_market(kind, seed), platform_rates=jnp.zeros(C), **change)


def with_alpha(market, weights, alpha, scale):
    value = AlphaFair(*(jnp.broadcast_to(jnp.asarray(x, float), (C,)) for x in (weights, alpha, scale)))
    return solve(dataclasses.replace(market, creator_value=value), 1e-7, method="newton")


@double
def test_at_alpha_one_it_is_nash_with_weights_times_scale():
    market = fair()
    weights, scale = market.creator_value.weights, jnp.array([0.5, 2.0, 1.0, 3.0])
    nash = solve(dataclasses.replace(market, creator_value=Nash(weights * scale)), 1e-7)
    shift = float(jnp.sum(weights * scale * jnp.log(scale)))  # w s log(e / s)
    found = with_alpha(market, weights, 1.0, scale)
    assert float(found.lower) <= float(nash.upper) - shift + 1e-9
    assert float(nash.lower) - shift <= float(found.upper) + 1e-9
    np.testing.assert_allclose(found.exposure, nash.exposure, rtol=2e-3)


@double
def test_it_is_smooth_in_alpha_where_it_passes_through_nash():
    """d phi / d alpha = -w s log(e / s)^2 / 2 at alpha = 1; the formula's own at any other."""
    for alpha, exposure in itertools.product((0.4, 1 - 1e-7, 1.0, 1 + 1e-3, 3.0), (1e-6, 0.99, 2.0, 1e4)):

        def value(alpha, e=exposure):
            return AlphaFair(jnp.array([0.7]), alpha, jnp.array([2.0])).value(jnp.array([e]))[0]

        slope = float(jax.grad(value)(jnp.asarray(alpha)))
        numerical = central_differences.jacobian(lambda a: value(jnp.asarray(a[0])), np.array([alpha]))[0]
        assert slope == pytest.approx(numerical, rel=1e-6, abs=1e-9)
        if alpha == 1:
            assert slope == pytest.approx(-0.7 * np.log(exposure / 2) ** 2, rel=1e-12)


@double
def test_the_larger_alpha_the_more_the_poorest_gets_up_to_max_min():
    """Prices are w (e / s)^-alpha throughout, and what only creators have of it goes to the poorest in the limit.

    Users are indifferent here: where they are not, what a unit at the scale is worth decides how much they give up,
    and max-min, with one weight for all creators together, is no limit of the others.
    """
    market = fair("nash impact")
    market = dataclasses.replace(market, scores=0 * market.scores)
    maxmin = solve(dataclasses.replace(market, creator_value=MaxMin(jnp.ones(C))), 1e-6)
    assert bool(maxmin.converged)
    best = float(maxmin.exposure.min())
    worst = []
    for alpha in (0.25, 1.0, 4.0, 8.0):
        found = with_alpha(market, 1.0, alpha, best)
        assert bool(found.converged)
        supporting = (np.asarray(found.exposure) / best) ** -alpha
        np.testing.assert_allclose(found.prices, supporting, rtol=0.01 * max(1, alpha))
        worst.append(float(found.exposure.min()))
    assert (np.diff(worst) > 0).all()
    assert 0.95 * best <= worst[-1] <= best * (1 + 1e-4)


@double
def test_max_min_prices_only_the_worst_off():
    """They share the weights out; creators who are better off have no price, the worst-off are equal."""
    for seed in range(4):
        market = random_market("maxmin", seed)
        found = solve(market, 1e-6)
        weights = np.asarray(market.creator_value.weights)
        share, worth = np.asarray(found.prices) / weights, weights * np.asarray(found.exposure)
        assert share.sum() == pytest.approx(1, abs=1e-9)
        assert (share >= 0).all()
        np.testing.assert_allclose(share * (worth - worth.min()), 0, atol=2 * float(found.gap) + 1e-12)


@double
def test_soft_floors_are_hard_ones_where_the_penalty_is_high_and_nothing_where_it_is_low():
    market = random_market("box", 2)
    hard, box = solve(market, 1e-7), market.creator_value
    soft = dataclasses.replace(market, creator_value=SoftBox(box.floors, box.caps, jnp.full(C, 100.0)))
    found = solve(soft, 1e-7)
    assert float(found.lower) <= float(hard.upper) + 1e-9
    assert float(hard.lower) <= float(found.upper) + 1e-9
    prices = np.asarray(hard.prices)
    assert prices.max() > 0.1  # some floor costs something
    low = 0.5 * prices.max()
    cheap = solve(dataclasses.replace(market, creator_value=SoftBox(box.floors, box.caps, jnp.full(C, low))), 1e-7)
    dear = int(prices.argmax())
    assert float(cheap.exposure[dear]) < float(box.floors[dear]) * (1 - 1e-3)
    assert float(cheap.prices.max()) <= low * (1 + 1e-6)
    free = solve(dataclasses.replace(market, creator_value=Box(0 * box.floors, box.caps)), 1e-7)
    assert float(hard.lower) <= float(cheap.lower) + 1e-6 <= float(free.upper) + 2e-6


@double
def test_proportional_response_and_newton_solve_the_same_fisher_market():
    for kind in ("nash impact", "nash sparse impact"):
        market = fair(kind, 1)
        market = dataclasses.replace(market, scores=jnp.where(market.scores > -jnp.inf, 0.0, -jnp.inf))
        one = solve(market, 1e-5, method="proportional_response", max_iterations=50_000)
        other = solve(market, 1e-6, method="newton")
        assert bool(one.converged)
        assert bool(other.converged)
        assert float(one.lower) <= float(other.upper) + 1e-12
        assert float(other.lower) <= float(one.upper) + 1e-12
        np.testing.assert_allclose(one.exposure, other.exposure, rtol=0.02)
        again = solve(market, 1e-5, method="proportional_response", max_iterations=50_000, materialise=False)
        assert again.attention is None
        np.testing.assert_array_equal(again.prices, one.prices)


@double
def test_proportional_response_spends_all_budgets_and_never_certifies_what_has_no_optimum():
    """A user to whom nothing is relevant, traced; then a creator, of items 0 and 4, who is so to nobody."""
    market = fair("nash impact", 1)
    market = dataclasses.replace(market, scores=0 * market.scores, impact=market.impact.at[2].set(0.0))
    run = jax.jit(lambda m: solve(m, 1e-3, method="proportional_response", max_iterations=2000))
    found = run(market)
    assert bool(found.converged)
    np.testing.assert_allclose(found.attention.sum(axis=1), market.budgets, rtol=1e-12)
    hidden = dataclasses.replace(market, impact=market.impact.at[:, 0].set(0.0).at[:, 4].set(0.0))
    found = run(hidden)
    assert not np.isnan(found.attention).any()
    assert float(found.lower) == -np.inf
    assert float(found.gap) == np.inf
    assert not bool(found.converged)


REFUSED = {
    "scores": ({"scores": 1.0}, r"got scores or platform rates that are not 0"),
    "a temperature": ({"temperature": 0.5}, r"got a temperature above 0"),
    "caps": ({"caps": 5.0}, r"got caps on entries"),
    "another value": ({"creator_value": Linear(1.0)}, r"got Linear as creator value"),
    "slates": ({"position_bias": [1.0, 0.5]}, r"got slates"),
    "upper bounds": ({"at_most": True}, r"got budgets as upper bounds"),
}


@pytest.mark.parametrize(("terms", "message"), REFUSED.values(), ids=REFUSED)
def test_what_proportional_response_cannot_solve_is_refused(terms, message):
    call = {"scores": 0.0, "creator_value": Nash(1.0), "temperature": 0.0, "impact": np.ones((2, 3))} | terms
    scores = np.full((2, 3), call.pop("scores"))
    if "position_bias" in call:
        del call["temperature"]
    market = Market.of(scores, Creators.one_per_item(3), **call)
    message = "solve: expected a market that proportional_response can solve, " + message
    with pytest.raises(UserError, match=message):
        solve(market, method="proportional_response")


FAIR_REFUSALS = {
    "a negative alpha": (lambda: alpha_fair(1.0, -1), r"alpha >= 0, got -1"),
    "no number": (lambda: alpha_fair(1.0, "nash"), r"alpha >= 0, got 'nash'"),
    "NaN": (lambda: alpha_fair(1.0, float("nan")), r"alpha >= 0, got nan"),
}


@pytest.mark.parametrize(("call", "message"), FAIR_REFUSALS.values(), ids=FAIR_REFUSALS)
def test_alphas_that_are_none_are_refused(call, message):
    with pytest.raises(UserError, match="alpha_fair: expected " + message):
        call()


SOLVE_REFUSALS = {
    "an alpha of 0": (AlphaFair(1.0, 0.0, 1.0), r"an alpha and a scale above 0, got alpha from 0"),
    "a scale of 0": (AlphaFair(1.0, 2.0, 0.0), r"scale from 0"),
    "weights of 0": (MaxMin(0.0), r"MaxMin weights above 0, got 0.0"),
    "a penalty of 0": (SoftBox(0.1, 1.0, 0.0), r"penalties above 0"),
    "a floor above its cap": (SoftBox(2.0, 1.0, 1.0), r"floor 2 and cap 1 for creator 0"),
}


@pytest.mark.parametrize(("value", "message"), SOLVE_REFUSALS.values(), ids=SOLVE_REFUSALS)
def test_values_without_sense_are_refused(value, message):
    with pytest.raises(UserError, match="solve: expected .*" + message):
        solve(Market.of(np.zeros((2, 3)), Creators.one_per_item(3), value), method="newton")


def test_alpha_fair_picks_the_class():
    assert isinstance(alpha_fair(1.0, 0), Linear)
    assert isinstance(alpha_fair(1.0, 0.5), AlphaFair)
    assert isinstance(alpha_fair(1.0, np.inf), MaxMin)
