"""Sweeps: one streaming pass over all users at given prices, for solvers that must not hold a second U x N array.

What a sweep returns are sums over users (exposure, Hessians, certificates) or one number per user; `tiles` says how all
users are visited.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from attnjax.allocation.entries import on_entries, over_creators, over_items
from attnjax.allocation.guarantees import Box, Floors, SoftBox
from attnjax.allocation.market import Market
from attnjax.allocation.regularizers import Entropy, SquaredNorm
from attnjax.allocation.tiles import count_tiles, over_devices, over_rows, sum_over_tiles
from attnjax.allocation.user_sides import Users, behind, respond, taste

SAMPLED, SAMPLED_SHARP = 20, 0.1
"""Users per creator that a Newton step's matrix is taken from: this many, or this over the relative smoothing."""

DENSE = 3000
"""With no more creators than this the derivative of exposure in prices is held as a matrix."""

PerUser = Float[Array, " u"]
PerItem = Float[Array, " n"]


class Linearisation(NamedTuple):
    """Exposure and how it moves in the prices.

    Attributes:
        items: (n,), attention to each item, times impact, summed over users.
        exposure: (c,).
        hessian: (c, c), the derivative of the exposure in the prices, positive semidefinite; or a diagonal (c,).
    """

    items: PerItem
    exposure: Float[Array, " c"]
    hessian: Float[Array, "c c"]


class Feasible(NamedTuple):
    """A map that makes attention feasible: a' = (1 - share)(a * keep + unspent * fill) + share * anchor_u.

    The anchor is the response of users who value all they may see alike, but for a bonus: inside the constraints.

    Attributes:
        keep: (n,), what part of its attention each item keeps.
        fill: (n,), where attention goes that was taken away; sums to 1, or is 0 where it may stay unspent.
        share: scalar in [0, 1].
        anchor: (n,), the anchor's bonus; -inf for items without part in it.
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
    """z: what a unit of attention to each entry is worth to each user, with a bonus (n,) per unit of exposure."""
    bonus = on_entries(bonus, users.candidates)
    return users.scores + (bonus if users.impact is None else users.impact * bonus)


def linearise(market: Market, bonus: PerItem, temperature: PerUser, stride: Any = 1) -> Linearisation:
    """Exposure and its derivative in the prices: one pass, one matrix product per tile.

    Where creators are too many for a matrix (see `is_dense`) `hessian` is its diagonal (c,), without what users shift
    between items; `moved_by` then gives its products. With a stride above 1 the matrix, which costs more than all
    else, is estimated from every so many tiles of users, its rows and columns scaled to the diagonal of all of them:
    still positive semidefinite, and good for a Newton step. Few users are in doubt between two items; a creator whose
    doubters are missing from the sample would get far too long a step otherwise.
    """
    return _linearise(market, bonus, temperature, worth, stride)


def is_dense(market: Market) -> bool:
    """Whether the derivative of exposure in prices is held as a matrix."""
    return market.creators.num_creators <= DENSE


def sample_stride(market: Market, smoothing: Array) -> Array:
    """Of how many tiles of users one says enough about the derivative of exposure, at a relative smoothing.

    The sharper users choose, the fewer are in doubt between two items, and only these move.
    """
    positions = 1 if market.position_bias is None else market.position_bias.size
    wanted = market.creators.num_creators / positions * jnp.maximum(SAMPLED, SAMPLED_SHARP / smoothing)
    share = market.scores.shape[0] / (1 if market.mesh is None else market.mesh.size) / wanted
    return jnp.clip(share.astype(jnp.int32), 1, max(count_tiles(market) // 4, 1))


def _linearise(
    market: Market, bonus: PerItem, temperature: PerUser, worth_of: Callable[[Users, PerItem], Array], stride: Any = 1
) -> Linearisation:
    creators = market.creators

    def felt(market: Market, users: Users, bonus: PerItem) -> tuple[Array, Array, Array]:
        moved, own, shared = respond(market, users, worth_of(users, bonus))
        if users.impact is None:
            return moved, own, shared
        return moved * users.impact, own * users.impact**2, shared * users.impact[:, None, :]

    def bodies(market: Market, bonus: PerItem) -> tuple[Callable, None]:
        def body(users: Users) -> tuple[Array, Array]:
            moved, own, _ = felt(market, users, bonus)
            return _over_items(market, users, moved), _over_items(market, users, own)

        return body, None

    def bodies_of_sample(market: Market, bonus: PerItem, stride: Array) -> tuple[Callable, Callable]:
        def body(users: Users) -> tuple[tuple[Array, Array], tuple[Users, Array, Array, Array]]:
            moved, own, shared = felt(market, users, bonus)
            items = _over_items(market, users, moved)

            def diagonal() -> Array:
                return _over_items(market, users, jnp.maximum(own - jnp.sum(shared * shared, axis=1), 0))

            alone = jax.lax.cond(stride > 1, diagonal, lambda: jnp.zeros_like(items))
            return (items, alone), (users, own, shared, alone)

        def matrix(users: Users, own: Array, shared: Array, alone: Array) -> tuple[Array, Array, Array]:
            candidates = None if users.candidates is None else jnp.repeat(users.candidates, shared.shape[1], axis=0)
            flow = over_creators(shared.reshape(-1, shared.shape[2]), candidates, market.creators)
            return _over_items(market, users, own), flow.T @ flow, alone

        return body, matrix

    if not is_dense(market):
        items, squares = sum_over_tiles(market, temperature, bodies, bonus)
        return Linearisation(items, creators.exposure(items), creators.diagonal(squares))
    stride = jnp.asarray(stride, jnp.int32)
    (items, alone), (squares, outer, alone_in_sample) = sum_over_tiles(
        market, temperature, bodies_of_sample, bonus, stride, stride=stride
    )
    hessian = creators.quadratic(squares) - outer
    known, seen = creators.diagonal(alone), creators.diagonal(alone_in_sample)
    grown = jnp.where(seen > 0, jnp.sqrt(known / jnp.where(seen > 0, seen, 1)), 0)
    scaled = hessian * (grown[:, None] * grown[None, :]) + jnp.diag(jnp.where(seen > 0, 0, known))
    return Linearisation(items, creators.exposure(items), jnp.where(stride > 1, scaled, hessian))


def moved_by(market: Market, bonus: PerItem, temperature: PerUser, change: PerItem) -> PerItem:
    """How the items' exposure (n,) moves with a change (n,) of their bonus: the Hessian's product, matrix-free."""

    def bodies(market: Market, bonus: PerItem, change: PerItem) -> tuple[Callable, None]:
        def body(users: Users) -> Array:
            response = respond(market, users, worth(users, bonus))
            impact = 1 if users.impact is None else users.impact
            felt = on_entries(change, users.candidates) * impact
            together = jnp.einsum("bkn,bn->bk", response.shared, jnp.broadcast_to(felt, users.scores.shape))
            attention = response.own * felt - jnp.einsum("bkn,bk->bn", response.shared, together)
            return _over_items(market, users, attention * impact)

        return body, None

    return sum_over_tiles(market, temperature, bodies, bonus, change)


def regret(market: Market, bonus: PerItem, temperature: PerUser, feasible: Feasible) -> Regret:
    """How far attention, made feasible, is from the users' best at the prices."""

    def bodies(market: Market, bonus: PerItem, feasible: Feasible) -> tuple[Callable, None]:
        def body(users: Users) -> tuple[Array, Array, Array]:
            z = worth(users, bonus)
            attention = make_feasible(market, feasible, users, respond(market, users, z).attention)
            moved = attention if users.impact is None else attention * users.impact
            gained = jnp.sum(behind(market, users, z, attention))
            return gained, _over_items(market, users, moved), jnp.sum(taste(market, users, attention))

        return body, None

    return Regret(*sum_over_tiles(market, temperature, bodies, bonus, feasible))


def excluded_items(market: Market) -> PerItem:
    """How many users with a budget may not see each item (n,); with candidates, through an entry of theirs."""

    def bodies(market: Market) -> tuple[Callable, None]:
        def body(users: Users) -> Array:
            excluded = (users.scores == -jnp.inf) & (users.budgets > 0)[:, None]
            return _over_items(market, users, excluded.astype(users.scores.dtype))

        return body, None

    return sum_over_tiles(market, jnp.ones_like(market.budgets), bodies)


def anchor_items(market: Market, anchor: PerItem) -> PerItem:
    """The items' attention (n,), summed over users, at an anchor's bonus."""

    def bodies(market: Market, anchor: PerItem) -> tuple[Callable, None]:
        return lambda users: _over_items(market, users, _anchor(market, users, anchor)), None

    return sum_over_tiles(market, jnp.ones_like(market.budgets), bodies, anchor)


def even_exposure(market: Market) -> Float[Array, " c"]:
    """The creators' exposure (c,) where every user spends alike on all entries they may see, as far as caps allow."""

    def bodies(market: Market) -> tuple[Callable, None]:
        def body(users: Users) -> Array:
            attention = _anchor(market, users, jnp.zeros(market.creators.num_items, users.scores.dtype))
            return _over_items(market, users, attention if users.impact is None else attention * users.impact)

        return body, None

    return market.creators.exposure(sum_over_tiles(market, jnp.ones_like(market.budgets), bodies))


def anchor_linearised(market: Market, anchor: PerItem) -> Linearisation:
    """The same with its derivative in prices, exposure counted without impact."""
    plain = dataclasses.replace(_plain(market), impact=None)
    return _linearise(plain, anchor, jnp.ones_like(market.budgets), _flat_worth)


def _flat_worth(users: Users, anchor: PerItem) -> Float[Array, "b n"]:
    return jnp.where(users.scores > -jnp.inf, on_entries(anchor, users.candidates), -jnp.inf)


def _anchor(market: Market, users: Users, anchor: PerItem) -> Float[Array, "b n"]:
    """What users do who value all they may see alike, but for the anchor's bonus, at temperature 1."""
    users = users._replace(temperature=jnp.ones_like(users.temperature))
    return respond(_plain(market), users, _flat_worth(users, anchor)).attention


def _plain(market: Market) -> Market:
    """The same market of users with entropy and no preference of the market's for variety."""
    zero = jnp.zeros((), market.temperature.dtype)
    return dataclasses.replace(market, regularizer=Entropy(), temperature=zero)


def make_feasible(market: Market, feasible: Feasible, users: Users, attention: Array) -> Array:
    """Applies the map to attention (b, n) of users."""
    kept = attention * on_entries(feasible.keep, users.candidates)
    if not market.at_most:
        unspent = jnp.maximum(jnp.sum(attention, axis=1) - jnp.sum(kept, axis=1), 0)
        kept = kept + unspent[:, None] * on_entries(feasible.fill, users.candidates)
    if not has_bounds(market):
        return kept
    return (1 - feasible.share) * kept + feasible.share * _anchor(market, users, feasible.anchor)


def attention_at(market: Market, bonus: PerItem, temperature: PerUser, feasible: Feasible) -> Float[Array, "u n"]:
    """The feasible attention of all users, (u, n): the only array of that size besides the scores."""

    def local(market: Market, temperature: PerUser, bonus: PerItem, feasible: Feasible) -> Array:
        def rows(users: Users) -> Array:
            return make_feasible(market, feasible, users, respond(market, users, worth(users, bonus)).attention)

        return over_rows(market, temperature, rows)

    return over_devices(market, local, PartitionSpec("users"))(market, temperature, bonus, feasible)


def spread_of_worth(market: Market, bonus: PerItem) -> PerUser:
    """Each user's own scale, the best item's worth less the mean's: what temperatures are measured against."""

    def local(market: Market, temperature: PerUser, bonus: PerItem) -> Array:
        def rows(users: Users) -> Array:
            z = worth(users, bonus)
            seen = z > -jnp.inf
            mean = jnp.sum(jnp.where(seen, z, 0), axis=1) / jnp.maximum(jnp.sum(seen, axis=1), 1)
            top = jnp.max(jnp.where(seen, z, -jnp.inf), axis=1)
            if market.at_most:
                top, mean = jnp.maximum(top, 0), jnp.minimum(mean, 0)
            spread = jnp.where(seen.any(axis=1), jnp.maximum(top - mean, jnp.abs(top) * 1e-3), 0)
            if isinstance(market.regularizer, SquaredNorm):  # whose temperature is worth per unit of attention
                spread = spread / jnp.where(users.budgets > 0, users.budgets, 1)
            return spread

        return over_rows(market, temperature, rows)

    spread = over_devices(market, local, PartitionSpec("users"))(market, market.budgets, bonus)
    # Users to whom everything is worth nothing have no scale of their own: they take the others'.
    some = spread > 1e4 * jnp.finfo(spread.dtype).tiny
    others = jnp.sum(jnp.where(some, spread, 0)) / jnp.maximum(jnp.sum(some), 1)
    return jnp.where(some, spread, jnp.where(some.any(), others, 1))


def has_bounds(market: Market) -> bool:
    """Whether exposure has floors or caps."""
    return isinstance(market.creator_value, Floors | Box | SoftBox)


def _over_items(market: Market, users: Users, entries: Array) -> PerItem:
    return over_items(entries, users.candidates, market.creators.num_items)
