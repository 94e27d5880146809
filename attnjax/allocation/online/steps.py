"""One arrival in an online market: what users take, what caps leave of it, and where prices go.

The equations stand at the head of `attnjax.allocation.online`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.allocation.creator_values import CreatorValue, Nash
from attnjax.allocation.creators import Creators
from attnjax.allocation.guarantees import Box
from attnjax.allocation.online.state import Sums
from attnjax.allocation.regularizers import Entropy

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]
PerUser = Float[Array, " b"]
Attention = Float[Array, "b n"]
FURTHEST = 1.6094379124341003
"""The most that the logarithm of a price moves in one step: a factor of 5."""


# --- users ------------------------------------------------------------------------------------------------------------


def worth(scores: Attention, bonus: Float[Array, " n"], impact: Attention | None) -> Attention:
    """What a unit of attention to each item is worth, with a bonus (n,) per unit of exposure."""
    return scores + (bonus[None, :] if impact is None else impact * bonus[None, :])


def moved(attention: Attention, impact: Attention | None) -> Attention:
    """Attention in units of exposure."""
    return attention if impact is None else attention * impact


def respond(z: Attention, budgets: PerUser, temperature: Scalar) -> Attention:
    """Best responses; at temperature 0 the first of the best items. Users without any item spend nothing."""
    top = jnp.max(z, axis=1, keepdims=True)
    seen = top > -jnp.inf
    grown = jnp.exp((z - jnp.where(seen, top, 0)) / jnp.where(temperature > 0, temperature, 1))
    soft = grown / jnp.where(seen, jnp.sum(grown, axis=1, keepdims=True), 1)
    hard = jax.nn.one_hot(jnp.argmax(z, axis=1), z.shape[1], dtype=z.dtype) * seen
    return budgets[:, None] * jnp.where(temperature > 0, soft, hard)


def satisfaction(attention: Attention, scores: Attention) -> Scalar:
    """Sum of <s, a>; items without attention count 0, excluded ones too."""
    return jnp.sum(jnp.where(attention > 0, scores, 0) * attention)


def variety(attention: Attention, temperature: Scalar) -> Scalar:
    """-T sum of a log a."""
    return -temperature * jnp.sum(Entropy().value(attention))


def price_scale(scores: Attention, budgets: PerUser, impact: Attention | None, temperature: Scalar) -> Scalar:
    """Each user's scale of prices, temperature plus the standard deviation of scores, times budget, summed."""
    seen = scores > -jnp.inf
    count = jnp.maximum(jnp.sum(seen, axis=1), 1)
    finite = jnp.where(seen, scores, 0)
    mean = jnp.sum(finite, axis=1) / count
    deviation = jnp.sqrt(jnp.sum(jnp.where(seen, finite - mean[:, None], 0) ** 2, axis=1) / count)
    usual = jnp.ones_like(mean) if impact is None else jnp.sum(jnp.where(seen, impact, 0), axis=1) / count
    own = jnp.where(usual > 0, (temperature + deviation) / jnp.where(usual > 0, usual, 1), 0)
    return jnp.sum(budgets * own)


def leverage(creators: Creators, budgets: PerUser, impact: Attention | None) -> Scalar:
    """Sum of R (how far a unit of price moves at most what a unit of attention is worth)^2."""
    most = jnp.max(creators.on_items(jnp.ones(creators.num_creators, budgets.dtype)))
    own = jnp.ones_like(budgets) if impact is None else jnp.max(impact, axis=1)
    return jnp.sum(budgets * (most * own) ** 2)


# --- caps -------------------------------------------------------------------------------------------------------------


CLOSED = 4
"""A creator is closed when no more than so many margins are left of its cap."""


def margin(caps: Prices) -> Prices:
    """Rounding's part of a cap: what is always left of it."""
    return jnp.where(jnp.isinf(caps), 0, 16 * jnp.finfo(caps.dtype).eps * caps)


class _Round(NamedTuple):
    """Attention so far, what is left of budgets and caps, and whether there is another round."""

    attention: Attention
    unspent: PerUser
    room: Prices
    again: Bool[Array, ""]
    rounds: Int[Array, ""]


def within_caps(
    creators: Creators,
    room: Prices,
    spare: Prices,
    z: Attention,
    budgets: PerUser,
    impact: Attention | None,
    temperature: Scalar,
) -> tuple[Attention, PerUser]:
    """Attention that leaves every creator within room (c,) less what is spared for rounding, and what is unspent.

    Every round but the last closes a creator at least, so there are at most one more than there are creators.
    """
    held = creators.share > 0

    def least(numbers: Prices) -> Float[Array, " n"]:
        """The smallest among an item's creators, at most 1."""
        own = jnp.where(held, numbers[creators.creator], 1)
        return jnp.minimum(jax.ops.segment_min(own, creators.item, creators.num_items), 1)

    def serve(state: _Round) -> _Round:
        attention, unspent, room, _, rounds = state
        is_open = (least((room > CLOSED * spare).astype(z.dtype)) > 0)[None, :]
        response = respond(jnp.where(is_open, z, -jnp.inf), unspent, temperature)
        exposure = creators.exposure(jnp.sum(moved(response, impact), axis=0))
        available = jnp.maximum(room - spare, 0)
        over = exposure > available
        keep = least(jnp.where(over, available / jnp.where(over, exposure, 1), 1))[None, :]
        got = creators.exposure(jnp.sum(moved(response * keep, impact), axis=0))
        stuck = ~(is_open & (z > -jnp.inf)).any(axis=1)
        left = jnp.where(stuck, unspent, jnp.sum(response * (1 - keep), axis=1))
        # What was cut to what fits is used up, also where rounding says otherwise.
        filled = over & (got >= available * (1 - 32 * jnp.finfo(z.dtype).eps))
        room = jnp.where(filled, jnp.minimum(room - got, spare), room - got)
        return _Round(attention + response * keep, left, room, over.any(), rounds + 1)

    first = _Round(jnp.zeros_like(z), budgets, room, jnp.asarray(True), jnp.asarray(0))
    last = jax.lax.while_loop(lambda state: state.again & (state.rounds <= creators.num_creators), serve, first)
    return last.attention, last.unspent


# --- prices -----------------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """The exposure, least and most, that creators ask for from one batch."""

    least: Prices
    most: Prices


def asked(
    value: CreatorValue, so_far: Sums, prices: Prices, exposure: Prices, arrived: Scalar, horizon: Scalar
) -> Asked:
    """What creators ask for: under Nash what supports their price, else their part of what is left of their bounds."""
    if isinstance(value, Nash):
        supported = arrived * value.weights / (prices * horizon)
        return Asked(supported, supported)
    if not hasattr(value, "floors"):  # Linear: any exposure will do
        return Asked(exposure, exposure)
    left = jnp.maximum(horizon - so_far.arrived, arrived)
    pace = arrived / jnp.where(left > 0, left, 1)
    least = pace * jnp.maximum(value.floors - so_far.exposure, 0)
    if not isinstance(value, Box):
        return Asked(least, jnp.full_like(least, jnp.inf))
    capped = jnp.isfinite(value.caps)
    most = pace * jnp.maximum(jnp.where(capped, value.caps, 0) - so_far.exposure, 0)
    return Asked(least, jnp.where(capped, jnp.maximum(most, least), jnp.inf))


def excess(wanted: Asked, prices: Prices, exposure: Prices) -> Prices:
    """How much more than they ask for creators got: the gradient of the dual in the prices."""
    between = jnp.clip(exposure, wanted.least, wanted.most)
    return exposure - jnp.where(prices > 0, wanted.least, jnp.where(prices < 0, wanted.most, between))


def moments(rows: Float[Array, "b c"], wanted: Asked, gradient: Prices) -> Prices:
    """The gradient squared, or the variance that random users who respond like these would give it, if that is more.

    A user who gives all attention to one creator out of many moves its exposure by all or nothing; one who spreads it
    moves it by little. How much is told by all creators together, so that one who has not been seen yet is not taken
    for one whose exposure is certain.
    """
    exposure = jnp.sum(rows, axis=0)
    total = jnp.sum(exposure)
    lumps = jnp.sum(rows**2) / jnp.where(total > 0, total, 1)
    return jnp.maximum(gradient**2, lumps * jnp.maximum(exposure, wanted.least))


def step_sizes(sums: Sums, step: Scalar, confidence: Scalar) -> Prices:
    """Step / sqrt(moments), as if the first prices were the outcome of so much attention as they are worth."""
    settled = 1 + confidence / jnp.where(sums.arrived > 0, sums.arrived, 1)
    total = sums.moments * settled
    return jnp.where(total > 0, step * jax.lax.rsqrt(jnp.where(total > 0, total, 1)), 0)


def multiplied(prices: Prices, eta: Prices, gradient: Prices) -> Prices:
    """One entropic step."""
    return prices * jnp.exp(-jnp.clip(eta * gradient, -FURTHEST, FURTHEST))


def shifted(
    value: CreatorValue, prices: Prices, eta: Prices, gradient: Prices, exposure: Prices, wanted: Asked
) -> Prices:
    """One Euclidean step; the kink at price 0 of what a box asks for is stepped over exactly."""
    if isinstance(value, Nash):
        return value.admissible(prices - eta * gradient, prices)
    free = prices - eta * exposure
    most = jnp.where(jnp.isinf(wanted.most), jnp.inf, eta * jnp.where(jnp.isinf(wanted.most), 0, wanted.most))
    return free + jnp.clip(-free, eta * wanted.least, most)
