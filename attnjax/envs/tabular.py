"""Random tabular Markov decision processes with a short horizon.

    R(s, a) ~ N(1, 1),   P(. | s, a) ~ Dirichlet(1, ..., 1),   reward = R(s, a) + N(0, 1),   s_1 = 0

Source: Duan et al. (2016), RL^2, §3.2, after Osband et al. (2013): 10 states, 5 actions, horizon 10.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.envs.contract import Environment, Step, check_task
from attnjax.envs.spaces import Discrete, check_size, float_dtype
from attnjax.pytrees import register

MEAN_REWARD = 1.0
"""The mean of the normal distribution, of variance 1, that expected rewards are drawn from."""


@dataclasses.dataclass(frozen=True)
class TabularTask:
    """A Markov decision process.

    Attributes:
        rewards: (s, a), the expected reward of each action in each state.
        transitions: (s, a, s), the probability of each next state.
    """

    rewards: Float[Array, "s a"]
    transitions: Float[Array, "s a s"]


register(TabularTask)


class TabularState(NamedTuple):
    """Where a tabular process stands.

    Attributes:
        place: the current state, 0, ..., s - 1.
        time: steps of the episode so far.
    """

    place: Int[Array, ""]
    time: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class TabularMDP(Environment):
    """Walks of `horizon` steps among a few states, from state 0.

    Args:
        states: how many.
        actions: how many in each state.
        horizon: the steps of an episode, which is truncated then.

    Raises:
        UserError: for sizes below 1.

    Source: Duan et al. (2016), §3.2.

    >>> env = TabularMDP()
    >>> task = env.sample_task(jax.random.key(0))
    >>> task.rewards.shape, task.transitions.shape
    ((10, 5), (10, 5, 10))
    >>> obs, state = env.reset(jax.random.key(1), task)
    >>> int(obs), int(env.step(jax.random.key(2), state, 3, task).state.time)
    (0, 1)
    """

    states: int = 10
    actions: int = 5
    horizon: int = 10

    def __post_init__(self) -> None:
        for name in ("states", "actions", "horizon"):
            check_size("TabularMDP", name, getattr(self, name))

    @property
    def observation_space(self) -> Discrete:
        """The current state."""
        return Discrete(self.states)

    @property
    def action_space(self) -> Discrete:
        """The actions."""
        return Discrete(self.actions)

    @property
    def max_steps(self) -> int:
        """The horizon."""
        return self.horizon

    def sample_task(self, key: Array) -> TabularTask:
        """Expected rewards N(1, 1), transitions flat Dirichlet."""
        key_rewards, key_transitions = jax.random.split(key)
        rewards = MEAN_REWARD + jax.random.normal(key_rewards, (self.states, self.actions), float_dtype())
        # Normalised exponentials are a flat Dirichlet draw.
        rates = jax.random.exponential(key_transitions, (self.states, self.actions, self.states), float_dtype())
        return TabularTask(rewards, rates / jnp.sum(rates, axis=-1, keepdims=True))

    def reset(self, key: Array, params: TabularTask) -> tuple[Array, TabularState]:
        """State 0; the key is not used."""
        pairs = (self.states, self.actions)
        check_task("TabularMDP.reset", params, TabularTask, {"rewards": pairs, "transitions": (*pairs, self.states)})
        return jnp.int32(0), TabularState(jnp.int32(0), jnp.int32(0))

    def step(self, key: Array, state: TabularState, action: Any, params: TabularTask) -> Step:
        """Pays R(s, a) and noise of variance 1, and moves on."""
        action = self.action_space.action(action, "TabularMDP.step")
        key_reward, key_place = jax.random.split(key)
        noise = jax.random.normal(key_reward, (), float_dtype())
        reward = (params.rewards[state.place, action] + noise).astype(float_dtype())
        below = jnp.cumsum(params.transitions[state.place, action])
        draw = jax.random.uniform(key_place, (), below.dtype)
        # Probabilities may sum to a little less than 1, and a draw may lie above.
        place = jnp.minimum(jnp.sum(below <= draw), self.states - 1).astype(jnp.int32)
        state = TabularState(place, state.time + 1)
        return Step(place, state, reward, jnp.asarray(False), state.time >= self.horizon, {})
