"""RL^2: the memory spans a trial, is all that adapts, and training teaches it to."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from agents_of_networks import history_agent, recurrent_agent

from attnjax.envs import AutoReset, BernoulliBandit, BernoulliTask, Policy, Trial, rollout
from attnjax.errors import UserError
from attnjax.meta.rl import PPO, acting, play_tasks, recurrent, rl2_start, rl2_updates, successor_values
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


def trained(name):
    optimizer = optax.adam(1e-2)
    run = rl2_updates(NETWORKS[name][1], optimizer, SETTINGS, play=play, sample_task=two_arms, rows=128, updates=20)
    state, progress = start(name, optimizer), None
    for _ in range(2):
        state, progress = run(state, jax.random.key(2))
    assert run._cache_size() == 1
    return state, progress


@pytest.fixture(scope="module", params=NETWORKS)
def learned(request):
    return request.param, *trained(request.param)


def test_memory_survives_an_episodes_end_and_not_a_trials(learned):
    """Trained on trials, tested on two in a row with one task: chance again at the first pull of the second."""
    name, state, progress = learned
    assert bool(progress.finite.all())
    assert int(state.updates) == 40
    tasks = jax.vmap(two_arms)(jax.random.split(jax.random.key(3), 1000))
    keys = jax.random.split(jax.random.key(4), 1000)
    reward = play_tasks(NETWORKS[name][1], play_two_trials, state.params, tasks, keys).reward.mean(0)
    first = np.array([0, EPISODES])
    np.testing.assert_allclose(reward[first], 0.5, atol=0.08)  # five standard errors
    assert (np.delete(np.asarray(reward), first) > 0.9).all()


def test_a_memory_that_ended_with_each_episode_would_be_of_no_use(learned):
    """The same parameters, each pull as if it were a trial's first: chance throughout."""
    name, state, _ = learned
    agent = NETWORKS[name][1]

    def forgetful(params, memory, observation):
        return memory, agent.step(params, agent.memory, observation.at[1:].set(0))[1]

    tasks = jax.vmap(two_arms)(jax.random.split(jax.random.key(3), 1000))
    keys = jax.random.split(jax.random.key(4), 1000)
    reward = play_tasks(recurrent(forgetful, ()), play, state.params, tasks, keys).reward.mean()
    assert float(reward) == pytest.approx(0.5, abs=0.05)


def test_what_was_played_step_by_step_is_replayed_in_one_go(learned):
    """Log-probabilities and values of rows of two trials, to rounding: memories start where trials do, only there."""
    name, state, _ = learned
    agent = NETWORKS[name][1]
    tasks = jax.vmap(two_arms)(jax.random.split(jax.random.key(5), 8))
    played = play_tasks(agent, play_two_trials, state.params, tasks, jax.random.split(jax.random.key(6), 8))
    starts = jnp.arange(2 * EPISODES) % EPISODES == 0
    decision = jax.vmap(lambda seen: agent.replay(state.params, seen, starts))(played.observation)
    np.testing.assert_allclose(decision.distribution.log_prob(played.action), played.extras.log_prob, atol=1e-4)
    np.testing.assert_allclose(decision.value, played.extras.value, atol=1e-4)
    # Without the second start the second trial would be told from the first.
    once = jax.vmap(lambda seen: agent.replay(state.params, seen, starts & (jnp.arange(8) == 0)))(played.observation)
    assert float(jnp.abs(once.value - decision.value)[:, :EPISODES].max()) < 1e-5
    assert float(jnp.abs(once.value - decision.value)[:, EPISODES:].max()) > 1e-2


def test_the_value_of_what_follows_is_the_next_steps(learned):
    """Inside a trial the successor is the next observation, so its value is the next value."""
    name, state, _ = learned
    agent = NETWORKS[name][1]
    played = play_two_trials(acting(agent, state.params), agent.memory, two_arms(jax.random.key(0)), jax.random.key(1))
    after = successor_values(agent, state.params, played)
    inside = np.flatnonzero(np.arange(2 * EPISODES - 1) % EPISODES != EPISODES - 1)
    np.testing.assert_allclose(after[inside], played.extras.value[inside + 1], atol=1e-4)


def test_calls_are_cut_anywhere():
    optimizer = optax.adam(1e-2)
    options = {"play": play, "sample_task": two_arms, "rows": 8}
    agent = NETWORKS["gru"][1]
    two = rl2_updates(agent, optimizer, SETTINGS, updates=2, **options)
    one = rl2_updates(agent, optimizer, SETTINGS, updates=1, **options)
    key, begun = jax.random.key(7), start("gru", optimizer)
    whole, progress = two(begun, key)
    middle, first = one(begun, key)
    end, second = one(middle, key)
    for left, right in zip(jax.tree.leaves(whole), jax.tree.leaves(end), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(progress.reward, [*first.reward, *second.reward], rtol=1e-6)


def test_no_key_is_used_twice():
    """JAX's own checker refuses a second use."""
    optimizer = optax.adam(1e-2)
    run = rl2_updates(NETWORKS["gru"][1], optimizer, SETTINGS, play=play, sample_task=two_arms, rows=8, updates=1)
    with jax.debug_key_reuse(True):
        state, _ = run(start("gru", optimizer), jax.random.key(0))
        jax.block_until_ready(state)


def test_an_entropy_weight_may_fall():
    """A schedule is asked with the updates done: one that is NaN after the first spoils the second."""
    optimizer = optax.sgd(0.0)
    run = rl2_updates(
        NETWORKS["gru"][1],
        optimizer,
        PPO(minibatches=2, entropy_weight=lambda done: jnp.where(done == 0, 0.0, jnp.nan)),
        play=play,
        sample_task=two_arms,
        rows=8,
        updates=2,
    )
    _, progress = run(start("gru", optimizer), jax.random.key(0))
    assert progress.finite.tolist() == [True, False]


def test_bad_sizes_are_refused():
    options = {"play": play, "sample_task": two_arms}
    for rows, updates in ((7, 1), (0, 1), (8, 0)):
        with pytest.raises(UserError, match="rl2_updates: expected at least one update"):
            rl2_updates(NETWORKS["gru"][1], optax.sgd(0.1), SETTINGS, rows=rows, updates=updates, **options)
