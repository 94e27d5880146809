"""Prices explain markets: by hand where a market can be solved by hand, and adding up everywhere."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from attnjax.allocation import (
    Box,
    Creators,
    Linear,
    Market,
    Nash,
    Solution,
    SquaredNorm,
    best_response,
    solve,
)
from attnjax.errors import UserError
from attnjax.evaluation.faithfulness import faithfulness
from attnjax.evaluation.reasons import why_choice, why_exposure

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(7, 6))
CREATORS = Creators.of([0, 1, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2, 3], num_items=6, num_creators=4)
VALUES = {
    "nash": Nash(np.array([1.0, 2.0, 1.0, 0.5])),
    "linear": Linear(np.array([0.0, 0.5, -0.5, 1.0])),
}


REASONS = jax.jit(jax.vmap(lambda m, s, j: why_exposure(m, s, j, nodes=24), (None, None, 0)))


def market_of(name, **options):
    return Market.of(SCORES, CREATORS, VALUES[name], **{"platform_rates": [0.1, 0.0, 0.3, 0.0]} | options)


def at_prices(market, prices, exposure=None):
    """A solution as far as reasons ask for one, at prices that are known."""
    prices, zero = jnp.asarray(prices, float), jnp.zeros(())
    return Solution(None, prices if exposure is None else exposure, prices, zero, zero, zero, zero, zero == 0)


def test_a_floor_and_a_cap_are_shared_out_as_by_hand(x64):
    """One user, two items of equal score. Half guaranteed to the first, a rate of log 3 on the second: the price is
    log 3 too; on the way attention stays (1/2, 1/2), and each moves log 3 / 4 of it. A cap of 1/4: price -log 3."""

    def reasons(floor, cap, rate, price, exposure):
        bounds = Box(jnp.array([floor, 0.0]), jnp.array([cap, 1.0]))
        market = Market.of(jnp.zeros((1, 2)), Creators.one_per_item(2), bounds, platform_rates=[0.0, rate])
        return REASONS(market, at_prices(market, [price, 0], jnp.asarray(exposure)), jnp.arange(2))

    why = reasons(0.5, 1.0, np.log(3), np.log(3), [0.5, 0.5])
    np.testing.assert_allclose(why.even, 0.5)
    np.testing.assert_allclose(why.scores, 0, atol=1e-12)
    np.testing.assert_allclose(why.prices[0], [np.log(3) / 4, 0], atol=1e-12)
    np.testing.assert_allclose(why.rates[0], [0, -np.log(3) / 4], atol=1e-12)
    np.testing.assert_allclose(why.rest, 0, atol=1e-12)
    assert why.binding.tolist() == [1, 0]
    why = reasons(0.0, 0.25, 0.0, -np.log(3), [0.25, 0.75])
    np.testing.assert_allclose(why.prices, [[-0.25, 0], [0.25, 0]], atol=1e-12)
    np.testing.assert_allclose(why.rest, 0, atol=1e-12)
    assert why.binding.tolist() == [-1, 0]


def test_reasons_add_up_to_the_exposure(x64):
    market = market_of("nash")
    solution = solve(market, 1e-7)
    assert bool(solution.converged)
    why = REASONS(market, solution, jnp.arange(4))
    parts = why.even + why.scores + why.prices.sum(1) + why.rates.sum(1)
    np.testing.assert_allclose(parts + why.rest, solution.exposure, rtol=1e-12)
    np.testing.assert_allclose(why.rest, solution.exposure - best_response(market, solution.prices).exposure, atol=1e-6)
    assert float(abs(why.rest).max()) < 2e-3
    # What one creator gains another loses: parts of all creators sum to 0, and even shares to all attention.
    for part in (why.scores, why.prices, why.rates):
        np.testing.assert_allclose(part.sum(0), 0, atol=1e-9)
    assert float(why.even.sum()) == pytest.approx(7)
    assert (np.diag(why.prices) > 0).all()
    assert why.binding.tolist() == [0] * 4


def test_prices_of_another_market_are_other_reasons(x64):
    """The randomised-model check on prices: redraw the scores, and creators rank by price in another order.

    Each creator's weight is the number of their items, so that no order is in the market but for its scores.
    """
    market, weights = market_of("nash"), CREATORS.exposure(jnp.ones(6))

    def prices(scores):
        return solve(dataclasses.replace(market, scores=scores, creator_value=Nash(weights)), 1e-7).prices

    own = prices(SCORES + 3 * jnp.linspace(-1, 1, 6)[None, :])
    others = [prices(jax.random.normal(jax.random.key(seed), SCORES.shape)) for seed in range(40)]
    assert abs(np.mean([spearmanr(own, other).statistic for other in others])) < 4 / np.sqrt(3 * 40)


def test_candidates_and_impact_are_part_of_the_reasons(x64):
    items = np.array([[0, 3, 4], [1, 2, 5], [5, 0, -1]])
    scores, impact = RNG.normal(size=(3, 3)), RNG.uniform(0.5, 2, (3, 3))
    market = Market.of(scores, CREATORS, VALUES["linear"], candidates=items, impact=impact)
    response = best_response(market, jnp.asarray(VALUES["linear"].rates))
    solution = at_prices(market, VALUES["linear"].rates, response.exposure)
    why = REASONS(market, solution, jnp.arange(4))
    np.testing.assert_allclose(why.rest, 0, atol=1e-6)
    eager = why_exposure(market, solution, 2, nodes=24)
    np.testing.assert_allclose(eager.prices, why.prices[2], rtol=1e-9, atol=1e-12)
    choice = why_choice(market, solution, 1)
    prices = np.asarray(CREATORS.on_items(solution.prices))[items[1]] * impact[1]
    np.testing.assert_allclose(choice.price, prices, rtol=1e-6)
    np.testing.assert_allclose(choice.attention, response.attention[1], atol=1e-9)
    padded = why_choice(market, solution, 2)
    assert padded.attention[2] == 0
    assert padded.rent[2] == -np.inf


def test_a_choice_is_worth_threshold_and_cost_and_log_odds_are_reasons(x64):
    market = market_of("nash", temperature=0.7)
    solution = at_prices(market, [0.2, 0.5, 0.3, 0.9])
    found = jax.jit(jax.vmap(lambda u: why_choice(market, solution, u)))(jnp.arange(7))
    np.testing.assert_allclose(found.attention, best_response(market, solution.prices).attention, rtol=1e-9)
    np.testing.assert_allclose(found.rent, 0, atol=1e-9)
    worth = found.score + found.price + found.platform
    odds = 0.7 * (np.log(found.attention[:, 0]) - np.log(found.attention[:, 5]))
    np.testing.assert_allclose(worth[:, 0] - worth[:, 5], odds, atol=1e-9)
    np.testing.assert_array_equal(found.score, SCORES)


def test_caps_and_thresholds_leave_rents_as_by_hand(x64):
    """Worth (5, 0, 0) under a cap of 1/2: what the first is worth above log odds of 2 to 1. Sparse: (1, 1/2, -1)."""
    market = Market.of(jnp.array([[5.0, 0.0, 0.0]]), Creators.one_per_item(3), caps=0.5)
    why = why_choice(market, at_prices(market, jnp.zeros(3)), 0)
    np.testing.assert_allclose(why.attention, [0.5, 0.25, 0.25])
    np.testing.assert_allclose(why.rent, [5 - np.log(2), 0, 0], atol=1e-9)
    market = Market.of(jnp.array([[1.0, 0.5, -1.0]]), Creators.one_per_item(3), regularizer=SquaredNorm())
    why = why_choice(market, at_prices(market, jnp.zeros(3)), 0)
    np.testing.assert_allclose(why.attention, [0.75, 0.25, 0], atol=1e-9)
    np.testing.assert_allclose(why.rent, [0, 0, -1.25], atol=1e-9)
    assert float(why.threshold) == pytest.approx(0.25)


def test_prices_are_faithful_reasons():
    """Deleting prices in the order of what they add takes a creator's exposure faster than chance."""
    creators = Creators.one_per_item(8)
    scores = jnp.asarray(RNG.normal(size=(20, 8)), jnp.float32)
    prices = jnp.asarray(RNG.uniform(-1, 1, 8), jnp.float32)
    market = Market.of(scores, creators, Linear(prices))
    solution = at_prices(market, prices)

    def exposure(kept):
        return best_response(market, jnp.where(kept, solution.prices, 0)).exposure[0]

    why = REASONS(market, solution, jnp.arange(1))
    found = jax.jit(lambda prices: faithfulness(exposure, prices, key=jax.random.key(0)))(why.prices[0])
    assert float(found.deletion_chance) < 0.05
    assert float(found.insertion_chance) < 0.05


def test_what_has_no_price_reasons_is_refused():
    market = Market.of(jnp.zeros((2, 3)), Creators.one_per_item(3), Nash(1.0))
    solution = at_prices(market, jnp.zeros(3))
    with pytest.raises(UserError, match="why_exposure: expected a creator from 0 to 2, got 3"):
        why_exposure(market, solution, 3)
    with pytest.raises(UserError, match="why_choice: expected a user from 0 to 1, got -1"):
        why_choice(market, solution, -1)
    with pytest.raises(
        UserError, match=r"expected the solution of this market of 3 creators, got prices of shape \(2,"
    ):
        why_choice(market, solution._replace(prices=jnp.zeros(2)), 0)
    with pytest.raises(UserError, match=r"expected users with a preference for variety.*got temperature 0"):
        why_exposure(dataclasses.replace(market, temperature=jnp.zeros(())), solution, 0)
    slates = dataclasses.replace(market, position_bias=jnp.ones(2))
    with pytest.raises(UserError, match="got slates"):
        why_choice(slates, solution, 0)
