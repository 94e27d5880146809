"""Trade-offs between objectives: scalarisations, aggregators of gradients, fronts and their indicators."""

from attnjax.pareto.aggregation import AGGREGATORS, DRAWING, mean, total, weighted
from attnjax.pareto.aggregator import Aggregator, Combined, Weighed, as_transformation
from attnjax.pareto.balance import aligned_mtl, config, fairgrad, imtl_g, nash_mtl
from attnjax.pareto.cone import cagrad, dualproj, mgda, upgrad
from attnjax.pareto.front import PARTIES, Front, market_front, weighted_market
from attnjax.pareto.gradients import Geometry, combination, geometry_of, stacked_gradients, streamed_geometry
from attnjax.pareto.indicators import (
    crowding_distance,
    dominates,
    hypervolume,
    igd_plus,
    nondominated_ranks,
    r2_indicator,
)
from attnjax.pareto.preferences import draw_weightings, preference_loss, simplex_lattice
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
    "PARTIES",
    "Aggregator",
    "AverageState",
    "Combined",
    "FamoState",
    "Front",
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
    "draw_weightings",
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
    "hypervolume",
    "igd_plus",
    "imtl_g",
    "linear",
    "market_front",
    "mean",
    "mgda",
    "nash_mtl",
    "nondominated_ranks",
    "nonnegative_quadratic",
    "pcgrad",
    "penalty_boundary",
    "preference_loss",
    "r2_indicator",
    "random_weights",
    "simplex_lattice",
    "smooth_tchebycheff",
    "stacked_gradients",
    "streamed_geometry",
    "tchebycheff",
    "total",
    "uncertainty",
    "upgrad",
    "weighted",
    "weighted_market",
]
