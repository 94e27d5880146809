"""`solve`: one door to the solvers of the attention market."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import Box, Floors, Linear, Nash
from attnjax.allocation.feasibility import bounds_of
from attnjax.allocation.market import Market, best_response, exposure_of, uniform_attention, welfare_of
from attnjax.allocation.newton import FIRST, newton
from attnjax.allocation.reference_solvers import dual_gradient, floors_anchor, frank_wolfe
from attnjax.allocation.regularizers import Entropy
from attnjax.allocation.solution import Solution
from attnjax.errors import fail

Prices = Float[Array, " c"]
METHODS = ("newton", "dual_gradient", "frank_wolfe")
WARM = 0.03
"""The first smoothing from a warm start."""


def solve(
    market: Market,
    tol: float = 1e-4,
    *,
    method: str = "auto",
    max_iterations: int = 2000,
    prices: Any = None,
) -> Solution:
    """Solves an attention market to a certified relative gap.

    One jitted program; markets of equal shapes can be batched with `jax.vmap`.

    Newton's solutions are differentiable in scores, impact, budgets, temperature, platform rates and the creator
    value's parameters, in forward and reverse mode, once: attention and prices by implicit differentiation at the
    solution, and so what is computed from them; `gap` and `upper - lower` count as constants. Welfare's derivative
    is the envelope theorem's. Where users have no preference for variety (temperature 0) attention and prices jump,
    and what is differentiated is the smoothed problem at the last smoothing: finite, and informative only as such.
    The reference solvers are not differentiable through their iterations.

    Args:
        market: from `Market.of`.
        tol: relative gap to reach; in float32 not below about 1e-6.
        method: "auto", or "newton" (entropic users, temperature 0 included; any creator value; the fast one),
            "dual_gradient" (any regulariser; temperature above 0; not caps), "frank_wolfe" (likewise, nor floors).
            "auto" is "dual_gradient" wherever it applies, which is the faster of the two where users value variety
            and creators are many, else "newton". Under jit a traced temperature counts as above 0: name the method
            for markets at temperature 0.
        max_iterations: when to give up; `converged` then says False.
        prices: (c,), a warm start, e.g. the prices of a similar market.

    Returns:
        A `Solution`.

    Raises:
        UserError: for an unknown method, one that can't solve the market, a tolerance that is not positive; and,
            where the values are known (outside jit and vmap), for floors and caps that could not be shown to be
            feasible, Nash weights that are not positive, a creator under Nash without an item that anyone can see,
            and starting prices that the creator value does not admit. Traced, these end with `gap` = inf and
            `converged` False.

    >>> from attnjax.allocation import Creators, Market, Nash
    >>> market = Market.of(jnp.array([[1.0, 0.0], [1.0, 0.0]]), Creators.one_per_item(2), Nash(jnp.ones(2)))
    >>> solution = solve(market, 1e-5)
    >>> bool(solution.converged), bool(solution.exposure[1] > 0.5)
    (True, True)
    """
    if method not in ("auto", *METHODS):
        fail("solve", expected=f"a method out of {METHODS}", got=repr(method), advice="Leave it out for the default.")
    if not (isinstance(tol, numbers.Real) and tol > 0):
        fail("solve", expected="a relative gap tol > 0", got=str(tol), advice="1e-4 is a good start.")
    known = not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((market, prices)))
    if method == "auto":
        only_newton = market.at_most or isinstance(market.creator_value, Box)
        only_newton = only_newton or (known and not float(market.temperature) > 0)
        method = "newton" if only_newton else "dual_gradient"
    _check_method(market, method, known)
    if known:
        _check_market(market)
    if prices is not None and jnp.shape(prices) != market.platform_rates.shape:
        fail(
            "solve",
            expected=f"starting prices of shape {market.platform_rates.shape}",
            got=f"shape {jnp.shape(prices)}",
            advice="Give one price per creator, or leave prices out.",
        )
    dtype = market.scores.dtype
    first = FIRST if prices is None else WARM
    start = jnp.asarray(_starting_prices(market, method) if prices is None else prices, dtype)
    if known:
        _check_start(market, start)
    limits = (jnp.asarray(tol, dtype), jnp.asarray(max_iterations))
    if method == "newton":
        return _newton(market, start, *limits, jnp.asarray(first, dtype))
    return (dual_gradient if method == "dual_gradient" else frank_wolfe)(market, start, *limits)


@jax.jit
def _newton(market: Market, start: Prices, tol: Array, max_iterations: Array, first: Array) -> Solution:
    found = newton(market, start, tol, max_iterations, first)
    exposure = exposure_of(market, found.attention)
    parts = welfare_of(market, found.attention)
    lower = parts.satisfaction + parts.variety + parts.platform
    if not isinstance(market.creator_value, Floors | Box):  # within their bounds these are worth nothing
        lower = lower + parts.creators
    certified = jnp.isfinite(found.gap)
    lower = jnp.where(certified, lower, -jnp.inf)
    return Solution(
        found.attention,
        exposure,
        found.prices,
        lower,
        jnp.where(certified, lower + found.gap, jnp.inf),
        found.gap,
        found.iterations,
        certified & (found.gap <= tol * found.scale),
    )


def _starting_prices(market: Market, method: str) -> Prices:
    """What the creator value suggests, given what creators would get for nothing."""
    if method == "newton":  # which admits a temperature of 0, at which responses are not unique
        return market.creator_value.start(exposure_of(market, uniform_attention(market)))
    return market.creator_value.start(best_response(market, jnp.zeros_like(market.platform_rates)).exposure)


def _check_method(market: Market, method: str, known: bool) -> None:
    """Refuses a method that can't solve this kind of market."""
    value = market.creator_value
    wrong = ""
    if method == "newton" and not isinstance(market.regularizer, Entropy):
        wrong = f"{type(market.regularizer).__name__} as regularizer"
    elif method == "newton" and market.at_most and known and float(market.temperature) > 0:
        wrong = "budgets as upper bounds with a temperature above 0"
    elif method == "newton" and not isinstance(value, Nash | Linear | Floors | Box):
        wrong = f"a creator value of the caller's own, {type(value).__name__}"
    elif market.impact is not None and isinstance(value, Floors | Box):
        wrong = "floors or caps on exposure that is weighted by impact"
    elif method != "newton" and market.at_most:
        wrong = "budgets as upper bounds"
    elif method != "newton" and known and not float(market.temperature) > 0:
        wrong = "temperature 0"
    elif method != "newton" and isinstance(value, Box):
        wrong = "caps on exposure"
    elif method == "frank_wolfe" and isinstance(value, Floors):
        wrong = "floors, which have no derivative"
    if wrong:
        fail(
            "solve",
            expected=f"a market that {method} can solve",
            got=wrong,
            advice="`solve` says which method solves what; the default picks one that does, where there is one.",
        )


def _check_market(market: Market) -> None:
    value = market.creator_value
    if isinstance(value, Floors):
        _check_floors(market)
    elif isinstance(value, Box):
        _check_box(market)
    elif isinstance(value, Nash):
        _check_nash(market)


def _check_floors(market: Market) -> None:
    floors = market.creator_value.floors  # type: ignore[attr-defined]
    if not bool((floors >= 0).all()):
        fail(
            "solve",
            expected="floors of at least 0",
            got=str(float(floors.min())),
            advice="Drop negative floors.",
        )
    _, reached = floors_anchor(market)
    short = reached < floors
    if bool(short.any()):
        total = float(jnp.sum(jnp.where(short, floors - reached, 0)))
        fail(
            "solve",
            expected="floors that the budgets can meet",
            got=f"{int(short.sum())} creators short of theirs by {total:.3g} in all, creator "
            f"{int(jnp.argmax(floors - reached))} most, in the even spread that was tried",
            advice="Lower the floors (their sum must stay below the sum of budgets), or give these creators items "
            "that every user may see.",
        )


def _check_box(market: Market) -> None:
    floors, caps = market.creator_value.floors, market.creator_value.caps  # type: ignore[attr-defined]
    if not bool(((floors >= 0) & (caps >= floors) & jnp.isfinite(floors)).all()):
        wrong = int(jnp.argmax(~((floors >= 0) & (caps >= floors) & jnp.isfinite(floors))))
        fail(
            "solve",
            expected="0 <= floor <= cap for every creator",
            got=f"floor {float(floors[wrong]):g} and cap {float(caps[wrong]):g} for creator {wrong}",
            advice="Mend the bounds; a cap of inf is no cap.",
        )
    bounds = bounds_of(market)
    slack = 1e-4 * jnp.maximum(bounds.caps, jnp.mean(bounds.caps))
    outside = (bounds.reached < floors - slack) | (bounds.reached > caps + slack)
    if bool(outside.any()):
        fail(
            "solve",
            expected="floors and caps that the budgets can meet",
            got=f"{int(outside.sum())} creators outside of theirs, creator {int(jnp.argmax(outside))} first, in the "
            f"even spread that was tried (budgets {float(market.budgets.sum()):g}, floors {float(floors.sum()):g}, "
            f"caps {float(caps.sum()):g} in all)",
            advice="Floors must sum to less than the budgets; and budgets that must be met need caps that sum to more, "
            "or items without a creator.",
        )


def _check_nash(market: Market) -> None:
    weights = market.creator_value.weights  # type: ignore[attr-defined]
    if not bool((weights > 0).all()):
        fail(
            "solve",
            expected="Nash weights above 0",
            got=str(float(weights.min())),
            advice="Leave creators that don't count out of the creator map; their items may stay.",
        )
    unseen = ~(exposure_of(market, uniform_attention(market)) > 0)
    if bool(unseen.any()):
        fail(
            "solve",
            expected="for Nash welfare, an item that some user can see from every creator",
            got=f"{int(unseen.sum())} creators without one, creator {int(jnp.argmax(unseen))} first",
            advice="The logarithm of no exposure is -inf whatever is done: drop these creators or admit their items.",
        )


def _check_start(market: Market, start: Prices) -> None:
    value = market.creator_value
    if not bool(jnp.isfinite(value.conjugate(value.admissible(start, start))).all()):
        fail(
            "solve",
            expected=f"starting prices that {type(value).__name__} admits (finite; above 0 for Nash)",
            got=f"{float(start.min())} to {float(start.max())}",
            advice="Pass the prices of a similar solution, or leave prices out.",
        )
