"""Sinkhorn of ott-jax: caps that are tight make the LP a transport problem, which entropy smooths."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ott.geometry.geometry import Geometry
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear.sinkhorn import Sinkhorn

from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float32"


def settings(task: Task) -> list[Setting]:
    """Smoothings from strong to weak, in units of scores: first with a loose stop, then with a tight one."""
    loose, tight = (1e-2, 3e-3, 1e-3, 3e-4), (3e-3, 1e-3, 3e-4, 1e-4)
    return [{"epsilon": epsilon, "threshold": 1e-3} for epsilon in loose] + [
        {"epsilon": epsilon, "threshold": 1e-4} for epsilon in tight
    ]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """Compiles the solve for this problem's shape; what is timed is the compiled programme."""
    total = problem.budgets.sum()
    cost = jnp.asarray(-problem.scores, jnp.float32)
    shares = (jnp.asarray(problem.budgets / total, jnp.float32), jnp.asarray(problem.caps / total, jnp.float32))
    solver = Sinkhorn(threshold=setting["threshold"], max_iterations=20_000)

    def solve(cost: jax.Array, users: jax.Array, creators: jax.Array) -> Any:
        found = solver(LinearProblem(Geometry(cost_matrix=cost, epsilon=setting["epsilon"]), users, creators))
        return found.matrix, found.g, found.converged, found.n_iters

    compiled = jax.jit(solve).lower(cost, *shares).compile()

    def run() -> Any:
        return jax.block_until_ready(compiled(cost, *shares))

    def read(found: Any) -> Answer:
        plan, potential, converged, iterations = found
        told = {"status": "converged" if bool(converged) else "not converged", "iterations": int(iterations)}
        # Costs are negated scores, so potentials are negated worths of one more unit.
        return Answer(np.asarray(plan, np.float64) * total, np.asarray(potential, np.float64), told)

    return Prepared(run, read)
