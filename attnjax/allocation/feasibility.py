"""Floors and caps on exposure: a point well inside, and the map that makes smoothed attention feasible.

Smoothing leaves exposure a little outside its box, and an infeasible point looks better than the optimum. What is above
its cap is scaled down, and what that frees goes where caps have room (or stays unspent, where it may). What is then
still below its floor is mended by mixing with an anchor inside the box, as little as will do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.allocation.creator_values import Box, Floors
from attnjax.allocation.market import Market
from attnjax.allocation.sweeps import Feasible

Exposure = Float[Array, " c"]

FITS = 60
"""Rounds of proportional fitting for items of several creators."""


class Bounds(NamedTuple):
    """The box that exposure must lie in.

    Attributes:
        floors: (c,).
        caps: (c,), finite; where there is none, so high that it never binds.
        uncapped: (c,), where there is none.
        tight: whether caps use up all attention, which must be spent; floors then are the caps.
        anchor: (n,), attention per unit of budget, the same for all users, inside the box.
        reached: (c,), the anchor's exposure.
    """

    floors: Exposure
    caps: Exposure
    uncapped: Bool[Array, " c"]
    tight: Bool[Array, ""]
    anchor: Float[Array, " n"]
    reached: Exposure


def bounds_of(market: Market) -> Bounds:
    """The box of a market, with an anchor; without floors and caps, a box that never binds."""
    total = jnp.sum(market.budgets)
    count = market.creators.num_creators
    value = market.creator_value
    floors = value.floors if isinstance(value, Floors | Box) else jnp.zeros(count, total.dtype)
    # Smoothed, a creator without cap gets floor + (cap - floor) / (1 + exp(p / eps)): the price is at least 0 where
    # that is less than halfway, as all attention there is must be.
    never = 2 * jnp.maximum(total, floors) - floors
    caps = value.caps if isinstance(value, Box) else jnp.full(count, jnp.inf, total.dtype)
    uncapped = caps >= never
    caps = jnp.minimum(caps, never)
    exact = (jnp.sum(caps) <= total * (1 + 1e-5)) & (jnp.sum(caps) >= total * (1 - 1e-5))
    tight = jnp.zeros((), bool) if market.at_most else exact
    floors = jnp.where(tight, caps, floors)
    anchor = _anchor(market, floors, caps, total)
    return Bounds(floors, caps, uncapped, tight, anchor, market.creators.exposure(anchor) * total)


def _anchor(market: Market, floors: Exposure, caps: Exposure, total: Array) -> Array:
    """Between floors and caps: in the middle where attention may stay unspent, else as far up as it reaches.

    Only items that every user with a budget admits take part. Items of several creators give each what the others
    need as well; proportional fitting (Deming and Stephan 1940) brings them into the box where it can.
    """
    creators, room = market.creators, caps - floors
    tiny = jnp.finfo(room.dtype).tiny
    open_to_all = ((market.scores > -jnp.inf) | (market.budgets == 0)[:, None]).all(axis=0).astype(room.dtype)
    left = jnp.maximum(total - jnp.sum(floors), 0)
    share = jnp.minimum(left / jnp.maximum(jnp.sum(room), tiny), 1)
    target = floors + room * (jnp.minimum(share, 0.5) if market.at_most else share)
    works = creators.exposure(open_to_all)
    items = creators.on_items(target / jnp.where(works > 0, works, 1)) * open_to_all
    items = jnp.where(jnp.sum(items) > 0, items, open_to_all)
    if not isinstance(market.creator_value, Floors | Box):
        return _spent(items, total, market.at_most)
    parts = creators.on_items(jnp.ones_like(floors))

    def fit(_: int, items: Array) -> Array:
        got = creators.exposure(items)
        wanted = jnp.clip(got, floors + 0.02 * room, caps - 0.02 * room)
        ratio = creators.on_items(jnp.log(jnp.maximum(wanted, tiny) / jnp.maximum(got, tiny)))
        return _spent(items * jnp.exp(ratio / jnp.maximum(parts, 1)), total, market.at_most) * total

    items = _spent(items, total, market.at_most) * total
    items = jax.lax.fori_loop(0, 0 if creators.identity else FITS, fit, items)
    return _spent(items, total, market.at_most)


def _spent(items: Array, total: Array, at_most: bool) -> Array:
    """Items' attention (n,) per unit of budget: all of it, or no more than all."""
    spent = jnp.sum(items)
    return items / (jnp.maximum(spent, total) if at_most else jnp.where(spent > 0, spent, 1))


def feasible_map(market: Market, bounds: Bounds, items: Array, exposure: Exposure) -> Feasible:
    """The map that brings attention with these item sums (n,) and this exposure (c,) into the box."""
    creators, (floors, caps, _, tight, anchor, reached) = market.creators, bounds
    tiny = jnp.finfo(exposure.dtype).tiny
    factor = jnp.minimum(1, caps / jnp.maximum(exposure, tiny))
    least = jax.ops.segment_min(factor[creators.creator], creators.item, creators.num_items)
    keep = jnp.minimum(least, 1)
    kept = items * keep
    after = creators.exposure(kept)
    works = creators.exposure(jnp.ones_like(items))
    fill = creators.on_items(jnp.maximum(caps - after, 0) / jnp.where(works > 0, works, 1))
    fill = fill / jnp.maximum(jnp.sum(fill), tiny)
    if market.at_most:
        fill = jnp.zeros_like(fill)
    after = after + creators.exposure(fill) * jnp.maximum(jnp.sum(items) - jnp.sum(kept), 0)
    under = jnp.where(after < floors, (floors - after) / jnp.maximum(reached - after, tiny), 0)
    over = jnp.where(after > caps, (after - caps) / jnp.maximum(after - reached, tiny), 0)
    share = jnp.clip(jnp.maximum(jnp.max(under), jnp.max(over)) * (1 + 1e-5), 0, 1)
    return Feasible(keep, fill, jnp.where(tight, 0, share), anchor)


def is_feasible(bounds: Bounds, exposure: Exposure) -> Bool[Array, ""]:
    """Whether exposure lies in the box: relative to each bound, to 1e-6 in float32 and 1e-9 in float64."""
    tolerance = 1e-6 if exposure.dtype == jnp.float32 else 1e-9
    low = exposure >= bounds.floors * (1 - tolerance) - jnp.finfo(exposure.dtype).tiny
    return (low & (exposure <= bounds.caps * (1 + tolerance))).all()
