"""All gradient aggregators by name, and the ones with fixed weights.

    aggregator = AGGREGATORS["upgrad"]()
    combined, state = aggregator.combine(gradients, aggregator.init(3))

Those that draw lots take a key: `AGGREGATORS["pcgrad"](key)`; `DRAWING` says which.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from attnjax.errors import fail
from attnjax.pareto.aggregator import Aggregator, checked_preference, without_geometry
from attnjax.pareto.balance import aligned_mtl, config, fairgrad, imtl_g, nash_mtl
from attnjax.pareto.cone import cagrad, dualproj, mgda, upgrad
from attnjax.pareto.surgery import graddrop, gradvac, pcgrad, random_weights


def mean() -> Aggregator:
    """The mean of the gradients: the gradient of the mean loss.

    >>> mean().combine(jnp.array([[1.0], [3.0]]), ())[0].direction.tolist()
    [2.0]
    """
    return without_geometry("mean", lambda count, state: (jnp.full(count, 1 / count), state))


def total() -> Aggregator:
    """The sum of the gradients: the gradient of the sum of the losses.

    >>> total().combine(jnp.array([[1.0], [3.0]]), ())[0].direction.tolist()
    [4.0]
    """
    return without_geometry("total", lambda count, state: (jnp.ones(count), state))


def weighted(weights: Any) -> Aggregator:
    """The gradients by fixed weights on the simplex: the gradient of the weighted loss.

    Args:
        weights: (m,).

    Raises:
        UserError: for weights off the simplex; in use, for another number of gradients.

    >>> weighted([0.25, 0.75]).combine(jnp.array([[1.0], [3.0]]), ())[0].direction.tolist()
    [2.5]
    """
    fixed = checked_preference("weighted", weights)
    if fixed is None:
        fail("weighted", expected="a vector of weights (m,)", got="None", advice="mean() weighs all alike.")
    return without_geometry("weighted", lambda count, state: (fixed, state), preference=fixed)


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
