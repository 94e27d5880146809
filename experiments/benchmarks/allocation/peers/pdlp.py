"""PDLP of OR-tools: restarted primal-dual hybrid gradient."""

from typing import Any

import numpy as np
import scipy.sparse
from ortools.pdlp import solve_log_pb2, solvers_pb2
from ortools.pdlp.python import pdlp

from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.peers.linear_rows import rows_of
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Tolerances from the task's own downwards."""
    return [{"eps_optimal": task.tolerance * factor} for factor in (1, 0.1, 0.01)]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """Builds the programme; what is timed is the solve."""
    matrix, lower, upper = rows_of(problem)
    program = pdlp.QuadraticProgram()
    program.resize_and_initialize(problem.scores.size, lower.size)
    program.objective_vector = -problem.scores.ravel()
    program.constraint_matrix = scipy.sparse.csc_matrix(matrix)
    program.constraint_lower_bounds = lower
    program.constraint_upper_bounds = upper
    program.variable_lower_bounds = np.zeros(problem.scores.size)
    program.variable_upper_bounds = np.full(problem.scores.size, np.inf)
    parameters = solvers_pb2.PrimalDualHybridGradientParams()
    criteria = parameters.termination_criteria.simple_optimality_criteria
    criteria.eps_optimal_relative = criteria.eps_optimal_absolute = setting["eps_optimal"]
    parameters.num_threads = threads

    def run() -> Any:
        return pdlp.primal_dual_hybrid_gradient(program, parameters)

    def read(found: Any) -> Answer:
        told = {
            "status": solve_log_pb2.TerminationReason.Name(found.solve_log.termination_reason),
            "iterations": found.solve_log.iteration_count,
        }
        users = problem.budgets.size
        return Answer(
            np.asarray(found.primal_solution).reshape(problem.scores.shape),
            np.asarray(found.dual_solution)[users:],
            told,
        )

    return Prepared(run, read)
