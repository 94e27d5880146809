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
from attnjax.allocation.creators import Creators
from attnjax.allocation.market import Market
from attnjax.allocation.sweeps import Feasible

Exposure = Float[Array, " c"]


class Bounds(NamedTuple):
    """The box that exposure must lie in.

    Attributes:
        floors: (c,).
        caps: (c,), finite.
        tight: whether caps use up all attention, which must be spent; floors then are the caps.
        anchor: (n,), attention per unit of budget, the same for all users, inside the box.
        reached: (c,), the anchor's exposure.
    """

    floors: Exposure
    caps: Exposure
    tight: Bool[Array, ""]
    anchor: Float[Array, " n"]
    reached: Exposure


def bounds_of(market: Market) -> Bounds:
    """The box of a market, with an anchor; without floors and caps, a box that never binds."""
    total = jnp.sum(market.budgets)
    count = market.creators.num_creators
    value = market.creator_value
    caps = jnp.full(count, total)
    floors = jnp.zeros(count, total.dtype)
    if isinstance(value, Floors | Box):
        floors = value.floors
    if isinstance(value, Box):
        caps = jnp.minimum(value.caps, caps)
    exact = (jnp.sum(caps) <= total * (1 + 1e-5)) & (jnp.sum(caps) >= total * (1 - 1e-5))
    tight = jnp.zeros((), bool) if market.at_most else exact
    floors = jnp.where(tight, caps, floors)
    anchor = _anchor(market.creators, floors, caps, total, market.at_most)
    return Bounds(floors, caps, tight, anchor, market.creators.exposure(anchor) * total)


def _anchor(creators: Creators, floors: Exposure, caps: Exposure, total: Array, at_most: bool) -> Array:
    """Between floors and caps: in the middle where attention may stay unspent, else as far up as it reaches."""
    room = caps - floors
    left = jnp.maximum(total - jnp.sum(floors), 0)
    share = jnp.minimum(left / jnp.maximum(jnp.sum(room), jnp.finfo(room.dtype).tiny), 1)
    target = floors + room * (jnp.minimum(share, 0.5) if at_most else share)
    works = creators.exposure(jnp.ones(creators.num_items, target.dtype))
    items = creators.on_items(target / jnp.where(works > 0, works, 1))
    # Items of several creators pass on less than they were given for each: raise them by what the neediest lacks.
    lack = floors / jnp.maximum(creators.exposure(items), jnp.finfo(room.dtype).tiny)
    needed = jax.ops.segment_max(lack[creators.creator], creators.item, creators.num_items)
    items = items * jnp.maximum(needed, 1)
    spent = jnp.sum(items)
    return items / (jnp.maximum(spent, total) if at_most else jnp.where(spent > 0, spent, 1))


def feasible_map(market: Market, bounds: Bounds, items: Array, exposure: Exposure) -> Feasible:
    """The map that brings attention with these item sums (n,) and this exposure (c,) into the box."""
    creators, (floors, caps, tight, anchor, reached) = market.creators, bounds
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


def is_feasible(bounds: Bounds, exposure: Exposure, tolerance: float = 1e-6) -> Bool[Array, ""]:
    """Whether exposure lies in the box, to a tolerance relative to each bound."""
    low = exposure >= bounds.floors * (1 - tolerance) - jnp.finfo(exposure.dtype).tiny
    return (low & (exposure <= bounds.caps * (1 + tolerance))).all()
