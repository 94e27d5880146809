"""The registry of the allocation contracts: regularisers, creator values, market solvers, and what is known of them.

A new one is added here and thereby goes through all the contracts in tests/contracts/; the test of the registry fails
until it is.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from scipy.special import xlogy

from attnjax.allocation import (
    AlphaFair,
    Box,
    Entropy,
    Floors,
    Linear,
    MaxMin,
    Nash,
    Power,
    SeparableConvex,
    SoftBox,
    SquaredNorm,
    Tsallis,
)


def stiff_cost(a, stiffness):
    """A user's own cost: k (a^2 / 2 + a^4 / 12), with omega'' = k (1 + a^2)."""
    return stiffness * (a**2 / 2 + a**4 / 12)


def stiffness(n: int) -> np.ndarray:
    """One parameter per entry: costs that differ."""
    return np.linspace(0.5, 2.0, n)


@dataclasses.dataclass(frozen=True)
class RegularizerCase:
    """A regulariser for n entries, and its omega in NumPy, written independently."""

    make: Callable[[int], object]
    omega: Callable[[np.ndarray], np.ndarray]
    dense: bool = False  # whether every admissible entry gets something


def _tsallis(alpha: float) -> RegularizerCase:
    return RegularizerCase(lambda n: Tsallis(alpha), lambda a: (a**alpha - a) / (alpha * (alpha - 1)))


REGULARIZERS = {
    "entropy": RegularizerCase(lambda n: Entropy(), lambda a: xlogy(a, a), dense=True),
    "squared_norm": RegularizerCase(lambda n: SquaredNorm(), lambda a: a**2 / 2),
    "tsallis_1.2": _tsallis(1.2),
    "tsallis_1.5": _tsallis(1.5),
    "cube": RegularizerCase(lambda n: Power(3), lambda a: a**3),
    "power_1.5": RegularizerCase(lambda n: Power(1.5), lambda a: a**1.5),
    "separable": RegularizerCase(
        lambda n: SeparableConvex(stiff_cost, (jnp.asarray(stiffness(n)),)),
        lambda a: stiff_cost(a, stiffness(a.size)),
    ),
}


@dataclasses.dataclass(frozen=True)
class CreatorValueCase:
    """A creator value for c creators, its phi in NumPy, and prices it admits.

    `floors` and `caps` are those that must hold. Where the value is not `separable` its parts stand for their sum only.
    """

    make: Callable[[int], object]
    phi: Callable[[np.ndarray], np.ndarray]
    prices: Callable[[int], np.ndarray]
    floors: Callable[[int], np.ndarray] = np.zeros
    caps: Callable[[int], np.ndarray] = lambda c: np.full(c, np.inf)
    parameters: int = 1
    separable: bool = True


def _alpha_fair(alpha: float) -> CreatorValueCase:
    """Weights that rise and a fair share that falls from creator to creator."""

    def phi(e: np.ndarray) -> np.ndarray:
        weights, scale = np.linspace(0.5, 1.5, e.size), np.linspace(1.2, 0.4, e.size)
        return weights * scale * ((e / scale) ** (1 - alpha) - 1) / (1 - alpha)

    return CreatorValueCase(
        lambda c: AlphaFair(jnp.linspace(0.5, 1.5, c), jnp.full(c, alpha), jnp.linspace(1.2, 0.4, c)),
        phi,
        lambda c: np.linspace(0.2, 3.0, c),
        parameters=3,
    )


CREATOR_VALUES = {
    "nash": CreatorValueCase(
        lambda c: Nash(jnp.linspace(0.5, 1.5, c)),
        lambda e: np.linspace(0.5, 1.5, e.size) * np.log(e),
        lambda c: np.linspace(0.2, 3.0, c),
    ),
    "linear": CreatorValueCase(
        lambda c: Linear(jnp.linspace(-1.0, 1.0, c)),
        lambda e: np.linspace(-1.0, 1.0, e.size) * e,
        lambda c: np.linspace(-1.0, 1.0, c),
    ),
    "floors": CreatorValueCase(
        lambda c: Floors(jnp.linspace(0.1, 0.9, c)),
        np.zeros_like,
        lambda c: np.linspace(0.0, 2.0, c),
        floors=lambda c: np.linspace(0.1, 0.9, c),
    ),
    "box": CreatorValueCase(
        lambda c: Box(jnp.linspace(0.1, 0.9, c), jnp.linspace(1.2, 1.5, c)),
        np.zeros_like,
        lambda c: np.linspace(-1.0, 2.0, c),
        floors=lambda c: np.linspace(0.1, 0.9, c),
        caps=lambda c: np.linspace(1.2, 1.5, c),
        parameters=2,
    ),
    "alpha_fair_0.5": _alpha_fair(0.5),
    "alpha_fair_2": _alpha_fair(2.0),
    "alpha_fair_5": _alpha_fair(5.0),
    "maxmin": CreatorValueCase(
        lambda c: MaxMin(jnp.linspace(0.5, 1.5, c)),
        lambda e: np.full(e.size, (np.linspace(0.5, 1.5, e.size) * e).min() / e.size),
        lambda c: np.linspace(0.5, 1.5, c) * np.linspace(1.0, 3.0, c) / np.linspace(1.0, 3.0, c).sum(),
        separable=False,
    ),
    "soft_box": CreatorValueCase(  # the first floor is beyond what it is worth, the others not
        lambda c: SoftBox(jnp.linspace(0.9, 0.2, c), jnp.linspace(1.2, 2.5, c), jnp.linspace(0.3, 3.0, c)),
        lambda e: -np.linspace(0.3, 3.0, e.size) * np.maximum(np.linspace(0.9, 0.2, e.size) - e, 0),
        lambda c: np.linspace(1.0, -1.0, c),
        caps=lambda c: np.linspace(1.2, 2.5, c),
        parameters=3,
    ),
}

# Which creator values each method of `solve` takes.
SOLVERS = {
    "newton": tuple(CREATOR_VALUES),
    "dual_gradient": ("nash", "linear", "floors", "alpha_fair_0.5", "alpha_fair_2"),
    "frank_wolfe": ("nash", "linear", "alpha_fair_0.5"),
    "proportional_response": ("nash",),
}
PAIRS = [(method, value) for method, values in SOLVERS.items() for value in values]

# Methods for exposure that is worth something to creators only: users without scores or preference for variety.
FISHER = ("proportional_response",)

# What else `attnjax.allocation` exports: records, protocols, functions with tests of their own; contributions have
# their contract in tests/objectives/test_city_contributions.py.
NO_CONTRACT = {
    "Allocation",
    "Concave",
    "Contribution",
    "CreatorValue",
    "Creators",
    "Market",
    "OnlineMarket",
    "Regularizer",
    "Response",
    "Rule",
    "Served",
    "Shortfall",
    "Slates",
    "Solution",
    "SparseSplit",
    "Split",
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
}


def feasible_point(draw: np.ndarray, budget: float, cap: np.ndarray) -> np.ndarray:
    """A point of {0 <= a <= cap, sum a = budget} from any positive draw: it is scaled up until the sum is right."""
    low, high = 0.0, 1.0
    while np.minimum(cap, high * draw).sum() < budget and high < 1e9:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(cap, middle * draw).sum() < budget else (low, middle)
    return np.minimum(cap, low * draw)
