"""What is solved: problems made from a seed, in three sizes of the world and two presets.

A problem is plain NumPy, so that every solver's process can make it without JAX. All numbers are representable in
float32: solvers in single and in double precision get the same problem. Kinds of problem, for users u, items i with one
creator each, attention a >= 0 with sum_i a_ui <= R_u, and exposure e:

    linear    max sum_ui s_ui a_ui              with  lo_i <= e_i <= hi_i,   e_i = sum_u a_ui
    nash      max sum_i w_i log e_i             with  e_i = sum_u s_ui a_ui
    slates    max sum_i w_i log e_i             with  e_i as above, and a_u a mixture of rankings under position bias v
    cube      max sum_i s_ui a_ui - a_ui^3      for each user alone
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray

RANK = 8
"""How many tastes users have, in the linear and the Nash problems."""

QUANTUM = 2.0**-10
"""Caps are multiples of it, so that their sum is the users' budgets exactly, in float32 too."""


class Target(NamedTuple):
    """What must hold.

    Attributes:
        what: `ratio` (the peer's time over ours, at least), `seconds` (ours, at most), `memory_gb` (our process's peak,
            at most), `envy` and `dominance` (no worse than the peer's by more than `bound`).
        bound: the number.
        peer: the solver that is compared with, where one is.
    """

    what: str
    bound: float
    peer: str = ""


@dataclasses.dataclass(frozen=True)
class Task:
    """One problem at one size, and who solves it.

    Attributes:
        name: unique in its preset.
        title: for the table.
        kind: `linear`, `nash`, `slates` or `cube`.
        users: how many.
        items: how many; also the number of creators.
        tolerance: the gap to reach: relative (linear; cube, for the worst user), nats per creator (nash, slates).
        peers: their names, in the order in which they run.
        targets: what must hold.
        candidates: items per user that may get attention; 0 for all of them.
        positions: length of a slate; 0 for no slates.
        must_spend: whether budgets are met with equality; else attention may stay unspent.
        repeats: how many timed runs of ours, at least (1 is one alone); the median counts.
        growth: the family of tasks that differ in users only, or nothing.
        seed: of the problem.
    """

    name: str
    title: str
    kind: str
    users: int
    items: int
    tolerance: float
    peers: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    candidates: int = 0
    positions: int = 0
    must_spend: bool = True
    repeats: int = 5
    growth: str = ""
    seed: int = 0

    @classmethod
    def from_plain(cls, fields: dict[str, Any]) -> "Task":
        """Builds a task from what JSON made of its fields."""
        targets = tuple(Target(*target) for target in fields["targets"])
        return cls(**{**fields, "peers": tuple(fields["peers"]), "targets": targets})


class Problem(NamedTuple):
    """A task's numbers; which of them are there depends on the kind.

    Attributes:
        kind: the task's.
        scores: (u, n), worth of attention to users; for nash and slates the relevances, that is exposure per attention.
        budgets: (u,), attention per user; for slates a factor on the position bias.
        must_spend: whether budgets are met with equality.
        floors: (c,), in units of exposure.
        caps: (c,), likewise.
        weights: (c,), of the logarithms.
        bias: (k,), attention that each position gets, decreasing.
        candidates: (u, n), the item of each entry of the scores where users see few items; else column i is item i.
    """

    kind: str
    scores: Array
    budgets: Array
    must_spend: bool
    floors: Array | None = None
    caps: Array | None = None
    weights: Array | None = None
    bias: Array | None = None
    candidates: Array | None = None

    @property
    def creators(self) -> int:
        """How many creators (or, for the cube, items) there are."""
        bounds = self.caps if self.caps is not None else self.weights
        return self.scores.shape[1] if bounds is None else bounds.size


def make_problem(task: Task) -> Problem:
    """Makes a task's problem; the same seed gives the same problem.

    Args:
        task: of any size.

    Returns:
        The problem, float64 but for sparse candidates' scores, which are float32 to save memory.
    """
    random = np.random.default_rng(task.seed)
    budgets = np.ones(task.users)
    if task.kind == "cube":
        return Problem("cube", _single((1.5 * random.random((task.users, task.items))) ** 2), budgets, True)
    if task.kind == "slates":
        bias = 1 / np.arange(1.0, task.positions + 1)
        relevances = _contested(random, task.users, task.items)
        return Problem("slates", relevances, budgets, True, weights=np.ones(task.items), bias=_single(bias))
    if task.kind == "nash":
        return Problem("nash", _affinities(random, task.users, task.items), budgets, True, weights=np.ones(task.items))
    caps = _caps(random, task.users, task.items)
    if task.must_spend:
        return Problem(
            "linear",
            _affinities(random, task.users, task.items),
            budgets,
            True,
            floors=np.zeros(task.items),
            caps=caps,
        )
    bounds = {"floors": _single(0.3 * caps), "caps": _single(1.1 * caps)}
    if not task.candidates:
        scores = _single(_affinities(random, task.users, task.items) - 0.6)
        return Problem("linear", scores, budgets, False, **bounds)
    candidates = _candidates(random, task.users, task.items, task.candidates)
    quality = random.normal(0, 0.3, task.items).astype(np.float32)
    scores = random.random(candidates.shape, np.float32)
    scores += quality[candidates]
    scores -= np.float32(0.5)
    return Problem("linear", scores, budgets, False, **bounds, candidates=candidates)


def _single(numbers: Array) -> Array:
    """The nearest numbers that float32 has, as float64."""
    return numbers.astype(np.float32).astype(np.float64)


def _affinities(random: np.random.Generator, users: int, items: int) -> Array:
    """Between 0 and 1: tastes that meet traits, popularity, and chance. Summed one by one: BLAS may round otherwise."""
    tastes = random.normal(size=(RANK, users)) / np.sqrt(RANK)
    traits = random.normal(size=(RANK, items))
    total = random.normal(0, 0.3, (users, items)) + random.normal(0, 0.7, items)
    for taste, trait in zip(tastes, traits, strict=True):
        total += taste[:, None] * trait
    return _single(1 / (1 + np.exp(-total)))


def _caps(random: np.random.Generator, users: int, items: int) -> Array:
    """From a half to one and a half of an equal share, and in sum exactly the users' budgets of 1."""
    caps = random.uniform(0.5, 1.5, items)
    caps = np.maximum(np.round(caps * (users / caps.sum()) / QUANTUM), 1) * QUANTUM
    caps[np.argmax(caps)] += users - caps.sum()
    return caps


def _contested(random: np.random.Generator, users: int, items: int) -> Array:
    """Relevances of items that all users rank almost alike, so that slates must take turns; some users care less."""
    shared = np.outer(np.linspace(1, 0.2, users), 1 - np.arange(items) / items)
    noise = random.uniform(-0.05, 0.05, (users, items))
    return _single(np.maximum(shared * (0.5 / shared.mean()) + noise, 1e-3))


def _candidates(random: np.random.Generator, users: int, items: int, count: int) -> Array:
    """As many different items per user: one out of each of as many equal ranges."""
    size = items // count
    chosen = random.integers(0, size, (users, count), dtype=np.int32)
    chosen += np.arange(count, dtype=np.int32) * np.int32(size)
    return chosen


LINEAR_PEERS = ("highs-ipm", "highs-simplex", "pdlp", "clarabel", "scs", "ott-sinkhorn", "mpax")

PAPER = (
    Task(
        name="lp-tight",
        title="LP, caps tight",
        kind="linear",
        users=2_000,
        items=200,
        tolerance=1e-4,
        peers=LINEAR_PEERS,
        targets=(Target("ratio", 40, "highs-ipm"), Target("ratio", 4, "ott-sinkhorn")),
    ),
    Task(
        name="lp-floors-caps",
        title="LP, floors and caps",
        kind="linear",
        users=2_000,
        items=200,
        tolerance=1e-4,
        must_spend=False,
        peers=tuple(name for name in LINEAR_PEERS if name != "ott-sinkhorn"),
        targets=(Target("ratio", 40, "highs-ipm"),),
    ),
    Task(
        name="lp-large",
        title="LP, caps tight, large",
        kind="linear",
        users=20_000,
        items=200,
        tolerance=1e-4,
        peers=("highs-ipm", "pdlp", "ott-sinkhorn"),
        targets=(Target("ratio", 150, "highs-ipm"),),
    ),
    *(
        Task(
            name=f"growth-1e{decade}",
            title=f"LP, caps tight, 1e{decade} users",
            kind="linear",
            users=10**decade,
            items=100,
            tolerance=1e-4,
            peers=("highs-ipm", "pdlp", "ott-sinkhorn") if decade < 5 else ("ott-sinkhorn",),
            growth="LP, caps tight, 100 items",
        )
        for decade in (3, 4, 5)
    ),
    Task(
        name="nash",
        title="Nash welfare",
        kind="nash",
        users=1_000,
        items=100,
        tolerance=1e-4,
        peers=("scs", "clarabel"),
        targets=(Target("ratio", 100, "scs"), Target("ratio", 100, "clarabel")),
    ),
    Task(
        name="nash-large",
        title="Nash welfare, large",
        kind="nash",
        users=10_000,
        items=100,
        tolerance=1e-4,
        peers=("scs", "clarabel"),
    ),
    Task(
        name="slates",
        title="Nash slates",
        kind="slates",
        users=100,
        items=50,
        positions=5,
        tolerance=1e-4,
        peers=("kdd22", "kdd22-as-written"),
        targets=(
            Target("ratio", 400, "kdd22-as-written"),
            Target("envy", 1e-3, "kdd22"),
            Target("dominance", 1e-3, "kdd22"),
        ),
    ),
    Task(
        name="slates-large",
        title="Nash slates, large",
        kind="slates",
        users=1_000,
        items=500,
        positions=10,
        tolerance=1e-3,
        targets=(Target("seconds", 5.0),),
    ),
    Task(
        name="cube",
        title="One budget, cube",
        kind="cube",
        users=100_000,
        items=64,
        tolerance=1e-6,
        peers=("numpy-bisection", "numpy-bisection-full"),
        targets=(Target("ratio", 30, "numpy-bisection-full"),),
    ),
    Task(
        name="sparse",
        title="LP, floors and caps, sparse candidates",
        kind="linear",
        users=1_000_000,
        items=1_000,
        candidates=50,
        tolerance=1e-3,
        must_spend=False,
        repeats=1,
        targets=(Target("seconds", 180.0), Target("memory_gb", 8.0)),
    ),
)
"""The table, in its order."""

SMOKE: dict[str, dict[str, int]] = {
    "lp-tight": {"users": 40, "items": 8},
    "growth-1e3": {"users": 20, "items": 6},
    "growth-1e4": {"users": 40, "items": 6},
    "nash": {"users": 30, "items": 6},
    "slates": {"users": 12, "items": 8, "positions": 3},
    "cube": {"users": 200, "items": 8},
    "sparse": {"users": 500, "items": 20, "candidates": 5},
}
"""One task of each kind with all of its peers, at sizes that take no time."""

COMPILE_SECONDS = 6.0
"""What compiling ours may take, for any task of the table."""

GROWTH_PER_DECADE = 1.15
"""How much faster than the number of users the time may grow, per factor of ten in users."""


def tasks(preset: str) -> dict[str, Task]:
    """Returns a preset's tasks by name.

    Args:
        preset: `paper` for the table, `smoke` for some of it at toy sizes, without targets: a toy's times say nothing.
    """
    if preset == "paper":
        return {task.name: task for task in PAPER}
    small = {}
    for task in PAPER:
        if task.name in SMOKE:
            peers = () if task.growth else task.peers
            small[task.name] = dataclasses.replace(task, peers=peers, targets=(), **SMOKE[task.name])  # type: ignore[arg-type]
    return small
