"""CAVIA: a task is a context vector; the network's parameters stay as they were learned.

    c_{t+1} = optimiser(c_t, grad_c loss(theta, c_t, support)),        learn theta from loss(theta, c_k, query)

c_0 is the same in every task and not itself learned. The network must not be flat in the context there, or it never
moves.

Source: Zintgraf, Shiarlis, Kurin, Hofmann and Whiteson (2019), Fast context adaptation via meta-learning.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from attnjax.meta.inner_loop import Adaptation, inner_loop
from attnjax.meta.learners import Learner, learner

Tree = Any
ContextLoss = Callable[[Tree, Tree, Tree], Float[Array, ""]]


class InContext(NamedTuple):
    """What `cavia` adapts to: shared parameters, and the context of one task."""

    shared: Tree
    context: Tree


def cavia(
    loss: ContextLoss,
    optimizer: optax.GradientTransformation,
    steps: int,
    *,
    context: Tree,
    query_loss: ContextLoss | None = None,
    chunk: int | None = None,
    **options: Any,
) -> Learner:
    """The learner of shared parameters for contexts that adapt.

    Args:
        loss: `loss(params, context, support)`, a scalar; that of the inner steps.
        optimizer: of the inner steps.
        steps: how many.
        context: where each task's context starts, a tree of arrays; the paper has zeros.
        query_loss: `query_loss(params, context, query)`; `loss` if left out.
        chunk: as in `over_tasks`.
        **options: of `inner_loop`, but for `adapt`.

    Returns:
        A `Learner` with `Meta.theta` the shared parameters; what it adapts to is an `InContext`.

    Raises:
        UserError: as `inner_loop` and `over_tasks` do.

    >>> def loss(params, context, batch):
    ...     return jnp.sum((params * context - batch) ** 2) / 2
    >>> learner = cavia(loss, optax.sgd(0.5), steps=1, context=jnp.zeros(1))
    >>> phi, _ = learner.adapt(learner.init(jnp.array([2.0])), jnp.array([1.0]))
    >>> phi.shared.tolist(), phi.context.tolist()
    ([2.0], [1.0])
    """
    judge = query_loss or loss
    loop = inner_loop(
        lambda phi, batch: loss(phi.shared, phi.context, batch), optimizer, steps, adapt="context", **options
    )

    def inner(theta: Tree, eta: Tree, support: Tree) -> tuple[InContext, Adaptation]:
        return loop(InContext(theta, jax.tree.map(jnp.asarray, context)), eta, support)

    return learner(inner, lambda phi, query: judge(phi.shared, phi.context, query), chunk=chunk)
