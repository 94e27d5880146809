"""Each user's threshold by bisection, all users at once, in NumPy: what one writes without a library.

At threshold tau each entry is sqrt(max(s - tau, 0) / 3), and the entries must sum to the budget.
"""

import numpy as np

from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.tasks import Array, Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Numbers of halvings: the first that reaches the gap counts."""
    return [{"halvings": halvings} for halvings in (10, 15, 20, 25, 30, 40, 60)]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """Nothing to build."""
    scores, budgets = problem.scores, problem.budgets

    def run() -> Array:
        high = scores.max(axis=1)
        low = high - 3 * budgets**2  # where the best entry alone spends the budget
        for _ in range(setting["halvings"]):
            middle = (low + high) / 2
            spent = np.sqrt(np.maximum(scores - middle[:, None], 0) / 3).sum(axis=1)
            low = np.where(spent > budgets, middle, low)
            high = np.where(spent > budgets, high, middle)
        return np.sqrt(np.maximum(scores - ((low + high) / 2)[:, None], 0) / 3)

    return Prepared(run, lambda attention: Answer(attention, None, {"iterations": setting["halvings"]}))
