"""Allocation of a limited budget: regularisers, the one-budget operator, markets, solvers, certificates."""

from attnjax.allocation.creator_values import Box, CreatorValue, Floors, Linear, Nash
from attnjax.allocation.creators import Creators
from attnjax.allocation.market import (
    Market,
    Response,
    Welfare,
    best_response,
    exposure_of,
    uniform_attention,
    welfare_of,
)
from attnjax.allocation.operator import Allocation, allocate
from attnjax.allocation.regularizers import (
    Entropy,
    Power,
    Regularizer,
    SeparableConvex,
    SquaredNorm,
    Tsallis,
)
from attnjax.allocation.solution import Solution
from attnjax.allocation.solvers import solve

__all__ = [
    "Allocation",
    "Box",
    "CreatorValue",
    "Creators",
    "Entropy",
    "Floors",
    "Linear",
    "Market",
    "Nash",
    "Power",
    "Regularizer",
    "Response",
    "SeparableConvex",
    "Solution",
    "SquaredNorm",
    "Tsallis",
    "Welfare",
    "allocate",
    "best_response",
    "exposure_of",
    "solve",
    "uniform_attention",
    "welfare_of",
]
