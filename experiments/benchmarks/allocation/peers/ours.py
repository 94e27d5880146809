"""The solver of this package, in float32, and the machine's copy bandwidth measured in the same process.

One pass reads the scores once: its floor is their size over the bandwidth of memory.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.allocation import Box, Creators, Market, Nash, Power, allocate, solve
from experiments.benchmarks.allocation.peers import Answer, Prepared, Setting
from experiments.benchmarks.allocation.tasks import Problem, Task

PRECISION = "float32"

COPIED_MB = 256
"""Size of the array that is copied; far above what caches hold."""


def settings(task: Task) -> list[Setting]:
    """Asks for the task's tolerance, and for less where the judge finds that it was not reached."""
    if task.kind == "cube":
        return [{}]
    return [{"tol": task.tolerance * factor} for factor in (1, 0.5, 0.25)]


def prepare(task: Task, problem: Problem, setting: Setting, threads: int) -> Prepared:
    """Builds the market; a solve at a tolerance that the first certificate meets is the same program."""
    if problem.kind == "cube":
        return _cube(problem)
    market, tolerance = market_of(problem), setting["tol"]

    def run(tolerance: float = tolerance) -> Any:
        return jax.block_until_ready(solve(market, tolerance, method="newton"))

    def read(found: Any) -> Answer:
        told = {
            "status": "converged" if bool(found.converged) else "not converged",
            "iterations": int(found.iterations),
            "own_gap": float(found.gap) if bool(jnp.isfinite(found.gap)) else None,
        }
        return Answer(np.asarray(found.attention), np.asarray(found.prices, np.float64), told)

    return Prepared(run, read, briefly=lambda: run(1e9))


def market_of(problem: Problem) -> Market:
    """The problem as a market in float32; all of its kinds but the cube.

    Args:
        problem: linear, nash or slates.

    Returns:
        A market at temperature 0.
    """
    creators = Creators.one_per_item(problem.creators)
    sparse: dict[str, Any] = {} if problem.candidates is None else {"candidates": problem.candidates}
    if problem.kind == "linear":
        assert problem.floors is not None
        assert problem.caps is not None
        return Market.of(
            problem.scores.astype(np.float32),
            creators,
            Box(jnp.asarray(problem.floors, jnp.float32), jnp.asarray(problem.caps, jnp.float32)),
            budgets=problem.budgets.astype(np.float32),
            temperature=0.0,
            at_most=not problem.must_spend,
            **sparse,
        )
    slates: dict[str, Any] = {} if problem.bias is None else {"position_bias": problem.bias.astype(np.float32)}
    return Market.of(
        np.zeros(problem.scores.shape, np.float32),
        creators,
        Nash(jnp.asarray(problem.weights, jnp.float32)),
        budgets=problem.budgets.astype(np.float32),
        temperature=0.0,
        impact=problem.scores.astype(np.float32),
        **slates,
    )


def after(problem: Problem, seconds: float, info: dict[str, Any], threads: int) -> dict[str, Any]:
    """What is measured once the solve is timed: passes per second, and the bandwidth that bounds them.

    Args:
        problem: that was solved.
        seconds: median of the solve.
        info: what the solver told, `iterations` among it.
        threads: as many as there are cores.

    Returns:
        `copy_gb_per_s`, and `passes_per_s` and `pass_over_read` (a pass's time over the time to read the scores).
    """
    copied = copy_bandwidth(threads)
    found: dict[str, Any] = {"copy_gb_per_s": round(copied / 1e9, 2), "device": _device()}
    if info.get("iterations"):
        read = 4 * problem.scores.size * (1 if problem.candidates is None else 2) / copied
        found |= {
            "passes_per_s": info["iterations"] / seconds,
            "pass_over_read": seconds / info["iterations"] / read,
        }
    return found


def copy_bandwidth(threads: int) -> float:
    """Bytes read and written per second when large arrays are copied; the best of several.

    Args:
        threads: how many copy at once, each a part of its own.
    """
    size = COPIED_MB * 250_000 // threads
    parts = [(np.ones(size, np.float32), np.zeros(size, np.float32)) for _ in range(threads)]
    best = np.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(9):
            begin = time.perf_counter()
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))
            best = min(best, time.perf_counter() - begin)
    return sum(2 * source.nbytes for source, _ in parts) / best


CACHED = 4096
"""Users per block of the cube: faster than all at once by about a third, whose bisection waits for memory."""


def _cube(problem: Problem) -> Prepared:
    """One budget per user by the operator, in blocks of users that fit a core's cache."""
    scores, budgets = jnp.asarray(problem.scores, jnp.float32), jnp.asarray(problem.budgets, jnp.float32)
    regularizer = Power(3)

    def one(user: tuple[jax.Array, jax.Array]) -> jax.Array:
        return allocate(*user, regularizer=regularizer).weights

    operator = jax.jit(lambda scores, budgets: jax.lax.map(one, (scores, budgets), batch_size=CACHED))

    def run() -> jax.Array:
        return jax.block_until_ready(operator(scores, budgets))

    return Prepared(run, lambda weights: Answer(np.asarray(weights), None, {"status": "solved"}), briefly=run)


def _device() -> dict[str, Any]:
    """What computed."""
    from attnjax.reproduction.provenance import device

    return device()
