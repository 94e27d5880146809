"""The meta-iteration through `attnjax.meta.meta_iterations`: many in one compiled call."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from attnjax.meta import Tasks, meta_iterations, meta_start
from experiments.benchmarks.meta import ours
from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.setting import LEARNING_RATE, POOL, Batch, Prepared, one_vector, parameters, pool

TASKS, CALL = STEPS, 50


def prepare(task: str) -> Prepared:
    """`CALL` meta-iterations per call; each takes a batch of the pool at random."""
    learner, adam = ours.learner_of(int(task)), optax.adam(LEARNING_RATE)
    drawn = Batch(*(jnp.asarray(values) for values in pool()))

    def sample(key: Any) -> Tasks:
        number = jax.random.randint(key, (), 0, POOL)
        return ours.tasks_of(jax.tree.map(lambda values: values[number], drawn))

    advance, key = meta_iterations(learner, adam, sample, CALL), jax.random.key(0)
    begin = state = meta_start(learner, adam, jax.tree.map(jnp.asarray, parameters()))

    def run(count: int) -> None:
        nonlocal state
        for _ in range(count // CALL):
            state, _ = advance(state, key)
        jax.block_until_ready(state)

    first = jax.tree.map(lambda values: values[0], drawn)
    gradient = jax.jit(learner.gradient)
    return Prepared(run, CALL, lambda: one_vector(gradient(begin.meta, ours.tasks_of(first))[1].theta))
