"""The same programme as a reader of the paper writes it, and calls it: nothing scaled, SCS at its own tolerances.

    maximise sum_i w_i log(sum_u r_ui sum_k v_k X_uik)    0 <= X <= 1,  sum_i X_uik = 1,  sum_k X_uik <= 1

What is timed is the whole call, cvxpy's part included: the next market needs it again.
"""

import cvxpy
import numpy as np

from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.tasks import Array, Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """SCS's defaults, 1e-4 in version 3."""
    return [{}]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """Nothing is done before the call."""
    assert problem.bias is not None
    bias, weights = np.asarray(problem.bias, np.float64), np.asarray(problem.weights, np.float64)
    users, items = problem.scores.shape

    def run() -> tuple[cvxpy.Problem, Array | None]:
        ranking = cvxpy.Variable((items * users, bias.size))
        of_items = [ranking[users * item : users * (item + 1)] for item in range(items)]
        relevance = problem.scores * problem.budgets[:, None]
        welfare = sum(
            weight * cvxpy.log(relevance[:, item] @ own @ bias)
            for item, (weight, own) in enumerate(zip(weights, of_items, strict=True))
        )
        shown_once = [cvxpy.sum(own, axis=1) <= 1 for own in of_items]
        program = cvxpy.Problem(cvxpy.Maximize(welfare), [*shown_once, sum(of_items) == 1, ranking >= 0, ranking <= 1])
        program.solve(solver="SCS", **setting)
        return program, ranking.value

    def read(raw: tuple[cvxpy.Problem, Array | None]) -> Answer:
        program, ranking = raw
        told = {"status": program.status, "iterations": int(program.solver_stats.num_iters or 0)}
        if ranking is None:
            return Answer(None, None, told)
        return Answer((ranking @ bias).reshape(items, users).T * problem.budgets[:, None], None, told)

    return Prepared(run, read)
