"""Two plain solvers of the attention market, each with a certificate; the readable references.

*Dual gradient* moves prices until creators get the exposure that their value asks for at those prices: a tatonnement,
with a diagonal step from the curvature of the dual, momentum (Nesterov 1983) and restarts (O'Donoghue and Candes 2015).
*Generalised Frank-Wolfe* (Frank and Wolfe 1956; Bredies, Lorenz and Maass 2009) lets prices be what the present
exposure supports, asks every user for the best response, and moves attention towards it by an exact line search.

Both work with any regulariser, for budgets that must be met and users with a preference for variety.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.entries import on_entries, over_items
from attnjax.allocation.feasibility import bounds_of
from attnjax.allocation.guarantees import Floors
from attnjax.allocation.market import Market, best_response, exposure_of, uniform_attention, welfare_of
from attnjax.allocation.operator import allocate
from attnjax.allocation.solution import Solution

Prices = Float[Array, " c"]


def _scale(market: Market, upper: Array) -> Array:
    """What a relative gap is relative to: welfare, but not less than a temperature's worth of all attention."""
    return jnp.maximum(jnp.abs(upper), market.temperature * jnp.sum(market.budgets))


def _anchor(market: Market) -> tuple[Array, Array]:
    """An allocation in which floors are met with room to spare, and its exposure; the same as Newton's."""
    bounds = bounds_of(market)
    flat = jnp.where(market.scores > -jnp.inf, on_entries(bounds.anchor, market.candidates), -jnp.inf)
    attention = jax.vmap(lambda s, r, c: allocate(s, r, c).weights)(flat, market.budgets, market.caps)
    return attention, exposure_of(market, attention)


def _repair(market: Market, exposure: Prices, reached: Prices) -> Array:
    """The smallest share of the anchor that brings exposure up to the floors."""
    floors = market.creator_value.floors  # type: ignore[attr-defined]
    missing = floors - exposure
    room = jnp.maximum(reached - exposure, jnp.finfo(exposure.dtype).tiny)
    share = jnp.max(jnp.where(missing > 0, missing / room, 0))
    return jnp.clip(share * (1 + 1e-5), 0, 1)


def _close(market: Market, attention: Array, prices: Prices, tol: Array, iterations: Array) -> Solution:
    """The certificate of an allocation (repaired first) at prices."""
    if isinstance(market.creator_value, Floors):
        anchor, reached = _anchor(market)
        share = _repair(market, exposure_of(market, attention), reached)
        attention = (1 - share) * attention + share * anchor
    exposure = exposure_of(market, attention)
    response = best_response(market, prices)
    parts = welfare_of(market, attention)
    lower = parts.total
    # The gap, party by party: what users could still gain at these prices, and what creators could.
    paid = jnp.sum((prices + market.platform_rates) * exposure)
    users = response.value - (parts.satisfaction + parts.variety + paid)
    creators = jnp.sum(
        market.creator_value.conjugate(prices) + prices * exposure - market.creator_value.value(exposure)
    )
    gap = jnp.maximum(users, 0) + jnp.maximum(creators, 0)
    gap = jnp.where(jnp.isnan(gap), jnp.inf, gap)
    dual = response.value + jnp.sum(market.creator_value.conjugate(prices))
    upper = jnp.where(jnp.isfinite(lower), lower + gap, jnp.where(jnp.isnan(dual), jnp.inf, dual))
    return Solution(
        attention,
        exposure,
        prices,
        lower,
        upper,
        gap,
        iterations,
        jnp.isfinite(gap) & (gap <= tol * _scale(market, upper)),
    )


# --- the dual gradient -------------------------------------------------------------------------------------------


class _Ascent(NamedTuple):
    prices: Prices
    previous: Prices
    momentum: Array
    damping: Array
    dual: Array
    best_prices: Prices
    best_gap: Array
    iterations: Array
    done: Array


@jax.jit
def dual_gradient(market: Market, start: Prices, tol: Array, max_iterations: Array) -> Solution:
    """Prices that follow the excess of what creators get over what they ask for; see `attnjax.allocation.solve`."""
    value = market.creator_value
    floors = isinstance(value, Floors)
    if floors:
        anchor, reached = _anchor(market)
        anchored = welfare_of(market, anchor)
        anchor_value = anchored.satisfaction + anchored.variety + anchored.platform

    def gap_at(prices: Prices, exposure: Prices, users: Array) -> Array:
        if not floors:
            return jnp.sum(jnp.maximum(value.conjugate(prices) + prices * exposure - value.value(exposure), 0))
        # Welfare is concave: a mixture with the anchor has at least the mixture of the welfares.
        share = _repair(market, exposure, reached)
        own = users - jnp.sum(prices * exposure)
        slack = jnp.sum(prices * (exposure - value.floors))  # type: ignore[attr-defined]
        return slack + share * (own - anchor_value)

    def step(state: _Ascent) -> _Ascent:
        ahead = state.prices + state.momentum * (state.prices - state.previous)
        ahead = value.admissible(ahead, state.prices)
        response = best_response(market, ahead)
        excess = response.exposure - value.demand(ahead)
        dual = response.value + jnp.sum(value.conjugate(ahead))
        gap = gap_at(ahead, response.exposure, response.value)
        # Diagonal of a bound on the dual's Hessian; a damping that grows when the dual rose and fades when it fell.
        # Items at rest don't move with a small change of price, though a cube's inverse curvature at 0 is infinite.
        active = response.attention > 0
        moving = jax.vmap(market.regularizer.inverse_curvature)(jnp.where(active, response.attention, 1))
        moving = jnp.where(active, moving, 0) * (1 if market.impact is None else market.impact**2)
        moved = over_items(moving, market.candidates, market.creators.num_items)
        speed = market.creators.exposure(moved) / market.temperature
        curvature = speed + value.curvature(ahead)
        rose = dual > state.dual + 1e-6 * jnp.abs(state.dual)
        damping = jnp.clip(jnp.where(rose, 2 * state.damping, 0.95 * state.damping), 0.5, 1e4)
        move = excess / (damping * jnp.maximum(curvature, jnp.finfo(dual.dtype).tiny))
        move = jnp.clip(move, -market.temperature, market.temperature)
        following = value.admissible(ahead - move, ahead)
        uphill = rose | (jnp.sum(excess * (following - state.prices)) > 0)
        momentum = jnp.where(uphill, 0, 0.25 + 0.75 * state.momentum)
        better = gap < state.best_gap
        best_gap = jnp.where(better, gap, state.best_gap)
        return _Ascent(
            following,
            state.prices,
            jnp.minimum(momentum, 0.98),
            damping,
            dual,
            jnp.where(better, ahead, state.best_prices),
            best_gap,
            state.iterations + 1,
            jnp.isfinite(best_gap) & (best_gap <= 0.5 * tol * _scale(market, dual)),
        )

    start = value.admissible(start, start)
    inf = jnp.asarray(jnp.inf, start.dtype)
    one = jnp.ones((), start.dtype)
    state = _Ascent(
        start, start, 0 * one, one, inf, start, inf, jnp.asarray(0, max_iterations.dtype), jnp.asarray(False)
    )
    state = jax.lax.while_loop(lambda s: ~s.done & (s.iterations < max_iterations), step, state)
    attention = best_response(market, state.best_prices).attention
    return _close(market, attention, state.best_prices, tol, state.iterations)


# --- generalised Frank-Wolfe ----------------------------------------------------------------------------------------


@jax.jit
def frank_wolfe(market: Market, start: Prices, tol: Array, max_iterations: Array) -> Solution:
    """Attention that moves towards best responses to the prices it supports; see `attnjax.allocation.solve`."""
    value = market.creator_value

    def supporting(attention: Array) -> Prices:
        return value.derivative(exposure_of(market, attention))  # type: ignore[attr-defined]

    def slope(attention: Array, direction: Array, share: Array) -> Array:
        """Welfare's derivative along the segment; items that don't move (excluded ones) have no part in it."""
        point = attention + share * direction
        earned = on_entries(market.creators.on_items(supporting(point) + market.platform_rates), market.candidates)
        earned = earned if market.impact is None else market.impact * earned
        cost = market.temperature * jax.vmap(market.regularizer.derivative)(point)
        return jnp.sum(jnp.where(direction != 0, direction * (market.scores + earned - cost), 0))

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        attention, _, count = state
        prices = supporting(attention)
        response = best_response(market, prices)
        parts = welfare_of(market, attention)
        paid = jnp.sum((prices + market.platform_rates) * exposure_of(market, attention))
        gap = response.value - (parts.satisfaction + parts.variety + paid)
        direction = response.attention - attention

        def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = (low + high) / 2
            rising = slope(attention, direction, middle) > 0
            return jnp.where(rising, middle, low), jnp.where(rising, high, middle)

        zero = jnp.zeros((), attention.dtype)
        low, high = jax.lax.fori_loop(0, 12, halve, (zero, zero + 1))
        attention = attention + (low + high) / 2 * direction
        return attention, gap / _scale(market, parts.total), count + 1

    # Half uniform: every creator that can be seen at all is seen, so prices are finite from the start.
    first = (best_response(market, value.admissible(start, start)).attention + uniform_attention(market)) / 2
    inf = jnp.asarray(jnp.inf, first.dtype)
    attention, _, count = jax.lax.while_loop(
        lambda s: (s[1] > 0.5 * tol) & (s[2] < max_iterations),
        step,
        (first, inf, jnp.asarray(0, max_iterations.dtype)),
    )
    return _close(market, attention, supporting(attention), tol, count)
