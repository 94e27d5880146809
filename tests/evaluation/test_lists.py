"""Measures of lists, each from its definition on one list at a time."""

import itertools

import numpy as np
import pytest
from scipy.stats import entropy

from attnjax.errors import UserError
from attnjax.evaluation.lists import coverage, creator_exposure, diversity, miscalibration, novelty

RNG = np.random.default_rng(0)
ITEMS, TAGS = 20, 6
HAS = (RNG.random((ITEMS, TAGS)) < 0.4).astype(float)
HAS[3] = HAS[4] = 0
LISTS = np.stack([RNG.permutation(ITEMS)[:5] for _ in range(7)] + [np.array([3, 4, 0, 1, 2])])


def test_diversity_is_the_mean_distance_of_pairs():
    def distance(a, b):
        one, other = set(np.flatnonzero(HAS[a])), set(np.flatnonzero(HAS[b]))
        return 1 - len(one & other) / len(one | other) if one | other else 0

    expected = [np.mean([distance(a, b) for a, b in itertools.combinations(row, 2)]) for row in LISTS]
    np.testing.assert_allclose(diversity(LISTS, HAS), expected)
    assert diversity([[0, 0]], HAS).tolist() == [0]


def test_a_list_with_the_tags_of_what_is_liked_is_calibrated():
    liked = (RNG.random((8, ITEMS)) < 0.5).astype(float)
    share = HAS / np.maximum(HAS.sum(axis=1, keepdims=True), 1)
    for row, found in enumerate(miscalibration(LISTS, liked, HAS)):
        p, q = liked[row] @ share, share[LISTS[row]].sum(axis=0)
        p, q = p / p.sum(), q / q.sum()
        assert found == pytest.approx(entropy(p, 0.99 * q + 0.01 * p))
    own = np.zeros((8, ITEMS))
    own[np.arange(8)[:, None], LISTS] = 1
    np.testing.assert_allclose(miscalibration(LISTS, own, HAS), 0, atol=1e-12)
    assert np.isnan(miscalibration(LISTS[:1], np.zeros((1, ITEMS)), HAS)).all()


def test_what_everybody_knows_is_no_news():
    count = np.full(ITEMS, 9)
    count[5] = 4
    found = novelty([[0, 5], [0, 1]], count, 9)
    np.testing.assert_allclose(found, [0.5, 0])


def test_exposure_is_neither_made_nor_lost():
    shares = RNG.dirichlet(np.ones(4), size=ITEMS)
    found = creator_exposure(LISTS, shares)
    assert found.sum() == pytest.approx(len(LISTS) * sum(1 / np.log2(place + 1) for place in range(1, 6)))
    assert coverage(LISTS, ITEMS) == len(set(LISTS.ravel())) / ITEMS


def test_mistakes_are_refused():
    with pytest.raises(UserError, match="k >= 2"):
        diversity([[0]], HAS)
    with pytest.raises(UserError, match="below the number of items"):
        creator_exposure([[ITEMS]], HAS)
