"""The rows of the market's LP as a sparse matrix: users' budgets, then creators' floors and caps."""

import numpy as np
import scipy.sparse

from experiments.benchmarks.allocation.tasks import Array, Problem


def rows_of(problem: Problem) -> tuple[scipy.sparse.csr_matrix, Array, Array]:
    """Returns the matrix over attention (u times n, row by row) and the rows' lower and upper bounds."""
    assert problem.floors is not None
    assert problem.caps is not None
    users, items = problem.scores.shape
    budgets = scipy.sparse.kron(scipy.sparse.eye(users), np.ones((1, items)))
    creators = scipy.sparse.kron(np.ones((1, users)), scipy.sparse.eye(items))
    least = problem.budgets if problem.must_spend else np.full(users, -np.inf)
    return (
        scipy.sparse.vstack([budgets, creators], format="csr"),
        np.concatenate([least, problem.floors]),
        np.concatenate([problem.budgets, problem.caps]),
    )
