"""Many meta-iterations in one compiled call.

Small networks spend more time entering Python than learning, so a scan over meta-iterations is most of what there is to
gain. What is written here is that scan and its random keys; validation, schedules of any other kind and saving are the
caller's, between the calls.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail
from attnjax.meta.learners import Learner, Meta
from attnjax.meta.tasks import Tasks

Tree = Any


class MetaState(NamedTuple):
    """Where meta-learning stands: what is learned, the outer optimiser's memory, iterations done."""

    meta: Meta
    memory: Tree
    iteration: Int[Array, ""]


class Progress(NamedTuple):
    """What happened in each iteration.

    Attributes:
        value: (iterations,), the mean query loss before the update.
        median: (iterations,), over the tasks.
        divergences: (iterations,), how many tasks diverged.
        finite: (iterations,), whether the meta-gradient was; if not, what is learned is spoilt from there on.
    """

    value: Float[Array, " iterations"]
    median: Float[Array, " iterations"]
    divergences: Int[Array, " iterations"]
    finite: Bool[Array, " iterations"]


def meta_start(learner: Learner, optimizer: optax.GradientTransformation, theta: Tree) -> MetaState:
    """The state before the first iteration."""
    meta = learner.init(theta)
    return MetaState(meta, optimizer.init(meta), jnp.zeros((), jnp.int32))


def meta_iterations(
    learner: Learner,
    optimizer: optax.GradientTransformation,
    sample: Callable[[Array], Tasks],
    iterations: int,
) -> Callable[[MetaState, Array], tuple[MetaState, Progress]]:
    """A compiled function that does so many meta-iterations, each with tasks of its own.

    Args:
        learner: gives the meta-gradients.
        optimizer: descends them; optax's `apply_if_finite` around it skips those that are not finite.
        sample: `sample(key) -> Tasks`, a batch; the key is used nowhere else.
        iterations: in one call; 50 or so leaves little to gain.

    Returns:
        `run(state, key) -> (state, Progress)`. Iteration i draws its tasks with `fold_in(key, i)`, counted over calls:
        pass the same key each time, and cutting the work into calls otherwise changes nothing.

    Raises:
        UserError: for fewer than one iteration.

    >>> from attnjax.meta.learners import maml
    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2)
    >>> def sample(key):
    ...     target = 3 + jax.random.normal(key, (8, 1))
    ...     return Tasks(target, target)
    >>> learner, optimizer = maml(loss, optax.sgd(0.1), steps=1), optax.adam(0.1)
    >>> run = meta_iterations(learner, optimizer, sample, 50)
    >>> state, progress = run(meta_start(learner, optimizer, jnp.zeros(1)), jax.random.key(0))
    >>> int(state.iteration), bool(abs(state.meta.theta[0] - 3) < 0.5), bool(progress.finite.all())
    (50, True, True)
    """
    if iterations < 1:
        fail("meta_iterations", expected="at least one iteration", got=str(iterations), advice="50 is a good number.")

    def iterate(state: MetaState, key: Array) -> tuple[MetaState, Progress]:
        tasks = sample(jax.random.fold_in(key, state.iteration))
        (value, outcome), gradient = learner.gradient(state.meta, tasks)
        update, memory = optimizer.update(gradient, state.memory, state.meta)
        meta = optax.apply_updates(state.meta, update)
        finite = jnp.isfinite(optax.tree.sum(gradient))
        progress = Progress(value, outcome.median, outcome.divergences, finite)
        return MetaState(meta, memory, state.iteration + 1), progress

    @jax.jit
    def run(state: MetaState, key: Array) -> tuple[MetaState, Progress]:
        return jax.lax.scan(lambda state, _: iterate(state, key), state, None, length=iterations)

    return run
