"""Trials keep episodes and trials apart; rollouts treat memories and ends as they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.envs import (
    AutoReset,
    BernoulliBandit,
    PointMass,
    PointMassTask,
    Policy,
    TabularMDP,
    Trial,
    rollout,
    stateless,
)
from attnjax.errors import UserError


def anything(env):
    return stateless(lambda observation, key: env.action_space.sample(key))


def test_a_trial_shows_the_last_action_reward_and_end_and_ends_after_its_last_episode():
    env = TabularMDP(states=4, actions=3, horizon=5)
    trial = Trial(env, 3)
    assert trial.max_steps == 15
    task = trial.sample_task(jax.random.key(0))
    played = rollout(trial, anything(trial), task, jax.random.key(1), trial.max_steps)
    seen = jax.vmap(trial.parts)(played.observation)
    # At the start: nothing done, nothing paid, nothing ended.
    assert [float(jnp.sum(part[0])) for part in seen] == [1.0, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(seen.action[1:].argmax(-1), played.action[:-1])
    np.testing.assert_array_equal(seen.action[1:].sum(-1), 1)
    np.testing.assert_allclose(seen.reward[1:], played.reward[:-1], rtol=1e-6)  # two programs' rounding
    np.testing.assert_array_equal(np.flatnonzero(seen.ended), [5, 10])
    # A new episode begins in state 0.
    assert (seen.observation[jnp.array([0, 5, 10])].argmax(-1) == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(played.terminated), [14])
    assert not played.truncated.any()


def test_a_trial_tells_of_its_episodes():
    trial = Trial(PointMass(horizon=3), 2)
    task = PointMassTask(jnp.array([0.15, 0.0]))
    _, state = trial.reset(jax.random.key(0), task)
    ends, positions, after = [], [], []
    for action in ([0.1, 0.0], [0.05, 0.0], [0.1, 0.0], [0.1, 0.0], [-0.1, 0.0]):
        step = trial.step(jax.random.key(1), state, jnp.array(action), task)
        state = step.state
        ends.append([bool(step.info[f"episode_{end}"]) for end in ("terminated", "truncated")])
        positions.append(float(step.info["episode_observation"][0]))
        after.append(float(trial.parts(step.obs).observation[0]))
    # The first episode reaches its goal in two steps, the second runs out of time.
    assert ends == [[False, False], [True, False], [False, False], [False, False], [False, True]]
    np.testing.assert_allclose(positions, [0.1, 0.15, 0.1, 0.2, 0.1], atol=1e-6)
    # After the first comes the origin; after the last nothing begins.
    np.testing.assert_allclose(after, [0.1, 0.0, 0.1, 0.2, 0.1], atol=1e-6)
    assert bool(step.terminated)


def test_wrappers_refuse_what_resets_by_itself():
    env = BernoulliBandit(2, 3)
    for make in (
        lambda: AutoReset(AutoReset(env)),
        lambda: Trial(AutoReset(env), 2),
        lambda: Trial(BernoulliBandit, 2),
    ):
        with pytest.raises(UserError, match="an environment that does not reset by itself"):
            make()
    with pytest.raises(UserError, match="episodes"):
        Trial(env, 0)


def test_a_rollout_is_the_loop_it_stands_for():
    env = TabularMDP(states=4, actions=3, horizon=6)
    task = env.sample_task(jax.random.key(0))
    key = jax.random.key(1)
    play = jax.jit(lambda task, key: rollout(env, anything(env), task, key, 6))
    played = play(task, key)
    key_reset, key_steps = jax.random.split(key)
    obs, state = env.reset(key_reset, task)
    for time in range(6):
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        action = env.action_space.sample(key_act)
        step = env.step(key_env, state, action, task)
        assert int(played.observation[time]) == int(obs)
        assert int(played.action[time]) == int(action)
        assert float(played.reward[time]) == pytest.approx(float(step.reward), abs=1e-6)
        assert int(played.successor[time]) == int(step.obs)
        obs, state = step.obs, step.state
    assert played.alive.all()
    np.testing.assert_array_equal(np.flatnonzero(played.truncated), [5])
    # A longer one begins as a shorter one; vmapped over tasks, its rows are single ones.
    shorter = rollout(env, anything(env), task, key, 4)
    np.testing.assert_allclose(played.reward[:4], shorter.reward, atol=1e-6)
    tasks = jax.vmap(env.sample_task)(jax.random.split(key, 3))
    keys = jax.random.split(jax.random.key(2), 3)
    many = jax.vmap(play)(tasks, keys)
    for row in range(3):
        one = play(jax.tree.map(lambda leaf, row=row: leaf[row], tasks), keys[row])
        np.testing.assert_allclose(many.reward[row], one.reward, atol=1e-6)


def walk(env):
    """Straight to the right, whatever happens; counts its steps and keeps the count."""

    def act(memory, observation, key):
        return memory + 1, jnp.array([0.1, 0.0]), {"count": memory}

    return Policy(act, jnp.int32(0))


def test_after_the_end_steps_are_masked_and_pay_nothing():
    env, task = PointMass(horizon=50), PointMassTask(jnp.array([0.3, 0.0]))
    played = rollout(env, walk(env), task, jax.random.key(0), 8)
    assert played.alive.tolist() == [True] * 3 + [False] * 5
    np.testing.assert_allclose(played.reward, [-0.04, -0.01, 0, 0, 0, 0, 0, 0], atol=1e-6)
    assert played.extras["count"].tolist() == list(range(8))


def test_where_episodes_follow_each_other_all_steps_count_and_memory_starts_anew():
    env, task = AutoReset(PointMass(horizon=50)), PointMassTask(jnp.array([0.3, 0.0]))
    played = rollout(env, walk(env), task, jax.random.key(0), 7)
    assert played.alive.all()
    np.testing.assert_allclose(played.observation[:, 0], [0, 0.1, 0.2, 0, 0.1, 0.2, 0], atol=1e-6)
    np.testing.assert_allclose(played.successor[:, 0], [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1], atol=1e-6)
    assert played.extras["count"].tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_memory_survives_an_episode_and_not_a_trial():
    env, task = AutoReset(Trial(PointMass(horizon=50), 2)), PointMassTask(jnp.array([0.2, 0.0]))
    played = rollout(env, walk(env), task, jax.random.key(0), 6)
    assert played.extras["count"].tolist() == [0, 1, 2, 3, 0, 1]
    assert played.terminated.tolist() == [False, False, False, True, False, False]


@pytest.mark.usefixtures("x64")
def test_a_rollout_has_derivatives_in_what_a_policy_closes_over():
    """On the point mass dynamics are known: moving by theta each step costs sum_t |t theta - g|^2."""
    env, task = PointMass(horizon=5), PointMassTask(jnp.array([0.4, 0.1]))

    def cost(theta):
        policy = stateless(lambda observation, key: theta)
        return jnp.sum(rollout(env, policy, task, jax.random.key(0), 5).reward)

    theta = np.array([0.03, 0.05])
    times = np.arange(1, 6)
    exact = -2 * (times[:, None] * (times[:, None] * theta - np.asarray(task.goal))).sum(0)
    np.testing.assert_allclose(jax.grad(cost)(theta), exact, rtol=1e-12)


def test_a_rollout_needs_a_step():
    env = BernoulliBandit(2, 3)
    with pytest.raises(UserError, match="rollout: expected steps"):
        rollout(env, anything(env), env.sample_task(jax.random.key(0)), jax.random.key(1), 0)
