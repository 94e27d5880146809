"""Evaluation: how good, how sure, and how good what is simpler is.

Measures of rankings are in `attnjax.evaluation.ranking`, which imports JAX; importing this package does not.
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
