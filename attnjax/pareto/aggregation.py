"""All gradient aggregators by name, and the ones with fixed weights.

    aggregator = AGGREGATORS["upgrad"]()
    combined, state = aggregator.combine(gradients, aggregator.init(3))

Those that draw lots take a key: `AGGREGATORS["pcgrad"](key)`; `DRAWING` says which.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from attnjax.pareto.aggregator import (
    Aggregator,
    Combined,
    State,
    Tree,
    Weighed,
    check_count,
    checked_preference,
    preference_or_equal,
)
from attnjax.pareto.balance import aligned_mtl, config, fairgrad, imtl_g, nash_mtl
from attnjax.pareto.cone import cagrad, dualproj, mgda, upgrad
from attnjax.pareto.gradients import Geometry, combination, count_of
from attnjax.pareto.surgery import graddrop, gradvac, pcgrad, random_weights


def _fixed(name: str, preference: Any, factor: Callable[[int], float]) -> Aggregator:
    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        weights = factor(geometry.norms.size) * preference_or_equal(preference, geometry.norms)
        return Weighed(weights, jnp.zeros_like(weights[0])), state

    def combine(gradients: Tree, state: State) -> tuple[Combined, State]:
        count = count_of(name, gradients)
        check_count(name, preference, count)
        # The weights need no geometry, so none is computed.
        weights = factor(count) * preference_or_equal(preference, jnp.zeros(count))
        return Combined(combination(weights, gradients), weights, jnp.zeros(())), state

    def init(count: int) -> State:
        check_count(name, preference, count)
        return ()

    return Aggregator(init, combine, weigh)


def mean() -> Aggregator:
    """The mean of the gradients: the gradient of the mean loss.

    >>> mean().combine(jnp.array([[1.0], [3.0]]), ())[0].direction.tolist()
    [2.0]
    """
    return _fixed("mean", None, lambda count: 1.0)


def total() -> Aggregator:
    """The sum of the gradients: the gradient of the sum of the losses.

    >>> total().combine(jnp.array([[1.0], [3.0]]), ())[0].direction.tolist()
    [4.0]
    """
    return _fixed("total", None, float)


def weighted(weights: Any) -> Aggregator:
    """The gradients by fixed weights on the simplex: the gradient of the weighted loss.

    Args:
        weights: (m,).

    Raises:
        UserError: for weights off the simplex; in use, for another number of gradients.

    >>> weighted([0.25, 0.75]).combine(jnp.array([[1.0], [3.0]]), ())[0].direction.tolist()
    [2.5]
    """
    return _fixed("weighted", checked_preference("weighted", weights), lambda count: 1.0)


AGGREGATORS: dict[str, Callable[..., Aggregator]] = {
    "aligned_mtl": aligned_mtl,
    "cagrad": cagrad,
    "config": config,
    "dualproj": dualproj,
    "fairgrad": fairgrad,
    "graddrop": graddrop,
    "gradvac": gradvac,
    "imtl_g": imtl_g,
    "mean": mean,
    "mgda": mgda,
    "nash_mtl": nash_mtl,
    "pcgrad": pcgrad,
    "random_weights": random_weights,
    "total": total,
    "upgrad": upgrad,
    "weighted": weighted,
}
DRAWING = frozenset({"graddrop", "gradvac", "pcgrad", "random_weights"})
