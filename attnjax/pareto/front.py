"""The front of a market: what users, creators and the platform can get together, with a certificate for each point.

    maximise over attention   w_1 (satisfaction + variety) + w_2 (what exposure is worth to creators) + w_3 income

is a market again, for any weights w on the simplex: `weighted_market`. What all three get is concave in attention, so
these maxima are the whole front (up to weights of 0, where a maximum need not be unique). Each is solved to a
certificate, which says more than that its point is good: no allocation at all has <w, gains> above `upper`, so the
front lies between its points and those planes.

Source: Geoffrion (1968), Proper efficiency; Miettinen (1999), Nonlinear multiobjective optimization, section 3.1.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.allocation import Market, solve, welfare_of
from attnjax.errors import fail
from attnjax.pareto.preferences import Weightings, checked_weightings

PARTIES = ("users", "creators", "platform")
WORTH = ("weights", "rates", "penalty")
"""The fields of creator values that are in units of welfare; guarantees have none and hold at any weights."""


class Front(NamedTuple):
    """k points of a front of c creators' market, all to be maximised.

    Attributes:
        weights: (k, 3), of users, creators and platform.
        gains: (k, 3), what each party gets: satisfaction plus variety, the worth of exposure, income; as `welfare_of`.
        exposure: (k, c).
        prices: (k, c), of the weighted market; `solve(weighted_market(market, w), prices=...)` gives its attention.
        upper: (k,), no allocation has <weights, gains> above it.
        gap: (k,), upper less what the point has.
        converged: (k,), whether the gap is within the tolerance.
        iterations: (k,), passes over the users.
    """

    weights: Weightings
    gains: Float[Array, "k 3"]
    exposure: Float[Array, "k c"]
    prices: Float[Array, "k c"]
    upper: Float[Array, " k"]
    gap: Float[Array, " k"]
    converged: Bool[Array, " k"]
    iterations: Int[Array, " k"]


def weighted_market(market: Market, weights: Float[Array, " 3"]) -> Market:
    """The market whose welfare is the weighted sum of the three parties' parts; guarantees stay as they are.

    Args:
        market: where the three count alike.
        weights: (3,), at least 0, of users, creators and platform.

    Raises:
        UserError: for other than three weights.

    >>> from attnjax.allocation import Creators, Linear
    >>> market = Market.of(jnp.ones((1, 2)), Creators.one_per_item(2), Linear(jnp.ones(2)), platform_rates=1.0)
    >>> weighted = weighted_market(market, jnp.array([0.5, 0.3, 0.2]))
    >>> [round(float(x), 4) for x in (weighted.temperature, weighted.creator_value.rates[0])]
    [0.5, 0.3]
    """
    if jnp.shape(weights) != (3,):
        fail(
            "weighted_market",
            expected="weights (3,) of users, creators and platform",
            got=f"shape {jnp.shape(weights)}",
            advice="Use jax.vmap for many weightings.",
        )
    users, creators, platform = (weights[i].astype(market.scores.dtype) for i in range(3))
    value: Any = market.creator_value
    return dataclasses.replace(
        market,
        # An item that is excluded stays so, also where users' satisfaction counts nothing.
        scores=jnp.where(jnp.isneginf(market.scores), -jnp.inf, users * market.scores),
        temperature=users * market.temperature,
        creator_value=dataclasses.replace(value, **{name: creators * getattr(value, name) for name in _worth(value)}),
        platform_rates=platform * market.platform_rates,
    )


def _worth(value: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(value) if field.name in WORTH]


def market_front(market: Market, weights: Any, tol: float = 1e-4, *, method: str = "auto", together: int = 1) -> Front:
    """Solves the market for many weightings of its three parties: the mean of them, then all in one compiled program.

    From the mean outwards, each starts from the prices of the nearest weighting that is solved, in units of what
    exposure is worth to creators (of guarantees, in units of what users lose by them).

    Args:
        market: where the three count alike, from `Market.of`.
        weights: (k, 3), on the simplex, of users, creators and platform, e.g. `simplex_lattice(3, 10)`. Creator values
            that are not linear need a weight above 0.
        tol: the relative gap of each point.
        method: as of `solve`; "auto" takes Newton's where the temperature or users' weight is 0.
        together: how many are solved side by side, by `jax.vmap`. They hold so many times the scores and all take as
            many iterations as the slowest: more than one is for devices that one market does not fill.

    Returns:
        A `Front`; what did not converge says so. It is not meant to be differentiated.

    Raises:
        UserError: for weightings that are not (k, 3) or off the simplex, a weight of 0 for creators whose value can't
            have it, and as `solve` does.

    >>> from attnjax.allocation import Creators, Nash
    >>> market = Market.of(jnp.eye(2), Creators.one_per_item(2), Nash(1.0), platform_rates=jnp.array([0.0, 1.0]))
    >>> front = market_front(market, jnp.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]))
    >>> bool(front.converged.all()), bool(front.gains[0, 0] > front.gains[1, 0])
    (True, True)
    """
    weights = checked_weightings("market_front", weights, 3)
    curved = {"weights", "penalty"} & set(_worth(market.creator_value))
    if curved and not isinstance(weights, jax.core.Tracer) and not bool((weights[:, 1] > 0).all()):
        fail(
            "market_front",
            expected=f"weights above 0 for creators, whose value is {type(market.creator_value).__name__}",
            got="a weight of 0",
            advice="Use simplex_lattice(3, 10, least=0.01).",
        )
    if together < 1:
        fail("market_front", expected="at least 1 market at a time", got=str(together), advice="Leave it out.")
    weights = weights.astype(market.scores.dtype)
    if method == "auto" and not any(isinstance(x, jax.core.Tracer) for x in (weights, market.temperature)):
        method = "auto" if bool((weights[:, 0] * market.temperature > 0).all()) else "newton"
    middle = jnp.mean(weights, axis=0)
    first = solve(weighted_market(market, middle), tol, method=method)
    return _front(market, weights, middle, first.prices, tol, method, min(together, weights.shape[0]))


@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _front(
    market: Market, weights: Weightings, middle: Array, first: Array, tol: float, method: str, together: int
) -> Front:
    count, unit = weights.shape[0], 1 if _worth(market.creator_value) else 0
    apart = jnp.sum((weights[:, None] - jnp.concatenate([weights, middle[None]])[None]) ** 2, axis=-1)
    order = jnp.argsort(apart[:, count])
    rows = jnp.concatenate([order, jnp.full(-count % together, order[-1])]).reshape(-1, together)
    # Prices are kept per unit of weight; a party without weight has none.
    scale = jnp.append(weights[:, unit], middle[unit])
    scale = jnp.where(scale > 0, scale, 1)

    def one(given: tuple[Array, Array]) -> Front:
        weight, start = given
        found = solve(weighted_market(market, weight), tol, method=method, prices=start)
        assert found.attention is not None
        parts = welfare_of(market, found.attention)
        # Inside a guarantee, to rounding, it is worth nothing.
        creators = parts.creators if _worth(market.creator_value) else jnp.zeros_like(parts.platform)
        gains = jnp.stack([parts.satisfaction + parts.variety, creators, parts.platform])
        return Front(
            weight, gains, found.exposure, found.prices, found.upper, found.gap, found.converged, found.iterations
        )

    def group(solved: tuple[Array, Array], rows: Array) -> tuple[tuple[Array, Array], Front]:
        known, prices = solved
        nearest = jnp.argmin(jnp.where(known[None], apart[rows], jnp.inf), axis=1)
        given = (weights[rows], prices[nearest] * weights[rows, unit][:, None])
        if together > 1:
            front = jax.vmap(one)(given)
        else:
            front = jax.tree.map(lambda x: x[None], one(jax.tree.map(lambda x: x[0], given)))
        prices = prices.at[rows].set(front.prices / scale[rows][:, None])
        return (known.at[rows].set(front.converged), prices), front

    known = jnp.arange(count + 1) == count
    prices = jnp.zeros((count + 1, first.size), first.dtype).at[count].set(first / scale[count])
    _, groups = jax.lax.scan(group, (known, prices), rows)
    back = jnp.argsort(order)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count][back], groups)
