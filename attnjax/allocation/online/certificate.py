"""What an online market can be sure of: welfare so far, and a bound on what hindsight could have made of it.

The dual function at one fixed price bounds the hindsight optimum (`hindsight_bound`), but it needs all users at that
price, and the sum of what users were worth at the prices of their day bounds nothing: those prices differ. Yet what a
user is worth at other prices is bounded by what it was at its own,

    V_u(p) <= V_u(p_u) + <e_u, p - p_u> + slack_u(p).

By Hoeffding's lemma slack_u = R (range of M (p - p_u))^2 / (8 T), since the response is a distribution over items; and
R times the range is a slack at any temperature. A range is at most sqrt(2) |p - p_u| times the largest sum of an item's
shares, so both are bounded by sums of squared distances of prices from p, which a running mean and variance give
exactly at p = mean price. So one pass certifies

    hindsight optimum of the users so far <= D(mean price) <= upper = D's linearisation + slack,

up to rounding, whatever the order and the steps. The slack grows about as the logarithm of the number of users at
temperatures above 0 and as its square root at 0. It is generous, larger than regret: `hindsight_bound` at the mean
price, which asks all users again, is the tight one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import CreatorValue
from attnjax.allocation.guarantees import Box, Floors
from attnjax.allocation.market import Market, Welfare
from attnjax.allocation.online.state import State
from attnjax.allocation.online.steps import respond, satisfaction, variety, worth
from attnjax.allocation.regularizers import Entropy
from attnjax.errors import fail

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]


class Certificate(NamedTuple):
    """What is certain about the users so far.

    Attributes:
        welfare: the parties' parts of the welfare reached; the creators' is -inf while floors are not met.
        upper: no allocation that spends all budgets of the same users, except of those without any item, and meets
            all bounds has more total welfare, even with hindsight. It says nothing of allocations that leave attention
            unspent, as an online run does where caps are too low for the budgets.
        prices: (c,), the mean of the prices used, at which `upper` is taken.
        slack: scalar, how much `upper` is above the dual function at `prices`, at most.
        shortfall: (c,), exposure that creators still lack to their floors.
        unspent: scalar, attention that was left because all of a user's items were closed.
    """

    welfare: Welfare
    upper: Scalar
    prices: Prices
    slack: Scalar
    shortfall: Prices
    unspent: Scalar


@jax.jit
def certify(value: CreatorValue, temperature: Scalar, state: State) -> Certificate:
    """See `OnlineMarket.certificate`."""
    sums, p = state.sums, state.mean_prices
    smooth = sums.scatter / (4 * jnp.where(temperature > 0, temperature, 1))
    rough = jnp.sqrt(2 * sums.arrived * sums.scatter)
    slack = jnp.where(temperature > 0, jnp.minimum(smooth, rough), rough)
    upper = sums.intended_value + jnp.sum(sums.intended * p) + slack + jnp.sum(value.conjugate(p))
    floors = value.floors if isinstance(value, Floors | Box) else jnp.zeros_like(p)
    return Certificate(
        Welfare(sums.satisfaction, sums.variety, jnp.sum(value.value(sums.exposure)), sums.platform),
        upper,
        p,
        slack,
        jnp.maximum(floors - sums.exposure, 0),
        sums.unspent,
    )


@jax.jit
def hindsight_bound(market: Market, prices: Prices) -> Scalar:
    """The dual function of a market of entropic users at fixed prices, temperature 0 included.

    D(p) = sum_u max over a_u of {<s_u + M (p + pi), a_u> - T Omega(a_u)} + sum_j phi_j^*(p_j): no allocation has more
    welfare, whatever the prices; inf where they are not admissible. By the envelope theorem its gradient is exposure
    less what creators ask for. Use it with `OnlineMarket.offline` and the mean prices of an online run.

    Raises:
        UserError: for another regulariser than `Entropy`, or budgets that are upper bounds.

    >>> from attnjax.allocation.creators import Creators
    >>> from attnjax.allocation.creator_values import Nash
    >>> market = Market.of(jnp.zeros((2, 2)), Creators.one_per_item(2), Nash(jnp.ones(2)))
    >>> round(float(hindsight_bound(market, jnp.ones(2))), 4)  # 2 log 2: attained at these prices
    1.3863
    """
    if market.at_most or not isinstance(market.regularizer, Entropy):
        fail(
            "hindsight_bound",
            expected="a market of entropic users who spend their budgets",
            got="budgets as upper bounds" if market.at_most else type(market.regularizer).__name__,
            advice="`solve` bounds the welfare of other markets.",
        )
    z = worth(market.scores, market.creators.on_items(prices + market.platform_rates), market.impact)
    attention = respond(z, market.budgets, market.temperature)
    own = satisfaction(attention, z) + variety(attention, market.temperature)
    return own + jnp.sum(market.creator_value.conjugate(prices))
