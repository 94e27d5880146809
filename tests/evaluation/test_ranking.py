"""Measures are what scikit-learn and brute force over all orders of ties say."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from attnjax.errors import UserError
from attnjax.evaluation.ranking import measure_one_wanted, measure_users, ranking_measures

N = 6
FAST = {k: jax.jit(lambda s, r, e, k=k: ranking_measures(s, r, e, k=k)) for k in (1, 3, 6, 10)}


def one_order(order, relevant, k):
    """The four measures of one ranking, from their definitions."""
    places = [place for place, item in enumerate(order, 1) if relevant[item]]
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(len(places), k) + 1))
    inside = [place for place in places if place <= k]
    return (
        sum(1 / math.log2(1 + place) for place in inside) / ideal,
        float(bool(inside)),
        len(inside) / len(places),
        1 / places[0],
    )


def by_brute_force(scores, relevant, excluded, k):
    """The mean over all rankings in which no item stands above one of a larger score."""
    items = [item for item in range(len(scores)) if not excluded[item]]
    found = [
        one_order(order, relevant, k)
        for order in itertools.permutations(items)
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    return np.mean(found, axis=0)


@given(
    st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0]), min_size=N, max_size=N),
    st.lists(st.booleans(), min_size=N, max_size=N),
    st.lists(st.sampled_from([False, False, True]), min_size=N, max_size=N),
    st.sampled_from(list(FAST)),
)
def test_the_measures_are_means_over_all_orders_of_ties(scores, relevant, excluded, k):
    found = FAST[k](jnp.array(scores), jnp.array(relevant), jnp.array(excluded))
    if not any(r and not e for r, e in zip(relevant, excluded, strict=True)):
        assert np.isnan(found).all()
        return
    np.testing.assert_allclose(found, by_brute_force(scores, relevant, excluded, k), atol=2e-6)


def test_ndcg_is_scikit_learns_which_averages_ties_too():
    random = np.random.default_rng(0)
    scores = random.integers(0, 12, size=(40, 30)).astype(np.float32)
    relevant = random.random((40, 30)) < 0.2
    for k in (5, 10):
        found = measure_users(scores, relevant, np.zeros((40, 30), bool), k=k, at_once=16)
        expected = [ndcg_score(relevant[[u]].astype(float), scores[[u]], k=k) for u in range(40)]
        np.testing.assert_allclose(found.ndcg, expected, atol=2e-6)
        assert found.ndcg.shape == (40,)


def test_one_wanted_item_is_measured_as_many_would_be():
    rng = np.random.default_rng(1)
    for levels in (3, 1000):  # nearly all tied, and next to none
        scores = rng.integers(0, levels, (50, 30)).astype(np.float32)
        scores[rng.random(scores.shape) < 0.1] = -np.inf
        wanted, excluded = rng.integers(0, 30, 50), rng.random(scores.shape) < 0.3
        relevant = np.arange(30)[None, :] == wanted[:, None]
        excluded &= ~relevant
        for k in (1, 10, 40):
            several = measure_users(scores, relevant, excluded, k=k)
            for one, other in zip(measure_one_wanted(scores, wanted, excluded, k=k), several, strict=True):
                np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_who_knows_nothing_gets_what_a_random_order_gets():
    n, k = 1682, 10
    relevant = jnp.arange(n) < 3
    found = ranking_measures(jnp.zeros(n), relevant, k=k)
    assert float(found.recall) == pytest.approx(k / n, rel=1e-5)
    none = math.comb(n - 3, k) / math.comb(n, k)
    assert float(found.hit_rate) == pytest.approx(1 - none, rel=1e-4)
    first = [math.comb(n - place, 2) / math.comb(n, 3) for place in range(1, n - 1)]
    assert float(found.mrr) == pytest.approx(sum(p / place for place, p in enumerate(first, 1)), rel=1e-4)


def test_excluding_items_is_ranking_without_them():
    random = np.random.default_rng(1)
    scores, relevant, excluded = random.normal(size=50), random.random(50) < 0.3, random.random(50) < 0.4
    with_mask = ranking_measures(scores, relevant, excluded)
    without = ranking_measures(scores[~excluded], relevant[~excluded])
    np.testing.assert_allclose(with_mask, without, rtol=1e-6)


def test_no_item_gains_by_its_number_and_only_the_order_counts():
    random = np.random.default_rng(2)
    scores, relevant = random.integers(0, 5, 40), random.random(40) < 0.2
    excluded, order = random.random(40) < 0.2, random.permutation(40)
    first = ranking_measures(scores, relevant, excluded)
    np.testing.assert_allclose(first, ranking_measures(scores[order], relevant[order], excluded[order]), rtol=1e-6)
    np.testing.assert_array_equal(first, ranking_measures(np.exp(scores / 2.0), relevant, excluded))


def test_eager_jit_and_a_row_of_vmap_agree():
    random = np.random.default_rng(3)
    batch = [jnp.asarray(random.integers(0, 3, (4, N)) * 1.0)] + [jnp.asarray(random.random((4, N)) < 0.4)] * 2
    batch[2] = ~batch[1] & jnp.asarray(random.random((4, N)) < 0.4)
    rows = jax.vmap(lambda *row: ranking_measures(*row, k=3))(*batch)
    for user in range(4):
        row = [values[user] for values in batch]
        for found in (ranking_measures(*row, k=3), FAST[3](*row)):
            np.testing.assert_allclose(found, [values[user] for values in rows], rtol=1e-6)
    before = FAST[3]._cache_size()
    FAST[3](*[values[0] for values in batch])
    assert FAST[3]._cache_size() == before


def test_a_score_that_is_no_number_is_not_hidden():
    assert np.isnan(ranking_measures(jnp.array([1.0, jnp.nan]), jnp.array([True, False]))).all()


def test_mistakes_are_refused():
    with pytest.raises(UserError, match=r"one shape \(n,\), and k >= 1, got shapes \(2,\), \(3,\)"):
        ranking_measures(jnp.zeros(2), jnp.zeros(3, bool))
    with pytest.raises(UserError, match="k = 0"):
        ranking_measures(jnp.zeros(2), jnp.zeros(2, bool), k=0)
    with pytest.raises(UserError, match=r"one shape \(users, n\)"):
        measure_users(np.zeros((2, 3)), np.zeros((2, 3), bool), np.zeros((2, 2), bool))


def test_mistakes_about_one_wanted_item_are_refused():
    scores, seen = np.zeros((2, 3)), np.zeros((2, 3), bool)
    with pytest.raises(UserError, match="one item of n per user"):
        measure_one_wanted(scores, [0, 3], seen)
    with pytest.raises(UserError, match="free of NaN"):
        measure_one_wanted(scores * np.nan, [0, 1], seen)
    with pytest.raises(UserError, match="1 that are excluded"):
        measure_one_wanted(scores, [0, 1], np.array([[True, False, False], [False] * 3]))
