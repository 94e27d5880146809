"""Floors and caps on exposure: a point well inside, and the map that makes smoothed attention feasible.

Smoothing leaves exposure a little outside its box, and an infeasible point looks better than the optimum. What is above
its cap is scaled down, and what that frees goes where caps have room (or stays unspent, where it may). What is then
still outside is mended by mixing with an anchor inside the box, as little as will do. Where some users may not see
some items, or have caps on them, or are shown slates, only mixing is sure to leave them what they may have.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.allocation.anchors import centre, spread_evenly
from attnjax.allocation.creator_values import MaxMin
from attnjax.allocation.market import Market
from attnjax.allocation.sweeps import Feasible, anchor_items, excluded_items, has_bounds

Exposure = Float[Array, " c"]

ROOM = 1e-3
"""An anchor with less room than this share of an even exposure is looked for more thoroughly."""


class Bounds(NamedTuple):
    """The box that exposure must lie in.

    Attributes:
        floors: (c,).
        caps: (c,), finite; where there is none, so high that it never binds.
        uncapped: (c,), where there is none.
        tight: whether caps use up all attention, which must be spent; floors then are the caps.
        alike: whether all users may have any item, as much as they like.
        anchor: (n,), the anchor's bonus, see `attnjax.allocation.sweeps.Feasible`.
        reached: (c,), the anchor's exposure.
        reachable: whether that lies in the box, or as good as.
    """

    floors: Exposure
    caps: Exposure
    uncapped: Bool[Array, " c"]
    tight: Bool[Array, ""]
    alike: Bool[Array, ""]
    anchor: Float[Array, " n"]
    reached: Exposure
    reachable: Bool[Array, ""]


def bounds_of(market: Market) -> Bounds:
    """The box of a market, with an anchor; without floors and caps, a box that never binds, and even attention."""
    total = jnp.sum(market.attention_budgets)
    creators, value = market.creators, market.creator_value
    floors = getattr(value, "floors", jnp.zeros(creators.num_creators, total.dtype))
    # Smoothed, a creator without cap gets floor + (cap - floor) / (1 + exp(p / eps)): the price is at least 0 where
    # that is less than halfway, as all attention there is must be.
    never = 2 * jnp.maximum(total, floors) - floors
    caps = getattr(value, "caps", jnp.full_like(floors, jnp.inf))
    uncapped = caps >= never
    caps = jnp.minimum(caps, never)
    exact = (jnp.sum(caps) <= total * (1 + 1e-5)) & (jnp.sum(caps) >= total * (1 - 1e-5))
    tight = jnp.zeros((), bool) if market.at_most else exact
    if hasattr(value, "penalty"):  # floors that may be missed ask nothing
        floors = jnp.zeros_like(floors)
    floors = jnp.where(tight, caps, floors)
    excluded = excluded_items(market)
    alike = _alike(market, excluded)
    if not has_bounds(market):
        anchor = jnp.zeros(creators.num_items, total.dtype)
        reached = jnp.zeros_like(floors)
        if isinstance(value, MaxMin):
            reached = creators.exposure(anchor_items(market, anchor))
        return Bounds(floors, caps, uncapped, tight, alike, anchor, reached, jnp.ones((), bool))
    anchor = spread_evenly(market, excluded, floors, caps, total)
    reached = creators.exposure(anchor_items(market, anchor))
    even = total / creators.num_creators

    def room(reached: Exposure) -> Array:
        return jnp.min(jnp.minimum(jnp.where(floors > 0, reached - floors, even), caps - reached))

    def thorough() -> tuple[Array, Exposure]:
        found = centre(market, floors, caps, total)
        got = creators.exposure(anchor_items(market, found))
        better = room(got) > room(reached)
        return jnp.where(better, found, anchor), jnp.where(better, got, reached)

    enough = tight | (room(reached) > ROOM * even)
    anchor, reached = jax.lax.cond(enough, lambda: (anchor, reached), thorough)
    slack = 1e-4 * jnp.clip(caps, 1e-3 * even, even)
    reachable = ((reached >= floors - slack) & (reached <= caps + slack)).all() & (alike | ~tight)
    return Bounds(floors, caps, uncapped, tight, alike, anchor, reached, reachable)


def _alike(market: Market, excluded: Array) -> Bool[Array, ""]:
    if market.candidates is not None or market.caps is not None or market.position_bias is not None:
        return jnp.zeros((), bool)
    return (excluded == 0).all()


def no_map(market: Market, bounds: Bounds) -> Feasible:
    """The map that changes nothing."""
    items = jnp.zeros_like(bounds.anchor)
    return Feasible(items + 1, items, jnp.zeros((), items.dtype), bounds.anchor)


def feasible_map(market: Market, bounds: Bounds, items: Array, exposure: Exposure) -> Feasible:
    """The map that brings attention with these item sums (n,) and this exposure (c,) into the box."""
    creators, (floors, caps, _, tight, alike, anchor, reached, _) = market.creators, bounds
    if not has_bounds(market):
        return no_map(market, bounds)
    tiny = jnp.finfo(exposure.dtype).tiny
    factor = jnp.minimum(1, caps / jnp.maximum(exposure, tiny))
    least = jax.ops.segment_min(factor[creators.creator], creators.item, creators.num_items)
    keep = jnp.where(alike | market.at_most, jnp.minimum(least, 1), 1)
    kept = items * keep
    after = creators.exposure(kept)
    works = creators.exposure(jnp.ones_like(items))
    fill = creators.on_items(jnp.maximum(caps - after, 0) / jnp.where(works > 0, works, 1))
    fill = jnp.where(alike, fill / jnp.maximum(jnp.sum(fill), tiny), 0)
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
