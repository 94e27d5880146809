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

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.allocation.creator_sides import Side, Smoothing, side_of
from attnjax.allocation.creator_values import Linear
from attnjax.allocation.entries import over_items
from attnjax.allocation.feasibility import bounds_of, feasible_map, is_feasible, no_map
from attnjax.allocation.market import Market
from attnjax.allocation.newton_steps import System
from attnjax.allocation.solution import Rule
from attnjax.allocation.sweeps import (
    Feasible,
    Linearisation,
    attention_at,
    linearise,
    regret,
    sample_stride,
    spread_of_worth,
    worth,
)
from attnjax.allocation.tiles import users_of
from attnjax.allocation.user_sides import respond, taste

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]

FIRST, FACTOR = 0.3, 0.3
"""The first smoothing, relative to the spread of worth, and what each next one is multiplied by."""

NARROWED = 1.5
"""By how much more than by `FACTOR` temperatures may fall where the spread of worth falls with the smoothing."""

SOLVED, STEPS = 0.03, 20
"""A smoothing is left once the gradient is relatively so small (and no more than eps), or after so many steps."""

POLISH = 6
"""Newton steps to the root of the smoothed problem before it is differentiated."""


class _State(NamedTuple):
    """One Newton iteration to the next; `base + length * direction` is where the dual is looked at now.

    `left` is the coordinate at which the last smoothing was left, `heat` the users' mean temperature there, and
    `leaves` how many were left so far.
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
    heat: Scalar
    leaves: Array
    best: Any
    done: Array
    failed: Array


class _Certificate(NamedTuple):
    """How good the attention at some prices is."""

    gap: Scalar
    scale: Scalar
    exposure: Prices
    satisfaction: Scalar
    map_to: Feasible


class _Best(NamedTuple):
    """The certificate with the smallest gap so far, and where it was taken."""

    y: Prices
    eps: Scalar
    spread: Array
    found: _Certificate


class Found(NamedTuple):
    """Where Newton's method ended.

    Attributes:
        attention: (u, n), feasible; None where it was not asked for.
        exposure: (c,), what creators get from it.
        satisfaction: what users have of it by themselves, sum <s, a> - T Omega(a).
        prices: (c,).
        smoothing: of the dual, where it was found.
        rule: what gives each user's attention.
        gap: the certified gap there, inf if none could be certified.
        scale: what a relative gap is relative to.
        iterations: passes over the users.
    """

    attention: Float[Array, "u n"] | None
    exposure: Prices
    satisfaction: Scalar
    prices: Prices
    smoothing: Smoothing
    rule: Rule
    gap: Scalar
    scale: Scalar
    iterations: Array


@functools.partial(jax.custom_jvp, nondiff_argnums=(5,))
def newton(
    market: Market, start: Prices, tol: Scalar, max_iterations: Array, first: Scalar, materialise: bool = True
) -> Found:
    """Solves a market to a relative gap.

    Args:
        market: with `Entropy` or `SquaredNorm` as regulariser, and a creator value of this package's.
        start: (c,), prices to start from; positive where the creator value has none else.
        tol: the relative gap to reach.
        max_iterations: when to give up.
        first: the first smoothing, relative to the spread of worth; `FIRST`, or less from a warm start.
        materialise: whether to return attention, the only array of the scores' size.

    Returns:
        What was found; compare its gap with `tol` times its scale.
    """
    bounds = bounds_of(market)
    side = side_of(market, bounds)
    size, dtype = start.size, market.scores.dtype

    # Where not even an anchor reaches floors and caps nothing will: one pass, to say so.
    limit = jnp.where(bounds.reachable, jnp.maximum(max_iterations, 1), 1)

    def bonus(y: Prices) -> Array:
        return market.creators.on_items(side.prices(y) + market.platform_rates)

    def temperatures(eps: Scalar, spread: Array) -> Array:
        return jnp.maximum(market.temperature, eps * spread)

    def smoothing_at(eps: Scalar, spread: Array) -> Smoothing:
        return Smoothing(jnp.maximum(eps * jnp.mean(spread), jnp.finfo(dtype).tiny), eps)

    def certify(y: Prices, eps: Scalar, spread: Array, at: Linearisation) -> _Certificate:
        map_to = feasible_map(market, bounds, at.items, at.exposure)
        found = regret(market, bonus(y), temperatures(eps, spread), map_to)
        exposure = market.creators.exposure(found.items)
        prices = side.prices(y)
        gap = jnp.maximum(found.users, 0) + side.gap(prices, exposure)
        sound = jnp.isfinite(gap) & is_feasible(bounds, exposure) & bounds.reachable
        # What a relative gap is relative to: the sizes of welfare's parts, and no less than T sum_u R_u.
        size = jnp.abs(found.satisfaction) + side.size(prices, exposure)
        size = size + jnp.sum(jnp.abs(market.platform_rates) * exposure)
        size = jnp.maximum(size, market.temperature * jnp.sum(market.attention_budgets))
        return _Certificate(jnp.where(sound, gap, jnp.inf), size, exposure, found.satisfaction, map_to)

    def step(state: _State) -> _State:
        y = side.project(state.base + state.length * state.direction)
        smoothing, temperature = smoothing_at(state.eps, state.spread), temperatures(state.eps, state.spread)
        at = linearise(market, bonus(y), temperature, sample_stride(market, state.eps))
        gradient = side.gradient(y, at.exposure, smoothing)
        climbing = jnp.sum(gradient * state.direction) > 0.5 * jnp.abs(state.slope)
        accepted = (state.steps == 0) | ~climbing | (state.length < 1e-3)
        # At least one step at every smoothing: it makes the next one's first step a good one.
        violation = side.violation(y, gradient)
        solved = (state.steps >= 1) & (violation < jnp.clip(state.eps, 64 * jnp.finfo(dtype).eps, SOLVED))
        last = state.iterations + 1 >= limit
        stop = (accepted & (solved | (state.steps >= STEPS))) | last
        # A gap falls with eps to eps squared: no certificate where even the latter would leave it far too large. In
        # single precision it may stop falling near 1e-5, and the best is wanted then.
        known = state.best.found
        foreseen = jnp.where(jnp.isfinite(known.gap), 0.1 * known.gap * (state.eps / state.best.eps) ** 2, 0)
        near = foreseen <= jnp.maximum(tol, 100 * jnp.finfo(dtype).eps) * known.scale
        look = stop & (last | near | (known.gap > 100 * known.scale))  # the last of these: relative to nothing
        found = jax.lax.cond(look, lambda: certify(y, state.eps, state.spread, at), lambda: known)
        better = look & ((found.gap < known.gap) | (last & ~jnp.isfinite(known.gap)))
        best = jax.tree.map(
            lambda new, old: jnp.where(better, new, old), _Best(y, state.eps, state.spread, found), state.best
        )
        done = best.found.gap <= tol * best.found.scale
        # Floors are mended by mixing with an anchor, at a loss: another step here is less than another smoothing.
        mended = look & ~done & (found.map_to.share > 0.3 * tol) & (violation > 0.1 * tol) & (foreseen > 0)
        leave = stop & (last | ~mended | (state.steps >= STEPS))
        # Not below half of what it was: where scores are alike worth is in prices alone, which vanish with it.
        spread = jax.lax.cond(
            leave & ~done,
            lambda: jnp.maximum(spread_of_worth(market, bonus(y)), 0.5 * state.spread),
            lambda: state.spread,
        )
        # Where the spread has fallen, temperatures fall by little more than the factor all the same: users who are
        # almost alike jump together from creator to creator once prices are off by more than a temperature.
        narrowed = jnp.maximum(jnp.mean(state.spread) / jnp.mean(spread) / NARROWED, 1)
        eps = jnp.where(leave, FACTOR * narrowed * state.eps, state.eps)
        direction = System(market, side, y, smoothing, temperature, at).direction(gradient)
        direction = direction * jnp.minimum(1, side.reach(smoothing) / _largest(direction))
        # The path of solutions is almost straight in the temperature: its last piece says where the next one will be.
        heat, cooled = jnp.mean(temperature), jnp.mean(temperatures(eps, spread))
        piece = state.heat - heat
        straight = (state.leaves > 0) & (piece > 0)
        ahead = y + jnp.where(straight, (heat - cooled) / jnp.where(straight, piece, 1), 0) * (y - state.left)
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
            heat=jnp.where(leave, heat, state.heat),
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
    nothing = jnp.zeros(size, dtype)
    untaken = _Certificate(zero + jnp.inf, zero + 1, nothing, zero, no_map(market, bounds))
    best = _Best(y, zero + first, spread, untaken)
    no = jnp.zeros((), bool)
    state = _State(
        y, jnp.zeros(size, dtype), zero, zero + 1, zero + first, spread, count, count, y, zero, count, best, no, no
    )
    state = jax.lax.while_loop(lambda s: ~s.done & ~s.failed & (s.iterations < limit), step, state)
    y, eps, spread, found = state.best
    bonus_there, temperature = bonus(y), temperatures(eps, spread)
    return Found(
        attention_at(market, bonus_there, temperature, found.map_to) if materialise else None,
        found.exposure,
        found.satisfaction,
        side.prices(y),
        smoothing_at(eps, spread),
        Rule(bonus_there, temperature, found.map_to),
        found.gap,
        found.scale,
        state.iterations,
    )


@newton.defjvp
def _newton_jvp(materialise: bool, primals: tuple, tangents: tuple) -> tuple[Found, Found]:
    """Implicit differentiation at the solution of the smoothed problem; see `attnjax.allocation.solve`.

    At fixed temperatures the prices solve gradient(y, market) = 0, so dy = -H^-1 d(gradient), with the Hessian that
    Newton's method uses. The solver stops once the certificate is good enough; the derivative needs the root itself,
    so a few more Newton steps are taken first.
    """
    market, *_ = primals
    d_market, *_ = tangents
    out = newton(*primals, materialise)
    smoothing, temperature = out.smoothing, out.rule.temperature
    # At the first smoothing's end it was relative to the whole; a full step is allowed here.
    reach = Smoothing(smoothing.worth, jnp.ones_like(smoothing.relative))

    def side(market: Market) -> Side:
        return side_of(market, bounds_of(market))

    def bonus(market: Market, y: Prices) -> Array:
        return market.creators.on_items(side(market).prices(y) + market.platform_rates)

    frozen = jax.lax.stop_gradient(market)

    def system(y: Prices) -> tuple[System, Prices]:
        at = linearise(frozen, bonus(frozen, y), temperature)
        own = side(frozen)
        return System(frozen, own, y, smoothing, temperature, at), own.gradient(y, at.exposure, smoothing)

    def polish(_: int, y: Prices) -> Prices:
        at, gradient = system(y)
        step = at.direction(gradient)
        return y + step * jnp.minimum(1, side(frozen).reach(reach) / _largest(step))

    y = jax.lax.fori_loop(0, POLISH, polish, side(frozen).coordinate(out.prices))
    at, _ = system(jax.lax.stop_gradient(y))

    def attention_of(market: Market, y: Prices) -> Array:
        own = temperature <= market.temperature  # not the smoothing's
        users = users_of(market, jnp.where(own, market.temperature, temperature))
        return respond(market, users, worth(users, bonus(market, y))).attention

    def moved(market: Market, y: Prices) -> tuple[Array, Prices, Scalar]:
        attention = attention_of(market, y)
        felt = attention if market.impact is None else attention * market.impact
        items = over_items(felt, market.candidates, market.creators.num_items)
        own = jnp.sum(taste(market, users_of(market, temperature), attention))
        return attention, market.creators.exposure(items), own

    def slope(market: Market) -> Prices:
        return side(market).gradient(y, moved(market, y)[1], smoothing)

    _, d_gradient = jax.jvp(slope, (market,), (d_market,))
    d_y = at.solve(-d_gradient)
    if isinstance(market.creator_value, Linear):
        d_y = d_market.creator_value.rates
    _, (d_attention, d_exposure, d_own) = jax.jvp(moved, (market, y), (d_market, d_y))
    _, d_prices = jax.jvp(lambda m, y: side(m).prices(y), (market, y), (d_market, d_y))
    change = jax.tree.map(_no_tangent, out)._replace(prices=d_prices, exposure=d_exposure, satisfaction=d_own)
    return out, change._replace(attention=d_attention if materialise else None)


def _no_tangent(primal: Array) -> Any:
    if jnp.issubdtype(primal.dtype, jnp.floating):
        return jnp.zeros_like(primal)
    return np.zeros(primal.shape, jax.dtypes.float0)


def _largest(direction: Array) -> Scalar:
    return jnp.maximum(jnp.max(jnp.abs(direction)), jnp.finfo(direction.dtype).tiny)
