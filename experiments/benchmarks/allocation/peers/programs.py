"""Markets as cvxpy programmes, and how a conic solver is run on them.

Exposure is in units of its average, so that what the logarithms see is of the order of 1: interior-point methods fail
otherwise. Canonicalisation by cvxpy belongs to building the problem and is not timed.
"""

from typing import Any

import cvxpy
import numpy as np

from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.peers.linear_rows import rows_of
from experiments.benchmarks.allocation.tasks import Problem


def conic(problem: Problem, solver: str, options: Setting) -> Prepared:
    """A linear or a Nash market for one of cvxpy's conic solvers.

    Args:
        problem: linear or nash.
        solver: cvxpy's name for it.
        options: its own options.

    Returns:
        The prepared problem.
    """
    attention = cvxpy.Variable(problem.scores.size, nonneg=True)
    program = _linear(problem, attention) if problem.kind == "linear" else _nash(problem, attention)
    return prepared(program, solver, options, lambda: attention.value.reshape(problem.scores.shape))


def prepared(program: cvxpy.Problem, solver: str, options: Setting, attention: Any) -> Prepared:
    """Canonicalises a programme; what is timed is the solver's call.

    Args:
        program: what to solve.
        solver: cvxpy's name for the solver.
        options: its own options.
        attention: called after the solve, returns attention (u, n).

    Returns:
        The prepared problem.
    """
    data, chain, inverse = program.get_problem_data(solver, solver_opts=options)

    def run() -> Any:
        return chain.solve_via_data(program, data, warm_start=False, verbose=False, solver_opts=options)

    def read(raw: Any) -> Answer:
        try:
            program.unpack_results(raw, chain, inverse)
        except cvxpy.SolverError as error:
            return Answer(None, None, {"status": str(error).split(".")[0]})
        told = {"status": program.status, "iterations": int(program.solver_stats.num_iters or 0)}
        found = program.variables()[0].value is not None
        return Answer(np.asarray(attention()) if found else None, None, told)

    return Prepared(run, read)


def _linear(problem: Problem, attention: cvxpy.Variable) -> cvxpy.Problem:
    """The LP, with equality rows where lower and upper bound agree."""
    matrix, lower, upper = rows_of(problem)
    equal = lower == upper
    below, above = ~equal & (upper < np.inf), ~equal & (lower > 0)
    constraints = [matrix[below] @ attention <= upper[below]]
    if equal.any():
        constraints.append(matrix[equal] @ attention == upper[equal])
    if above.any():
        constraints.append(matrix[above] @ attention >= lower[above])
    return cvxpy.Problem(cvxpy.Maximize(problem.scores.ravel() @ attention), constraints)


def _nash(problem: Problem, attention: cvxpy.Variable) -> cvxpy.Problem:
    """Weighted logarithms of exposure, which is in units of its average under an even spread."""
    users, items = problem.scores.shape
    spread = cvxpy.reshape(attention, (users, items), order="C")
    even = (problem.budgets @ problem.scores).mean() / items
    exposure = cvxpy.sum(cvxpy.multiply(problem.scores / even, spread), axis=0)
    spent = cvxpy.sum(spread, axis=1)
    return cvxpy.Problem(cvxpy.Maximize(problem.weights @ cvxpy.log(exposure)), [spent <= problem.budgets])
