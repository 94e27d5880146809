"""What `solve` refuses: methods that can't solve a market, and markets that have no solution."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import AlphaFair, CreatorValue, Linear, MaxMin, Nash
from attnjax.allocation.feasibility import bounds_of
from attnjax.allocation.guarantees import Box, Floors, SoftBox
from attnjax.allocation.market import Market
from attnjax.allocation.regularizers import Entropy, SquaredNorm
from attnjax.allocation.shortfall import smallest_shortfall
from attnjax.allocation.sweeps import even_exposure, has_bounds
from attnjax.errors import fail

Prices = Float[Array, " c"]
FAIR = Nash | AlphaFair | MaxMin
_bounds_of = jax.jit(bounds_of)
_even_exposure = jax.jit(even_exposure)


@jax.jit
def _weighted(value: FAIR, even: Prices) -> tuple[Array, Array, Array]:
    """Whether weights, exponents, and what each creator gets of attention spread evenly, are all above 0."""
    exponents = (value.alpha > 0) & (value.scale > 0) if isinstance(value, AlphaFair) else jnp.ones((), bool)
    return (value.weights > 0).all(), exponents.all(), (even > 0).all()


@jax.jit
def _admitted(value: CreatorValue, start: Prices) -> Array:
    return jnp.isfinite(value.conjugate(value.admissible(start, start))).all()


@jax.jit
def _within(floors: Prices, caps: Prices) -> Array:
    return (floors >= 0) & (caps >= floors) & jnp.isfinite(floors)


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


def check_market(market: Market) -> None:
    """Refuses markets whose creators can't have what their value asks for."""
    value = market.creator_value
    if has_bounds(market):
        _check_bounds(market)
    elif isinstance(value, FAIR):
        _check_fair(value, _even_exposure(market))


def _check_bounds(market: Market) -> None:
    floors = market.creator_value.floors  # type: ignore[attr-defined]
    caps = getattr(market.creator_value, "caps", jnp.full_like(floors, jnp.inf))
    sound = np.asarray(_within(floors, caps))
    if not sound.all():
        wrong = int(np.argmin(sound))
        fail(
            "solve",
            expected="0 <= floor <= cap for every creator",
            got=f"floor {float(floors[wrong]):g} and cap {float(caps[wrong]):g} for creator {wrong}",
            advice="Mend the bounds; a cap of inf is no cap.",
        )
    if isinstance(market.creator_value, SoftBox) and not bool((market.creator_value.penalty > 0).all()):
        fail("solve", expected="penalties above 0", got="one of 0 or less", advice="Leave such floors out.")


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


def _check_fair(value: FAIR, even: Prices) -> None:
    weights, exponents, seen = (bool(holds) for holds in jax.device_get(_weighted(value, even)))
    if not weights:
        fail(
            "solve",
            expected=f"{type(value).__name__} weights above 0",
            got=str(float(value.weights.min())),
            advice="Leave creators that don't count out of the creator map; their items may stay.",
        )
    if isinstance(value, AlphaFair) and not exponents:
        fail(
            "solve",
            expected="an alpha and a scale above 0",
            got=f"alpha from {float(value.alpha.min()):g}, scale from {float(value.scale.min()):g}",
            advice="For alpha = 0 use Linear; alpha_fair(weights, alpha) picks the class.",
        )
    if not seen:
        unseen = ~(even > 0)
        fail(
            "solve",
            expected=f"for {type(value).__name__} welfare, an item that some user can see from every creator",
            got=f"{int(unseen.sum())} creators without one, creator {int(jnp.argmax(unseen))} first",
            advice="Their exposure is 0 whatever is done: drop these creators or admit their items.",
        )


def check_start(market: Market, start: Prices) -> None:
    """Refuses starting prices at which there is no bound."""
    value = market.creator_value
    if not bool(_admitted(value, start)):
        fail(
            "solve",
            expected=f"starting prices that {type(value).__name__} admits (finite; above 0 for Nash)",
            got=f"{float(start.min())} to {float(start.max())}",
            advice="Pass the prices of a similar solution, or leave prices out.",
        )
