"""HiGHS, interior point without crossover: nothing here needs a vertex."""

from experiments.benchmarks.allocation.peers import Prepared, Setting, highs
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Tolerances from the task's own downwards."""
    return [{"ipm_optimality_tolerance": tolerance} for tolerance in (task.tolerance, 1e-2 * task.tolerance, 1e-8)]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """See `highs.prepare`."""
    return highs.prepare(problem, {"solver": "ipm", "run_crossover": "off", **setting}, threads)
