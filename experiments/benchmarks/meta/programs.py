"""What the compiled programs cost: ours against the same by hand, and memory against inner steps.

Operations and temporary memory are the compiler's own count, so no clock is asked for them; it counts the body of a
loop once.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from attnjax.meta import inner_loop, over_tasks
from experiments.benchmarks.meta import by_hand, ours
from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.setting import INNER_RATE, Batch, parameters

WAYS: dict[str, dict[str, Any]] = {
    "plain scan": {"remat": False},
    "exact": {},
    "forward over reverse": {"grad": "forward_over_reverse"},
    "first-order": {"grad": "first_order"},
    "implicit": {"grad": "implicit", "proximal": 1.0},
}
"""Ways of taking the gradient, as arguments of `inner_loop`."""


def measure(settings: dict[str, Any]) -> dict[str, Any]:
    """Both, as `Config` asks for them."""
    return {
        "overhead": overhead(settings["overhead_rounds"], settings["overhead_seconds"], settings["tasks"]),
        "memory": memory(settings["memory_steps"]),
    }


def overhead(rounds: int, seconds: float, tasks: int | None) -> dict[str, Any]:
    """Per number of inner steps: operations, temporary bytes and time of a meta-iteration, ours over by hand.

    Args:
        rounds: in each, both are timed one after the other; the ratio is the median over rounds.
        seconds: how long each is timed in a round, about.
        tasks: how many of the numbers of steps, from the first; `None` for all.
    """
    batches = by_hand.device_batches()
    found = {}
    for steps in STEPS[:tasks]:
        costs, timed = {}, {}
        for name, module in (("ours", ours), ("by_hand", by_hand)):
            update, state = module.updates(int(steps))
            program = jax.jit(update).lower(state, batches[0]).compile()
            costs[name] = _costs(program)
            timed[name] = _timer(program, state, batches)
        calls = max(1, round(seconds / (timed["by_hand"](20) / 20)))
        timed["ours"](calls)
        taken: dict[str, list[float]] = {"ours": [], "by_hand": []}
        for number in range(rounds):
            for name in ("ours", "by_hand") if number % 2 else ("by_hand", "ours"):
                taken[name].append(timed[name](calls) / calls)
        each = [mine / theirs for mine, theirs in zip(taken["ours"], taken["by_hand"], strict=True)]
        found[steps] = {
            "flops": costs["ours"]["flops"] / costs["by_hand"]["flops"],
            "temporary_bytes": costs["ours"]["bytes"] / costs["by_hand"]["bytes"],
            "time": statistics.median(each),
            "time_quartiles": statistics.quantiles(each, n=4)[::2],
            "rounds": rounds,
            "calls_per_round": calls,
        }
    return found


def memory(steps: list[int]) -> dict[str, dict[str, int]]:
    """Per way of taking the gradient and number of inner steps: temporary bytes of a meta-gradient of one batch."""
    batch, theta = by_hand.device_batches()[0], jax.tree.map(jnp.asarray, parameters())
    found: dict[str, dict[str, int]] = {name: {} for name in WAYS}
    for name, count in itertools.product(WAYS, steps):
        inner = inner_loop(_loss, optax.sgd(INNER_RATE), count, **WAYS[name])
        meta_loss = over_tasks(inner, _loss)
        gradient = jax.grad(lambda theta, batch, of=meta_loss: of(theta, None, ours.tasks_of(batch))[0])
        found[name][str(count)] = _costs(jax.jit(gradient).lower(theta, batch).compile())["bytes"]
    return found


def _loss(params: Any, points: tuple[Any, Any]) -> jax.Array:
    return by_hand.squared_error(params, *points)


def _costs(program: Any) -> dict[str, Any]:
    return {
        "flops": program.cost_analysis()["flops"],
        "bytes": program.memory_analysis().temp_size_in_bytes,
    }


def _timer(program: Any, state: Any, batches: list[Batch]) -> Callable[[int], float]:
    """A function of the number of calls of a compiled update that returns the seconds they took."""

    def timed(calls: int) -> float:
        now = state
        begin = time.perf_counter()
        for number in range(calls):
            now, _ = program(now, batches[number % len(batches)])
        jax.block_until_ready(now)
        return time.perf_counter() - begin

    return timed
