"""Evaluation: how good, how sure, how good what is simpler is, and why.

What imports JAX is imported by name, so that importing this package does not:

    attnjax.evaluation.ranking         measures of rankings
    attnjax.evaluation.explanation     attention maps, integrated gradients, occlusion
    attnjax.evaluation.reasons         why a creator got this exposure, why a user chose so: a market's prices
    attnjax.evaluation.faithfulness    deletion and insertion curves, the randomised-model check
    attnjax.evaluation.plots           pictures of these
"""

from attnjax.evaluation.baselines import ease, implicit_als, item_knn, popularity
from attnjax.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    difference_interval,
    overlap,
    users_interval,
)

__all__ = [
    "Interval",
    "bootstrap_interval",
    "difference_interval",
    "ease",
    "implicit_als",
    "item_knn",
    "overlap",
    "popularity",
    "users_interval",
]
