"""The registry of the meta-learning contracts: ways of taking the gradient, optimisers inside, algorithms.

A new one is added here and thereby goes through all the contracts in tests/contracts/; the test of the registry fails
until it is. The network is smooth (tanh) and small, so that central differences are a reference.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attnjax.meta import (
    Learner,
    LinearSolve,
    Tasks,
    adam,
    anil,
    cavia,
    first_order_maml,
    implicit_maml,
    maml,
    meta_sgd,
    reptile,
)

TASKS, SHOTS, HIDDEN, STEPS = 3, 4, 3, 3


def parameters(seed: int = 0) -> dict:
    """Two layers, in float64 if that is on."""
    draw = np.random.default_rng(seed)
    shapes = {"body": {"kernel": (1, HIDDEN), "bias": (HIDDEN,)}, "head": {"kernel": (HIDDEN, 1), "bias": (1,)}}
    return jax.tree.map(lambda shape: jnp.asarray(draw.normal(size=shape)), shapes, is_leaf=lambda x: type(x) is tuple)


def predict(params: dict, x: jax.Array) -> jax.Array:
    hidden = jnp.tanh(x @ params["body"]["kernel"] + params["body"]["bias"][None])
    return hidden @ params["head"]["kernel"] + params["head"]["bias"][None]


def loss(params: dict, batch: dict) -> jax.Array:
    """Mean squared error over the rows that are there: the mask is of integers."""
    errors = batch["here"][:, None] * (predict(params, batch["x"]) - batch["y"]) ** 2
    return jnp.sum(errors) / jnp.sum(batch["here"])


def weighted_loss(params: dict, batch: dict, eta: dict) -> jax.Array:
    """The same, with a penalty whose weight is a meta-parameter."""
    return loss(params, batch) + jnp.exp(eta["penalty"]) * optax.tree.norm(params["head"], squared=True)


def context_loss(params: dict, context: jax.Array, batch: dict) -> jax.Array:
    """A context of the size of the hidden layer shifts it."""
    return loss({**params, "body": {**params["body"], "bias": params["body"]["bias"] + context}}, batch)


def batches(seed: int, *lead: int) -> dict:
    """Sine waves; the last row of each batch is padding in every other one."""
    draw = np.random.default_rng(seed)
    x = draw.uniform(-2, 2, (*lead, SHOTS, 1))
    amplitude, phase = draw.uniform(0.5, 2, (2, *lead, 1, 1))
    here = np.ones((*lead, SHOTS), np.int32)
    here.reshape(-1, SHOTS)[::2, -1] = 0
    return {"x": jnp.asarray(x), "y": jnp.asarray(amplitude * np.sin(x + phase)), "here": jnp.asarray(here)}


def tasks(seed: int = 1, count: int = TASKS) -> Tasks:
    return Tasks(batches(seed, count), batches(seed + 100, count))


OPTIMIZERS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "sgd": lambda eta: optax.sgd(jnp.exp(eta["rate"])),
    "momentum": lambda eta: optax.sgd(jnp.exp(eta["rate"]), jax.nn.sigmoid(eta["decay"]), nesterov=True),
    "adam": lambda eta: adam(jnp.exp(eta["rate"]), b1=jax.nn.sigmoid(eta["decay"])),
}
"""Each made from meta-parameters."""

ETA = {"rate": np.log(0.1), "decay": 0.3, "penalty": np.log(0.05)}


@dataclasses.dataclass(frozen=True)
class WayCase:
    """A way of taking the gradient: options, steps, and what its gradient is that of.

    `derivative_of` is "steps" (the steps as they are), "solution" (what they lead to), or "" for neither.
    """

    options: dict
    derivative_of: str = "steps"
    steps: int = STEPS


WAY_CASES = {
    "exact": WayCase({"grad": "exact"}),
    "exact_kept": WayCase({"grad": "exact", "remat": False}),
    "forward_over_reverse": WayCase({"grad": "forward_over_reverse"}),
    "first_order": WayCase({"grad": "first_order"}, derivative_of=""),
    "implicit": WayCase(
        {"grad": "implicit", "proximal": lambda eta: jnp.exp(eta["penalty"]) + 1, "linear": LinearSolve(1e-13, 40)},
        derivative_of="solution",
        steps=300,
    ),
}


@dataclasses.dataclass(frozen=True)
class LearnerCase:
    """An algorithm; `exact` if its gradient is that of its value. `make` passes options on."""

    make: Callable[..., Learner]
    exact: bool = True
    adapts: tuple[str, ...] = ("body/bias", "body/kernel", "head/bias", "head/kernel")
    loss: Callable = loss


RATE = 0.1
LEARNERS = {
    "maml": LearnerCase(lambda **o: maml(loss, optax.sgd(RATE), STEPS, **o)),
    "first_order_maml": LearnerCase(lambda **o: first_order_maml(loss, optax.sgd(RATE), STEPS, **o), exact=False),
    "anil": LearnerCase(
        lambda **o: anil(loss, optax.sgd(RATE), STEPS, head="head", **o), adapts=("head/bias", "head/kernel")
    ),
    "meta_sgd": LearnerCase(lambda **o: meta_sgd(loss, RATE, STEPS, **o)),
    "meta_sgd_per_parameter": LearnerCase(
        lambda **o: meta_sgd(loss, RATE, STEPS, per="parameter", adapt=("body/bias", "head"), **o),
        adapts=("body/bias", "head/bias", "head/kernel"),
    ),
    "cavia": LearnerCase(
        lambda **o: cavia(context_loss, optax.sgd(RATE), STEPS, context=jnp.zeros(HIDDEN), **o), adapts=("context",)
    ),
    "implicit_maml": LearnerCase(
        lambda **o: implicit_maml(
            loss, optax.sgd(RATE), 200, proximal=1.5, linear=LinearSolve(tolerance=1e-13, max_steps=40), **o
        )
    ),
    "reptile": LearnerCase(lambda **o: reptile(loss, optax.sgd(RATE), STEPS, **o), exact=False),
}

# What else `attnjax.meta` exports: the pieces, which the contracts of the ways and of the learners go through, records,
# and functions with tests of their own.
NO_CONTRACT = {
    "WAYS",
    "Adaptation",
    "InContext",
    "InnerLoop",
    "Learner",
    "LinearSolve",
    "Meta",
    "MetaState",
    "Online",
    "OnlineLearner",
    "OnlineStep",
    "Outcome",
    "Progress",
    "Solve",
    "Tasks",
    "adam",
    "conjugate_gradients",
    "curvature_products",
    "inner_loop",
    "learned_rates",
    "learner",
    "log_rates",
    "meta_iterations",
    "meta_start",
    "online_cross_validation",
    "over_tasks",
}
