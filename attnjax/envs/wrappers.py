"""Wrappers: episodes that follow each other by themselves, and trials of several episodes.

`AutoReset(env)` starts a new episode of the same task where one ended. `Trial(env, episodes)` is what a learner with a
memory lives in: some episodes of one task, with the last action, reward and end of an episode shown, so that the
memory can learn the task. The memory survives the end of an episode and not that of a trial; that is why a trial's
`terminated` is about the trial, and `info` tells about the episode.

Both compute a reset in every step, whether or not an episode ended: under `vmap` both branches run anyway.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.envs.contract import Environment, Params, State, Step, where_ended
from attnjax.envs.spaces import Box, Space, check_size, float_dtype
from attnjax.errors import fail


def _check_inner(where: str, env: Any) -> None:
    if not isinstance(env, Environment) or env.auto_resets:
        fail(
            where,
            expected="an environment that does not reset by itself",
            got=repr(env),
            advice="Wrap in this order: AutoReset(Trial(env, episodes)).",
        )


@dataclasses.dataclass(frozen=True)
class AutoReset(Environment):
    """Starts a new episode of the same task in the step in which one ended.

    Where `terminated` or `truncated` is true, `obs` and `state` are already those of the new episode, and
    `info["final_observation"]` is what the action led to; elsewhere it equals `obs`.

    Args:
        env: the environment.

    Raises:
        UserError: if it resets by itself already.

    >>> from attnjax.envs.point_mass import PointMass
    >>> env = AutoReset(PointMass(horizon=1))
    >>> task = env.sample_task(jax.random.key(0))
    >>> obs, state = env.reset(jax.random.key(1), task)
    >>> step = env.step(jax.random.key(2), state, jnp.array([0.1, 0.0]), task)
    >>> bool(step.truncated), float(step.obs[0]), round(float(step.info["final_observation"][0]), 3)
    (True, 0.0, 0.1)
    """

    env: Environment
    auto_resets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_inner("AutoReset", self.env)

    @property
    def observation_space(self) -> Space:
        """That of the environment."""
        return self.env.observation_space

    @property
    def action_space(self) -> Space:
        """That of the environment."""
        return self.env.action_space

    @property
    def max_steps(self) -> int:
        """That of one episode."""
        return self.env.max_steps

    def sample_task(self, key: Array) -> Params:
        """That of the environment."""
        return self.env.sample_task(key)

    def reset(self, key: Array, params: Params) -> tuple[Array, State]:
        """That of the environment."""
        return self.env.reset(key, params)

    def step(self, key: Array, state: State, action: Any, params: Params) -> Step:
        """A step, and a reset where it ended the episode."""
        key_step, key_reset = jax.random.split(key)
        step = self.env.step(key_step, state, action, params)
        ended = step.terminated | step.truncated
        obs, state = where_ended(ended, self.env.reset(key_reset, params), (step.obs, step.state))
        info = {**step.info, "final_observation": step.obs}
        return Step(obs, state, step.reward, step.terminated, step.truncated, info)


class TrialState(NamedTuple):
    """Where a trial stands.

    Attributes:
        inner: the state of the current episode.
        episodes: how many have ended.
    """

    inner: State
    episodes: Int[Array, ""]


class TrialParts(NamedTuple):
    """What a trial's observation is made of.

    Attributes:
        observation: (o,), the environment's own, one-hot if it is discrete.
        action: (a,), the last action, one-hot if it is discrete; zeros at the trial's start.
        reward: the last reward; 0 at the start.
        ended: 1 if the last action ended an episode, else 0, as at the start.
    """

    observation: Float[Array, " o"]
    action: Float[Array, " a"]
    reward: Float[Array, ""]
    ended: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class Trial(Environment):
    """Several episodes of one task, as one long episode for a learner with a memory.

    The observation is a vector: the environment's own, the last action, the last reward, and whether an episode just
    ended (`parts` takes it apart). The trial is terminated with its last episode: no reward after it counts, so
    nothing is bootstrapped from there. `info["episode_terminated"]` and `info["episode_truncated"]` tell of the
    episode, and `info["episode_observation"]` holds the environment's own observation before the next one began.

    Args:
        env: the environment.
        episodes: how many make a trial.

    Raises:
        UserError: if the environment resets by itself, or for less than one episode.

    Source: Duan et al. (2016), RL^2, §2.2.

    >>> from attnjax.envs.bandits import BernoulliBandit, BernoulliTask
    >>> trial, task = Trial(BernoulliBandit(arms=2, pulls=1), episodes=3), BernoulliTask(jnp.array([0.0, 1.0]))
    >>> obs, state = trial.reset(jax.random.key(0), task)
    >>> step = trial.step(jax.random.key(1), state, 1, task)
    >>> [x.tolist() for x in trial.parts(step.obs)], bool(step.terminated)
    ([[1.0], [0.0, 1.0], 1.0, 1.0], False)
    """

    env: Environment
    episodes: int

    def __post_init__(self) -> None:
        _check_inner("Trial", self.env)
        check_size("Trial", "episodes", self.episodes)

    @property
    def observation_space(self) -> Box:
        """A vector of what `parts` lists."""
        return Box((self.env.observation_space.num_features + self.env.action_space.num_features + 2,))

    @property
    def action_space(self) -> Space:
        """That of the environment."""
        return self.env.action_space

    @property
    def max_steps(self) -> int:
        """Those of all episodes."""
        return self.episodes * self.env.max_steps

    def sample_task(self, key: Array) -> Params:
        """That of the environment."""
        return self.env.sample_task(key)

    def parts(self, obs: Float[Array, " n"]) -> TrialParts:
        """Takes an observation apart."""
        seen = self.env.observation_space.num_features
        return TrialParts(obs[:seen], obs[seen:-2], obs[-2], obs[-1])

    def _observation(self, obs: Array, action: Array, reward: Array, ended: Bool[Array, ""]) -> Array:
        last = jnp.stack([jnp.asarray(reward, float_dtype()), jnp.asarray(ended, float_dtype())])
        return jnp.concatenate([self.env.observation_space.features(obs), action, last])

    def reset(self, key: Array, params: Params) -> tuple[Array, TrialState]:
        """Starts the first episode."""
        obs, inner = self.env.reset(key, params)
        nothing = jnp.zeros(self.action_space.num_features, float_dtype())
        return self._observation(obs, nothing, jnp.asarray(0.0), jnp.asarray(False)), TrialState(inner, jnp.int32(0))

    def step(self, key: Array, state: TrialState, action: Any, params: Params) -> Step:
        """A step; where it ended an episode but the last, the next one begins."""
        action = self.action_space.action(action, "Trial.step")
        key_step, key_reset = jax.random.split(key)
        step = self.env.step(key_step, state.inner, action, params)
        ended = step.terminated | step.truncated
        episodes = state.episodes + ended.astype(jnp.int32)
        over = episodes >= self.episodes
        obs, inner = where_ended(ended & ~over, self.env.reset(key_reset, params), (step.obs, step.state))
        info = {
            **step.info,
            "episode_terminated": step.terminated,
            "episode_truncated": step.truncated,
            "episode_observation": step.obs,
        }
        obs = self._observation(obs, self.action_space.features(action), step.reward, ended)
        return Step(obs, TrialState(inner, episodes), step.reward, over, jnp.asarray(False), info)
