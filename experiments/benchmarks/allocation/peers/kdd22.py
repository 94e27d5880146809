"""Fair ranking as a programme over doubly substochastic matrices, one per user, posed as SCS likes it best.

    maximise sum_i w_i log(sum_u r_ui sum_k v_k X_uik)    X >= 0,  sum_i X_uik <= 1,  sum_k X_uik <= 1

Source: Saito and Joachims (2022), Fair Ranking as Fair Division, KDD: the mathematics only.
"""

import cvxpy
import numpy as np

from experiments.benchmarks.allocation.peers import Prepared, Setting
from experiments.benchmarks.allocation.peers.programs import prepared
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Tolerances from ten times the task's own downwards, and iterations enough to reach them."""
    return [
        {"eps_abs": tolerance, "eps_rel": tolerance, "max_iters": 1_000_000}
        for tolerance in (10 * task.tolerance, task.tolerance, 0.1 * task.tolerance)
    ]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """One variable (u n, k): rows are user and item, columns positions."""
    assert problem.bias is not None
    users, items = problem.scores.shape
    positions = problem.bias.size
    ranking = cvxpy.Variable((users * items, positions), nonneg=True)
    attention = cvxpy.reshape(ranking @ problem.bias, (users, items), order="C")
    relevance = problem.scores * problem.budgets[:, None]
    even = relevance.sum(axis=0).mean() * problem.bias.sum() / items
    exposure = cvxpy.sum(cvxpy.multiply(relevance / even, attention), axis=0)
    filled = [cvxpy.sum(cvxpy.reshape(ranking[:, k], (users, items), order="C"), axis=1) <= 1 for k in range(positions)]
    program = cvxpy.Problem(
        cvxpy.Maximize(problem.weights @ cvxpy.log(exposure)), [*filled, cvxpy.sum(ranking, axis=1) <= 1]
    )

    def shown() -> np.ndarray:
        return (ranking.value @ problem.bias).reshape(users, items) * problem.budgets[:, None]

    return prepared(program, "SCS", setting, shown)
