"""The meta-iteration as one writes it in JAX without a meta-learning library; Adam is optax's, as in ours."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.setting import (
    INNER_RATE,
    LEARNING_RATE,
    POOL,
    Batch,
    Prepared,
    one_vector,
    parameters,
    pool,
)

TASKS = STEPS


def network(params: Any, x: jax.Array) -> jax.Array:
    """The network at x, (n, 1)."""
    for kernel, bias in params[:-1]:
        x = jax.nn.relu(x @ kernel + bias[None])
    return x @ params[-1][0] + params[-1][1][None]


def squared_error(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared error."""
    return jnp.mean((network(params, x) - y) ** 2)


def meta_loss(params: Any, batch: Batch, steps: int) -> jax.Array:
    """The mean query loss after adaptation."""

    def after(task: Batch) -> jax.Array:
        def descend(phi: Any) -> Any:
            gradient = jax.grad(squared_error)(phi, task.x_support, task.y_support)
            return jax.tree.map(lambda p, g: p - INNER_RATE * g, phi, gradient)

        if steps == 1:
            phi = descend(params)
        else:
            body = jax.checkpoint(lambda phi, _: (descend(phi), None), prevent_cse=False)
            phi = jax.lax.scan(body, params, length=steps)[0]
        return squared_error(phi, task.x_query, task.y_query)

    return jnp.mean(jax.vmap(after)(batch))


def updates(steps: int) -> tuple[Callable[[Any, Batch], tuple[Any, jax.Array]], Any]:
    """One meta-iteration, `update(state, batch) -> (state, loss)`, not yet compiled, and the state before the first."""
    adam = optax.adam(LEARNING_RATE)

    def update(state: tuple[Any, Any], batch: Batch) -> tuple[Any, jax.Array]:
        params, memory = state
        value, gradient = jax.value_and_grad(meta_loss)(params, batch, steps)
        change, memory = adam.update(gradient, memory, params)
        return (optax.apply_updates(params, change), memory), value

    params = jax.tree.map(jnp.asarray, parameters())
    return update, (params, adam.init(params))


def prepare(task: str) -> Prepared:
    """One compiled call per meta-iteration."""
    update, state = updates(int(task))
    return called_one_by_one(update, state, lambda state: state[1][0].mu)


def called_one_by_one(
    update: Callable[[Any, Batch], tuple[Any, Any]], state: Any, mean_of: Callable[[Any], Any]
) -> Prepared:
    """A contestant of a function that does one meta-iteration; `mean_of(state)` is Adam's mean of gradients."""
    batches = device_batches()
    compiled = jax.jit(update)
    first = one_vector(mean_of(compiled(state, batches[0])[0])) / 0.1  # a tenth of the gradient, after one iteration
    done = 0

    def run(count: int) -> None:
        nonlocal state, done
        for number in range(done, done + count):
            state, _ = compiled(state, batches[number % POOL])
        done += count
        jax.block_until_ready(state)

    return Prepared(run, 10, lambda: first)


def device_batches() -> list[Batch]:
    """The pool, batch by batch, where JAX computes."""
    drawn = pool()
    return [Batch(*(jnp.asarray(values[number]) for values in drawn)) for number in range(POOL)]
