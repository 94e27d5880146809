"""What `solve` refuses: methods that can't solve a market, and markets that have no solution."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import AlphaFair, Linear, MaxMin, Nash
from attnjax.allocation.feasibility import bounds_of
from attnjax.allocation.guarantees import Box, Floors, SoftBox
from attnjax.allocation.market import Market
from attnjax.allocation.regularizers import Entropy, SquaredNorm
from attnjax.allocation.shortfall import smallest_shortfall
from attnjax.allocation.sweeps import has_bounds
from attnjax.errors import fail

Prices = Float[Array, " c"]
FAIR = Nash | AlphaFair | MaxMin
_bounds_of = jax.jit(bounds_of)


class Soundness(NamedTuple):
    """What of a market and its starting prices is as it must be.

    Attributes:
        weights: whether the creators' weights are above 0.
        exponents: whether alpha and its scale are.
        seen: (c,), whether a creator has an item that some user can see.
        within: (c,), whether 0 <= floor <= cap, and the floor is finite.
        penalties: whether those of floors that may be missed are above 0.
        admitted: whether there is a bound at the starting prices.
    """

    weights: Array
    exponents: Array
    seen: Array
    within: Array
    penalties: Array
    admitted: Array


def soundness(market: Market, start: Prices, even: Prices) -> Soundness:
    """What `check_market` asks, under jit.

    Args:
        market: to be solved.
        start: (c,), starting prices.
        even: (c,), what creators get of attention that is spread evenly.
    """
    value, yes = market.creator_value, jnp.ones((), bool)
    fair, bounds = isinstance(value, FAIR), has_bounds(market)
    floors = value.floors if bounds else start  # type: ignore[attr-defined]
    caps = getattr(value, "caps", jnp.full_like(floors, jnp.inf))
    return Soundness(
        (value.weights > 0).all() if fair else yes,  # type: ignore[attr-defined]
        ((value.alpha > 0) & (value.scale > 0)).all() if isinstance(value, AlphaFair) else yes,
        even > 0 if fair else jnp.ones(start.shape, bool),
        (floors >= 0) & (caps >= floors) & jnp.isfinite(floors) if bounds else jnp.ones(start.shape, bool),
        (value.penalty > 0).all() if isinstance(value, SoftBox) else yes,
        jnp.isfinite(value.conjugate(value.admissible(start, start))).all(),
    )


def check_method(market: Market, method: str, known: bool) -> None:
    """Refuses a method that can't solve this kind of market; `known` says whether its values are at hand."""
    value = market.creator_value
    plain = known and not float(market.temperature) > 0
    wrong = ""
    if market.impact is not None and has_bounds(market):
        wrong = "floors or caps on exposure that is weighted by impact"
    elif method == "newton":
        wrong = _not_by_newton(market, plain)
    elif market.at_most:
        wrong = "budgets as upper bounds"
    elif market.position_bias is not None:
        wrong = "slates"
    elif market.mesh is not None:
        wrong = "users spread over devices"
    elif method == "proportional_response":
        wrong = _not_by_responses(market, known)
    elif plain:
        wrong = "temperature 0"
    elif isinstance(value, MaxMin):
        wrong = "max-min welfare, which is not separable"
    elif isinstance(value, Box | SoftBox):
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


def _not_by_newton(market: Market, plain: bool) -> str:
    if not plain and not isinstance(market.regularizer, Entropy | SquaredNorm):
        return f"{type(market.regularizer).__name__} as regularizer"
    if not isinstance(market.creator_value, Linear | FAIR | Floors | Box | SoftBox):
        return f"a creator value of the caller's own, {type(market.creator_value).__name__}"
    return ""


def _not_by_responses(market: Market, known: bool) -> str:
    if not isinstance(market.creator_value, Nash):
        return f"{type(market.creator_value).__name__} as creator value"
    if market.caps is not None:
        return "caps on entries"
    if not known:
        return ""
    seen = market.scores > -jnp.inf
    if bool((jnp.where(seen, market.scores, 0) != 0).any() | (market.platform_rates != 0).any()):
        return "scores or platform rates that are not 0"
    return "a temperature above 0" if float(market.temperature) > 0 else ""


def check_market(market: Market, start: Prices, sound: Soundness) -> None:
    """Refuses markets whose creators can't have what their value asks for, and prices at which there is no bound."""
    sound = jax.device_get(sound)
    value = market.creator_value
    if not sound.within.all():
        wrong = int(np.argmin(sound.within))
        floor, cap = value.floors[wrong], getattr(value, "caps", {wrong: jnp.inf})[wrong]  # type: ignore[attr-defined]
        fail(
            "solve",
            expected="0 <= floor <= cap for every creator",
            got=f"floor {float(floor):g} and cap {float(cap):g} for creator {wrong}",
            advice="Mend the bounds; a cap of inf is no cap.",
        )
    if not sound.penalties:
        fail("solve", expected="penalties above 0", got="one of 0 or less", advice="Leave such floors out.")
    if not sound.weights:
        fail(
            "solve",
            expected=f"{type(value).__name__} weights above 0",
            got=str(float(value.weights.min())),  # type: ignore[attr-defined]
            advice="Leave creators that don't count out of the creator map; their items may stay.",
        )
    if isinstance(value, AlphaFair) and not sound.exponents:
        fail(
            "solve",
            expected="an alpha and a scale above 0",
            got=f"alpha from {float(value.alpha.min()):g}, scale from {float(value.scale.min()):g}",
            advice="For alpha = 0 use Linear; alpha_fair(weights, alpha) picks the class.",
        )
    if not sound.seen.all():
        fail(
            "solve",
            expected=f"for {type(value).__name__} welfare, an item that some user can see from every creator",
            got=f"{int((~sound.seen).sum())} creators without one, creator {int(np.argmin(sound.seen))} first",
            advice="Their exposure is 0 whatever is done: drop these creators or admit their items.",
        )
    if not sound.admitted:
        fail(
            "solve",
            expected=f"starting prices that {type(value).__name__} admits (finite; above 0 for Nash)",
            got=f"{float(start.min())} to {float(start.max())}",
            advice="Pass the prices of a similar solution, or leave prices out.",
        )


def check_reach(market: Market) -> None:
    """Refuses floors and caps that can't be met: asked once no certificate was found, because it costs a solve."""
    bounds = _bounds_of(market)
    if bool(bounds.reachable):
        return
    if bool(bounds.tight) and not bool(bounds.alike):
        fail(
            "solve",
            expected="caps with some room, where not every user may have any item without limit",
            got=f"caps that sum to {float(bounds.caps.sum()):g}, all the attention there is",
            advice="Raise the caps by a thousandth: no allocation can be shown to meet them exactly.",
        )
    fail(
        "solve",
        expected="floors and caps that the budgets can meet",
        got=smallest_shortfall(market).message(market),
        advice="Lower these floors or raise these caps, or admit these creators' items to more users; SoftBox takes "
        "floors that may be missed.",
    )
