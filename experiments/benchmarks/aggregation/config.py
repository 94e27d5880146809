"""Settings and presets, and the gradients that all contestants are given; without JAX, for the peers."""

import dataclasses

import numpy as np

SEED = 20261123
EXACT = "upgrad"
"""The method whose direction is compared with the exact one."""

METHODS = (
    "mean",
    "mgda",
    "upgrad",
    "dualproj",
    "pcgrad",
    "gradvac",
    "cagrad",
    "imtl_g",
    "nash_mtl",
    "aligned_mtl",
    "config",
    "fairgrad",
    "graddrop",
    "random_weights",
)
DRAWN = frozenset({"graddrop", "gradvac", "pcgrad", "random_weights"})
"""Those that draw lots."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        methods: whose directions are timed.
        aggregators: whose training steps are.
        sizes: numbers of objectives and of parameters.
        rounds: turns of each contestant.
        seconds: how long it is timed in each, at least one call.
        patience: a contestant whose calls took so many seconds in all gets no further turn.
        width: of the network whose training step is timed: four layers.
        batch: its examples.
        step_rounds: turns of each aggregator's step.
        users: of the market whose front is timed in three ways.
        items: likewise.
        points: of that front.
        front_repeats: timed calls of each way.
        small: users and items of the market that NSGA-II is given, too.
        divisions: of the lattice of weightings there; 10 gives 66.
        population: of NSGA-II.
        nsga_seconds: how long NSGA-II runs.
        peers: whether peers take part.
    """

    methods: tuple[str, ...] = METHODS
    aggregators: tuple[str, ...] = (*METHODS, "total", "weighted")
    sizes: tuple[tuple[int, int], ...] = tuple((m, n) for n in (4096, 1_000_000) for m in (3, 16, 128))
    rounds: int = 5
    seconds: float = 0.1
    patience: float = 20.0
    width: int = 256
    batch: int = 256
    step_rounds: int = 15
    users: int = 1000
    items: int = 200
    points: int = 64
    front_repeats: int = 3
    small: tuple[int, int] = (60, 20)
    divisions: int = 10
    population: int = 100
    nsga_seconds: float = 120.0
    peers: bool = True


PRESETS = {
    "smoke": Config(
        methods=("mean", "upgrad", "graddrop"),
        aggregators=("mean", "upgrad", "graddrop"),
        sizes=((3, 64), (16, 64)),
        rounds=2,
        seconds=0.002,
        width=16,
        batch=8,
        step_rounds=3,
        users=20,
        items=8,
        points=6,
        front_repeats=1,
        small=(10, 4),
        divisions=2,
        nsga_seconds=1.0,
        peers=False,
    ),
    "paper": Config(),
}


FACTORS = 8
"""Directions that gradients share, for and against, so that they are in conflict at any length."""


def gradients(objectives: int, parameters: int) -> np.ndarray:
    """Random gradients (m, n), float32, of lengths in a ratio of up to 3, with cosines of about a tenth either way."""
    random = np.random.default_rng([SEED, objectives, parameters])
    rows = random.standard_normal((objectives, parameters), dtype=np.float32)
    factors = random.standard_normal((FACTORS, parameters), dtype=np.float32)
    loadings = np.float32(0.3) * random.standard_normal((objectives, FACTORS), dtype=np.float32)
    # Row by row, so that no second array of all of them is made.
    for row, loading, length in zip(rows, loadings, np.linspace(1, 3, objectives, dtype=np.float32), strict=True):
        row += loading @ factors
        row *= length
    return rows


def small_market(users: int, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (u, n) and rates of income (n,), uniform on 0 to 1."""
    random = np.random.default_rng([SEED, users, items])
    return random.random((users, items), np.float32), random.random(items, np.float32)


TEMPERATURE = 0.1
"""How much the markets' users value variety."""


def small_gains(attention: np.ndarray, scores: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """What the three parties get from attention (k, u, n), per user and, for creators, per item: (k, 3).

    Satisfaction with the entropy of attention at `TEMPERATURE`, the mean logarithm of exposure over an equal share,
    and income.
    """
    spread = -np.sum(attention * np.log(np.maximum(attention, 1e-30)), axis=2)
    users = np.mean(np.sum(attention * scores[None], axis=2) + TEMPERATURE * spread, axis=1)
    exposure = np.mean(attention, axis=1)
    creators = np.mean(np.log(np.maximum(exposure * exposure.shape[1], 1e-30)), axis=1)
    return np.stack([users, creators, exposure @ rates], axis=1)
