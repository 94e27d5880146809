"""Agents: how a network of any kind acts step by step, and judges again what was done.

An agent is two pure functions of its parameters and the memory that a trial starts with:

    memory, decision = agent.step(params, memory, observation)          while it plays
    decisions = agent.replay(params, observations, starts)              while it learns, a whole row at once

A trial is all that a memory may span: several episodes of one task. `replay` starts with a fresh memory wherever
`starts` is true and nowhere else, so that it repeats what `step` did. Networks are functions; nothing here knows how
they are written.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.meta.rl.distributions import Distribution

Tree = Any
Act = Callable[[Tree, Array, Array], tuple[Tree, Array, "Kept"]]
Play = Callable[[Act, Tree, Tree, Array], Any]
"""`play(act, memory, task, key) -> trajectory` of one row, with `act(memory, observation, key)`.

The trajectory is anything with the fields of `attnjax.envs.Trajectory`. From an environment it is

    lambda act, memory, task, key: rollout(env, Policy(act, memory), task, key, steps)
"""


class Decision(NamedTuple):
    """What an agent makes of an observation.

    Attributes:
        distribution: over actions.
        value: the return that it expects; 0 from a network that expects nothing.
    """

    distribution: Distribution
    value: Float[Array, "*batch"]


class Kept(NamedTuple):
    """What is kept of a decision for learning from it.

    Attributes:
        log_prob: of the action taken, by the parameters that took it.
        value: by the same.
    """

    log_prob: Float[Array, "*batch"]
    value: Float[Array, "*batch"]


class Agent(NamedTuple):
    """An agent.

    Attributes:
        step: `(params, memory, observation) -> (memory, Decision)`.
        replay: `(params, observations (t, ...), starts (t,)) -> Decision`, with time first.
        memory: a trial starts with it; () for none.
    """

    step: Callable[[Tree, Tree, Array], tuple[Tree, Decision]]
    replay: Callable[[Tree, Array, Bool[Array, " t"]], Decision]
    memory: Tree = ()


def recurrent(step: Callable[[Tree, Tree, Array], tuple[Tree, Decision]], memory: Tree) -> Agent:
    """The agent of a recurrent network: `replay` is a scan of `step`.

    Args:
        step: `(params, memory, observation) -> (memory, Decision)`.
        memory: the first.

    >>> from attnjax.meta.rl.distributions import Categorical
    >>> def step(params, memory, observation):
    ...     memory = memory + observation
    ...     return memory, Decision(Categorical(params * memory), memory[0])
    >>> agent = recurrent(step, jnp.zeros(1))
    >>> agent.replay(jnp.ones(1), jnp.ones((4, 1)), jnp.array([True, False, True, False])).value.tolist()
    [1.0, 2.0, 1.0, 2.0]
    """

    def replay(params: Tree, observations: Array, starts: Array) -> Decision:
        def one(carry: Tree, seen: tuple[Array, Array]) -> tuple[Tree, Decision]:
            observation, start = seen
            return step(params, _afresh(start, memory, carry), observation)

        return jax.lax.scan(one, memory, (observations, starts))[1]

    return Agent(step, replay, memory)


def feed_forward(decide: Callable[[Tree, Array], Decision]) -> Agent:
    """The agent of a network without memory, `decide(params, observation) -> Decision` of one observation."""
    return Agent(
        lambda params, memory, observation: (memory, decide(params, observation)),
        lambda params, observations, starts: jax.vmap(lambda seen: decide(params, seen))(observations),
    )


def acting(agent: Agent, params: Tree, *, greedy: bool = False) -> Act:
    """How the agent acts with these parameters: draws, or, if greedy, takes the likeliest action.

    No derivative passes to the parameters: what is learned from is the trajectory, as data.
    """
    params = jax.lax.stop_gradient(params)

    def act(memory: Tree, observation: Array, key: Array) -> tuple[Tree, Array, Kept]:
        memory, decision = agent.step(params, memory, observation)
        distribution = decision.distribution
        action = distribution.mode() if greedy else distribution.sample(key)
        return memory, action, Kept(distribution.log_prob(action), decision.value)

    return act


def starts(played: Any) -> Bool[Array, " t"]:
    """Where trials start in a trajectory: at its first step, and after each end."""
    ended = played.terminated | played.truncated
    return jnp.concatenate([jnp.ones(1, bool), ended[:-1]])


def successor_values(agent: Agent, params: Tree, played: Any) -> Float[Array, " t"]:
    """V of what each action led to, with the memory as it then was: (t,).

    A memory that is fixed in length must have room for one observation more than a trial has.
    """

    def one(carry: Tree, seen: tuple[Array, Array, Array]) -> tuple[Tree, Array]:
        observation, successor, start = seen
        memory, _ = agent.step(params, _afresh(start, agent.memory, carry), observation)
        return memory, agent.step(params, memory, successor)[1].value

    return jax.lax.scan(one, agent.memory, (played.observation, played.successor, starts(played)))[1]


def _afresh(start: Array, fresh: Tree, old: Tree) -> Tree:
    return jax.tree.map(lambda one, other: jnp.where(start, one, other), fresh, old)
