"""The registry of the aggregators' contract: how each is made, and what it promises.

A new aggregator is added here and thereby goes through tests/contracts/test_aggregator_contract.py, which fails until
it is.
"""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from attnjax import pareto
from attnjax.pareto import Aggregator


@dataclasses.dataclass(frozen=True)
class AggregatorCase:
    """An aggregator for m objectives, and its promises.

    Attributes:
        make: the number of objectives to the aggregator.
        peaceful: whether no objective gets worse, <g_i, d> >= 0.
        linear: whether the direction is linear in the length of each gradient.
        stops: whether the direction is 0 where a positive combination of the gradients is.
        degree: the direction of s times the gradients is s^degree times the direction.
        symmetric: whether the order of the objectives doesn't matter, draws being equal.
        equal: whether gradients that are all the same g give g itself.
    """

    make: Callable[[int], Aggregator]
    peaceful: bool = False
    linear: bool = False
    stops: bool = False
    degree: float = 1.0
    symmetric: bool = True
    equal: bool = True


KEY = jax.random.key(11)
CASES = {
    "mean": AggregatorCase(lambda m: pareto.mean(), linear=True),
    "total": AggregatorCase(lambda m: pareto.total(), linear=True, equal=False),
    "weighted": AggregatorCase(
        lambda m: pareto.weighted(np.arange(1, m + 1) / np.arange(1, m + 1).sum()), linear=True, symmetric=False
    ),
    "mgda": AggregatorCase(lambda m: pareto.mgda(), peaceful=True, stops=True),
    "upgrad": AggregatorCase(lambda m: pareto.upgrad(), peaceful=True, linear=True, stops=True),
    "dualproj": AggregatorCase(lambda m: pareto.dualproj(), peaceful=True, stops=True),
    "cagrad": AggregatorCase(lambda m: pareto.cagrad(0.5), equal=False),
    "cagrad_wide": AggregatorCase(lambda m: pareto.cagrad(1.2), peaceful=True, stops=True, equal=False),
    "imtl_g": AggregatorCase(lambda m: pareto.imtl_g()),
    "config": AggregatorCase(lambda m: pareto.config(), peaceful=True, linear=True, equal=False),
    "aligned_mtl": AggregatorCase(lambda m: pareto.aligned_mtl()),
    "nash_mtl": AggregatorCase(lambda m: pareto.nash_mtl(), peaceful=True, stops=True, degree=0.0, equal=False),
    "fairgrad": AggregatorCase(lambda m: pareto.fairgrad(2.0), peaceful=True, stops=True, degree=-1 / 3, equal=False),
    "pcgrad": AggregatorCase(lambda m: pareto.pcgrad(KEY), linear=True, symmetric=False, equal=False),
    "gradvac": AggregatorCase(lambda m: pareto.gradvac(KEY), linear=True, symmetric=False, equal=False),
    "graddrop": AggregatorCase(lambda m: pareto.graddrop(KEY), equal=False),
    "random_weights": AggregatorCase(lambda m: pareto.random_weights(KEY), linear=True, symmetric=False),
}
