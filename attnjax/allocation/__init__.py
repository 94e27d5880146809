"""Allocation of a limited budget: regularisers, the one-budget operator, markets, solvers, certificates."""

from attnjax.allocation.contributions import Concave, Contribution
from attnjax.allocation.creator_values import AlphaFair, CreatorValue, Linear, MaxMin, Nash, alpha_fair
from attnjax.allocation.creators import Creators
from attnjax.allocation.guarantees import Box, Floors, SoftBox
from attnjax.allocation.market import (
    Market,
    Response,
    Welfare,
    best_response,
    exposure_of,
    uniform_attention,
    welfare_of,
)
from attnjax.allocation.online import OnlineMarket, Served, hindsight_bound, restore_state, save_state
from attnjax.allocation.operator import Allocation, allocate
from attnjax.allocation.regularizers import (
    Entropy,
    Power,
    Regularizer,
    SeparableConvex,
    SquaredNorm,
    Tsallis,
)
from attnjax.allocation.sharding import local_rows, shard
from attnjax.allocation.shares import Split, split
from attnjax.allocation.shortfall import Shortfall, smallest_shortfall
from attnjax.allocation.skipping import SparseSplit, project_or_skip, split_or_skip
from attnjax.allocation.slates import Slates, decode_slates
from attnjax.allocation.solution import Rule, Solution, attention_for, stream_attention
from attnjax.allocation.solvers import solve

__all__ = [
    "Allocation",
    "AlphaFair",
    "Box",
    "Concave",
    "Contribution",
    "CreatorValue",
    "Creators",
    "Entropy",
    "Floors",
    "Linear",
    "Market",
    "MaxMin",
    "Nash",
    "OnlineMarket",
    "Power",
    "Regularizer",
    "Response",
    "Rule",
    "SeparableConvex",
    "Served",
    "Shortfall",
    "Slates",
    "SoftBox",
    "Solution",
    "SparseSplit",
    "Split",
    "SquaredNorm",
    "Tsallis",
    "Welfare",
    "allocate",
    "alpha_fair",
    "attention_for",
    "best_response",
    "decode_slates",
    "exposure_of",
    "hindsight_bound",
    "local_rows",
    "project_or_skip",
    "restore_state",
    "save_state",
    "shard",
    "smallest_shortfall",
    "solve",
    "split",
    "split_or_skip",
    "stream_attention",
    "uniform_attention",
    "welfare_of",
]
