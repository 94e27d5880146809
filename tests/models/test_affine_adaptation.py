"""The closed form is ridge regression on every subset there is."""

import itertools

import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.evaluation.baselines import popularity
from attnjax.models import affine_adaptation

RNG = np.random.default_rng(0)
USERS, ITEMS = 9, 5
KIND = RNG.integers(0, 3, (USERS, ITEMS))
LIKED, DISLIKED = (KIND == 1) * 1.0, (KIND == 2) * 1.0


def by_enumeration(n, l2):
    """Weighted ridge regression with an intercept, where each user's subsets share a weight of 1."""
    shown, wanted, weight = [], [], []
    for liked, disliked in zip(LIKED, DISLIKED, strict=True):
        events = np.concatenate([liked, disliked])
        held = np.flatnonzero(events)
        subsets = list(itertools.combinations(held, min(n, max(len(held) - 1, 0))))
        for subset in subsets:
            s = np.zeros(2 * ITEMS)
            s[list(subset)] = 1
            shown.append(s)
            wanted.append(liked * (1 - s[:ITEMS]))
            weight.append(1 / len(subsets))
    s, y, w = np.array(shown), np.array(wanted), np.array(weight)[:, None]
    mean_s, mean_y = (w * s).sum(axis=0) / w.sum(), (w * y).sum(axis=0) / w.sum()
    centred = s - mean_s
    weights = np.linalg.solve((w * centred).T @ centred + l2 * np.eye(2 * ITEMS), (w * centred).T @ (y - mean_y))
    return mean_y - mean_s @ weights, weights


def test_it_is_ridge_regression_over_all_subsets():
    after, l2 = (0, 1, 2, 3), (1.0, 0.3, 2.0, 0.5)
    found = affine_adaptation(LIKED, DISLIKED, after, l2, fewest=0)
    np.testing.assert_array_equal(found.columns, np.arange(2 * ITEMS))
    for k, n in enumerate(after):
        offset, weights = by_enumeration(n, l2[k])
        np.testing.assert_allclose(found.weights[k], weights, atol=2e-6)
        np.testing.assert_allclose(found.offsets[k], offset, atol=2e-6)


def test_who_has_done_nothing_is_shown_what_is_popular():
    found = affine_adaptation(LIKED, DISLIKED, (0, 2), 1.0)
    scores = found.scores(np.zeros((2, ITEMS)), np.zeros((2, ITEMS)))
    np.testing.assert_allclose(scores, popularity(LIKED)(LIKED[:2]) / USERS, rtol=1e-6)


def test_the_map_is_that_of_the_largest_number_reached():
    found = affine_adaptation(LIKED, DISLIKED, (0, 1, 3), 1.0, fewest=0)
    for count, k in ((0, 0), (1, 1), (2, 1), (3, 2), (5, 2)):
        liked = (np.arange(ITEMS) < count)[None] * 1.0
        expected = found.offsets[k] + np.concatenate([liked, 0 * liked], axis=1) @ found.weights[k]
        np.testing.assert_allclose(found.scores(liked, 0 * liked), expected, rtol=1e-5)


def test_rare_columns_have_no_weight():
    found = affine_adaptation(LIKED, DISLIKED, (0, 1), 1.0, fewest=4)
    held = np.concatenate([LIKED, DISLIKED], axis=1).sum(axis=0)
    np.testing.assert_array_equal(found.columns, np.flatnonzero(held >= 4))


def test_mistakes_are_refused():
    with pytest.raises(UserError, match="no event in both"):
        affine_adaptation(LIKED, LIKED, (0, 1), 1.0)
    with pytest.raises(UserError, match="rising numbers that start with 0"):
        affine_adaptation(LIKED, DISLIKED, (1, 5), 1.0)
    with pytest.raises(UserError, match="l2 above 0 for each"):
        affine_adaptation(LIKED, DISLIKED, (0, 5), (1.0, 0.0))
