"""The market's LP as HiGHS takes it: one row per user, one per creator, and per entry a column of two ones."""

from typing import Any

import highspy
import numpy as np

from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.tasks import Problem


def prepare(problem: Problem, options: Setting, threads: int) -> Prepared:
    """Builds the LP; what is timed is passing it to HiGHS and solving it."""
    assert problem.floors is not None
    assert problem.caps is not None
    users, items = problem.scores.shape
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = users * items, users + items
    lp.col_cost_ = -problem.scores.ravel()
    lp.col_lower_ = np.zeros(users * items)
    lp.col_upper_ = np.full(users * items, highspy.kHighsInf)
    least = problem.budgets if problem.must_spend else np.zeros(users)
    lp.row_lower_ = np.concatenate([least, problem.floors])
    lp.row_upper_ = np.concatenate([problem.budgets, problem.caps])
    rows = np.empty((users, items, 2), np.int32)
    rows[..., 0] = np.arange(users)[:, None]
    rows[..., 1] = users + np.arange(items)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = 2 * np.arange(users * items + 1, dtype=np.int32)
    lp.a_matrix_.index_ = rows.ravel()
    lp.a_matrix_.value_ = np.ones(2 * users * items)

    def run() -> Any:
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", threads)
        for name, value in options.items():
            highs.setOptionValue(name, value)
        highs.passModel(lp)
        highs.run()
        return highs

    def read(highs: Any) -> Answer:
        status, info, found = highs.getModelStatus(), highs.getInfo(), highs.getSolution()
        told = {
            "status": highs.modelStatusToString(status),
            "iterations": int(max(info.ipm_iteration_count, info.simplex_iteration_count)),
        }
        if not found.value_valid:
            return Answer(None, None, told)
        # Costs are negated scores: one more unit of a creator's exposure adds minus its row's dual to welfare.
        prices = np.asarray(found.row_dual)[users:] if found.dual_valid else None
        return Answer(np.asarray(found.col_value).reshape(users, items), prices, told)

    return Prepared(run, read)
