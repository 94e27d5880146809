"""Ours: directions, training steps and fronts."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.allocation import Creators, Market, Nash, solve
from attnjax.pareto import (
    AGGREGATORS,
    DRAWING,
    Aggregator,
    market_front,
    simplex_lattice,
    stacked_gradients,
    weighted_market,
)
from experiments.benchmarks.aggregation.config import TEMPERATURE, Config, small_market

PACKAGES = ("jax", "jaxlib")
RATE = 1e-2
LEAST = 0.02
"""The smallest weight of a party on a front."""

TOLERANCE = 1e-4
"""The relative gap of each point of a front."""


def made(name: str, objectives: int) -> Aggregator:
    """An aggregator by name, at its defaults."""
    if name in DRAWING:
        return AGGREGATORS[name](jax.random.key(0))
    if name == "weighted":
        return AGGREGATORS[name](np.full(objectives, 1 / objectives))
    return AGGREGATORS[name]()


def given(matrix: np.ndarray) -> jax.Array:
    """The gradients where JAX computes."""
    return jnp.asarray(matrix)


def prepare(name: str, matrix: jax.Array) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """One compiled call per direction, and what reads it."""
    aggregator = made(name, matrix.shape[0])
    compiled = jax.jit(lambda gradients, state: aggregator.combine(gradients, state)[0].direction)
    state = aggregator.init(matrix.shape[0])
    return lambda: jax.block_until_ready(compiled(matrix, state)), lambda found: np.asarray(found, float)


def answer(request: dict[str, Any], _: Any) -> dict[str, Any]:
    """Training steps, the three ways to a front, or the front that NSGA-II is compared with."""
    settings = Config(**request["config"])
    return {"steps": steps, "ways": ways, "front": front}[request["do"]](settings, request)


def steps(config: Config, _asked: dict[str, Any]) -> dict[str, Any]:
    """Seconds of a training step with each aggregator at three objectives, and of three separate gradients.

    The network has four layers of tanh, the objectives are three squared errors, and the update is plain descent. The
    three gradients are compiled and called one by one, and nothing is made of them.
    """
    keys = jax.random.split(jax.random.key(0), 4)
    params = [jax.random.normal(key, (config.width, config.width)) / config.width**0.5 for key in keys]
    inputs = jax.random.normal(jax.random.key(1), (config.batch, config.width))
    wanted = jax.random.normal(jax.random.key(2), (3, config.batch, config.width))

    def losses(params: Any) -> jax.Array:
        hidden = inputs
        for kernel in params:
            hidden = jnp.tanh(hidden @ kernel)
        return jnp.mean((hidden[None] - wanted) ** 2, axis=(1, 2))

    separate = [jax.jit(jax.grad(lambda params, i=i: losses(params)[i])) for i in range(3)]

    def stepping(name: str) -> Callable[[], Any]:
        aggregator = made(name, 3)
        state = aggregator.init(3)

        @jax.jit
        def step(params: Any, state: Any) -> Any:
            combined, state = aggregator.combine(stacked_gradients(losses, params)[1], state)
            return jax.tree.map(lambda w, d: w - RATE * d, params, combined.direction), state

        return lambda: step(params, state)

    calls = {"": lambda: [gradient(params) for gradient in separate]}
    calls |= {name: stepping(name) for name in config.aggregators}
    for call in calls.values():
        for _ in range(2):
            jax.block_until_ready(call())
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(config.step_rounds):
        for name, call in calls.items():
            times[name].append(min(_timed(call)[1] for _ in range(3)))
    gradients = times.pop("")
    return {
        "parameters": sum(kernel.size for kernel in params),
        "gradients": statistics.median(gradients),
        "aggregators": {
            name: {
                "seconds": statistics.median(taken),
                "ratio": statistics.median(mine / base for mine, base in zip(taken, gradients, strict=True)),
            }
            for name, taken in times.items()
        },
    }


def ways(config: Config, _asked: dict[str, Any]) -> dict[str, Any]:
    """Seconds of one front in three ways: side by side by vmap, in one compiled program, and solve by solve."""
    market = _market(*small_market(config.users, config.items))
    weights = simplex_lattice(3, config.divisions, least=LEAST)[: config.points]

    def one_by_one() -> list[Any]:
        return [solve(weighted_market(market, weight), TOLERANCE) for weight in weights]

    found = {}
    for name, call in {
        "vmapped": lambda: market_front(market, weights, TOLERANCE, together=len(weights)),
        "one program": lambda: market_front(market, weights, TOLERANCE),
        "in sequence": one_by_one,
    }.items():
        jax.block_until_ready(call())
        timed = [_timed(call) for _ in range(config.front_repeats)]
        last: Any = timed[-1][0]
        iterations = np.array([each.iterations for each in last] if isinstance(last, list) else last.iterations)
        converged = np.array([each.converged for each in last] if isinstance(last, list) else last.converged)
        found[name] = {
            "seconds": statistics.median(seconds for _, seconds in timed),
            "iterations": int(iterations.sum()),
            "slowest": int(iterations.max()),
            "converged": int(converged.sum()),
        }
    return {"points": len(weights), "ways": found}


def front(config: Config, request: dict[str, Any]) -> dict[str, Any]:
    """Seconds of the small market's front; its gains go to a file, in the units of `small_gains`."""
    users, items = config.small
    market = _market(*small_market(users, items))
    weights = simplex_lattice(3, config.divisions, least=LEAST)

    def call() -> Any:
        return market_front(market, weights, TOLERANCE)

    jax.block_until_ready(call())
    timed = [_timed(call) for _ in range(config.front_repeats)]
    found = timed[-1][0]
    # Nash's weights are 1 / n each times the users: back to the mean logarithm over an equal share.
    gains = np.asarray(found.gains, float) / users - np.array([0.0, np.log(users / items), 0.0])
    np.save(request["save"], gains)
    return {
        "seconds": statistics.median(seconds for _, seconds in timed),
        "converged": bool(found.converged.all()),
    }


def _market(scores: np.ndarray, rates: np.ndarray) -> Market:
    """Users with a little taste for variety, one creator per item with Nash welfare, and a platform."""
    users, items = scores.shape
    value = Nash(jnp.full(items, users / items, jnp.float32))
    return Market.of(scores, Creators.one_per_item(items), value, platform_rates=rates, temperature=TEMPERATURE)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    found = jax.block_until_ready(call())
    return found, time.perf_counter() - begin
