"""RL^2: a policy with a memory, trained over tasks, learns to learn within a trial.

Each update draws tasks, lets the agent play one row of each, and improves it by PPO on whole rows. Nothing adapts
but the memory, which is why it must last a trial (several episodes of one task) and end with it.

Source: Duan, Schulman, Chen, Bartlett, Sutskever and Abbeel (2016), RL^2: fast reinforcement learning via slow
reinforcement learning; Wang et al. (2016), Learning to reinforcement learn.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail
from attnjax.meta.rl.agents import Agent, Play, acting
from attnjax.meta.rl.ppo import PPO, Stats, ppo_epochs, rows_of

Tree = Any


class RL2State(NamedTuple):
    """Where training stands: the parameters, the optimiser's memory, updates done."""

    params: Tree
    memory: Tree
    updates: Int[Array, ""]


class RL2Progress(NamedTuple):
    """What happened in each update.

    Attributes:
        reward: (updates,), the mean over rows of the sum of rewards, by the parameters before the update.
        stats: `Stats` of (updates,) each.
        finite: (updates,), whether the parameters are, after it.
    """

    reward: Float[Array, " updates"]
    stats: Stats
    finite: Bool[Array, " updates"]


def rl2_start(optimizer: optax.GradientTransformation, params: Tree) -> RL2State:
    """The state before the first update."""
    return RL2State(params, optimizer.init(params), jnp.zeros((), jnp.int32))


def rl2_updates(
    agent: Agent,
    optimizer: optax.GradientTransformation,
    settings: PPO,
    *,
    play: Play,
    sample_task: Callable[[Array], Tree],
    rows: int,
    updates: int,
) -> Callable[[RL2State, Array], tuple[RL2State, RL2Progress]]:
    """A compiled function that does so many updates, each on rows of tasks of its own.

    Args:
        agent: what learns.
        optimizer: descends PPO's loss; clip its gradients by `optax.chain`.
        settings: of PPO.
        play: plays one row, see `Play`. A row is to hold whole trials: its episodes and their ends are the
            environment's business (`attnjax.envs.Trial`), and the memory starts anew only where the row says that
            nothing can follow or the clock ran out.
        sample_task: `sample_task(key) -> task`.
        rows: tasks of each update, one row each.
        updates: in one call.

    Returns:
        `run(state, key) -> (state, RL2Progress)`. Update i draws with `fold_in(key, i)`, counted over calls: pass the
        same key each time, and cutting the work into calls otherwise changes nothing.

    Raises:
        UserError: for less than one update or row, or rows that minibatches do not divide.

    >>> from attnjax.envs import BernoulliBandit, Policy, Trial, rollout
    >>> from attnjax.meta.rl import Categorical, Decision, recurrent
    >>> env = Trial(BernoulliBandit(arms=2, pulls=1), episodes=4)
    >>> def step(params, memory, observation):  # what each arm paid so far, and a weight on it
    ...     last = env.parts(observation)
    ...     memory = memory + last.action * (2 * last.reward - 1)
    ...     return memory, Decision(Categorical(params * memory), jnp.float32(0))
    >>> def play(act, memory, task, key):
    ...     return rollout(env, Policy(act, memory), task, key, env.max_steps)
    >>> optimizer = optax.adam(0.1)
    >>> run = rl2_updates(recurrent(step, jnp.zeros(2)), optimizer, PPO(discount=1.0), play=play,
    ...                   sample_task=env.sample_task, rows=64, updates=10)
    >>> state, progress = run(rl2_start(optimizer, jnp.array(0.0)), jax.random.key(0))
    >>> progress.reward.shape, bool(state.params > 0.5)  # it has learned to stay with what paid
    ((10,), True)
    """
    if updates < 1 or rows < 1 or rows % settings.minibatches:
        fail(
            "rl2_updates",
            expected=f"at least one update, and a positive multiple of {settings.minibatches} rows",
            got=f"updates = {updates}, rows = {rows}",
            advice="Minibatches are of whole rows.",
        )
    improve = ppo_epochs(agent, optimizer, settings)

    def update(state: RL2State, key: Array) -> tuple[RL2State, RL2Progress]:
        key_tasks, key_play, key_epochs = jax.random.split(jax.random.fold_in(key, state.updates), 3)
        tasks = jax.vmap(sample_task)(jax.random.split(key_tasks, rows))
        played = play_tasks(agent, play, state.params, tasks, jax.random.split(key_play, rows))
        experience = rows_of(agent, state.params, played, settings)
        weight = settings.entropy_weight
        weight = weight(state.updates) if callable(weight) else weight
        params, memory, stats = improve(state.params, state.memory, experience, key_epochs, weight)
        reward = jnp.mean(jnp.sum(played.reward, axis=1))
        progress = RL2Progress(reward, stats, jnp.isfinite(optax.tree.sum(params)))
        return RL2State(params, memory, state.updates + 1), progress

    @jax.jit
    def run(state: RL2State, key: Array) -> tuple[RL2State, RL2Progress]:
        return jax.lax.scan(lambda state, _: update(state, key), state, None, length=updates)

    return run


def play_tasks(agent: Agent, play: Play, params: Tree, tasks: Tree, keys: Array, *, greedy: bool = False) -> Any:
    """Trajectories of one row for each task, which is also how a trained agent is tested.

    Args:
        agent: who plays.
        play: one row.
        params: with these parameters.
        tasks: with a leading axis.
        keys: one for each.
        greedy: whether the likeliest action is taken instead of a draw.
    """
    act = acting(agent, params, greedy=greedy)
    return jax.vmap(lambda task, key: play(act, agent.memory, task, key))(tasks, keys)
