"""MPAX: restarted averaged primal-dual hybrid gradient in JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse
from mpax import create_lp, raPDHG

from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.peers.linear_rows import rows_of
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float64"


def settings(task: Task) -> list[Setting]:
    """Tolerances from the task's own downwards."""
    return [{"eps": task.tolerance * factor} for factor in (1, 0.1, 0.01)]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """Compiles the solve for this problem's shape; what is timed is the compiled programme."""
    jax.config.update("jax_enable_x64", True)
    matrix, lower, upper = rows_of(problem)
    equal = lower == upper
    at_least, at_most = ~equal & (lower > 0), ~equal & (upper < np.inf)
    inequalities = scipy.sparse.vstack([matrix[at_least], -matrix[at_most]])
    size = problem.scores.size
    program = create_lp(
        jnp.asarray(-problem.scores.ravel()),
        sparse.BCSR.from_scipy_sparse(matrix[equal]),
        jnp.asarray(upper[equal]),
        sparse.BCSR.from_scipy_sparse(scipy.sparse.csr_matrix(inequalities)),
        jnp.asarray(np.concatenate([lower[at_least], -upper[at_most]])),
        jnp.zeros(size),
        jnp.full(size, jnp.inf),
    )
    solver = raPDHG(eps_abs=setting["eps"], eps_rel=setting["eps"])
    compiled = jax.jit(solver.optimize).lower(program).compile()

    def run() -> Any:
        return jax.block_until_ready(compiled(program))

    def read(found: Any) -> Answer:
        told = {"status": str(int(found.termination_status)), "iterations": int(found.iteration_count)}
        return Answer(np.asarray(found.primal_solution).reshape(problem.scores.shape), None, told)

    return Prepared(run, read)
