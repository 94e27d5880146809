"""What `pareto_fronts` computes: the points of each optimiser, how good they are, the seconds they took; and fairness.

A seed draws MovieLens' users and splits its ratings, draws Open Bandit's rounds, and starts the relevance model, the
networks and NSGA-II anew.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from attnjax.data import load_movielens_100k, load_open_bandit
from attnjax.evaluation import bootstrap_interval
from attnjax.reproduction import Context, Outcome
from experiments.pareto_fronts import optimisers
from experiments.pareto_fronts.fairness import MEASURES, fairness
from experiments.pareto_fronts.measures import ceiling, certified, finite, measure, most_above, planes_of, worth_apart
from experiments.pareto_fronts.problem import make_problem
from experiments.pareto_fronts.sides import movielens_sides, open_bandit_sides

NETWORK, RUNS = 3, 4
"""Streams of a seed's key."""


OVER_SEEDS: dict[str, Callable[[list[float]], float]] = {
    "markets": sum,
    "unsolved": sum,
    "largest_gap": max,
}
"""What a record keeps of the seeds' certificates."""


class Stopwatch:
    """Calls a function and takes its time; the first of a name is called twice, so that compiling doesn't count."""

    def __init__(self) -> None:
        self._compiled: set[str] = set()

    def __call__(self, name: str, function: Callable[[], Any]) -> tuple[Any, float]:
        """The function's result and seconds.

        Args:
            name: of a program; equal for calls that share what is compiled.
            function: of no arguments, which returns arrays.
        """
        if name not in self._compiled:
            jax.block_until_ready(function())
            self._compiled.add(name)
        begin = time.perf_counter()
        found = jax.block_until_ready(function())
        return found, time.perf_counter() - begin


def _both_logs() -> dict[str, Any]:
    return {policy: load_open_bandit(policy, "all") for policy in ("random", "bts")}


MARKETS: dict[str, tuple[Callable, Callable]] = {
    "movielens": (load_movielens_100k, movielens_sides),
    "open_bandit": (_both_logs, open_bandit_sides),
}
"""How data are loaded, and how a seed makes a market of them."""


def run(config: Any, key: Any, context: Context) -> Outcome:
    """All optimisers on all seeds' problems, one market after the other."""
    watch = Stopwatch()
    values: dict[str, Any] = {}
    per_seed: dict[str, list[float]] = {}
    certificates: dict[str, Any] = {}
    for market, (load, sides) in MARKETS.items():
        data = load()
        results = [
            context.stage(f"{market}_{seed}", functools.partial(_one_seed, config, seed, key, sides, data, watch))
            for seed in context.progress(range(config.seed, config.seed + config.seeds), market)
        ]
        first = results[0]
        values[market] = {
            "sizes": first["sizes"],
            "points": first["points"],
            "fairness": {
                way: _over_seeds([result["fairness"][way] for result in results]) for way in first["fairness"]
            },
        }
        for name in first["scalars"]:
            per_seed[f"{market}_{name}"] = [float(result["scalars"][name]) for result in results]
        for way in first["certificates"]:
            found = [result["certificates"][way] for result in results]
            certificates[f"{market}_{way}"] = {
                name: float(whole([one[name] for one in found])) for name, whole in OVER_SEEDS.items()
            }
    return Outcome(values, per_seed, certificates)


def _one_seed(config: Any, seed: int, key: Any, sides: Callable, data: Any, watch: Stopwatch) -> dict[str, Any]:
    """One problem, all ways to its front; plain numbers and arrays."""
    key = jax.random.fold_in(key, seed)
    given = sides(config, seed, key, data)
    problem = make_problem(given)
    points: dict[str, NDArray] = {}
    times: dict[str, float] = {}
    weighed, times["weights"] = watch("weights", lambda: optimisers.by_weights(config, problem))
    floored, times["floors"] = watch("floors", lambda: optimisers.by_floors(config, problem))
    points |= {"weights": np.asarray(weighed.points), "floors": np.asarray(floored.points)}
    ways: dict[str, Callable[[], Any]] = {
        "linear_programs": lambda: optimisers.by_linear_programs(config, problem),
        "network": lambda: optimisers.by_network(config, problem, jax.random.fold_in(key, NETWORK)),
    }
    for name, way in ways.items():
        found, times[name] = watch(name, way)
        points[name] = np.asarray(found)
    trained, key_runs = {}, jax.random.fold_in(key, RUNS)
    for name in config.aggregators:
        train = functools.partial(optimisers.by_aggregator, config, name, problem, key_runs)
        trained[name], times[name] = watch(name, train)
        points[name] = np.asarray(optimisers.gains_each(problem.market, trained[name]))
    # NSGA-II is long and compiles next to nothing: it is not called twice.
    begin = time.perf_counter()
    points["nsga2"] = np.asarray(optimisers.by_genetic_algorithm(config, problem, seed))
    times["nsga2"] = time.perf_counter() - begin
    for policy, shares in given.logged.items():
        everyone = np.broadcast_to(np.asarray(shares), (1, *problem.market.scores.shape))
        points[f"logged_{policy}"] = np.asarray(optimisers.gains_each(problem.market, everyone))

    planes = planes_of(weighed)
    exact = finite(np.concatenate([points["weights"], points["floors"]]))
    measured = {name: measure(found, exact, planes) for name, found in points.items()}
    scalars = {f"{name}_{what}": number for name, found in measured.items() for what, number in found.items()}
    scalars |= {f"{name}_seconds": seconds for name, seconds in times.items()}
    return {
        "sizes": {
            "users": problem.market.scores.shape[0],
            "items": problem.market.scores.shape[1],
            "creators": problem.claims.size,
        },
        "points": {name: finite(found) for name, found in points.items()},
        "scalars": scalars
        | {
            "ceiling_hypervolume": ceiling(planes),
            "most_above": most_above(planes, points.values()),
            "programs_apart": worth_apart(weighed, points["linear_programs"]),
        },
        "fairness": fairness(config, problem, weighed, floored, trained["mean"]),
        "certificates": {
            "weights": certified(weighed),
            "floors": certified(floored),
        },
    }


def _over_seeds(tables: list[NDArray]) -> list[dict[str, Any]]:
    """For each setting the measures over the seeds that solved it: means, intervals, and the worst least exposure."""
    rows = []
    for seeds in np.stack(tables, axis=1):  # (seeds, measures) of one setting
        solved = seeds[np.isfinite(seeds).all(axis=1)]
        row: dict[str, Any] = {"failed": len(seeds) - len(solved)}
        if len(solved):
            row |= {
                name: dict(bootstrap_interval(values)._asdict())
                for name, values in zip(MEASURES, solved.T, strict=True)
            }
            row["worst"] = float(solved[:, MEASURES.index("least")].min())
        rows.append(row)
    return rows
