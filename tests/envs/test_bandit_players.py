"""The players choose by their formulas, and earn what was published of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from attnjax.envs import (
    BernoulliBandit,
    BernoulliTask,
    GaussianBandit,
    PointMass,
    Trial,
    bandit_players,
    bayes_optimal_return,
    gittins_indices,
    posterior_draws,
    rollout,
    whittle_indices,
)
from attnjax.errors import UserError

TASKS = 1000


@functools.cache
def returns(make, arms, pulls, *settings):
    """The returns of 1,000 tasks, in one compiled call."""
    trial = Trial(BernoulliBandit(arms, pulls), episodes=1)
    policy = make(trial, *(gittins_indices(1 - 1 / pulls, pulls) if one == "gittins" else one for one in settings))

    def one(key):
        key_task, key_play = jax.random.split(key)
        return jnp.sum(rollout(trial, policy, trial.sample_task(key_task), key_play, pulls).reward)

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(arms + 1000 * pulls), TASKS)))


PUBLISHED = [
    # Duan et al. (2016), Table 1, over 1,000 tasks of their own. Their UCB1 was tuned; so were the samples.
    (bandit_players.random, 5, 10, (), 5.0),
    (bandit_players.greedy, 5, 10, (), 6.6),
    (bandit_players.ucb1, 5, 10, (0.1,), 6.7),
    (bandit_players.thompson, 5, 10, (), 5.7),
    (bandit_players.likeliest_thompson, 5, 10, (14,), 6.5),
    (bandit_players.by_index, 5, 10, ("gittins",), 6.6),
    (bandit_players.greedy, 5, 100, (), 74.8),
    (bandit_players.ucb1, 5, 100, (0.2,), 78.0),
    (bandit_players.thompson, 5, 100, (), 74.7),
]


@pytest.mark.parametrize(("make", "arms", "pulls", "settings", "published"), PUBLISHED)
def test_mean_returns_are_the_published_ones(make, arms, pulls, settings, published):
    """Within three standard errors of a difference of two samples of 1,000 tasks, and the last digit printed."""
    earned = returns(make, arms, pulls, *settings)
    error = earned.std() / np.sqrt(TASKS)
    assert abs(earned.mean() - published) < 3 * np.sqrt(2) * error + 0.05


def test_no_player_beats_the_bayes_optimum_and_the_index_comes_close():
    optimum = bayes_optimal_return(5, 10)
    for make, arms, pulls, settings, _ in PUBLISHED[:6]:
        earned = returns(make, arms, pulls, *settings)
        assert earned.mean() < optimum + 4 * earned.std() / np.sqrt(TASKS)
    index, anything = returns(bandit_players.by_index, 5, 10, "gittins"), returns(bandit_players.random, 5, 10)
    assert index.mean() > optimum - 4 * index.std() / np.sqrt(TASKS)
    assert anything.mean() < optimum - 10 * anything.std() / np.sqrt(TASKS)


def formulas(pulls):
    """Each deterministic player and the index it maximises, in NumPy."""
    gittins, whittle = gittins_indices(0.9, pulls), whittle_indices(pulls)
    return {
        "greedy": (bandit_players.greedy, lambda s, n, t: (1 + s) / (2 + n)),
        "ucb1": (bandit_players.ucb1, lambda s, n, t: (1 + s) / (2 + n) + np.sqrt(2 * np.log(max(t, 1)) / (2 + n))),
        "gittins": (lambda trial: bandit_players.by_index(trial, gittins), lambda s, n, t: gittins[s, n - s]),
        "whittle": (lambda trial: bandit_players.by_index(trial, whittle), lambda s, n, t: whittle[s, n - s]),
    }


@pytest.mark.parametrize("name", formulas(1))
def test_a_deterministic_player_maximises_its_index_at_every_pull(name):
    make, index = formulas(40)[name]
    # Two episodes of twenty pulls: what was learned in the first is known in the second.
    trial = Trial(BernoulliBandit(3, 20), episodes=2)
    task = BernoulliTask(jnp.array([0.4, 0.5, 0.6]))
    played = rollout(trial, make(trial), task, jax.random.key(0), 40)
    successes, pulls = np.zeros(3, int), np.zeros(3, int)
    for time, (arm, reward) in enumerate(zip(np.asarray(played.action), np.asarray(played.reward), strict=True)):
        values = index(successes, pulls, time)
        assert values[arm] >= values.max() - 1e-5
        successes[arm] += int(reward)
        pulls[arm] += 1
    assert len(set(np.asarray(played.action).tolist())) > 1


def chosen(make, successes, pulls, count=4000):
    """How often each of two arms is chosen by a player who remembers these counts."""
    trial = Trial(BernoulliBandit(2, 1), episodes=100)
    policy = make(trial)
    obs, _ = trial.reset(jax.random.key(0), trial.sample_task(jax.random.key(1)))
    memory = type(policy.memory)(jnp.array(successes, jnp.float32), jnp.array(pulls, jnp.float32))
    arms = jax.jit(jax.vmap(lambda key: policy.act(memory, obs, key)[1]))(jax.random.split(jax.random.key(2), count))
    return np.bincount(np.asarray(arms), minlength=2)


def test_random_players_choose_with_their_probabilities():
    successes, pulls = np.array([2, 5]), np.array([4, 9])
    first, second = (stats.beta(1 + s, 1 + n - s) for s, n in zip(successes, pulls, strict=True))
    thompson = integrate.quad(lambda x: first.pdf(x) * second.cdf(x), 0, 1)[0]
    means = first.mean(), second.mean()
    assert means[1] > means[0]
    # Raised to their means: the first wins where it is above the second's mean and the second below.
    raised = integrate.quad(lambda x: first.pdf(x) * second.cdf(x), means[1], 1)[0]
    for make, chance in (
        (bandit_players.random, 0.5),
        (bandit_players.thompson, thompson),
        (lambda trial: bandit_players.likeliest_thompson(trial, 1), thompson),
        (bandit_players.optimistic_thompson, raised),
        (lambda trial: bandit_players.epsilon_greedy(trial, 0.3), 0.15),
    ):
        counts = chosen(make, successes, pulls)
        assert stats.binomtest(int(counts[0]), int(counts.sum()), chance).pvalue > 1e-3
    # The likeliest of very many draws is near the modes, 1/2 and 5/9.
    near_modes = chosen(lambda trial: bandit_players.likeliest_thompson(trial, 400), successes, pulls, 200)
    assert near_modes[1] > near_modes[0]


@pytest.mark.parametrize("shape", [1.0, 2.5, 40.0])
def test_posterior_draws_have_their_distributions(shape):
    draws = jax.jit(posterior_draws.gamma)(jax.random.key(3), jnp.full((100, 50), shape))
    assert stats.kstest(np.asarray(draws).ravel(), "gamma", args=(shape,)).pvalue > 1e-3
    draws = posterior_draws.beta(jax.random.key(4), jnp.full(5000, shape), jnp.full(5000, 1.5))
    assert stats.kstest(np.asarray(draws), "beta", args=(shape, 1.5)).pvalue > 1e-3
    draws = posterior_draws.dirichlet(jax.random.key(5), jnp.tile(jnp.array([shape, 1.0, 2.0]), (5000, 1)))
    np.testing.assert_allclose(draws.sum(-1), 1, rtol=1e-6)
    assert stats.kstest(np.asarray(draws[:, 0]), "beta", args=(shape, 3.0)).pvalue > 1e-3


@pytest.mark.parametrize("make", [bandit_players.ucb1, bandit_players.epsilon_greedy])
def test_settings_can_be_vmapped(make):
    trial = Trial(BernoulliBandit(3, 8), episodes=1)
    task = trial.sample_task(jax.random.key(0))
    earned = jax.jit(lambda setting: rollout(trial, make(trial, setting), task, jax.random.key(1), 8).reward)
    grid = jnp.array([0.0, 0.5])
    for row, rewards in enumerate(jax.vmap(earned)(grid)):
        np.testing.assert_array_equal(rewards, earned(grid[row]))


def test_what_is_no_trial_of_a_bandit_is_refused():
    trial = Trial(BernoulliBandit(2, 9), episodes=1)
    for bad in (BernoulliBandit(2, 9), Trial(PointMass(), 1), Trial(GaussianBandit(2, 9), 1)):
        with pytest.raises(UserError, match="a Trial of a BernoulliBandit"):
            bandit_players.thompson(bad)
    with pytest.raises(UserError, match="a square table of at least 9 rows"):
        bandit_players.by_index(trial, whittle_indices(5))
    with pytest.raises(UserError, match="samples"):
        bandit_players.likeliest_thompson(trial, 0)
