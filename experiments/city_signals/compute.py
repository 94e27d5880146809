"""What `city_signals` computes: every controller on every map, on the same seeds.

Webster's plan needs flows: they are counted over the stop lines under the net file's plan, on a seed of their own.
"""

import functools
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from attnjax.envs.signal_controllers import even_plan, webster_plan
from attnjax.envs.sumo import (
    Actuated,
    Controller,
    CyclicShares,
    Failure,
    FixedPlan,
    Greedy,
    Job,
    MaxPressure,
    NetPlan,
    RemoteSimulation,
    Scenario,
    SimulationError,
    SparseShares,
    resco_scenario,
    run_episodes,
    sumo_seeds,
)
from attnjax.reproduction import Context, Outcome

PLANS = ("net_plan", "uniform", "webster")
CONTROLLERS = (*PLANS, "actuated", "greedy", "max_pressure", "cyclic_shares", "sparse_shares")
CAPPED = "sparse_shares"
MEASURES = ("strict_delay", "delay", "mean_speed", "throughput", "waiting", "queue")


def run(config: Any, key: Any, context: Context) -> Outcome:
    """All controllers on all maps; SUMO has its own seeds, so the key is not used."""
    seeds = sumo_seeds("test", config.seed, config.seeds)
    found = {
        name: context.stage(name, functools.partial(_on_map, config, resco_scenario(name), seeds, context))
        for name in config.maps
    }
    waits = [at["longest_wait"] for at in found.values()]
    return Outcome(
        values={
            "sumo": _sumo_version(),
            "sumo_seeds": seeds,
            "maps": {name: {"vehicles": at["vehicles"], "signals": at["signals"]} for name, at in found.items()},
            "measures": {
                name: {controller: at[controller] for controller in CONTROLLERS} for name, at in found.items()
            },
        },
        per_seed={
            f"{name}_{controller}_{measure}": [float(x) for x in at[controller][measure]]
            for name, at in found.items()
            for controller in CONTROLLERS
            for measure in ("strict_delay", "delay")
        },
        certificates={"runs": len(seeds) * len(CONTROLLERS) * len(found), "longest_wait_under_the_cap": max(waits)},
    )


def controllers(config: Any, scenario: Scenario) -> dict[str, Controller]:
    """Each controller for one map, by name; the plans are made for the map, the others are the same everywhere."""
    (seed,) = sumo_seeds("count", config.seed, 1)
    with RemoteSimulation() as simulation:
        layout, _ = simulation.begin(scenario, seed)
        counted = simulation.play(Job(scenario, NetPlan(), seed))
    webster = webster_plan(counted.flows, layout.green, layout.phase_mask, layout.yellow)
    return {
        "net_plan": NetPlan(),
        "uniform": FixedPlan.of(even_plan(layout.phase_mask, config.uniform_cycle)),
        "webster": FixedPlan.of(webster),
        "actuated": Actuated(),
        "greedy": Greedy(),
        "max_pressure": MaxPressure(),
        "cyclic_shares": CyclicShares(cycle=config.shares_cycle),
        "sparse_shares": SparseShares(budget=config.shares_budget, cap=config.cap),
    }


def _on_map(config: Any, scenario: Scenario, seeds: list[int], context: Context) -> dict[str, Any]:
    """Every controller on one map."""
    players = controllers(config, scenario)
    jobs = [Job(scenario, players[name], seed) for name in CONTROLLERS for seed in seeds]
    episodes = run_episodes(jobs, config.processes, done=_every(40, len(jobs), scenario.name, context))
    failed = [one for one in episodes if isinstance(one, Failure)]
    if failed:
        told = "; ".join(f"{one.job.controller} on seed {one.job.seed}: {one.error}" for one in failed)
        raise SimulationError(f"{scenario.name}: {len(failed)} of {len(jobs)} runs failed ({told})")
    by_name = {
        name: [one for one in episodes[k * len(seeds) : (k + 1) * len(seeds)] if not isinstance(one, Failure)]
        for k, name in enumerate(CONTROLLERS)
    }
    return {
        "vehicles": by_name["net_plan"][0].measures.scheduled,
        "signals": len(players["uniform"].windows),  # type: ignore[attr-defined]
        "longest_wait": max(one.longest_wait for one in by_name[CAPPED]),
        **{
            name: {measure: np.array([float(getattr(one.measures, measure)) for one in runs]) for measure in MEASURES}
            for name, runs in by_name.items()
        },
    }


def _every(step: int, total: int, name: str, context: Context) -> Any:
    def say(count: int) -> None:
        if count % step == 0 and count < total:
            context.say(f"{name}: {count} of {total} runs")

    return say


def _sumo_version() -> str:
    for package in ("libsumo", "traci"):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return "of this machine"
