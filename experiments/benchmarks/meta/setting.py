"""What every contestant computes: one network, one pool of tasks, one meta-iteration; NumPy alone, so that all read it.

A meta-iteration takes a batch of the pool, adapts to each of its tasks by so many steps of gradient descent, and takes
one step of Adam along the exact gradient of the mean query loss: MAML on sinusoids, as Finn et al. (2017) have it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTH, META_BATCH, SHOTS, INNER_RATE, LEARNING_RATE = 40, 25, 10, 0.01, 1e-3
POOL = 50
"""Batches that are drawn before the clock starts; iteration i takes batch i modulo so many."""


class Prepared(NamedTuple):
    """A contestant that is ready to be timed.

    Attributes:
        run: `run(count)` does so many units (meta-iterations, environment steps), and returns when they are done.
        chunk: units per call.
        gradient: the meta-gradient of the first batch at the initial parameters as one vector, in the order of
            `parameters`; `None` for an environment.
    """

    run: Callable[[int], None]
    chunk: int
    gradient: Callable[[], NDArray] | None = None


class Batch(NamedTuple):
    """Tasks: the points to adapt on and those to be judged by, each (..., points, 1)."""

    x_support: Any
    y_support: Any
    x_query: Any
    y_query: Any


def parameters() -> list[tuple[NDArray, NDArray]]:
    """The network before the first iteration, 1-40-40-1: kernels (in, out) of He's variance, and biases."""
    draw = np.random.default_rng(0)
    sizes = [(1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
    return [
        ((np.sqrt(2 / size[0]) * draw.normal(size=size)).astype(np.float32), np.zeros(size[1], np.float32))
        for size in sizes
    ]


def pool() -> Batch:
    """The tasks, each array (POOL, META_BATCH, SHOTS, 1)."""
    draw = np.random.default_rng(1)
    amplitude = draw.uniform(0.1, 5.0, (POOL, META_BATCH, 1, 1))
    phase = draw.uniform(0.0, np.pi, amplitude.shape)
    x_support, x_query = draw.uniform(-5.0, 5.0, (2, POOL, META_BATCH, SHOTS, 1))
    made = (x_support, amplitude * np.sin(x_support - phase), x_query, amplitude * np.sin(x_query - phase))
    return Batch(*(values.astype(np.float32) for values in made))


def one_vector(pairs: Sequence[tuple[Any, Any]]) -> NDArray:
    """Kernels and biases, or their gradients, as one vector."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for pair in pairs for leaf in pair])
