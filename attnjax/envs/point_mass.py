"""Navigation in the plane: a point looks for a goal that it can't see.

    x_{t+1} = x_t + clip(a_t, -0.1, 0.1),   x_1 = 0,   reward = -|x_{t+1} - g|^2,   g uniform in [-1/2, 1/2]^2

Source: Finn et al. (2017), Model-agnostic meta-learning, §5.3.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.envs.contract import Environment, Step, check_task
from attnjax.envs.spaces import Box, check_size, float_dtype
from attnjax.pytrees import register

REACH = 0.1
"""The furthest a step goes along each axis."""
NEAR = 0.01
"""The distance from the goal at which an episode has reached it."""


@dataclasses.dataclass(frozen=True)
class PointMassTask:
    """Where to go.

    Attributes:
        goal: (2,).
    """

    goal: Float[Array, "2"]


register(PointMassTask)


class PointMassState(NamedTuple):
    """Where the point is.

    Attributes:
        position: (2,).
        time: steps of the episode so far.
    """

    position: Float[Array, "2"]
    time: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class PointMass(Environment):
    """A point that moves by at most 0.1 along each axis and pays for its distance to an unseen goal.

    Terminated within 0.01 of the goal, truncated at the horizon. The position is seen, the goal is not: it is the task.
    Actions are clipped; the reward's derivative in an action is exact inside the bounds and zero outside.

    Args:
        horizon: the steps of an episode.
        squared: whether the reward is minus the squared distance, as the paper writes, or minus the distance. The
            paper's table must be the latter: a point that stays at the origin gets -16.7 in 100 steps squared and
            -38.3 otherwise, and the published policies start from -40.

    Raises:
        UserError: for a horizon below 1.

    Source: Finn et al. (2017), §5.3 and Table 2.

    >>> env, task = PointMass(), PointMassTask(jnp.array([0.2, 0.0]))
    >>> obs, state = env.reset(jax.random.key(0), task)
    >>> step = env.step(jax.random.key(1), state, jnp.array([5.0, 0.0]), task)
    >>> [round(float(x), 3) for x in (*step.obs, step.reward)]
    [0.1, 0.0, -0.01]
    """

    horizon: int = 100
    squared: bool = True

    def __post_init__(self) -> None:
        check_size("PointMass", "horizon", self.horizon)

    @property
    def observation_space(self) -> Box:
        """The position."""
        return Box((2,))

    @property
    def action_space(self) -> Box:
        """The displacement."""
        return Box((2,), -REACH, REACH)

    @property
    def max_steps(self) -> int:
        """The horizon."""
        return self.horizon

    def sample_task(self, key: Array) -> PointMassTask:
        """A goal uniform in the unit square around the origin."""
        return PointMassTask(jax.random.uniform(key, (2,), float_dtype(), -0.5, 0.5))

    def reset(self, key: Array, params: PointMassTask) -> tuple[Array, PointMassState]:
        """The origin; the key is not used."""
        check_task("PointMass.reset", params, PointMassTask, {"goal": (2,)})
        position = jnp.zeros(2, float_dtype())
        return position, PointMassState(position, jnp.int32(0))

    def step(self, key: Array, state: PointMassState, action: Any, params: PointMassTask) -> Step:
        """Moves; nothing here is random, so the key is not used."""
        position = state.position + self.action_space.action(action, "PointMass.step")
        gap = position - params.goal
        squared = gap @ gap
        # The root's slope at 0 is infinite; there the derivative is taken as 0.
        reward = -squared if self.squared else -jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
        state = PointMassState(position, state.time + 1)
        reward = reward.astype(float_dtype())
        return Step(position, state, reward, squared < NEAR**2, state.time >= self.horizon, {})
