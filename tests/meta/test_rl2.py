"""RL^2: the memory spans a trial, is all that adapts, and training teaches it to."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from agents_of_networks import history_agent, recurrent_agent

from attnjax.envs import AutoReset, BernoulliBandit, BernoulliTask, Policy, Trial, rollout
from attnjax.errors import UserError
from attnjax.meta.rl import PPO, play_tasks, rl2_start, rl2_updates, successor_values
from attnjax.models.policies import GRUPolicy, HistoryPolicy

EPISODES = 4
ENV = Trial(BernoulliBandit(arms=2, pulls=1), EPISODES)
SEEN = ENV.observation_space.shape
UPDATES, CALLS = 20, 2
SETTINGS = PPO(
    discount=1.0,
    decay=0.5,
    entropy_weight=lambda done: jnp.where(done < UPDATES * CALLS, 0.003, jnp.nan),
    epochs=2,
    minibatches=2,
)
GRU = GRUPolicy(actions=2, features=16)
HISTORY = HistoryPolicy(actions=2, length=EPISODES + 1, features=16, heads=2)
NETWORKS = {"gru": (GRU, recurrent_agent(GRU)), "attention": (HISTORY, history_agent(HISTORY))}


def two_arms(key):
    """One arm always pays, the other never: one pull tells all."""
    return BernoulliTask(jax.nn.one_hot(jax.random.bernoulli(key).astype(jnp.int32), 2))


def shown(observation, time):
    """What came of a trial's first pull is shown once, before the second: after that it must be remembered."""
    return jnp.where(time % EPISODES <= 1, observation, 0)


def play_some(env, steps):
    def play(act, memory, task, key):
        def once(carry, observation, key):
            time, memory = carry
            memory, action, kept = act(memory, shown(observation, time), key)
            return (time + 1, memory), action, kept

        played = rollout(env, Policy(once, (jnp.int32(0), memory)), task, key, steps)
        times = jnp.arange(steps)[:, None]
        return played._replace(
            observation=shown(played.observation, times), successor=shown(played.successor, times + 1)
        )

    return play


play = play_some(ENV, EPISODES)
play_two_trials = play_some(AutoReset(ENV), 2 * EPISODES)


def start(name, optimizer):
    net, _ = NETWORKS[name]
    return rl2_start(optimizer, jax.jit(net.init)(jax.random.key(1), net.initial(), jnp.zeros(SEEN)))


def trained(name):
    optimizer = optax.adam(1e-2)
    run = rl2_updates(
        NETWORKS[name][1], optimizer, SETTINGS, play=play, sample_task=two_arms, rows=128, updates=UPDATES
    )
    state, progress = start(name, optimizer), []
    with jax.debug_key_reuse(name == "gru"):  # no key is used twice
        for _ in range(CALLS + 1):
            state, last = run(state, jax.random.key(2))
            progress.append((state, last))
        jax.block_until_ready(state)
    assert run._cache_size() == 1
    return progress


@pytest.fixture(scope="module", params=NETWORKS)
def learned(request):
    """Trained on single trials, and 1,000 rows of two trials in a row with one task."""
    progress = trained(request.param)
    state = progress[CALLS - 1][0]
    agent = NETWORKS[request.param][1]
    tasks = jax.vmap(two_arms)(jax.random.split(jax.random.key(3), 1000))
    keys = jax.random.split(jax.random.key(4), 1000)
    run = jax.jit(lambda params: play_tasks(agent, play_two_trials, params, tasks, keys))
    return agent, state, progress, run(state.params)


def test_memory_survives_an_episodes_end_and_not_a_trials(learned):
    """Chance again at the first pull of the second trial, though its task is the same."""
    played = learned[3]
    reward = np.asarray(played.reward.mean(0))
    first = np.array([0, EPISODES])
    np.testing.assert_allclose(reward[first], 0.5, atol=0.08)  # five standard errors
    assert (np.delete(reward, first) > 0.9).all()


def test_updates_are_counted_over_calls(learned):
    """Each call with the same key draws tasks of its own, and the entropy's weight is asked with all updates done."""
    progress = [last for _, last in learned[2]]
    assert [bool(one.finite.all()) for one in progress] == [True] * CALLS + [False]
    assert not progress[-1].finite.any()
    assert int(learned[2][-1][0].updates) == UPDATES * (CALLS + 1)
    assert float(progress[1].reward.mean()) > float(progress[0].reward.mean())


def test_what_was_played_step_by_step_is_replayed_in_one_go(learned):
    """Log-probabilities and values of rows of two trials, to rounding: memories start where trials do, only there.

    Inside a trial the value of what follows is the next step's.
    """
    agent, state, _, played = learned
    few = jax.tree.map(lambda leaf: leaf[:8], played)
    starts = jnp.arange(2 * EPISODES) % EPISODES == 0

    @jax.jit
    def judged(few, starts):
        decision = jax.vmap(lambda seen: agent.replay(state.params, seen, starts))(few.observation)
        return decision.distribution.log_prob(few.action), decision.value

    log_prob, value = judged(few, starts)
    np.testing.assert_allclose(log_prob, few.extras.log_prob, atol=1e-4)
    np.testing.assert_allclose(value, few.extras.value, atol=1e-4)
    # Without the second start the second trial would be told from the first.
    _, once = judged(few, starts & (jnp.arange(2 * EPISODES) == 0))
    assert float(jnp.abs(once - value)[:, :EPISODES].max()) < 1e-5
    assert float(jnp.abs(once - value)[:, EPISODES:].max()) > 1e-2
    row = jax.tree.map(lambda leaf: leaf[0], few)
    after = jax.jit(lambda row: successor_values(agent, state.params, row))(row)
    inside = np.flatnonzero(np.arange(2 * EPISODES - 1) % EPISODES != EPISODES - 1)
    np.testing.assert_allclose(after[inside], row.extras.value[inside + 1], atol=1e-4)


def test_bad_sizes_are_refused():
    options = {"play": play, "sample_task": two_arms}
    for rows, updates in ((7, 1), (0, 1), (8, 0)):
        with pytest.raises(UserError, match="rl2_updates: expected at least one update"):
            rl2_updates(NETWORKS["gru"][1], optax.sgd(0.1), SETTINGS, rows=rows, updates=updates, **options)
