"""Tiles of users: what a sweep does to some users, done to all of them, on one device or many.

Users are visited in tiles small enough for a core's cache, so that nothing but the scores has the scores' size. What is
summed over users is summed with compensation. Where users are spread over devices each visits its own, and the sums are
added up: what is done is therefore a function of the device's part of the market and of what all share, and closes over
nothing.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from attnjax.allocation import compensated
from attnjax.allocation.market import Market, map_parts
from attnjax.allocation.user_sides import Users

TILE_BYTES = 1 << 20
"""About so many bytes of scores make a tile."""

PerUser = Float[Array, " u"]


def users_of(market: Market, temperature: PerUser) -> Users:
    """All users of a market, who respond at these temperatures."""
    return Users(market.scores, market.impact, market.candidates, market.caps, market.budgets, temperature)


def _most_rows(market: Market) -> int:
    """How many users fit into a tile."""
    entries = market.scores.shape[1]
    positions = 1 if market.position_bias is None else market.position_bias.size
    row = entries * positions * market.scores.dtype.itemsize
    if market.candidates is not None:
        row = max(row, market.creators.num_creators * positions * market.scores.dtype.itemsize // 4)
    return max(1, TILE_BYTES // row)


def count_tiles(market: Market) -> int:
    """How many tiles each device's users make."""
    local = market.scores.shape[0] // (1 if market.mesh is None else market.mesh.size)
    return -(-local // _most_rows(market))


def tile_rows(market: Market) -> int:
    """How many users one device has per tile: tiles are alike, since the last one repeats what it lacks."""
    users = market.scores.shape[0]
    return -(-users // -(-users // _most_rows(market)))


def over_rows(market: Market, temperature: PerUser, rows: Callable[[Users], Array]) -> Array:
    """What `rows` gives for every user, a tile at a time; the last tile overlaps the one before."""
    everyone = users_of(market, temperature)
    count = market.budgets.size
    size = tile_rows(market)

    def fill(k: Array, out: Array) -> Array:
        start = jnp.minimum(k * size, count - size)
        users = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, size), everyone)
        return jax.lax.dynamic_update_slice_in_dim(out, rows(users), start, axis=0)

    shape = jax.eval_shape(rows, jax.tree.map(lambda x: x[:size], everyone))
    return jax.lax.fori_loop(0, -(-count // size), fill, jnp.zeros((count, *shape.shape[1:]), shape.dtype))


def over_devices(market: Market, local: Callable, out: Any) -> Callable:
    """`local(market, temperature, *shared)` on each device with its own users; `out` is the layout of the results."""
    if market.mesh is None:
        return local
    everywhere, spread = PartitionSpec(), PartitionSpec("users")
    layout = map_parts(market, lambda _: spread, lambda _: everywhere)

    def run(market: Market, temperature: PerUser, *shared: Any) -> Any:
        layouts = (layout, spread, *[everywhere] * len(shared))
        return jax.shard_map(local, mesh=market.mesh, in_specs=layouts, out_specs=out, check_vma=False)(
            market, temperature, *shared
        )

    return run


def sum_over_tiles(
    market: Market, temperature: PerUser, bodies: Callable[..., tuple], *shared: Any, stride: Any = 1
) -> Any:
    """Adds up over all users, tile by tile and over devices, what `body, plain = bodies(market, *shared)` give.

    `body(users)` is added up with compensation. With `plain` not None, body returns what to add up and what to pass on,
    and `plain(*passed on)` is added up without compensation, from every `stride`-th tile, and scaled up to all: for
    large sums that need not be exact.
    """

    def local(market: Market, temperature: PerUser, stride: Array, *shared: Any) -> Any:
        body, plain = bodies(market, *shared)
        sums = _sum_tiles(users_of(market, temperature), tile_rows(market), body, plain, stride)
        return sums if market.mesh is None else jax.lax.psum(sums, "users")

    every = jnp.asarray(stride, jnp.int32)
    sums, more = over_devices(market, local, PartitionSpec())(market, temperature, every, *shared)
    if more is None:
        return sums
    tiles = count_tiles(market)
    share = (-(-tiles // every)).astype(market.scores.dtype) / tiles
    return sums, jax.tree.map(lambda x: x / share, more)


def _sum_tiles(everyone: Users, rows: int, body: Callable, plain: Callable | None, stride: Array) -> Any:
    """Adds up over tiles of users; the last tile overlaps the one before, and counts its rows once."""
    count = everyone.budgets.size
    rows = min(rows, count)

    def tile(k: Array) -> Users:
        start = jnp.minimum(k * rows, count - rows)
        users = jax.tree.map(lambda array: jax.lax.dynamic_slice_in_dim(array, start, rows), everyone)
        fresh = start + jnp.arange(rows) >= k * rows
        return users._replace(budgets=jnp.where(fresh, users.budgets, 0))

    def found(k: Array) -> tuple[Any, tuple]:
        return (body(tile(k)), ()) if plain is None else body(tile(k))

    def add(k: Array, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        sums, lost, more = state
        part, passed = found(k)
        sums, lost = compensated.add(sums, lost, part)
        if plain is not None:
            more = jax.lax.cond(
                k % stride == 0, lambda more: jax.tree.map(jnp.add, more, plain(*passed)), lambda more: more, more
            )
        return sums, lost, more

    first, passed = jax.eval_shape(lambda: found(jnp.asarray(0)))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), first)
    more = None
    if plain is not None:
        more = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(plain, *passed))
    sums, _, more = jax.lax.fori_loop(0, -(-count // rows), add, (zeros, zeros, more))
    return sums, more
