"""An environment of the package behind Gymnasium's vector interface, so that agents from outside can play it.

Needs the package `gymnasium`; nothing else in `attnjax.envs` does.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.envs.contract import Environment, Params
from attnjax.envs.spaces import Discrete, Space, check_size
from attnjax.envs.wrappers import AutoReset
from attnjax.errors import fail

try:
    import gymnasium
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "gymnasium":
        raise
    fail(
        "attnjax.envs.gymnasium_vector",
        expected="the package 'gymnasium'",
        got="an environment without it",
        advice="Install it with: pip install 'attnjax[experiments]'",
    )


def gymnasium_space(space: Space) -> "gymnasium.Space":
    """The same space in Gymnasium's terms: integers are int64 there, floats stay what they are.

    >>> gymnasium_space(Discrete(3))
    Discrete(3)
    """
    if isinstance(space, Discrete):
        return gymnasium.spaces.Discrete(space.n)
    return gymnasium.spaces.Box(space.low, space.high, space.shape, np.dtype(space.dtype))


class GymnasiumVectorEnv(VectorEnv):
    """Copies of an environment, each with a task of its own, as a `gymnasium.vector.VectorEnv`.

    Resets happen in the same step (`metadata["autoreset_mode"]` says so): where an episode ended, the observation is
    already the next one's first, `infos["final_obs"]` holds the last one's and `infos["_final_obs"]` says where. A copy
    keeps its task from one episode to the next. All copies step in one compiled call; arrays come back as NumPy's,
    rewards as float64.

    Args:
        env: the environment; it is wrapped in `AutoReset` unless it resets by itself.
        num_envs: how many copies.
        params: their tasks, a tree with `num_envs` rows; or None to draw new ones at every `reset`.

    Raises:
        UserError: for no copies, or tasks of another number.

    >>> from attnjax.envs import BernoulliBandit
    >>> envs = GymnasiumVectorEnv(BernoulliBandit(arms=3, pulls=2), num_envs=4)
    >>> observations, infos = envs.reset(seed=0)
    >>> observations, rewards, terminations, truncations, infos = envs.step(np.array([0, 1, 2, 0]))
    >>> observations.tolist(), rewards.shape, truncations.tolist()
    ([0, 0, 0, 0], (4,), [False, False, False, False])
    """

    def __init__(self, env: Environment, num_envs: int, params: Params | None = None) -> None:
        check_size("GymnasiumVectorEnv", "num_envs", num_envs)
        if params is not None and {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(params)} != {(num_envs,)}:
            fail(
                "GymnasiumVectorEnv",
                expected=f"tasks with {num_envs} rows",
                got=str([jnp.shape(leaf) for leaf in jax.tree.leaves(params)]),
                advice="Draw them with jax.vmap(env.sample_task)(jax.random.split(key, num_envs)).",
            )
        self.env = env if env.auto_resets else AutoReset(env)
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.single_observation_space = gymnasium_space(env.observation_space)
        self.single_action_space = gymnasium_space(env.action_space)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._given = params
        self._params = params
        self._key: jax.Array | None = None
        self._state: Any = None
        self._sample = jax.jit(jax.vmap(self.env.sample_task))
        self._reset = jax.jit(jax.vmap(self.env.reset))
        self._step = jax.jit(jax.vmap(self.env.step))

    def _keys(self) -> jax.Array:
        assert self._key is not None, "reset makes the key"
        self._key, key = jax.random.split(self._key)
        return jax.random.split(key, self.num_envs)

    def _seen(self, obs: Any) -> np.ndarray:
        # A copy: NumPy's view of a JAX array can't be written to.
        return np.array(obs, dtype=self.single_observation_space.dtype)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Starts an episode in every copy, with new tasks unless they were given.

        Args:
            seed: decides everything that follows; None goes on from before, or from the system's entropy at first.
            options: none are known.

        Returns:
            The first observations, and no infos.

        Raises:
            UserError: for options.
        """
        if options:
            fail(
                "GymnasiumVectorEnv.reset",
                expected="no options",
                got=str(sorted(options)),
                advice="All copies start anew; each ended episode is reset by itself.",
            )
        super().reset(seed=seed)
        if seed is not None or self._key is None:
            self._key = jax.random.key(int(self.np_random.integers(2**31)))
        if self._given is None:
            self._params = self._sample(self._keys())
        obs, self._state = self._reset(self._keys(), self._params)
        return self._seen(obs), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One action in every copy.

        Args:
            actions: a batch of `action_space`.

        Returns:
            Observations, rewards, terminations, truncations and infos, each with one row per copy.

        Raises:
            UserError: before the first `reset`, or for actions outside of `action_space`.
        """
        if self._state is None:
            fail(
                "GymnasiumVectorEnv.step",
                expected="a reset before",
                got="none",
                advice="Call reset(seed=0) first.",
            )
        actions = np.asarray(actions)
        space = self.env.action_space
        fits = actions.shape == (self.num_envs, *space.shape)
        if isinstance(space, Discrete):
            fits = fits and np.issubdtype(actions.dtype, np.integer)
            fits = fits and bool(((actions >= 0) & (actions < space.n)).all())
        if not fits:
            fail(
                "GymnasiumVectorEnv.step",
                expected=f"actions of {self.action_space}",
                got=f"{actions.dtype}{list(actions.shape)}: {actions.ravel()[:5].tolist()}",
                advice="Box actions are clipped; integers are not.",
            )
        obs, self._state, reward, terminated, truncated, info = self._step(
            self._keys(), self._state, actions, self._params
        )
        terminations, truncations = np.array(terminated), np.array(truncated)
        infos: dict[str, Any] = {}
        ended = terminations | truncations
        if ended.any():
            final = self._seen(info["final_observation"])
            infos["final_obs"] = np.full(self.num_envs, None, dtype=object)
            for row in np.flatnonzero(ended):
                infos["final_obs"][row] = final[row]
            infos["final_info"] = {}
            infos["_final_obs"] = infos["_final_info"] = ended
        return self._seen(obs), np.array(reward, np.float64), terminations, truncations, infos
