"""RL^2: the memory spans a trial, is all that adapts, and training teaches it to."""

import jax
import jax.numpy as jnp
import optax
import pytest
from agents_of_networks import history_agent, recurrent_agent

from attnjax.envs import AutoReset, BernoulliBandit, BernoulliTask, Policy, Trial, rollout
from attnjax.errors import UserError
from attnjax.meta.rl import PPO, rl2_start, rl2_updates
from attnjax.models.policies import GRUPolicy, HistoryPolicy

EPISODES = 4
ENV = Trial(BernoulliBandit(arms=2, pulls=1), EPISODES)
SEEN = ENV.observation_space.shape
SETTINGS = PPO(discount=1.0, decay=0.5, entropy_weight=0.003, epochs=2, minibatches=2)
GRU = GRUPolicy(actions=2, features=16)
HISTORY = HistoryPolicy(actions=2, length=EPISODES + 1, features=16, heads=2, layers=2)
NETWORKS = {"gru": (GRU, recurrent_agent(GRU)), "attention": (HISTORY, history_agent(HISTORY))}


def two_arms(key):
    """One arm always pays, the other never: one pull tells all."""
    return BernoulliTask(jax.nn.one_hot(jax.random.bernoulli(key).astype(jnp.int32), 2))


def play(act, memory, task, key):
    return rollout(ENV, Policy(act, memory), task, key, ENV.max_steps)


def play_two_trials(act, memory, task, key):
    return rollout(AutoReset(ENV), Policy(act, memory), task, key, 2 * ENV.max_steps)


def start(name, optimizer):
    net, _ = NETWORKS[name]
    return rl2_start(optimizer, net.init(jax.random.key(1), net.initial(), jnp.zeros(SEEN)))


def test_no_key_is_used_twice():
    """JAX's own checker refuses a second use."""
    optimizer = optax.adam(1e-2)
    run = rl2_updates(NETWORKS["gru"][1], optimizer, SETTINGS, play=play, sample_task=two_arms, rows=8, updates=1)
    with jax.debug_key_reuse(True):
        state, _ = run(start("gru", optimizer), jax.random.key(0))
        jax.block_until_ready(state)


def test_bad_sizes_are_refused():
    options = {"play": play, "sample_task": two_arms}
    for rows, updates in ((7, 1), (0, 1), (8, 0)):
        with pytest.raises(UserError, match="rl2_updates: expected at least one update"):
            rl2_updates(NETWORKS["gru"][1], optax.sgd(0.1), SETTINGS, rows=rows, updates=updates, **options)
