"""What counts as good: losses and utilities of an allocation, as pure functions."""

from attnjax.objectives.fairness import (
    below_uniform,
    creator_envy,
    demographic_disparity,
    exposure_disparity,
    group_means,
    opportunity_disparity,
    user_envy,
)
from attnjax.objectives.fenchel_young import fenchel_young_loss
from attnjax.objectives.inequality import (
    atkinson_index,
    gini,
    jain_index,
    lorenz_curve,
    smallest_share,
    smooth_gini,
)
from attnjax.objectives.interpretability import interpretability_loss, moved, spread
from attnjax.objectives.services import Charging, Coverage
from attnjax.objectives.stakeholders import (
    attention_cost,
    creator_revenue,
    exposure_to,
    platform_income,
    shop_revenue,
    user_satisfaction,
)
from attnjax.objectives.traffic import Delay, Discharge, webster_split
from attnjax.objectives.virtual_shop import (
    Descent,
    iterate_revenue_rate,
    revenue_rate,
    shop_by_descent,
    shop_by_operator,
    shop_loss,
    shop_optimum,
)
from attnjax.objectives.welfare import gini_weights, leximin_weights, sorted_welfare, welfare

__all__ = [
    "Charging",
    "Coverage",
    "Delay",
    "Descent",
    "Discharge",
    "atkinson_index",
    "attention_cost",
    "below_uniform",
    "creator_envy",
    "creator_revenue",
    "demographic_disparity",
    "exposure_disparity",
    "exposure_to",
    "fenchel_young_loss",
    "gini",
    "gini_weights",
    "group_means",
    "interpretability_loss",
    "iterate_revenue_rate",
    "jain_index",
    "leximin_weights",
    "lorenz_curve",
    "moved",
    "opportunity_disparity",
    "platform_income",
    "revenue_rate",
    "shop_by_descent",
    "shop_by_operator",
    "shop_loss",
    "shop_optimum",
    "shop_revenue",
    "smallest_share",
    "smooth_gini",
    "sorted_welfare",
    "spread",
    "user_envy",
    "user_satisfaction",
    "webster_split",
    "welfare",
]
