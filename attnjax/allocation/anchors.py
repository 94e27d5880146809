"""Anchors: a point well inside floors and caps on exposure, for allocations to be mended with.

An anchor is what users do who value all they may see alike, but for a bonus per item: a_u = R_u softmax(bonus), over
what user u may see (or what slates and caps on entries make of it). So one number per item describes it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.market import Market
from attnjax.allocation.sweeps import anchor_linearised, is_dense

Exposure = Float[Array, " c"]
Bonus = Float[Array, " n"]

FITS = 60
"""Rounds of proportional fitting for items of several creators."""

STEPS = 40
"""Newton steps to the centre; ten times as many where only the Hessian's diagonal is known."""


def spread_evenly(market: Market, excluded: Bonus, floors: Exposure, caps: Exposure, total: Array) -> Bonus:
    """The bonus (n,) of attention between floors and caps, the same for all users: quick, and often enough.

    In the middle where attention may stay unspent, else as far up as it reaches. Only items that no user excludes
    (`excluded` of them do) take part. Items of several creators give each what the others need as well; proportional
    fitting (Deming and Stephan 1940) brings them into the box where it can.
    """
    creators, room = market.creators, caps - floors
    tiny = jnp.finfo(room.dtype).tiny
    admitted = excluded == 0
    admitted = jnp.where(admitted.any(), admitted, True).astype(room.dtype)
    left = jnp.maximum(total - jnp.sum(floors), 0)
    share = jnp.minimum(left / jnp.maximum(jnp.sum(room), tiny), 1)
    target = floors + room * (jnp.minimum(share, 0.5) if market.at_most else share)
    works = creators.exposure(admitted)
    items = creators.on_items(target / jnp.where(works > 0, works, 1)) * admitted
    items = jnp.where(jnp.sum(items) > 0, items, admitted)
    parts = creators.on_items(jnp.ones_like(floors))

    def fit(_: int, items: Array) -> Array:
        got = creators.exposure(items)
        wanted = jnp.clip(got, floors + 0.02 * room, caps - 0.02 * room)
        ratio = creators.on_items(jnp.log(jnp.maximum(wanted, tiny) / jnp.maximum(got, tiny)))
        return _spent(items * jnp.exp(ratio / jnp.maximum(parts, 1)), total, market.at_most) * total

    items = _spent(items, total, market.at_most) * total
    items = jax.lax.fori_loop(0, 0 if creators.identity else FITS, fit, items)
    items = _spent(items, total, market.at_most)
    if market.at_most:  # the softmax has one more option, of bonus 0: unspent
        items = items / jnp.maximum(1 - jnp.sum(items), 1e-5)
    return jnp.log(items)


def _spent(items: Array, total: Array, at_most: bool) -> Array:
    """Items' attention (n,) per unit of budget: all of it, or no more than all."""
    spent = jnp.sum(items)
    return items / (jnp.maximum(spent, total) if at_most else jnp.where(spent > 0, spent, 1))


class _State(NamedTuple):
    """Newton's method: prices are looked at `base + length * direction`."""

    base: Exposure
    direction: Exposure
    slope: Array
    length: Array
    steps: Array
    done: Array


def centre(market: Market, floors: Exposure, caps: Exposure, total: Array) -> Bonus:
    """The bonus (n,) of the entropic analytic centre of what users can do and creators may get.

    It maximises the users' entropy plus even sum_j [log(e_j - floor_j) + log(cap_j - e_j)], with even = total / c, by
    Newton's method on the dual: prices p per unit of exposure, the users' response to the bonus M p, and creators who
    ask for the e_j at which the barrier's slope is p_j. There is one wherever the box has an interior that users can
    reach; else the search ends somewhere outside, and its exposure shows it.
    """
    even = total / market.creators.num_creators
    # A floor of 0 is no bound: it gets a barrier far below.
    floors = jnp.where(floors > 0, floors, -even)
    middle, half = (floors + caps) / 2, jnp.maximum((caps - floors) / 2, 1e-6 * even)

    def asked(prices: Exposure) -> tuple[Exposure, Exposure]:
        """The exposure asked for, and how fast it falls in the price."""
        root = jnp.sqrt(even**2 + (prices * half) ** 2)
        return middle - prices * half**2 / (even + root), even * half**2 / (root * (even + root))

    def step(state: _State) -> _State:
        prices = state.base + state.length * state.direction
        at = anchor_linearised(market, market.creators.on_items(prices))
        wanted, falls = asked(prices)
        gradient = at.exposure - wanted
        climbing = jnp.sum(gradient * state.direction) > 0.5 * jnp.abs(state.slope)
        accepted = (state.steps == 0) | ~climbing | (state.length < 1e-3)
        direction = -_solve(at.hessian, falls, gradient)
        direction = direction * jnp.minimum(1, 4 / jnp.maximum(jnp.max(jnp.abs(direction)), 1e-30))
        return _State(
            base=jnp.where(accepted, prices, state.base),
            direction=jnp.where(accepted, direction, state.direction),
            slope=jnp.where(accepted, jnp.sum(gradient * direction), state.slope),
            length=jnp.where(accepted, 1, 0.4 * state.length),
            steps=state.steps + 1,
            done=jnp.max(jnp.abs(gradient)) < 1e-3 * even,
        )

    zero = jnp.zeros_like(even)
    state = _State(
        jnp.zeros_like(floors), jnp.zeros_like(floors), zero, zero + 1, jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    )
    limit = STEPS if is_dense(market) else 10 * STEPS
    state = jax.lax.while_loop(lambda s: ~s.done & (s.steps < limit), step, state)
    return market.creators.on_items(state.base)


def _solve(hessian: Array, own: Exposure, gradient: Exposure) -> Exposure:
    """The Newton step, or where only the diagonal is known one that bounds it: H <= 2 diag H."""
    if hessian.ndim == 1:
        return gradient / (2 * hessian + own)
    ridge = 1e-6 * (jnp.mean(own) + jnp.trace(hessian) / own.size)
    return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(hessian + jnp.diag(own + ridge)), gradient)
