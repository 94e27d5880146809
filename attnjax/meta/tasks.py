"""From one task to many: the meta-loss is the mean query loss after adaptation.

L(theta, eta) = mean over tasks of query_loss(phi_task, query_task),        phi_task = inner(theta, eta, support_task)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail
from attnjax.meta.inner_loop import Adaptation

Tree = Any
Inner = Callable[[Tree, Tree, Tree], tuple[Tree, Adaptation]]
Loss = Callable[[Tree, Tree], Float[Array, ""]]


class Tasks(NamedTuple):
    """A batch of tasks, or one.

    Attributes:
        support: what each task is adapted on; a tree of arrays, with a leading axis of tasks for a batch.
        query: what it is judged on, likewise.
    """

    support: Tree
    query: Tree


class Outcome(NamedTuple):
    """How a batch of tasks went; no derivative passes through it.

    Attributes:
        query_losses: (tasks,), after adaptation.
        support_losses: (tasks, steps), before each step.
        diverged: (tasks,), whether the inner run diverged, or the query loss is not finite or above the run's ceiling.
        divergences: how many.
        median: of the query losses, those that are NaN counted as infinite. The mean has heavy tails: read both.
        stationarity: (tasks,) of an implicit inner loop, else `None`.
        residual: (tasks,) of the linear solves behind an implicit gradient, where the learner reports it, else `None`.
    """

    query_losses: Float[Array, " tasks"]
    support_losses: Float[Array, "tasks steps"]
    diverged: Bool[Array, " tasks"]
    divergences: Int[Array, ""]
    median: Float[Array, ""]
    stationarity: Float[Array, " tasks"] | None
    residual: Float[Array, " tasks"] | None = None


def over_tasks(
    inner: Inner, query_loss: Loss, *, chunk: int | None = None
) -> Callable[[Tree, Tree, Tasks], tuple[Float[Array, ""], Outcome]]:
    """The meta-loss of a batch of tasks, `meta_loss(theta, eta, tasks) -> (mean query loss, Outcome)`.

    Its gradient is whatever the inner loop's way of taking gradients makes of it; take it by
    `jax.value_and_grad(meta_loss, argnums=(0, 1), has_aux=True)`. A task that diverges is in the mean, so its NaN is
    too: look at `divergences`, and bound inner gradients by `clip`.

    Args:
        inner: `inner(theta, eta, support) -> (phi, Adaptation)`, of one task.
        query_loss: `query_loss(phi, query)`, of one task.
        chunk: how many tasks at a time are in memory, `None` for all; each chunk's inside is computed again on the
            way back. The result is the same up to rounding.

    Returns:
        The meta-loss. Its `tasks` are `Tasks`, or any pair of support and query, whose leaves have the tasks as leading
        axis.

    Raises:
        UserError: for a chunk below 1, and when called with leaves whose leading axes differ.

    >>> from attnjax.meta.inner_loop import inner_loop
    >>> import optax
    >>> def loss(params, batch):
    ...     return jnp.sum((params - batch) ** 2) / 2
    >>> meta_loss = over_tasks(inner_loop(loss, optax.sgd(0.5), steps=1), loss)
    >>> tasks = Tasks(support=jnp.array([[1.0], [3.0]]), query=jnp.array([[1.0], [3.0]]))
    >>> value, outcome = meta_loss(jnp.zeros(1), None, tasks)
    >>> float(value), outcome.query_losses.tolist(), int(outcome.divergences)
    (0.625, [0.125, 1.125], 0)
    """
    if chunk is not None and chunk < 1:
        fail("over_tasks", expected="chunk >= 1 or None", got=str(chunk), advice="None takes all tasks at once.")

    def meta_loss(theta: Tree, eta: Tree, tasks: Tasks) -> tuple[Array, Outcome]:
        def one(task: Tasks) -> tuple[Array, Adaptation]:
            phi, report = inner(theta, eta, task.support)
            return query_loss(phi, task.query), report

        # `lax.map` saves what each iteration needs on the way back; checkpointed, that is its tasks alone.
        rematted = one if chunk is None else jax.checkpoint(one, prevent_cse=False)
        losses, reports = each_task(rematted, check_tasks(tasks), chunk)
        return jnp.mean(losses), summarise(losses, reports)

    return meta_loss


def each_task(function: Callable[[Any], Any], tasks: Any, chunk: int | None) -> Any:
    """`function` of each task, all at once or `chunk` at a time; results are stacked."""
    return jax.vmap(function)(tasks) if chunk is None else jax.lax.map(function, tasks, batch_size=chunk)


def summarise(query_losses: Float[Array, " tasks"], reports: Adaptation) -> Outcome:
    """The `Outcome` of query losses and the reports of the inner runs, stacked over tasks."""
    losses = jax.lax.stop_gradient(query_losses)
    diverged = reports.diverged | ~jnp.isfinite(losses) | (losses > reports.ceiling)
    ordered = jnp.sort(jnp.where(jnp.isnan(losses), jnp.inf, losses))
    count = losses.shape[0]
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Outcome(losses, reports.losses, diverged, jnp.sum(diverged), median, reports.stationarity)


def check_tasks(tasks: Any) -> Tasks:
    """A pair of support and query as `Tasks`, if their leaves have one leading axis; else raises `UserError`."""
    tasks = Tasks(*jax.tree.map(jnp.asarray, tuple(tasks)))
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(tasks)]
    if len({shape[:1] for shape in shapes}) != 1 or not all(shape and shape[0] > 0 for shape in shapes):
        fail(
            "over_tasks",
            expected="support and query whose leaves have one leading axis of tasks, of at least 1",
            got=f"shapes {shapes}",
            advice="Stack the tasks, e.g. by jax.vmap of what makes one.",
        )
    return tasks
