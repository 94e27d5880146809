"""Users fitted to ratings: what they predict of ratings that were held back, and as tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.envs import OF_USERS, FittedUsers, Recommender, fit_users, rollout, stateless, tasks_of_users
from attnjax.errors import UserError

USERS, ITEMS, WIDTH, NOISE = 80, 60, 4, 0.5


@pytest.fixture(scope="module")
def ratings():
    """Ratings from the model itself, with few per user, and the truth behind them."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(ITEMS, WIDTH))
    spread = np.diag([0.4, 0.6, 0.3, 0.2, 0.0]) ** 2
    taste = rng.multivariate_normal(np.zeros(1 + WIDTH), spread, USERS)
    quality = 3.5 + 0.3 * features[:, 0] + 0.4 * rng.normal(size=ITEMS)
    seen = rng.random((USERS, ITEMS)) < 0.4
    seen[0] = False  # of whom nothing is known
    user, item = np.nonzero(seen)
    truth = quality[item] + taste[user, 0] + np.sum(taste[user, 1:] * features[item], axis=1)
    rating = truth + np.sqrt(NOISE) * rng.normal(size=len(user))
    held = rng.random(len(user)) < 0.2
    return features, user, item, rating, held, truth


@pytest.fixture(scope="module")
def fit(ratings):
    features, user, item, rating, held, _ = ratings
    return fit_users(user[~held], item[~held], rating[~held], features, USERS)


def test_fitted_users_predict_held_out_ratings_better_than_simpler_models(ratings, fit):
    features, user, item, rating, held, truth = ratings
    known = ~held
    mean = rating[known].mean()
    count = np.bincount(item[known], minlength=ITEMS)
    item_mean = np.where(count, np.bincount(item[known], rating[known], ITEMS) / np.maximum(count, 1), mean)
    only_bias = fit_users(user[known], item[known], rating[known], features[:, :0], USERS)

    def error(predicted):
        return np.mean((predicted - rating[held]) ** 2)

    own = error(fit.ratings(features, user[held], item[held]))
    biased = error(only_bias.ratings(features[:, :0], user[held], item[held]))
    assert own < 0.9 * biased < 0.9 * error(item_mean[item[held]])
    # Nobody does better than who knows the truth, and the fit is not far from that.
    best = np.mean((truth[held] - rating[held]) ** 2)
    assert best < own < 1.5 * best


def test_the_fit_says_how_noisy_answers_are_and_how_users_differ(fit):
    assert fit.noise == pytest.approx(NOISE, rel=0.2)
    spread = np.diag(fit.spread)
    assert spread[1] > spread[2] > spread[4]
    assert spread[4] < 0.05


def test_who_has_no_ratings_is_the_average_user(ratings, fit):
    assert fit.bias[0] == 0
    assert not fit.weights[0].any()
    np.testing.assert_array_equal(fit.ratings(ratings[0], [0, 0], [2, 5]), fit.quality[[2, 5]])


def test_more_sweeps_change_little_and_the_order_of_rows_nothing(ratings, fit):
    features, user, item, rating, held, _ = ratings
    rows = np.random.default_rng(1).permutation(np.flatnonzero(~held))
    other = fit_users(user[rows], item[rows], rating[rows], features, USERS, sweeps=40)
    np.testing.assert_allclose(other.quality, fit.quality, atol=0.05)
    np.testing.assert_allclose(other.weights, fit.weights, atol=0.05)


def test_tasks_keep_the_order_and_odds_of_expected_ratings(ratings, fit):
    features = ratings[0]
    tasks = tasks_of_users(fit, features, np.eye(ITEMS)[:, :5], boredom=0.0)
    env = Recommender(ITEMS, WIDTH, 5)
    states = jax.vmap(env.reset, in_axes=(None, OF_USERS))(jax.random.key(0), tasks)[1]
    found = np.asarray(jax.vmap(env.utilities, in_axes=(0, OF_USERS))(states, tasks))
    user, item = (rows.ravel() for rows in np.indices(found.shape))
    expected = 1.702 * (fit.ratings(features, user, item) - 3.5) / np.sqrt(fit.noise)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-4)
    assert float(jnp.linalg.norm(tasks.features, axis=1).max()) == pytest.approx(1, rel=1e-6)
    norms = np.linalg.norm(tasks.interest, axis=1)
    np.testing.assert_allclose(norms[1:], 1, rtol=1e-5)
    assert norms[0] == 0


def test_all_fitted_users_are_served_in_one_call_and_knowing_them_pays(ratings, fit):
    tasks = tasks_of_users(fit, ratings[0], np.eye(ITEMS)[:, :5])
    env = Recommender(ITEMS, WIDTH, 5, horizon=6)
    keys = jax.random.split(jax.random.key(0), USERS)
    crowd = fit.quality

    def clicks(scores_of):
        def one(task, key):
            scores = scores_of(env.utilities(env.reset(key, task)[1], task))
            return rollout(env, stateless(lambda observation, key: scores), task, key, 1).reward[0]

        return float(
            jnp.mean(
                jax.jit(jax.vmap(jax.vmap(one, in_axes=(OF_USERS, 0)), in_axes=(None, 0)))(
                    tasks, jax.vmap(lambda key: jax.random.split(key, USERS))(keys[:40])
                )
            )
        )

    popular, personal = clicks(lambda _: jnp.asarray(crowd, jnp.float32)), clicks(lambda wanted: wanted)
    assert personal > popular + 0.01


def test_what_is_not_a_log_is_refused():
    features = np.zeros((3, 2))
    good = ([0, 1], [0, 2], [3.0, 4.0])
    assert fit_users(*good, features, 2, sweeps=1).quality.shape == (3,)
    for bad in (
        ([0, 2], *good[1:]),
        (good[0], [0, 3], good[2]),
        (good[0], [0, -1], good[2]),
        (*good[:2], [np.nan, 1.0]),
        ([0], *good[1:]),
        ([0.0, 1.0], *good[1:]),
    ):
        with pytest.raises(UserError, match="fit_users: expected columns of one length, of users below 2"):
            fit_users(*bad, features, 2)
    with pytest.raises(UserError, match=r"finite features \(items, d\)"):
        fit_users(*good, np.full((3, 2), np.nan), 2)
    fit = FittedUsers(np.zeros(3), np.zeros(2), np.zeros((2, 2)), 1.0, np.eye(3))
    for topics in (np.zeros((2, 1)), -np.ones((3, 1)), np.zeros(3)):
        with pytest.raises(UserError, match="topics of the 3 items, at least 0"):
            tasks_of_users(fit, features, topics)
