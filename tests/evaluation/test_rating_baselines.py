"""Each rating baseline is what its definition says, found another way."""

import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.evaluation.linear_baselines import biased_factors, empirical_bayes, linear_bandit, linear_recommender
from attnjax.evaluation.protocols import Support
from attnjax.evaluation.rating_baselines import Answers, constant, item_means, rating_neighbours

USERS, ITEMS = 60, 12
RNG = np.random.default_rng(0)
TASTE, TRAIT = RNG.normal(size=(USERS, 2)), RNG.normal(size=(ITEMS, 2))
TRUE = 3.5 + TASTE @ TRAIT.T + 0.3 * RNG.normal(size=(USERS, ITEMS))
HELD = RNG.random((USERS, ITEMS)) < 0.7
USER, ITEM = np.nonzero(HELD)
DATA = Answers(USER, ITEM, TRUE[HELD], USERS, ITEMS)


def support(row, count=None):
    held = np.flatnonzero(HELD[row])[:count]
    return Support(held[None].astype(np.int32), TRUE[row, held][None].astype(np.float32), np.ones((1, len(held)), bool))


def answer(recommender, given):
    return np.asarray(recommender.scores(recommender.adapt(given)))[0]


def test_folding_in_a_user_of_training_is_that_users_ridge_regression():
    """The model's belief is the same least squares that fitted the users, written as a Gaussian prior."""
    found = biased_factors(DATA, factors=2, l2=2.0, bias_l2=3.0, sweeps=3)
    mu, row = DATA.value.mean(), 4
    held = np.flatnonzero(HELD[row])
    features = np.concatenate([np.ones((ITEMS, 1)), found.features[:, 1:] * np.sqrt(2.0)], axis=1)
    ridge = np.diag([3.0, 2.0, 2.0])
    own = features[held]
    user = np.linalg.solve(own.T @ own + ridge, own.T @ (TRUE[row, held] - found.offset[held]))
    np.testing.assert_allclose(found.features[:, 0], 1 / np.sqrt(3.0), rtol=1e-6)
    np.testing.assert_allclose(
        answer(linear_recommender(found), support(row)), found.offset + features @ user, rtol=1e-4
    )
    assert abs(found.offset.mean() - mu) < 1


def test_each_sweep_of_em_makes_the_answers_likelier_and_the_likelihood_is_the_gaussians():
    seen = []
    found = empirical_bayes(DATA, factors=2, item_l2=0.5, sweeps=30, report=seen.append)
    assert (np.diff(seen) > -1e-8).all()
    again = []
    empirical_bayes(DATA, factors=2, item_l2=0.5, sweeps=31, report=again.append)
    offset, features, noise = (np.asarray(part, np.float64) for part in (found.offset, found.features, found.noise))
    whole = np.concatenate([(offset - DATA.value.mean())[:, None], features], axis=1)
    expected = -0.25 * np.sum(whole**2) / noise - whole.size / 2 * np.log(noise)
    for row in range(USERS):
        held = np.flatnonzero(HELD[row])
        covariance = features[held] @ features[held].T + noise * np.eye(len(held))
        left = TRUE[row, held] - offset[held]
        expected -= (left @ np.linalg.solve(covariance, left) + np.linalg.slogdet(covariance)[1]) / 2
    assert again[30] == pytest.approx(expected, rel=1e-5)


def test_empirical_bayes_finds_the_noise_and_predicts_what_is_hidden():
    found = empirical_bayes(DATA, factors=2, item_l2=0.1, sweeps=60)
    assert float(found.noise) == pytest.approx(0.09, rel=0.35)
    recommend = linear_recommender(found)
    errors, spread = [], []
    for row in range(USERS):
        hidden = ~HELD[row]
        errors.append((answer(recommend, support(row)) - TRUE[row])[hidden])
        spread.append((TRUE[row] - TRUE[HELD].mean())[hidden])
    assert np.std(np.concatenate(errors)) < 0.45 * np.std(np.concatenate(spread))


def test_a_bonus_is_paid_for_what_is_uncertain():
    model = linear_bandit(DATA, TRAIT, l2=1.0, shrink=0.0)
    plain, curious = (answer(linear_recommender(model, bonus=b), support(0, 3)) for b in (0.0, 2.0))
    held = np.flatnonzero(HELD[0])[:3]
    features = np.concatenate([np.ones((ITEMS, 1)), TRAIT], axis=1)
    precision = np.eye(3) + features[held].T @ features[held]
    width = np.sqrt(np.sum(features * np.linalg.solve(precision, features.T).T, axis=1))
    np.testing.assert_allclose(curious - plain, 2 * width, rtol=1e-4)


def test_neighbours_are_the_formula():
    found = answer(rating_neighbours(DATA, neighbours=3, shrink=5.0, prior=0.5), support(7))
    means = item_means(DATA, 5.0)
    dev = np.where(HELD, TRUE - means, 0)
    near = np.zeros((ITEMS, ITEMS))
    for i in range(ITEMS):
        for j in range(ITEMS):
            both = HELD[:, i] & HELD[:, j]
            if i != j and both.any():
                a, b = dev[both, i], dev[both, j]
                near[i, j] = a @ b / np.sqrt((a @ a) * (b @ b)) * both.sum() / (both.sum() + 5)
    for j in range(ITEMS):
        kept = np.argsort(-abs(near[:, j]))[:3]
        own = [i for i in kept if HELD[7, i]]
        told = sum(near[i, j] * dev[7, i] for i in own) / (sum(abs(near[i, j]) for i in own) + 0.5)
        assert found[j] == pytest.approx(means[j] + told, abs=1e-4)


def test_means_are_drawn_to_the_mean_of_all():
    few = Answers(np.array([0, 1, 2]), np.array([0, 0, 1]), np.array([1.0, 1.0, 0.0]), 3, 3)
    np.testing.assert_allclose(item_means(few, 1.0), [(2 + 2 / 3) / 3, (2 / 3) / 2, 2 / 3])
    np.testing.assert_allclose(item_means(few, 0.0), [1, 0, 2 / 3])
    np.testing.assert_array_equal(answer(constant([1.0, 2.0]), support(0)), [1, 2])


def test_mistakes_are_refused():
    with pytest.raises(UserError, match="a value of stars, likes, got 'clicks'"):
        linear_recommender(linear_bandit(DATA, TRAIT), value="clicks")
    with pytest.raises(UserError, match="finite features of the 12 items"):
        linear_bandit(DATA, TRAIT[:3])
    with pytest.raises(UserError, match="neighbours >= 1"):
        rating_neighbours(DATA, neighbours=0)
    with pytest.raises(UserError, match="factors >= 1"):
        empirical_bayes(DATA, factors=0)
    with pytest.raises(UserError, match="l2 > 0 and bias_l2 > 0"):
        biased_factors(DATA, l2=0.0)
