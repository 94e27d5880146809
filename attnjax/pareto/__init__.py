"""Trade-offs between objectives: scalarisations, aggregators of gradients, and indicators of fronts."""

from attnjax.pareto.aggregation import AGGREGATORS, DRAWING, mean, total, weighted
from attnjax.pareto.aggregator import Aggregator, Combined, Weighed, as_transformation
from attnjax.pareto.balance import aligned_mtl, config, fairgrad, imtl_g, nash_mtl
from attnjax.pareto.cone import cagrad, dualproj, mgda, upgrad
from attnjax.pareto.gradients import Geometry, combination, geometry_of, stacked_gradients, streamed_geometry
from attnjax.pareto.indicators import (
    crowding_distance,
    dominates,
    hypervolume_2d,
    igd_plus,
    nondominated_ranks,
    r2_indicator,
)
from attnjax.pareto.quadratic import NonNegative, nonnegative_quadratic
from attnjax.pareto.scalarisation import (
    AverageState,
    FamoState,
    dynamic_weights,
    famo_init,
    famo_loss,
    famo_update,
    geometric_mean,
    linear,
    penalty_boundary,
    smooth_tchebycheff,
    tchebycheff,
    uncertainty,
)
from attnjax.pareto.surgery import graddrop, gradvac, pcgrad, random_weights

__all__ = [
    "AGGREGATORS",
    "DRAWING",
    "Aggregator",
    "AverageState",
    "Combined",
    "FamoState",
    "Geometry",
    "NonNegative",
    "Weighed",
    "aligned_mtl",
    "as_transformation",
    "cagrad",
    "combination",
    "config",
    "crowding_distance",
    "dominates",
    "dualproj",
    "dynamic_weights",
    "fairgrad",
    "famo_init",
    "famo_loss",
    "famo_update",
    "geometric_mean",
    "geometry_of",
    "graddrop",
    "gradvac",
    "hypervolume_2d",
    "igd_plus",
    "imtl_g",
    "linear",
    "mean",
    "mgda",
    "nash_mtl",
    "nondominated_ranks",
    "nonnegative_quadratic",
    "pcgrad",
    "penalty_boundary",
    "r2_indicator",
    "random_weights",
    "smooth_tchebycheff",
    "stacked_gradients",
    "streamed_geometry",
    "tchebycheff",
    "total",
    "uncertainty",
    "upgrad",
    "weighted",
]
