"""Three parties in one market, in units of what is possible: the same problem for every optimiser.

    users       mean relevance of what they look at       0 as under uniform attention, 1 what is best for each user
    creators    exposure of who has least of a fair share  0 nothing, 1 everyone has a fair share
    platform    income per unit of attention               0 as under uniform attention, 1 all where it earns most

All three are to be maximised. A creator's fair share is its part of the catalogue, which is what uniform attention
gives it: uniform attention is the point (0, 1, 0), and no allocation gets beyond 1 in anything. Users have no
preference for variety, so the best for a weighting of the parties is a linear program with one variable more than
there are pairs of user and item: the least exposure.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation import Creators, Market, MaxMin, welfare_of
from attnjax.objectives import revenue_rate


class Sides(NamedTuple):
    """A market as the data give it.

    Attributes:
        scores: (u, n), relevance, in any unit.
        budgets: (u,), attention, in any unit.
        creators: who made what.
        income: (c,), what the platform earns per unit of exposure, above 0, in any unit.
        users: (u, f), what a network may know of each user.
        items: (n, g), of each item.
        logged: attention to each item (n,) under policies that are on record, as shares of all; the same for all users.
    """

    scores: Float[Array, "u n"]
    budgets: Float[Array, " u"]
    creators: Creators
    income: Float[Array, " c"]
    users: Float[Array, "u f"]
    items: Float[Array, "n g"]
    logged: dict[str, Float[Array, " n"]]


class Problem(NamedTuple):
    """The market of three parties, in the units above times all attention.

    Attributes:
        market: at temperature 0, creators valued by `MaxMin`.
        claims: (c,), each creator's fair share of exposure.
        revenue: (c,), the document's revenue b = p / (1 + b) of a unit of exposure (*Metaverse* §4.3), as income is
            scaled.
        users: (u, f), standardised.
        items: (n, g), likewise.
    """

    market: Market
    claims: Float[Array, " c"]
    revenue: Float[Array, " c"]
    users: Float[Array, "u f"]
    items: Float[Array, "n g"]


def make_problem(sides: Sides) -> Problem:
    """Chooses the units, which takes nothing but the best item of each user and of the platform."""
    budgets = sides.budgets / jnp.mean(sides.budgets)
    total, count = jnp.sum(budgets), sides.creators.num_items
    claims = sides.creators.exposure(jnp.full(count, total / count))
    even = jnp.mean(sides.scores, axis=1)
    most = jnp.sum(budgets * (jnp.max(sides.scores, axis=1) - even)) / total
    income = sides.income / jnp.mean(sides.income)
    market = Market.of(
        (sides.scores - even[:, None]) / most,
        sides.creators,
        MaxMin(total / claims),
        budgets=budgets,
        platform_rates=_above_uniform(sides.creators, income),
        temperature=0.0,
    )
    revenue = _above_uniform(sides.creators, revenue_rate(income))
    return Problem(market, claims, revenue, _standard(sides.users), _standard(sides.items))


def _above_uniform(creators: Creators, rates: Float[Array, " c"]) -> Float[Array, " c"]:
    """Rates with 0 at what uniform attention earns and 1 at what the best item does."""
    earned = creators.on_items(rates)
    even = jnp.mean(earned)
    return (rates - even) / (jnp.max(earned) - even)


def _standard(columns: Float[Array, "k f"]) -> Float[Array, "k f"]:
    return (columns - jnp.mean(columns, axis=0)[None]) / (jnp.std(columns, axis=0) + 1e-6)[None]


def gains_of(market: Market, shares: Float[Array, "u n"]) -> Float[Array, " 3"]:
    """What users, creators and the platform get where each user spends these shares of their attention."""
    parts = welfare_of(market, market.budgets[:, None] * shares)
    return jnp.stack([parts.satisfaction, parts.creators, parts.platform]) / jnp.sum(market.budgets)
