"""Sweeps: one streaming pass over all users at given prices, for solvers that must not hold a second U x N array.

Users are visited in tiles small enough for a core's cache. What a sweep returns are sums over users (exposure,
Hessians, certificates), added up with compensation (Kahan 1965), so that the sums of a float32 solve are good to
rounding of their largest term.

At prices p item i is worth z_ui = s_ui + r_ui (M (p + pi))_i to user u. Users respond by entropy at a temperature of
their own, T_u: a_u = R_u softmax(z_u / T_u), with one more option worth 0 where budgets are upper bounds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float

from attnjax.allocation.market import Market

TILE_BYTES = 1 << 20
"""About so many bytes of scores make a tile."""

PerUser = Float[Array, " u"]
PerItem = Float[Array, " n"]


class Users(NamedTuple):
    """The part of a market that belongs to some users: a tile.

    Attributes:
        scores: (b, n).
        impact: (b, n) or None.
        budgets: (b,), 0 for rows that another tile counts.
        temperature: (b,), at which they respond.
    """

    scores: Float[Array, "b n"]
    impact: Float[Array, "b n"] | None
    budgets: Float[Array, " b"]
    temperature: Float[Array, " b"]


class Linearisation(NamedTuple):
    """Exposure and how it moves in the prices.

    Attributes:
        items: (n,), attention to each item, times impact, summed over users.
        exposure: (c,).
        hessian: (c, c), the derivative of the exposure in the prices, positive semidefinite.
    """

    items: PerItem
    exposure: Float[Array, " c"]
    hessian: Float[Array, "c c"]


class Feasible(NamedTuple):
    """A linear map that makes attention feasible: a' = (1 - share)(a * keep + unspent * fill) + share * R * anchor.

    Attributes:
        keep: (n,), what part of its attention each item keeps.
        fill: (n,), where attention goes that was taken away; sums to 1, or is 0 where it may stay unspent.
        share: scalar in [0, 1].
        anchor: (n,), a point strictly inside the constraints, per unit of budget.
    """

    keep: PerItem
    fill: PerItem
    share: Float[Array, ""]
    anchor: PerItem


class Regret(NamedTuple):
    """What a sweep finds about feasible attention.

    Attributes:
        users: what users could still gain at the prices, summed; at least 0 up to rounding.
        items: (n,), the attention's impact on each item, summed over users.
        satisfaction: sum of <s, a'> - T Omega(a').
    """

    users: Float[Array, ""]
    items: PerItem
    satisfaction: Float[Array, ""]


def worth(users: Users, bonus: PerItem) -> Float[Array, "b n"]:
    """z: what a unit of attention to each item is worth to each user, with a bonus (n,) per unit of exposure."""
    return users.scores + (bonus[None, :] if users.impact is None else users.impact * bonus[None, :])


def respond(users: Users, z: Float[Array, "b n"], at_most: bool) -> Float[Array, "b n"]:
    """Entropic best responses at the users' temperatures."""
    scaled = z / users.temperature[:, None]
    top = jnp.max(scaled, axis=1, keepdims=True)
    top = jnp.maximum(top, 0 if at_most else jnp.finfo(z.dtype).min)
    grown = jnp.exp(scaled - top)
    total = jnp.sum(grown, axis=1, keepdims=True) + (jnp.exp(-top) if at_most else 0)
    return grown * (users.budgets[:, None] / jnp.maximum(total, jnp.finfo(z.dtype).tiny))


def linearise(market: Market, bonus: PerItem, temperature: PerUser) -> Linearisation:
    """Exposure and its derivative in the prices: one pass, one matrix product per tile."""
    creators = market.creators

    def body(users: Users) -> tuple[Array, Array, Array]:
        attention = respond(users, worth(users, bonus), market.at_most)
        moved = attention if users.impact is None else attention * users.impact
        square = moved if users.impact is None else moved * users.impact
        # Attention moves by a_ui / T_u in its own score, less its share of what all the others lose.
        spread = jnp.where(users.budgets > 0, users.budgets, 1) * users.temperature
        flow = creators.rows(moved) * jnp.where(users.budgets > 0, jax.lax.rsqrt(spread), 0)[:, None]
        return jnp.sum(moved, axis=0), jnp.sum(square / users.temperature[:, None], axis=0), flow.T @ flow

    items, squares, outer = _sum_over_tiles(market, temperature, body)
    return Linearisation(items, creators.exposure(items), creators.quadratic(squares) - outer)


def regret(market: Market, bonus: PerItem, temperature: PerUser, feasible: Feasible) -> Regret:
    """How far attention, made feasible, is from the users' best at the prices; no term is larger than what it sums."""
    preference = market.temperature
    safe = jnp.where(preference > 0, preference, 1)

    def body(users: Users) -> tuple[Array, Array, Array]:
        z = worth(users, bonus)
        attention = make_feasible(feasible, respond(users, z, market.at_most), users.budgets, market.at_most)
        moved = attention if users.impact is None else attention * users.impact
        best = jnp.max(z, axis=1)
        best = jnp.maximum(best, 0 if market.at_most else jnp.finfo(z.dtype).min)
        budgets = jnp.where(users.budgets > 0, users.budgets, 1)
        behind = jnp.sum(jnp.where(attention > 0, best[:, None] - z, 0) * attention, axis=1)
        behind = behind + best * (users.budgets - jnp.sum(attention, axis=1))
        # A preference for variety: T R log sum exp(z / T), less what the attention's entropy is worth.
        soft = safe * jax.nn.logsumexp((z - best[:, None]) / safe, axis=1)
        information = jnp.sum(xlogy(attention, attention / budgets[:, None]), axis=1)
        variety = jnp.where(users.budgets > 0, users.budgets * soft + safe * information, 0)
        behind = behind + jnp.where(preference > 0, variety, 0)
        own = jnp.where(attention > 0, users.scores, 0) * attention - preference * xlogy(attention, attention)
        return jnp.sum(behind), jnp.sum(moved, axis=0), jnp.sum(own)

    return Regret(*_sum_over_tiles(market, temperature, body))


def make_feasible(feasible: Feasible, attention: Array, budgets: Array, at_most: bool) -> Array:
    """Applies the map to attention (b, n) of users with budgets (b,)."""
    kept = attention * feasible.keep[None, :]
    if not at_most:
        unspent = jnp.maximum(budgets - jnp.sum(kept, axis=1), 0)
        kept = kept + unspent[:, None] * feasible.fill[None, :]
    return (1 - feasible.share) * kept + feasible.share * budgets[:, None] * feasible.anchor[None, :]


def attention_at(market: Market, bonus: PerItem, temperature: PerUser, feasible: Feasible) -> Float[Array, "u n"]:
    """The feasible attention of all users, (u, n): the only array of that size besides the scores."""

    def one(scores: Array, impact: Array | None, budget: Array, temperature: Array) -> Array:
        users = Users(scores[None], None if impact is None else impact[None], budget[None], temperature[None])
        response = respond(users, worth(users, bonus), market.at_most)
        return make_feasible(feasible, response, users.budgets, market.at_most)[0]

    rows = _tile_rows(market)
    inputs = (market.scores, market.impact, market.budgets, temperature)
    return jax.lax.map(lambda row: one(*row), inputs, batch_size=rows)


def spread_of_worth(market: Market, bonus: PerItem) -> PerUser:
    """Each user's own scale, the best item's worth less the mean's: what temperatures are measured against."""

    def one(row: tuple[Array, Array | None]) -> Array:
        scores, impact = row
        z = scores + (bonus if impact is None else impact * bonus)
        seen = z > -jnp.inf
        mean = jnp.sum(jnp.where(seen, z, 0)) / jnp.maximum(jnp.sum(seen), 1)
        top = jnp.max(jnp.where(seen, z, -jnp.inf))
        if market.at_most:
            top, mean = jnp.maximum(top, 0), jnp.minimum(mean, 0)
        return jnp.where(seen.any(), jnp.maximum(top - mean, jnp.abs(top) * 1e-3), 0)

    spread = jax.lax.map(one, (market.scores, market.impact), batch_size=_tile_rows(market))
    # Users to whom everything is worth nothing have no scale of their own: they take the others'.
    some = spread > 1e4 * jnp.finfo(spread.dtype).tiny
    others = jnp.sum(jnp.where(some, spread, 0)) / jnp.maximum(jnp.sum(some), 1)
    return jnp.where(some, spread, jnp.where(some.any(), others, 1))


class _Sum(NamedTuple):
    """A running sum and what rounding has lost of it."""

    total: Array
    lost: Array


def _tile_rows(market: Market) -> int:
    users, items = market.scores.shape
    return max(1, min(users, TILE_BYTES // (items * market.scores.dtype.itemsize)))


def _sum_over_tiles(market: Market, temperature: PerUser, body: Callable[[Users], Any]) -> Any:
    """Adds up `body` over tiles of users; the last tile overlaps the one before, and counts its rows once."""
    users = market.scores.shape[0]
    rows = _tile_rows(market)

    def tile(k: Array) -> Users:
        start = jnp.minimum(k * rows, users - rows)

        def take(array: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(array, start, rows)

        fresh = start + jnp.arange(rows) >= k * rows
        impact = None if market.impact is None else take(market.impact)
        return Users(take(market.scores), impact, jnp.where(fresh, take(market.budgets), 0), take(temperature))

    def add(k: Array, sums: Any) -> Any:
        return jax.tree.map(_kahan, sums, body(tile(k)), is_leaf=lambda x: isinstance(x, _Sum))

    shapes = jax.eval_shape(lambda: body(tile(jnp.asarray(0))))
    zeros = jax.tree.map(lambda x: _Sum(jnp.zeros(x.shape, x.dtype), jnp.zeros(x.shape, x.dtype)), shapes)
    sums = jax.lax.fori_loop(0, -(-users // rows), add, zeros)
    return jax.tree.map(lambda s: s.total, sums, is_leaf=lambda x: isinstance(x, _Sum))


def _kahan(so_far: _Sum, part: Array) -> _Sum:
    corrected = part - so_far.lost
    total = so_far.total + corrected
    return _Sum(total, (total - so_far.total) - corrected)
