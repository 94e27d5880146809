"""Clarabel through cvxpy: an interior-point method for conic programmes."""

from experiments.benchmarks.allocation.peers import Prepared, Setting
from experiments.benchmarks.allocation.peers.programs import conic
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Tolerances from the task's own down to Clarabel's default."""
    return [
        {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance}
        for tolerance in (task.tolerance, 1e-2 * task.tolerance, 1e-8)
    ]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """See `programs.conic`."""
    return conic(problem, "CLARABEL", {**setting, "max_threads": threads})
