"""Rollouts: a policy plays an environment, in one scan.

A policy is a function of what it remembers, what it sees and a key; one without memory is `stateless`. Parameters of a
policy are closed over, so a rollout can be differentiated in them; `vmap` over tasks and keys is the caller's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.envs.contract import Environment, Params, where_ended
from attnjax.envs.spaces import check_size

Memory = Any


class Policy(NamedTuple):
    """How to act.

    Attributes:
        act: `act(memory, observation, key) -> (memory, action, extras)`; `extras` is any tree of arrays worth keeping,
            such as the log-probability of the action or a value, or () for none.
        memory: the memory at the start, a tree of arrays; () for none.
    """

    act: Callable[[Memory, Array, Array], tuple[Memory, Any, Any]]
    memory: Memory = ()


def stateless(act: Callable[[Array, Array], Any]) -> Policy:
    """A policy without memory from `act(observation, key) -> action`."""
    return Policy(lambda memory, observation, key: (memory, act(observation, key), ()))


class Trajectory(NamedTuple):
    """What happened; every array has time first.

    Attributes:
        observation: what the policy saw.
        action: what it did.
        reward: what it got; 0 where not `alive`.
        terminated: whether nothing could follow.
        truncated: whether the clock ran out.
        alive: whether the step counts: false after the end, where the environment does not reset by itself.
        successor: what the action led to, before any automatic reset: the observation to bootstrap from.
        extras: what the policy kept.
    """

    observation: Array
    action: Array
    reward: Float[Array, " t"]
    terminated: Bool[Array, " t"]
    truncated: Bool[Array, " t"]
    alive: Bool[Array, " t"]
    successor: Array
    extras: Any


def rollout(env: Environment, policy: Policy, params: Params, key: Array, steps: int) -> Trajectory:
    """Plays `steps` steps of one task.

    Where the environment resets by itself, all steps count, and the memory starts anew with each of its episodes; in
    `AutoReset(Trial(...))` that is each trial. Elsewhere the steps after the end are computed and masked.

    Args:
        env: the environment.
        policy: how to act.
        params: the task.
        key: all that is random; a longer rollout begins as a shorter one with the same key.
        steps: how many; `env.max_steps` for a whole episode.

    Returns:
        A `Trajectory`.

    Raises:
        UserError: for less than one step, and whatever the environment refuses.

    >>> from attnjax.envs.bandits import BernoulliBandit
    >>> env = BernoulliBandit(arms=3, pulls=10)
    >>> lazy = stateless(lambda observation, key: jnp.int32(2))
    >>> tasks = jax.vmap(env.sample_task)(jax.random.split(jax.random.key(0), 4))
    >>> keys = jax.random.split(jax.random.key(1), 4)
    >>> played = jax.vmap(lambda task, key: rollout(env, lazy, task, key, steps=10))(tasks, keys)
    >>> played.reward.shape, bool(played.truncated[:, -1].all())
    ((4, 10), True)
    """
    check_size("rollout", "steps", steps)
    key_reset, key_steps = jax.random.split(key)
    obs, state = env.reset(key_reset, params)

    def one(carry: tuple, time: Array) -> tuple[tuple, Trajectory]:
        obs, state, memory, alive = carry
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        memory, action, extras = policy.act(memory, obs, key_act)
        step = env.step(key_env, state, action, params)
        ended = step.terminated | step.truncated
        reward = jnp.where(alive, step.reward, 0)
        successor = step.info["final_observation"] if env.auto_resets else step.obs
        happened = Trajectory(
            obs, jnp.asarray(action), reward, step.terminated, step.truncated, alive, successor, extras
        )
        if env.auto_resets:
            memory = where_ended(ended, policy.memory, memory)
        else:
            alive = alive & ~ended
        return (step.obs, step.state, memory, alive), happened

    start = (obs, state, policy.memory, jnp.asarray(True))
    return jax.lax.scan(one, start, jnp.arange(steps))[1]
