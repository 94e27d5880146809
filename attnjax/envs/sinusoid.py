"""Regression of sinusoids: the supervised tasks of few-shot learning.

    y = A sin(x - phi),   A ~ Uniform(0.1, 5),   phi ~ Uniform(0, pi),   x ~ Uniform(-5, 5)

Not an environment, since nothing is acted upon: a sampler of tasks with a support set to adapt on and a query set to
be judged by.

Source: Finn et al. (2017), Model-agnostic meta-learning, §5.1.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.envs.spaces import check_size, float_dtype
from attnjax.errors import fail
from attnjax.pytrees import register


@dataclasses.dataclass(frozen=True)
class Sinusoid:
    """One task, y = amplitude sin(x - phase).

    Attributes:
        amplitude: a scalar.
        phase: a scalar, in radians.

    >>> round(float(Sinusoid(2.0, jnp.pi / 2)(jnp.array([[jnp.pi]]))[0, 0]), 5)
    2.0
    """

    amplitude: Float[Array, ""] | float
    phase: Float[Array, ""] | float

    def __call__(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The curve at x."""
        return self.amplitude * jnp.sin(x - self.phase)


register(Sinusoid)


class Points(NamedTuple):
    """Points on a curve, without noise.

    Attributes:
        x: (n, 1).
        y: (n, 1).
    """

    x: Float[Array, "n 1"]
    y: Float[Array, "n 1"]


class FewShot(NamedTuple):
    """A task with what is shown of it.

    Attributes:
        task: the curve.
        support: the points to adapt on.
        query: the points to be judged by.
    """

    task: Sinusoid
    support: Points
    query: Points


@dataclasses.dataclass(frozen=True)
class SinusoidTasks:
    """The distribution of sinusoids; `vmap` over keys for a meta-batch.

    Args:
        amplitudes: the range of amplitudes.
        phases: the range of phases, in radians.
        inputs: the range of x.

    Raises:
        UserError: for a range that is not (low, high) with low < high.

    Source: Finn et al. (2017), §5.1.

    >>> few = SinusoidTasks().few_shot(jax.random.key(0), support=5, query=20)
    >>> few.support.x.shape, few.query.y.shape
    ((5, 1), (20, 1))
    """

    amplitudes: tuple[float, float] = (0.1, 5.0)
    phases: tuple[float, float] = (0.0, float(jnp.pi))
    inputs: tuple[float, float] = (-5.0, 5.0)

    def __post_init__(self) -> None:
        for name in ("amplitudes", "phases", "inputs"):
            values = getattr(self, name)
            if len(values) != 2 or not values[0] < values[1]:
                fail(
                    "SinusoidTasks",
                    expected=f"{name} as (low, high) with low < high",
                    got=str(values),
                    advice="The paper's ranges are the defaults.",
                )

    def sample_task(self, key: Array) -> Sinusoid:
        """A curve."""
        key_amplitude, key_phase = jax.random.split(key)
        amplitude = jax.random.uniform(key_amplitude, (), float_dtype(), *self.amplitudes)
        return Sinusoid(amplitude, jax.random.uniform(key_phase, (), float_dtype(), *self.phases))

    def sample_points(self, key: Array, task: Sinusoid, count: int) -> Points:
        """`count` points of a curve, x uniform."""
        check_size("SinusoidTasks.sample_points", "count", count)
        x = jax.random.uniform(key, (count, 1), float_dtype(), *self.inputs)
        return Points(x, task(x))

    def few_shot(self, key: Array, support: int, query: int) -> FewShot:
        """A curve with independent support and query points.

        Args:
            key: all that is random.
            support: K, points to adapt on.
            query: points to be judged by.

        Returns:
            A `FewShot`; the curve is that of `sample_task(jax.random.split(key, 3)[0])`, whatever the sizes.

        Raises:
            UserError: for sizes below 1.
        """
        key_task, key_support, key_query = jax.random.split(key, 3)
        task = self.sample_task(key_task)
        return FewShot(task, self.sample_points(key_support, task, support), self.sample_points(key_query, task, query))
