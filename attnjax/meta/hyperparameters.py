"""Hyper-parameters learned online, from what one step of learning with them is worth.

    theta' = optimiser(theta, grad_theta loss(theta, batch, eta)),
    eta <- eta - beta d J(theta', next batch) / d eta

eta are discounts, trace decays, weights of losses, whatever the loss takes; J is a fixed objective without them, on
data that the step has not seen, so that it is cross-validation. theta' depends on eta through one step only: how
earlier steps depended on it is dropped, as in the paper (its trace with mu = 0). For more steps, or many tasks,
differentiate an `inner_loop` with `eta_in_loss` in eta.

Source: Xu, van Hasselt and Silver (2018), Meta-gradient reinforcement learning.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float

Tree = Any


class Online(NamedTuple):
    """The state of learning: parameters, hyper-parameters, and what their two optimisers remember."""

    theta: Tree
    eta: Tree
    memory: Tree
    meta_memory: Tree


class OnlineStep(NamedTuple):
    """What a step saw.

    Attributes:
        loss: at theta, of the batch, with the eta before the step.
        validation_loss: J at theta'.
        meta_gradient: d J / d eta, a tree like eta.
    """

    loss: Float[Array, ""]
    validation_loss: Float[Array, ""]
    meta_gradient: Tree


class OnlineLearner(NamedTuple):
    """`init(theta, eta) -> Online`, and `step(state, batch, validation) -> (Online, OnlineStep)`."""

    init: Callable[[Tree, Tree], Online]
    step: Callable[[Online, Tree, Tree], tuple[Online, OnlineStep]]


def online_cross_validation(
    loss: Callable[[Tree, Tree, Tree], Float[Array, ""]],
    optimizer: optax.GradientTransformation,
    validation_loss: Callable[[Tree, Tree], Float[Array, ""]],
    meta_optimizer: optax.GradientTransformation,
) -> OnlineLearner:
    """Learns theta by a loss that eta shapes, and eta by what each step of that does to a fixed objective.

    Args:
        loss: `loss(theta, batch, eta)`, a scalar. Hyper-parameters of a range are best learned through a map onto it,
            e.g. a discount as `jax.nn.sigmoid(eta["discount"])` and a weight as `jnp.exp(eta["weight"])`.
        optimizer: of theta; its memory lasts. Take `attnjax.meta.adam` rather than optax's: the step is differentiated.
        validation_loss: J(theta, validation), which knows nothing of eta.
        meta_optimizer: of eta.

    Returns:
        Two pure functions; `jax.lax.scan` the second over batches, where each batch validates the one before.

    >>> def loss(theta, batch, eta):  # of two targets, of which only the first matters
    ...     return jnp.exp(eta[0]) * (theta - batch) ** 2 + jnp.exp(eta[1]) * (theta + batch) ** 2
    >>> import jax.numpy as jnp
    >>> learner = online_cross_validation(
    ...     loss, optax.sgd(0.1), lambda theta, batch: (theta - batch) ** 2, optax.sgd(0.1)
    ... )
    >>> state, seen = learner.step(learner.init(jnp.array(0.0), jnp.zeros(2)), jnp.array(1.0), jnp.array(1.0))
    >>> bool(state.eta[0] > 0), bool(state.eta[1] < 0)
    (True, True)
    """

    def init(theta: Tree, eta: Tree) -> Online:
        return Online(theta, eta, optimizer.init(theta), meta_optimizer.init(eta))

    def step(state: Online, batch: Tree, validation: Tree) -> tuple[Online, OnlineStep]:
        def after(eta: Tree) -> tuple[Array, tuple[Tree, Tree, Array]]:
            value, gradient = jax.value_and_grad(loss)(state.theta, batch, eta)
            update, memory = optimizer.update(gradient, state.memory, state.theta)
            theta = optax.apply_updates(state.theta, update)
            return validation_loss(theta, validation), (theta, memory, value)

        (judged, (theta, memory, value)), slope = jax.value_and_grad(after, has_aux=True)(state.eta)
        update, meta_memory = meta_optimizer.update(slope, state.meta_memory, state.eta)
        eta = optax.apply_updates(state.eta, update)
        return Online(theta, eta, memory, meta_memory), OnlineStep(value, judged, slope)

    return OnlineLearner(init, step)
