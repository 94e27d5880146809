"""Newton's method on the smoothed dual of a market: the fast solver.

Prices p minimise D(p) = sum_u V_u(p) + sum_j phi_j^*(p_j), with V_u what user u gets from the best response. Users
without a preference for variety make V_u a maximum, with kinks. It is smoothed by entropy at a temperature of each
user's own, eps kappa_u with kappa_u the spread of what items are worth to that user, and eps is lowered in steps. At
each, Newton's method, with one pass over the users a step:

    gradient  e(p) - demand(p)
    Hessian   M' diag(sum_u a_u r_u^2 / T_u) M - sum_u (M' a_u r_u)(M' a_u r_u)' / (R_u T_u) + curvature of phi^*.

The line search tests the derivative: differences of the objective are noise in float32 once it is large. Where
prices must be positive (Nash) the unknown is their logarithm, in which the dual is convex as well. After each
temperature a certificate is taken from the dual without smoothing and from attention made feasible.

Sources: smoothing, Nesterov (2005); the market's dual, Eisenberg and Gale (1959).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.allocation.creator_sides import Side, side_of
from attnjax.allocation.creator_values import Linear, Nash
from attnjax.allocation.feasibility import bounds_of, feasible_map, is_feasible
from attnjax.allocation.market import Market
from attnjax.allocation.sweeps import (
    Linearisation,
    Users,
    attention_at,
    linearise,
    regret,
    respond,
    spread_of_worth,
    worth,
)

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]

FIRST, FACTOR = 0.3, 0.3
"""The first smoothing, relative to the spread of worth, and what each next one is multiplied by."""

SOLVED, STEPS = 0.01, 20
"""A smoothing is left once the gradient is relatively so small (and no more than eps), or after so many steps."""

POLISH = 6
"""Newton steps to the root of the smoothed problem before it is differentiated."""


class _State(NamedTuple):
    """One Newton iteration to the next; `base + length * direction` is where the dual is looked at now.

    `left` is the coordinate at which the last smoothing was left, and `leaves` how many were left so far.
    """

    base: Prices
    direction: Prices
    slope: Scalar
    length: Scalar
    eps: Scalar
    spread: Array
    steps: Array
    iterations: Array
    left: Prices
    leaves: Array
    best: Any
    done: Array
    failed: Array


class _Best(NamedTuple):
    """The certificate with the smallest gap so far, and where it was taken."""

    y: Prices
    eps: Scalar
    spread: Array
    gap: Scalar
    scale: Scalar


class Found(NamedTuple):
    """Where Newton's method ended.

    Attributes:
        attention: (u, n), feasible.
        prices: (c,).
        smoothing: the smoothing it was found at, relative to each user's spread of worth.
        temperature: (u,), at which users respond there.
        gap: the certified gap there, inf if none could be certified.
        scale: what a relative gap is relative to.
        iterations: passes over the users.
    """

    attention: Float[Array, "u n"]
    prices: Prices
    smoothing: Scalar
    temperature: Array
    gap: Scalar
    scale: Scalar
    iterations: Array


@jax.custom_jvp
def newton(market: Market, start: Prices, tol: Scalar, max_iterations: Array, first: Scalar) -> Found:
    """Solves a market with entropic users (of any temperature, 0 included) to a relative gap.

    Args:
        market: with `Entropy` as regulariser and a `Linear`, `Nash`, `Floors` or `Box` creator value.
        start: (c,), prices to start from; positive for `Nash`.
        tol: the relative gap to reach.
        max_iterations: when to give up.
        first: the first smoothing, relative to the spread of worth; `FIRST`, or less from a warm start.

    Returns:
        What was found; compare its gap with `tol` times its scale.
    """
    bounds = bounds_of(market)
    side = side_of(market, bounds)
    size, dtype = start.size, market.scores.dtype

    def bonus(y: Prices) -> Array:
        return market.creators.on_items(side.prices(y) + market.platform_rates)

    def temperatures(eps: Scalar, spread: Array) -> Array:
        return jnp.maximum(market.temperature, eps * spread)

    def certify(y: Prices, eps: Scalar, spread: Array, at: Linearisation) -> tuple[Scalar, Scalar]:
        map_to = feasible_map(market, bounds, at.items, at.exposure)
        found = regret(market, bonus(y), temperatures(eps, spread), map_to)
        exposure = market.creators.exposure(found.items)
        gap = jnp.maximum(found.users, 0) + side.gap(side.prices(y), exposure)
        sound = jnp.isfinite(gap) & is_feasible(bounds, exposure)
        if market.at_most:  # users who value variety and may keep attention are another problem
            sound = sound & ~(market.temperature > 0)
        return jnp.where(sound, gap, jnp.inf), _scale(market, found.satisfaction, exposure)

    def step(state: _State) -> _State:
        y = side.project(state.base + state.length * state.direction)
        eps_creators = jnp.maximum(state.eps * jnp.mean(state.spread), jnp.finfo(dtype).tiny)
        at = linearise(market, bonus(y), temperatures(state.eps, state.spread))
        gradient = side.gradient(y, at.exposure, eps_creators)
        climbing = jnp.sum(gradient * state.direction) > 0.5 * jnp.abs(state.slope)
        accepted = (state.steps == 0) | ~climbing | (state.length < 1e-3)
        # At least one step at every smoothing: it makes the next one's first step a good one.
        solved = (state.steps >= 1) & (
            side.violation(gradient) < jnp.clip(state.eps, 64 * jnp.finfo(dtype).eps, SOLVED)
        )
        leave = accepted & (solved | (state.steps >= STEPS))
        gap, scale = jax.lax.cond(
            leave,
            lambda: certify(y, state.eps, state.spread, at),
            lambda: (jnp.full((), jnp.inf, dtype), jnp.ones((), dtype)),
        )
        better = gap < state.best.gap
        best = jax.tree.map(
            lambda new, old: jnp.where(better, new, old), _Best(y, state.eps, state.spread, gap, scale), state.best
        )
        done = best.gap <= tol * best.scale
        # Not below half of what it was: where scores are alike worth is in prices alone, which vanish with it.
        spread = jax.lax.cond(
            leave & ~done,
            lambda: jnp.maximum(spread_of_worth(market, bonus(y)), 0.5 * state.spread),
            lambda: state.spread,
        )
        eps = jnp.where(leave, FACTOR * state.eps, state.eps)
        direction = _newton_direction(side.hessian(y, at.exposure, at.hessian, eps_creators), gradient)
        direction = direction * jnp.minimum(1, side.reach(eps_creators, state.eps) / _largest(direction))
        # The path of solutions is almost straight in eps: its last piece says where the next one will be.
        ahead = y + jnp.where(state.leaves > 0, FACTOR, 0) * (y - state.left)
        # Leaving starts anew from there; a step accepted takes the next direction; else the same one, shorter.
        return _State(
            base=jnp.where(leave, ahead, jnp.where(accepted, y, state.base)),
            direction=jnp.where(leave, 0, jnp.where(accepted, direction, state.direction)),
            slope=jnp.where(accepted, jnp.sum(gradient * direction), state.slope),
            length=jnp.where(accepted, 1, 0.4 * state.length),
            eps=eps,
            spread=spread,
            steps=jnp.where(leave, 0, state.steps + accepted),
            iterations=state.iterations + 1,
            left=jnp.where(leave, y, state.left),
            leaves=state.leaves + leave,
            best=best,
            done=done,
            failed=leave & (eps < jnp.finfo(dtype).eps),
        )

    if isinstance(market.creator_value, Linear):  # known prices: nothing to follow from smoothing to smoothing
        first = jnp.where(market.temperature > 0, 2 * jnp.finfo(dtype).eps, first)
    y = side.project(side.coordinate(start))
    zero, count = jnp.zeros((), dtype), jnp.zeros((), max_iterations.dtype)
    spread = spread_of_worth(market, bonus(y))
    best = _Best(y, zero + first, spread, zero + jnp.inf, zero + 1)
    no = jnp.zeros((), bool)
    state = _State(
        y, jnp.zeros(size, dtype), zero, zero + 1, zero + first, spread, count, count, y, count, best, no, no
    )
    state = jax.lax.while_loop(lambda s: ~s.done & ~s.failed & (s.iterations < max_iterations - 1), step, state)
    # Given up before any certificate: take one where the search stands.
    best = state.best
    last = _Best(state.base, state.eps, state.spread, best.gap, best.scale)
    best = jax.tree.map(lambda new, old: jnp.where(jnp.isfinite(best.gap), old, new), last, best)
    temperature = temperatures(best.eps, best.spread)
    at = linearise(market, bonus(best.y), temperature)
    map_to = feasible_map(market, bounds, at.items, at.exposure)
    attention = attention_at(market, bonus(best.y), temperature, map_to)
    gap, scale = jax.lax.cond(
        jnp.isfinite(best.gap),
        lambda: (best.gap, best.scale),
        lambda: certify(best.y, best.eps, best.spread, at),
    )
    smoothing = best.eps * jnp.mean(best.spread)
    return Found(attention, side.prices(best.y), smoothing, temperature, gap, scale, state.iterations + 1)


@newton.defjvp
def _newton_jvp(primals: tuple, tangents: tuple) -> tuple[Found, Found]:
    """Implicit differentiation at the solution of the smoothed problem; see `attnjax.allocation.solve`.

    At fixed temperatures the prices solve gradient(y, market) = 0, so dy = -H^-1 d(gradient), with the Hessian that
    Newton's method uses. The solver stops once the certificate is good enough; the derivative needs the root itself,
    so a few more Newton steps are taken first.
    """
    market, *_ = primals
    d_market, *_ = tangents
    out = newton(*primals)
    smoothing = jnp.maximum(out.smoothing, jnp.finfo(out.prices.dtype).tiny)

    def side(market: Market) -> Side:
        return side_of(market, bounds_of(market))

    def bonus(market: Market, y: Prices) -> Array:
        return market.creators.on_items(side(market).prices(y) + market.platform_rates)

    def polish(_: int, y: Prices) -> Prices:
        at = linearise(market, bonus(market, y), out.temperature)
        own = side(market)
        gradient = own.gradient(y, at.exposure, smoothing)
        step = _newton_direction(own.hessian(y, at.exposure, at.hessian, smoothing), gradient)
        return y + step * jnp.minimum(1, own.reach(smoothing, jnp.ones_like(smoothing)) / _largest(step))

    y = jax.lax.fori_loop(0, POLISH, polish, side(market).coordinate(out.prices))
    at = linearise(market, bonus(market, y), out.temperature)
    hessian = jax.lax.stop_gradient(side(market).hessian(y, at.exposure, at.hessian, smoothing))

    def attention_of(market: Market, y: Prices) -> Array:
        own = out.temperature <= market.temperature  # not the smoothing's
        temperature = jnp.where(own, market.temperature, out.temperature)
        users = Users(market.scores, market.impact, market.budgets, temperature)
        return respond(users, worth(users, bonus(market, y)), market.at_most)

    def gradient_of(market: Market, y: Prices) -> Prices:
        attention = attention_of(market, y)
        moved = attention if market.impact is None else attention * market.impact
        exposure = market.creators.exposure(jnp.sum(moved, axis=0))
        return side(market).gradient(y, exposure, smoothing)

    _, d_gradient = jax.jvp(lambda m: gradient_of(m, y), (market,), (d_market,))
    d_y = _solve_regularised(hessian, -d_gradient)
    if isinstance(market.creator_value, Linear):
        d_y = d_market.creator_value.rates
    _, d_attention = jax.jvp(lambda m, y: attention_of(m, y), (market, y), (d_market, d_y))
    _, d_prices = jax.jvp(lambda m, y: side(m).prices(y), (market, y), (d_market, d_y))
    still = jax.tree.map(_no_tangent, out)
    return out, still._replace(attention=d_attention, prices=d_prices)


def _no_tangent(primal: Array) -> Any:
    if jnp.issubdtype(primal.dtype, jnp.floating):
        return jnp.zeros_like(primal)
    return np.zeros(primal.shape, jax.dtypes.float0)


def _scale(market: Market, satisfaction: Array, exposure: Array) -> Scalar:
    """What a relative gap is relative to: the sizes of welfare's parts, and no less than T sum_u R_u."""
    value = market.creator_value
    creators = jnp.zeros_like(satisfaction)
    if isinstance(value, Nash):
        creators = jnp.sum(value.weights)
    elif isinstance(value, Linear):
        creators = jnp.sum(jnp.abs(value.rates) * exposure)
    platform = jnp.sum(jnp.abs(market.platform_rates) * exposure)
    total = jnp.abs(satisfaction) + creators + platform
    return jnp.maximum(total, market.temperature * jnp.sum(market.budgets))


def _newton_direction(hessian: Array, gradient: Array) -> Array:
    """-H^-1 g, or a step down the gradient where H can't be factored."""
    direction = -_solve_regularised(hessian, gradient)
    mean = jnp.maximum(jnp.trace(hessian) / gradient.size, 1e-30)
    return jnp.where(jnp.isfinite(direction).all(), direction, -gradient / mean)


def _solve_regularised(hessian: Array, right: Array) -> Array:
    """H^-1 b, with some rounding's worth of the mean diagonal added to keep H positive definite."""
    ridge = 16 * jnp.finfo(hessian.dtype).eps * jnp.trace(hessian) / right.size + jnp.finfo(hessian.dtype).tiny
    factor = jax.scipy.linalg.cho_factor(hessian + ridge * jnp.eye(right.size, dtype=hessian.dtype))
    return jax.scipy.linalg.cho_solve(factor, right)


def _largest(direction: Array) -> Scalar:
    return jnp.maximum(jnp.max(jnp.abs(direction)), jnp.finfo(direction.dtype).tiny)
