"""The project's networks as agents: what joins models, which know no learning, to learners, which know no networks."""

from typing import Any

import jax

from attnjax.meta.rl import Agent, Categorical, Decision, Normal, feed_forward, recurrent
from attnjax.models.policies import FeedForwardPolicy, GRUPolicy


def remembering(net: GRUPolicy) -> Agent:
    """Of one of a few actions, with a memory."""
    apply: Any = net.apply

    def step(params: Any, memory: jax.Array, observation: jax.Array) -> tuple[jax.Array, Decision]:
        memory, acted = apply(params, memory, observation)
        return memory, Decision(Categorical(acted.actions), acted.value)

    return recurrent(step, net.initial())


def moving(net: FeedForwardPolicy, reach: float) -> Agent:
    """In the plane, without a memory; the network's outputs are in units of `reach`."""
    apply: Any = net.apply

    def decide(params: Any, observation: jax.Array) -> Decision:
        acted = apply(params, observation)
        return Decision(Normal(reach * acted.actions, acted.log_scale), acted.value)

    return feed_forward(decide)
