"""What counts as good: losses and utilities of an allocation, as pure functions."""

from attnjax.objectives.fenchel_young import fenchel_young_loss
from attnjax.objectives.inequality import gini, lorenz_curve
from attnjax.objectives.virtual_shop import (
    Descent,
    iterate_revenue_rate,
    revenue_rate,
    shop_by_descent,
    shop_by_operator,
    shop_loss,
    shop_optimum,
)

__all__ = [
    "Descent",
    "fenchel_young_loss",
    "gini",
    "iterate_revenue_rate",
    "lorenz_curve",
    "revenue_rate",
    "shop_by_descent",
    "shop_by_operator",
    "shop_loss",
    "shop_optimum",
]
