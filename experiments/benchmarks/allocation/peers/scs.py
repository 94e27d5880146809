"""SCS through cvxpy: operator splitting for conic programmes."""

from experiments.benchmarks.allocation.peers import Prepared, Setting
from experiments.benchmarks.allocation.peers.programs import conic
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Tolerances around the task's own, and iterations enough to reach them."""
    return [
        {"eps_abs": tolerance, "eps_rel": tolerance, "max_iters": 1_000_000}
        for tolerance in (10 * task.tolerance, task.tolerance, 0.1 * task.tolerance)
    ]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """See `programs.conic`."""
    return conic(problem, "SCS", setting)
