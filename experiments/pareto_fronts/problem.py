"""Three parties in one market, in units of what is possible: the same problem for every optimiser.

    users       mean relevance of what they look at       0 as under uniform attention, 1 what is best for each user
    creators    granted: the part of fair shares they get  0 nothing, 1 everyone has a fair share
    platform    income per unit of attention               0 as under uniform attention, 1 all where it earns most

All three are to be maximised. A creator's fair share is its part of the catalogue, which is what uniform attention
gives it: uniform attention is the point (0, 1, 0), and no allocation gets beyond 1 in anything. What is granted,
sum_j min(e_j, share_j) / sum_j share_j, is 1 less the Hoover index: the part of exposure that would have to move for
all to have their share. Users have no preference for variety, so the best for a weighting of the parties is a linear
program, with one variable for each creator beside those of attention: what it misses.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation import Creators, Market, SoftBox, welfare_of
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
        market: at temperature 0; creators lose what they miss of their fair shares: 0 when all is granted.
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
        SoftBox(claims, jnp.full_like(claims, jnp.inf), jnp.ones_like(claims)),
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
    total = jnp.sum(market.budgets)
    return jnp.stack([parts.satisfaction, total + parts.creators, parts.platform]) / total
