"""The contract of an environment: pure `reset` and `step`, and the task as a pytree.

    params = env.sample_task(key)                        # the task: a pytree of arrays, which can be vmapped
    obs, state = env.reset(key, params)
    obs, state, reward, terminated, truncated, info = env.step(key, state, action, params)

The six parts and `info["final_observation"]` are those of gymnax 1.0; three things differ. Nothing resets by itself:
`attnjax.envs.AutoReset` does that, and computes a reset in every step for it. `params` is never left out, because it is
the task. Sizes are fields of the environment, a frozen and hashable dataclass, so no array has a shape that depends on
a value.

*terminated* means that nothing can follow: the goal is reached, the trial is over. *truncated* means that the clock
(`max_steps`) stopped what could have gone on. A step after either is computed and means nothing.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.envs.spaces import Space
from attnjax.errors import fail

Params = Any
State = Any


class Step(NamedTuple):
    """What a step returns; unpack it or name the parts.

    Attributes:
        obs: what is seen next, of `observation_space`.
        state: what the next step needs.
        reward: a float.
        terminated: whether nothing can follow.
        truncated: whether the clock ran out.
        info: more arrays by name; `final_observation` where the environment resets by itself.
    """

    obs: Array
    state: State
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    truncated: Bool[Array, ""]
    info: dict[str, Any]


class Environment(abc.ABC):
    """What every environment is; subclasses are frozen dataclasses whose fields are sizes and settings.

    `jit`, `vmap` and `scan` are the caller's: over keys, states and actions for many copies, over `params` too for
    many tasks.

    Attributes:
        auto_resets: whether a step past the end starts a new episode.
    """

    auto_resets: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def observation_space(self) -> Space:
        """What `obs` looks like."""

    @property
    @abc.abstractmethod
    def action_space(self) -> Space:
        """What `step` accepts."""

    @property
    @abc.abstractmethod
    def max_steps(self) -> int:
        """The most steps an episode takes."""

    @abc.abstractmethod
    def sample_task(self, key: Array) -> Params:
        """Draws a task from the distribution that the environment's source describes."""

    @abc.abstractmethod
    def reset(self, key: Array, params: Params) -> tuple[Array, State]:
        """Starts an episode: the first observation and the first state.

        Raises:
            UserError: if `params` are not of this environment's sizes.
        """

    @abc.abstractmethod
    def step(self, key: Array, state: State, action: Any, params: Params) -> Step:
        """Moves on by one action.

        Raises:
            UserError: for an action of another shape or kind, or, outside of `jit` and `vmap`, out of range.
        """


def check_task(where: str, params: Params, cls: type, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raises unless `params` is of class `cls` and its arrays have these shapes.

    Args:
        where: the function that refuses.
        params: what came.
        cls: the class of the environment's tasks.
        shapes: the shape of each field.

    Raises:
        UserError: if not.
    """
    if not isinstance(params, cls):
        fail(
            where,
            expected=f"a task of class {cls.__name__}",
            got=type(params).__name__,
            advice="Draw one with env.sample_task(key).",
        )
    got = {name: jnp.shape(getattr(params, name)) for name in shapes}
    if got != shapes:
        fail(
            where,
            expected=f"a task of shapes {shapes}",
            got=str(got),
            advice="Build the environment for those sizes; many tasks at once go through jax.vmap.",
        )


def where_ended(ended: Array, fresh: Any, old: Any) -> Any:
    """The tree `fresh` where an episode has ended, else the tree `old`, leaf by leaf."""
    return jax.tree.map(lambda one, other: jnp.where(ended, one, other), fresh, old)
