"""HiGHS, dual simplex, which has no looser way to stop."""

from experiments.benchmarks.allocation.peers import Prepared, Setting, highs
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Its own."""
    return [{}]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """See `highs.prepare`."""
    return highs.prepare(problem, {"solver": "simplex"}, threads)
