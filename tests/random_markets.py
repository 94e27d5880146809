"""Random markets of every kind that Newton's method solves, small enough for another solver to check.

All have the same users, items and creators, so that a kind is compiled once for all its seeds.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from allocation_cases import feasible_point

from attnjax.allocation import (
    AlphaFair,
    Box,
    Creators,
    Floors,
    Linear,
    Market,
    MaxMin,
    Nash,
    SoftBox,
    SquaredNorm,
    exposure_of,
)

U, N, K, C = 8, 6, 4, 4
SEVERAL = ([0, 1, 2, 3, 4, 5, 5], [0, 1, 2, 3, 0, 1, 2])
BIAS = np.array([1.0, 0.6, 0.6, 0.2])


def creators() -> Creators:
    """Each creator has an item or two; the last item has two creators."""
    return Creators.of(*SEVERAL, num_items=N, num_creators=C)


def some_attention(market: Market, random: np.random.Generator) -> np.ndarray:
    """Attention (u, n) that users could give, budgets spent, at random."""
    scores, budgets = np.asarray(market.scores), np.asarray(market.budgets, float)
    caps = np.full(scores.shape, np.inf) if market.caps is None else np.asarray(market.caps, float)
    attention = np.zeros(scores.shape)
    for u, row in enumerate(scores):
        seen = np.nonzero(np.isfinite(row))[0]
        if market.position_bias is None:
            draw = random.exponential(size=seen.size)
            attention[u, seen] = feasible_point(draw, min(budgets[u], caps[u, seen].sum()), caps[u, seen])
        elif budgets[u] > 0:
            for _ in range(4):
                shown = random.permutation(seen)[: market.position_bias.size]
                attention[u, shown] += budgets[u] * np.asarray(market.position_bias, float) / 4
    return attention


def _value(kind, market, random):
    if kind in ("floors", "box", "soft"):
        exposure = np.asarray(exposure_of(market, jnp.asarray(some_attention(market, random))))
        if kind == "soft":  # floors that some creators can't have, or not at that price
            return SoftBox(*(jnp.asarray(x) for x in (1.3 * exposure, 1.8 * exposure, random.uniform(0.2, 2, C))))
        floors = jnp.asarray(0.9 * exposure)
        return Floors(floors) if kind == "floors" else Box(floors, jnp.asarray(1.2 * exposure))
    weights = jnp.asarray(random.uniform(0.5, 2, C))
    if kind == "alpha":
        return AlphaFair(weights, jnp.array([0.5, 1.0, 2.0, 5.0]), jnp.asarray(random.uniform(0.5, 3, C)))
    return {"nash": Nash, "maxmin": MaxMin, "linear": Linear}[kind](weights)


def random_market(kind: str, seed: int, temperature: float = 0.0, dtype: type = float) -> Market:
    """The market of a kind: words out of those in `KINDS`, joined by spaces, the first a creator value."""
    random = np.random.default_rng(seed)
    value, *words = kind.split()
    budgets = random.uniform(0.5, 2, U)
    scores = random.normal(size=(U, K if "sparse" in words else N))
    more = {}
    if "sparse" in words:  # one user has a candidate less
        more["candidates"] = np.stack([random.permutation(N)[:K] for _ in range(U)])
        more["candidates"][0, -1] = -1
    if "excluded" in words:
        scores[:, 1:][random.random((U, N - 1)) < 0.3] = -np.inf
    if "caps" in words:
        # Where attention may go unspent, some users can't spend all of theirs; else all can just.
        low, high = (0.1, 0.4) if "at_most" in words else (0.35, 0.8)
        more["caps"] = random.uniform(low, high, scores.shape) * budgets[:, None]
    if "impact" in words:
        more["impact"] = random.random(scores.shape) + 0.05
    if "slates" in words:
        more["position_bias"] = BIAS
    if "squared" in words:
        more["regularizer"] = SquaredNorm()
    market = Market.of(
        scores.astype(dtype),
        creators(),
        budgets=budgets,
        platform_rates=random.uniform(0, 0.3, C),
        temperature=temperature,
        at_most="at_most" in words,
        **more,
    )
    made = _value(value, market, random)
    given = {name: jnp.asarray(number, dtype) for name, number in vars(made).items()}
    return dataclasses.replace(market, creator_value=type(made)(**given))


KINDS = (
    "box sparse",
    "box caps",
    "floors excluded",
    "floors slates",
    "soft",
    "soft sparse caps at_most",
    "maxmin",
    "maxmin slates",
    "alpha sparse impact",
    "alpha slates impact",
    "nash caps",
    "nash at_most impact",
    "linear caps at_most",
    "box squared",
    "alpha squared caps at_most",
    "maxmin squared",
)
"""Each with and without a preference for variety, but slates, which have none."""
