"""The meta-iteration through `attnjax.meta`, one compiled call each."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from attnjax.meta import Learner, MetaState, Outcome, Tasks, maml, meta_start
from experiments.benchmarks.meta.by_hand import called_one_by_one, squared_error
from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.setting import INNER_RATE, LEARNING_RATE, Batch, Prepared, parameters

TASKS = STEPS


def learner_of(steps: int) -> Learner:
    """MAML of the network that all contestants train."""
    return maml(lambda params, points: squared_error(params, *points), optax.sgd(INNER_RATE), steps)


def tasks_of(batch: Batch) -> Tasks:
    """A batch as attnjax takes it."""
    return Tasks((batch.x_support, batch.y_support), (batch.x_query, batch.y_query))


def updates(steps: int) -> tuple[Callable[[MetaState, Batch], tuple[MetaState, tuple[jax.Array, Outcome]]], MetaState]:
    """One meta-iteration with all that is reported of it, not yet compiled, and the state before the first."""
    learner, adam = learner_of(steps), optax.adam(LEARNING_RATE)

    def update(state: MetaState, batch: Batch) -> tuple[MetaState, tuple[jax.Array, Outcome]]:
        reported, gradient = learner.gradient(state.meta, tasks_of(batch))
        change, memory = adam.update(gradient, state.memory, state.meta)
        return MetaState(optax.apply_updates(state.meta, change), memory, state.iteration + 1), reported

    return update, meta_start(learner, adam, jax.tree.map(jnp.asarray, parameters()))


def prepare(task: str) -> Prepared:
    """One compiled call per meta-iteration."""
    update, state = updates(int(task))
    return called_one_by_one(update, state, lambda state: state.memory[0].mu.theta)
