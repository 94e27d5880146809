"""What makes exposure fair: weights of the parties (*Metaverse* §9, Q4), floors as constraints, or Nash welfare.

    revenue     the weight of creators' revenue sum_j b_j e_j, the document's own sum (*Metaverse* §4.2, §4.3)
    trained     the weight of what is granted of fair shares, as a loss of the attention model
    granted     the same weight, exactly solved
    nash        the weight of Nash welfare, sum_j claim_j log e_j, exactly solved
    floors      a floor for each creator, as a part of its fair share, exactly solved

Users and platform share the rest of the weight to equal parts.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from attnjax.allocation import exposure_of
from attnjax.objectives import gini
from experiments.pareto_fronts.optimisers import Solved, by_creators, by_nash, gains_each
from experiments.pareto_fronts.problem import Problem

MEASURES = ("users", "granted", "platform", "least", "gini", "forgotten")
FORGOTTEN = 0.01
"""Who gets less than this part of a fair share is forgotten."""


def fairness(
    config: Any, problem: Problem, weighed: Solved, floored: Solved, trained: Float[Array, "k u n"]
) -> dict[str, NDArray]:
    """The measures of each way at each setting.

    Args:
        config: of the experiment.
        problem: the market.
        weighed: `by_weights`, whose last points are the weightings of `by_creators`.
        floored: `by_floors`.
        trained: shares of attention that training reached, the last of them likewise.

    Returns:
        A table (settings, `MEASURES`) for each way; NaN where a market was not solved.
    """
    count = len(config.weights)
    middle = [i for i, users in enumerate(config.mixtures) if users == 0.5]
    floors = np.arange(len(config.floors)) * len(config.mixtures) + middle[0]
    fair = by_nash(config, problem)
    ways = {
        "revenue": _by_revenue(config, problem),
        "trained": _of_shares(problem, trained[-count:]),
        "granted": (weighed.points[-count:], weighed.exposure[-count:]),
        "nash": (fair.points, fair.exposure),
        "floors": (floored.points[floors], floored.exposure[floors]),
    }
    return {way: _measure(problem, *found) for way, found in ways.items()}


def _by_revenue(config: Any, problem: Problem) -> tuple[Array, Array]:
    """Linear in all three parties, the market falls apart: each user spends everything on the one best item."""
    market = problem.market
    weights = by_creators(config)
    worth = weights[:, 1:2] * problem.revenue[None] + weights[:, 2:] * market.platform_rates[None]  # (k, c)
    bonus = jax.vmap(market.creators.on_items)(worth)
    best = jnp.argmax(weights[:, :1, None] * market.scores[None] + bonus[:, None], axis=2)
    return _of_shares(problem, jax.nn.one_hot(best, market.scores.shape[1], dtype=market.scores.dtype))


def _of_shares(problem: Problem, shares: Float[Array, "k u n"]) -> tuple[Array, Array]:
    spend = problem.market.budgets[None, :, None] * shares
    return gains_each(problem.market, shares), jax.vmap(lambda a: exposure_of(problem.market, a))(spend)


def _measure(problem: Problem, points: Array, exposure: Array) -> NDArray:
    relative = exposure / problem.claims[None]
    measures = jnp.stack(
        [
            *points.T,
            jnp.min(relative, axis=1),
            jax.vmap(gini)(relative),
            jnp.mean((relative < FORGOTTEN).astype(points.dtype), axis=1),
        ],
        axis=1,
    )
    return np.where(np.isfinite(np.asarray(points)).all(axis=1, keepdims=True), measures, np.nan)
