"""Reptile: move the start towards where adaptation leads, and differentiate nothing.

    theta <- theta + epsilon mean over tasks of (phi_task - theta)

Source: Nichol, Achiam and Schulman (2018), On first-order meta-learning algorithms.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from attnjax.meta.inner_loop import Adaptation, inner_loop
from attnjax.meta.learners import Learner, Meta
from attnjax.meta.tasks import Outcome, Tasks, check_tasks, each_task, summarise

Tree = Any
Loss = Callable[[Tree, Tree], Float[Array, ""]]


def reptile(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
    *,
    query_loss: Loss | None = None,
    chunk: int | None = None,
    **options: Any,
) -> Learner:
    """The learner whose `gradient` is mean(theta - phi): `optax.sgd(epsilon)` on it is the paper's update.

    It is the gradient of no function; the value that comes with it is the mean query loss, for the record. With one
    step of `optax.sgd(rate)` it is rate times the gradient of the mean support loss: several steps, each best with a
    minibatch of its own (`per_step=True`), are what makes it learn to adapt.

    Args:
        loss: `loss(params, support)`, a scalar; that of the inner steps.
        optimizer: of the inner steps.
        steps: how many.
        query_loss: `query_loss(params, query)`; `loss` if left out.
        chunk: how many tasks at a time, as in `over_tasks`.
        **options: of `inner_loop`.

    Returns:
        A `Learner`.

    Raises:
        UserError: as `inner_loop` and `over_tasks` do.

    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2) / 2
    >>> learner = reptile(loss, optax.sgd(0.5), steps=2)
    >>> _, gradient = learner.gradient(learner.init(jnp.zeros(1)), Tasks(jnp.ones((4, 1)), jnp.ones((4, 1))))
    >>> gradient.theta.tolist()
    [-0.75]
    """
    inner = inner_loop(loss, optimizer, steps, **options)

    def gradient(meta: Meta, tasks: Tasks) -> tuple[tuple[Array, Outcome], Meta]:
        def one(task: Tasks) -> tuple[Array, Adaptation, Tree]:
            phi, report = inner(meta.theta, meta.eta, task.support)
            return (query_loss or loss)(phi, task.query), report, jax.tree.map(jnp.subtract, meta.theta, phi)

        losses, reports, moves = each_task(one, check_tasks(tasks), chunk)
        mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), moves)
        return (jnp.mean(losses), summarise(losses, reports)), Meta(mean)

    return Learner(Meta, gradient, lambda meta, support: inner(meta.theta, meta.eta, support))
