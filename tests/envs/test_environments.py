"""The single environments: distributions, dynamics and hand-made cases."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from attnjax.envs import (
    BernoulliBandit,
    BernoulliTask,
    Box,
    Discrete,
    GaussianBandit,
    GaussianTask,
    PointMass,
    PointMassTask,
    SinusoidTasks,
    TabularMDP,
    TabularTask,
)
from attnjax.errors import UserError


def many_steps(env, task, state, action, count, seed=0):
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.jit(jax.vmap(lambda key: env.step(key, state, action, task)))(keys)


def test_bernoulli_arms_pay_with_their_probability_and_are_drawn_uniformly():
    env = BernoulliBandit(3, 10)
    probabilities = np.array([0.0, 0.3, 1.0])
    task = BernoulliTask(jnp.asarray(probabilities, jnp.float32))
    for arm, p in enumerate(probabilities):
        reward = np.asarray(many_steps(env, task, jnp.int32(0), arm, 4000).reward)
        assert set(np.unique(reward)) <= {0.0, 1.0}
        assert reward.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 4000))
    drawn = jax.vmap(env.sample_task)(jax.random.split(jax.random.key(1), 1000)).probabilities
    assert stats.kstest(np.asarray(drawn).ravel(), "uniform").pvalue > 1e-3


def test_gaussian_arms_pay_their_mean_plus_noise():
    env = GaussianBandit(2, 10, noise=0.5)
    reward = np.asarray(many_steps(env, GaussianTask(jnp.array([9.0, -2.0])), jnp.int32(0), 1, 4000).reward)
    assert stats.kstest(reward, "norm", args=(-2.0, 0.5)).pvalue > 1e-3
    drawn = jax.vmap(env.sample_task)(jax.random.split(jax.random.key(1), 1000)).means
    assert stats.kstest(np.asarray(drawn).ravel(), "norm").pvalue > 1e-3


def test_tabular_tasks_are_drawn_as_published():
    env = TabularMDP(states=4, actions=2)
    tasks = jax.vmap(env.sample_task)(jax.random.split(jax.random.key(0), 500))
    assert stats.kstest(np.asarray(tasks.rewards).ravel(), "norm", args=(1.0, 1.0)).pvalue > 1e-3
    # An entry of a flat Dirichlet draw over s states is Beta(1, s - 1).
    assert stats.kstest(np.asarray(tasks.transitions[..., 0]).ravel(), "beta", args=(1, 3)).pvalue > 1e-3
    np.testing.assert_allclose(tasks.transitions.sum(-1), 1, rtol=1e-6)
    default = TabularMDP()
    assert (default.states, default.actions, default.horizon) == (10, 5, 10)


def test_a_tabular_process_follows_its_tables():
    env = TabularMDP(states=3, actions=2, horizon=4)
    transitions = np.full((3, 2, 3), 1 / 3)
    transitions[1, 0] = [0.2, 0.0, 0.8]
    rewards = np.zeros((3, 2))
    rewards[1, 0] = 5.0
    task = TabularTask(jnp.asarray(rewards, jnp.float32), jnp.asarray(transitions, jnp.float32))
    _, state = env.reset(jax.random.key(0), task)
    steps = many_steps(env, task, state._replace(place=jnp.int32(1)), 0, 4000)
    assert stats.kstest(np.asarray(steps.reward), "norm", args=(5.0, 1.0)).pvalue > 1e-3
    counts = np.bincount(np.asarray(steps.obs), minlength=3)
    assert counts[1] == 0
    assert stats.binomtest(int(counts[0]), 4000, 0.2).pvalue > 1e-3
    np.testing.assert_array_equal(steps.obs, steps.state.place)
    # Rewards and moves are independent.
    assert abs(np.corrcoef(steps.reward, steps.obs)[0, 1]) < 4 / np.sqrt(4000)


def test_a_point_walks_to_its_goal_and_stops():
    env, task = PointMass(), PointMassTask(jnp.array([0.25, -0.05]))
    _, state = env.reset(jax.random.key(0), task)
    path, rewards, ends = [], [], []
    for _ in range(3):
        step = env.step(jax.random.key(1), state, task.goal - state.position, task)
        state = step.state
        path.append(np.asarray(step.obs))
        rewards.append(float(step.reward))
        ends.append(bool(step.terminated))
    np.testing.assert_allclose(path, [[0.1, -0.05], [0.2, -0.05], [0.25, -0.05]], atol=1e-6)
    np.testing.assert_allclose(rewards, [-(0.15**2), -(0.05**2), 0], atol=1e-6)
    assert ends == [False, False, True]
    goals = np.asarray(jax.vmap(env.sample_task)(jax.random.split(jax.random.key(2), 1000)).goal)
    assert stats.kstest(goals.ravel(), "uniform", args=(-0.5, 1.0)).pvalue > 1e-3


def test_standing_still_tells_which_reward_the_published_table_used():
    """-40 before adapting (Finn et al. 2017, Table 2) is out of reach of the squared distance, not of the distance."""

    def still(squared, key):
        env = PointMass(squared=squared)
        task = env.sample_task(key)
        _, state = env.reset(key, task)
        return 100 * env.step(key, state, jnp.zeros(2), task).reward

    keys = jax.random.split(jax.random.key(0), 4000)
    squared, plain = (np.mean(jax.vmap(lambda key, s=s: still(s, key))(keys)) for s in (True, False))
    assert squared == pytest.approx(-100 / 6, abs=0.7)
    assert plain == pytest.approx(-38.26, abs=1)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("squared", [True, False])
def test_a_points_reward_has_exact_derivatives_in_actions_and_goal(squared):
    env = PointMass(squared=squared)

    def pay(x):
        task = PointMassTask(x[2:])
        _, state = env.reset(jax.random.key(0), task)
        state = env.step(jax.random.key(0), state, x[:2], task).state
        return env.step(jax.random.key(0), state, -0.3 * x[:2], task).reward

    x = np.array([0.03, -0.07, 0.4, 0.1])
    central_differences.assert_close(jax.grad(pay)(x), central_differences.jacobian(pay, x), 1e-8)
    # Outside the bounds an action's slope is zero, and at the goal nothing is infinite.
    assert jax.grad(pay)(np.array([0.5, 0.02, 0.4, 0.1]))[0] == 0
    assert np.isfinite(jax.grad(pay)(np.zeros(4))).all()


def test_sinusoids_have_the_published_ranges_and_lie_on_their_curve():
    tasks = SinusoidTasks()
    few = jax.jit(jax.vmap(lambda key: tasks.few_shot(key, 5, 20)))(jax.random.split(jax.random.key(0), 500))
    for drawn, low, high in (
        (few.task.amplitude, 0.1, 5.0),
        (few.task.phase, 0.0, np.pi),
        (few.support.x, -5.0, 5.0),
        (few.query.x, -5.0, 5.0),
    ):
        assert stats.kstest(np.asarray(drawn).ravel(), "uniform", args=(low, high - low)).pvalue > 1e-3
    for points in (few.support, few.query):
        curve = np.asarray(few.task.amplitude)[:, None, None] * np.sin(
            np.asarray(points.x) - np.asarray(few.task.phase)[:, None, None]
        )
        np.testing.assert_allclose(points.y, curve, atol=1e-5)
    assert not (np.asarray(few.support.x) == np.asarray(few.query.x)[:, :5]).any()
    # The curve does not depend on how much of it is shown.
    other = tasks.few_shot(jax.random.split(jax.random.key(0), 500)[3], 10, 1)
    assert other.task.amplitude == few.task.amplitude[3]


def test_bad_sizes_and_ranges_are_refused():
    for make, message in (
        (lambda: BernoulliBandit(0, 10), "arms to be an integer of at least 1, got 0"),
        (lambda: BernoulliBandit(2, 10.0), "pulls to be an integer"),
        (lambda: GaussianBandit(2, 10, noise=-1.0), "finite noise of at least 0, got -1.0"),
        (lambda: TabularMDP(horizon=0), "horizon"),
        (lambda: PointMass(horizon=True), "horizon"),
        (lambda: Discrete(0), "n to be an integer"),
        (lambda: Box((2,), 1.0, 1.0), "low below high"),
        (lambda: Box((-1,)), "each length"),
        (lambda: SinusoidTasks(phases=(1.0, 0.0)), "phases as"),
        (lambda: SinusoidTasks().few_shot(jax.random.key(0), 0, 1), "count"),
    ):
        with pytest.raises(UserError, match=message):
            make()


def test_unbounded_boxes_sample_and_contain():
    space = Box((3,), low=0.0)
    drawn = space.sample(jax.random.key(0))
    assert space.contains(drawn)
    assert not space.contains(drawn - 10)
    assert not space.contains(np.zeros(3))  # float64
    assert np.isnan(space.action(jnp.full(3, jnp.nan), "step")).all()
