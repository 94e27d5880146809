"""What `pareto_fronts` computes: the points of each optimiser, their hypervolume, and the seconds they took."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.data import load_movielens_100k
from attnjax.pareto import hypervolume, igd_plus, market_front
from attnjax.reproduction import Context, Outcome
from experiments.pareto_fronts import optimisers
from experiments.pareto_fronts.problem import gains_of, make_problem

NETWORK, STARTS = 3, 4
"""Streams of a seed's key."""

MARGIN = 0.1
"""By how much of the front's range the reference point is worse than the worst on it."""


def run(config: Any, key: Any, context: Context) -> Outcome:
    """All optimisers on all seeds' problems."""
    data = load_movielens_100k()
    seeds = range(config.seed, config.seed + config.seeds)
    results = [
        context.stage(f"seed_{seed}", functools.partial(_one_seed, config, seed, key, data))
        for seed in context.progress(seeds, "seeds")
    ]
    first = results[0]
    return Outcome(
        values={"points": first["points"], "sizes": first["sizes"], "weights": np.asarray(optimisers.lattice(config))},
        per_seed={name: [float(result["scalars"][name]) for result in results] for name in first["scalars"]},
        certificates={
            "exact": {
                "largest_relative_gap": max(float(result["gap"]) for result in results),
                "all_converged": all(bool(result["converged"]) for result in results),
                "above_a_certificate": max(float(result["above"]) for result in results),
            }
        },
    )


def _one_seed(config: Any, seed: int, key: Any, data: Any) -> dict[str, Any]:
    key = jax.random.fold_in(key, seed)
    problem = make_problem(config, seed, key, data)
    weights = optimisers.lattice(config)
    total = float(jnp.sum(problem.market.budgets))
    exact, seconds = _timed(lambda: market_front(problem.market, weights, config.tol))
    points, times = {"exact": np.asarray(exact.gains) / total}, {"exact": seconds}
    starts = jax.random.split(jax.random.fold_in(key, STARTS), config.starts)
    ways: dict[str, Callable[[], Any]] = {
        "linear_programs": lambda: optimisers.by_linear_programs(config, problem),
        "network": lambda: optimisers.by_network(config, problem, jax.random.fold_in(key, NETWORK)),
    }
    for name in config.aggregators:
        ways[name] = functools.partial(optimisers.by_aggregator, config, name, problem, starts)
    for name, way in ways.items():
        found, times[name] = _timed(way)
        points[name] = np.asarray(found)
    # NSGA-II once: it is long, and compiles next to nothing.
    begin = time.perf_counter()
    points["nsga2"] = np.asarray(optimisers.by_genetic_algorithm(config, problem, seed))
    times["nsga2"] = time.perf_counter() - begin
    uniform = jnp.full_like(problem.market.scores, 1 / problem.market.scores.shape[1])
    points["uniform"] = np.asarray(gains_of(problem.market, uniform))[None]
    best, worst = points["exact"].max(axis=0), points["exact"].min(axis=0)
    scale = np.where(best > worst, best - worst, 1)
    front = (best - points["exact"]) / scale
    upper, above = np.asarray(exact.upper) / total, 0.0
    scalars = {}
    for name, gains in points.items():
        losses = jnp.asarray((best - gains) / scale, jnp.float32)
        scalars[f"{name}_hypervolume"] = float(hypervolume(losses, jnp.full(3, 1 + MARGIN)) / (1 + MARGIN) ** 3)
        scalars[f"{name}_distance"] = float(igd_plus(losses, jnp.asarray(front, jnp.float32)))
        above = max(above, float((np.asarray(weights) @ gains.T - upper[:, None]).max()))
    for name in times:
        scalars[f"{name}_seconds"] = times[name]
    return {
        "scalars": scalars,
        "points": points,
        "sizes": {
            "users": problem.market.scores.shape[0],
            "films": problem.market.scores.shape[1],
            "directors": problem.market.platform_rates.size,
        },
        "gap": float(jnp.max(exact.gap / jnp.abs(exact.upper))),
        "converged": bool(exact.converged.all()),
        "above": above,
    }


def _timed(compute: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the seconds of a second call: without compiling."""
    jax.block_until_ready(compute())
    begin = time.perf_counter()
    found = jax.block_until_ready(compute())
    return found, time.perf_counter() - begin
