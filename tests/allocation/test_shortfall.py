"""The smallest shortfall of floors that can't be met: a linear programme's, and who is to blame for it."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from market_optima import by_programme
from random_markets import C, N, U, creators

from attnjax.allocation import Box, Creators, Floors, Market, SoftBox, smallest_shortfall, solve
from attnjax.errors import UserError

pytestmark = pytest.mark.usefixtures("x64")


def by_highs(market):
    """The least that floors are missed by, when caps must hold; and the least attention without a place under caps."""
    value = market.creator_value
    caps = getattr(value, "caps", jnp.full(value.floors.shape, jnp.inf))
    seen = market.scores > -jnp.inf
    plain = {
        "platform_rates": jnp.zeros(C),
        "temperature": jnp.zeros(()),
        "at_most": market.position_bias is None,
    }
    missed = dataclasses.replace(
        market,
        scores=jnp.where(seen, 0.0, -jnp.inf),
        creator_value=SoftBox(value.floors, caps, jnp.ones(C)),
        **plain,
    )
    placed = dataclasses.replace(
        market,
        scores=jnp.where(seen, 1.0, -jnp.inf),
        creator_value=SoftBox(jnp.zeros(C), caps, jnp.ones(C)),
        **plain,
    )
    if market.position_bias is not None:
        return -by_programme(missed), 0.0
    return -by_programme(missed), float(market.budgets.sum()) - by_programme(placed)


def market_of(seed, floors, caps=np.inf, **more):
    """Half of the entries are excluded; the first user may see all items."""
    random = np.random.default_rng(seed)
    scores = np.where(random.random((U, N)) < 0.5, -np.inf, random.normal(size=(U, N)))
    scores[0] = 0
    scores[np.arange(U), random.integers(0, N, U)] = 0
    value = Box(jnp.broadcast_to(floors, (C,)) * 1.0, jnp.broadcast_to(caps, (C,)) * 1.0)
    return Market.of(scores, creators(), value, budgets=random.uniform(0.5, 2, U), **more)


CASES = {
    "one floor too high": (np.array([7.0, 0.5, 0.5, 0.5]), np.inf),
    "all floors too high": (3.5, np.inf),
    "caps too low": (0.1, 1.5),
    "floors and caps": (np.array([6.0, 0.1, 2.0, 0.1]), np.array([6.5, 0.4, 2.5, 0.4])),
    "floors that can be met": (0.3, np.inf),
}


@pytest.mark.parametrize(("floors", "caps"), CASES.values(), ids=CASES)
def test_it_is_the_linear_programmes(floors, caps):
    for seed in range(3):
        market = market_of(seed, floors, caps)
        found, (missed, unplaced) = smallest_shortfall(market), by_highs(market)
        band = 2e-3 * float(market.budgets.sum())  # it is asked for to a thousandth
        assert found.total[0] - 1e-9 <= missed <= found.total[1] + 1e-9
        assert found.unplaced[0] - 1e-9 <= unplaced <= found.unplaced[1] + 1e-9
        assert found.total[1] - found.total[0] <= band
        assert found.unplaced[1] - found.unplaced[0] <= band
        assert found.missing.sum() == pytest.approx(found.total[1])
        if max(missed, unplaced) > band:
            with pytest.raises(UserError, match="floors and caps that the budgets can meet, got"):
                solve(market, method="newton")


def test_with_slates_a_creator_has_no_more_than_the_best_position_of_everybody():
    for seed in range(2):
        market = market_of(seed, 0.2)
        high = market.creator_value.floors.at[0].set(1.6 * market.budgets.sum())  # of the positions' 1.5
        market = dataclasses.replace(
            market,
            position_bias=jnp.array([1.0, 0.5]),
            scores=jnp.maximum(market.scores, -9.0),
            creator_value=Box(high, market.creator_value.caps),
        )
        found, (missed, _) = smallest_shortfall(market), by_highs(market)
        assert missed > 0.1
        assert found.total[0] - 1e-9 <= missed <= found.total[1] + 1e-9


def test_only_those_are_blamed_whose_floors_compete():
    """Users 0 and 1 alone may see creators 0 and 1, who ask them for 5 when they have 2; the others are at ease."""
    scores = np.zeros((6, 4))
    scores[2:, :2] = -np.inf
    market = Market.of(scores, Creators.one_per_item(4), Floors(jnp.array([2.0, 3.0, 1.0, 1.0])))
    found = smallest_shortfall(market)
    np.testing.assert_array_equal(found.blamed, [True, True, False, False])
    np.testing.assert_allclose(found.total, 3, atol=0.01)
    assert found.missing[2:].max() < 0.01
    with pytest.raises(UserError, match=r"missed by (2\.99\d*|3) to 3(\.0\d*)? in all.*because of 2 creators \(0, 1\)"):
        solve(market)


def test_caps_that_leave_attention_without_a_place_are_named():
    """Users 2 to 5 see items 2 and 3 only, whose caps let 1.5 of their 4 in."""
    scores = np.zeros((6, 4))
    scores[2:, :2] = -np.inf
    caps = jnp.array([9.0, 9.0, 1.0, 0.5])
    market = Market.of(scores, Creators.one_per_item(4), Box(jnp.zeros(4), caps))
    found = smallest_shortfall(market)
    np.testing.assert_allclose(found.unplaced, 2.5, atol=0.01)
    np.testing.assert_array_equal(found.closed, [False, False, True, True])
    with pytest.raises(UserError, match=r"without a place under the caps, because of 2 creators \(2, 3\)"):
        solve(market)
    resting = dataclasses.replace(market, at_most=True, temperature=jnp.zeros(()), scores=market.scores + 1)
    assert bool(solve(resting).converged)  # where attention may go unspent there is nothing to refuse
