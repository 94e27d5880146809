"""Each protocol is what its page says, found by brute force; nothing leaks from what is to be found."""

import itertools
import math
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.evaluation import item_knn, popularity
from attnjax.evaluation.protocols import (
    Recommender,
    Support,
    adaptation_curve,
    cold_start,
    cold_start_folds,
    from_histories,
    histories,
    newcomers,
    per_user,
    replay,
    top_items,
    user_folds,
)
from attnjax.evaluation.protocols.cold_start import first_of_both
from attnjax.evaluation.ranking import ranking_measures

ITEMS = 30


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    counts = [12, 25, 7, 16, 20]
    item = np.concatenate([rng.permutation(ITEMS)[:n] for n in counts])
    rows = len(item)
    order = rng.permutation(rows)
    columns = {
        "user": np.repeat(np.arange(5), counts),
        "item": item,
        "rating": rng.integers(1, 6, rows).astype(np.float32),
        "timestamp": rng.integers(0, 9, rows),
    }
    return SimpleNamespace(**{name: column[order] for name, column in columns.items()})


def fixed(scores):
    """A recommender that knows the scores of each user it is asked about, by place."""
    return Recommender(lambda support: None, lambda state: np.asarray(scores))


def test_newcomers_are_the_log_in_another_order(log):
    for order in ("random", "time"):
        who = newcomers(log, [3, 0], order=order, seed=1)
        for row, user in enumerate([3, 0]):
            own = log.user == user
            told = dict(zip(log.item[own], log.rating[own], strict=True))
            held = who.mask[row]
            assert held.sum() == own.sum()
            assert dict(zip(who.item[row, held], who.rating[row, held], strict=True)) == told
            if order == "time":
                when = dict(zip(log.item[own], log.timestamp[own], strict=True))
                times = [when[item] for item in who.item[row, held]]
                assert times == sorted(times)


def test_a_users_order_hangs_on_the_seed_alone(log):
    """Not on the other users; and ties in time are drawn, so that two seeds differ."""
    for order in ("random", "time"):
        alone, among = newcomers(log, [1], order=order, seed=2), newcomers(log, [4, 1], order=order, seed=2)
        np.testing.assert_array_equal(alone.item[0], among.item[1, :25])
        assert (alone.item != newcomers(log, [1], order=order, seed=3).item).any()


def test_every_user_is_cold_once():
    users = np.arange(3, 40)
    folds = user_folds(users, 10, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), users)
    assert {len(fold) for fold in folds} == {3, 4}


def test_the_curve_is_the_measure_of_likes_after_the_last_n_among_all_else(log):
    """One user at a time, from the definition; scores are those of neighbours given the first n."""
    who = newcomers(log, range(5), seed=0)
    rng = np.random.default_rng(1)
    scorer = item_knn((rng.random((50, ITEMS)) < 0.4).astype(float))
    found = adaptation_curve(from_histories(scorer, ITEMS), who, ITEMS, after=(0, 2, 6), k=4)
    for row in range(5):
        held = who.mask[row]
        item, rating = who.item[row, held], who.rating[row, held]
        excluded, relevant = np.zeros(ITEMS, bool), np.zeros(ITEMS, bool)
        excluded[item[:6]], relevant[item[6:][rating[6:] >= 4]] = True, True
        assert found.judged[row] == relevant.any()
        for place, n in enumerate((0, 2, 6)):
            history = np.zeros((1, ITEMS))
            history[0, item[:n][rating[:n] >= 4]] = 1
            one = ranking_measures(scorer(history)[0], relevant, excluded, k=4)
            np.testing.assert_allclose([m[place, row] for m in found.measures], one, rtol=1e-6, equal_nan=True)
            shown = found.lists[place, row]
            assert not excluded[shown].any()
            assert len(set(shown)) == 4
    assert found.failures.tolist() == [0, 0, 0]


def test_what_comes_later_changes_no_score(log):
    """The recommender is shown the first n and nothing that hangs on the rest."""
    seen = []
    spy = Recommender(lambda support: seen.append(support) or support, lambda support: np.zeros((1, ITEMS)))
    changed = SimpleNamespace(**vars(log))
    first = newcomers(log, [1], seed=0)
    late = first.item[0, 6:]
    changed.rating = np.where((log.user == 1) & np.isin(log.item, late), 6 - log.rating, log.rating)
    for of in (log, changed):
        adaptation_curve(spy, newcomers(of, [1], seed=0), ITEMS, after=(0, 6))
    for one, other in ((seen[0], seen[2]), (seen[1], seen[3])):
        np.testing.assert_array_equal(histories(one, ITEMS), histories(other, ITEMS))
        assert one.item.shape == (1, 6)


def test_scores_that_are_no_numbers_are_counted(log):
    who = newcomers(log, [0, 1], seed=0)
    scores = np.zeros((2, ITEMS))
    scores[1, 3] = np.nan
    curve = adaptation_curve(fixed(scores), who, ITEMS, after=(0, 2))
    assert curve.failures.tolist() == [1, 1]
    assert np.isnan(curve.measures.ndcg[:, 1]).all()
    assert np.isfinite(curve.measures.ndcg[:, 0]).all()
    assert replay(fixed(scores), who, ITEMS, steps=3).failures == 3


def test_replay_plays_own_items_once_and_pays_likes(log):
    who = newcomers(log, range(5), seed=0)
    rng = np.random.default_rng(2)
    found = replay(fixed(rng.normal(size=(5, ITEMS))), who, ITEMS, steps=10, pool=9)
    for row in range(5):
        held = np.flatnonzero(who.mask[row])[:9]
        told = dict(zip(who.item[row, held], who.rating[row, held], strict=True))
        played = found.item[row, found.played[row]]
        assert sorted(played) == sorted(told)  # ten steps use up nine or seven items
        np.testing.assert_array_equal(found.reward[row, found.played[row]], [told[item] >= 4 for item in played])
        assert found.reward[row, ~found.played[row]].sum() == 0
        assert found.best[row, -1] == sum(rating >= 4 for rating in told.values())
    assert (np.diff(found.regret, axis=1) >= -1).all()
    assert (found.regret >= 0).all()


def test_who_knows_the_answers_has_no_regret_and_who_knows_nothing_earns_the_like_rate(log):
    who = newcomers(log, [1, 4], seed=0)
    truth = np.zeros((2, ITEMS))
    for row in range(2):
        truth[row, who.item[row, who.mask[row]]] = who.rating[row, who.mask[row]]
    assert (replay(fixed(truth), who, ITEMS, steps=15).regret == 0).all()
    earned = [replay(fixed(np.zeros((2, ITEMS))), who, ITEMS, steps=5, seed=100 * s).likes[:, -1] for s in range(300)]
    rate = who.liked.sum(axis=1) / who.mask.sum(axis=1)
    np.testing.assert_allclose(np.mean(earned, axis=0), 5 * rate, atol=0.25)  # four standard errors


def test_a_recommender_learns_from_what_it_played(log):
    """It is shown all earlier answers, in order, and nothing else of the log."""
    shown = []

    def adapt(support):
        shown.append(Support(*(np.array(part) for part in support)))
        return len(support.item)

    who = newcomers(log, [1, 2], seed=0)
    found = replay(Recommender(adapt, lambda users: np.tile(np.arange(30.0), (users, 1))), who, ITEMS, steps=4)
    for step, support in enumerate(shown):
        np.testing.assert_array_equal(support.mask, np.tile(np.arange(4) < step, (2, 1)))
        np.testing.assert_array_equal(support.item[:, :step], found.item[:, :step])
        np.testing.assert_array_equal(support.rating[:, :step] >= 4, found.reward[:, :step] == 1)
        assert support.item[:, step:].sum() == 0


def by_orders(predicted, true, k):
    """Both measures as means over all orders of ties on both sides."""

    def orders(values):
        indices = range(len(values))
        return [
            o for o in itertools.permutations(indices) if all(values[a] >= values[b] for a, b in itertools.pairwise(o))
        ]

    ideal = sum(1 / math.log2(place + 2) for place in range(k))
    found = [
        (
            len(set(ours[:k]) & set(theirs[:k])) / k,
            sum(1 / math.log2(p + 2) for p, item in enumerate(ours[:k]) if item in theirs[:k]) / ideal,
        )
        for ours in orders(predicted)
        for theirs in orders(true)
    ]
    return np.mean(found, axis=0)


def test_ties_are_averaged_on_both_sides():
    rng = np.random.default_rng(0)
    for k in (1, 2, 4):
        predicted, true = rng.integers(0, 3, (6, 5)), rng.integers(1, 4, (6, 5))
        found = np.transpose(first_of_both(predicted, true, k))
        np.testing.assert_allclose(found, [by_orders(p, t, k) for p, t in zip(predicted, true, strict=True)])


def test_cold_start_hides_ten_and_shows_the_others(log):
    """Perfect predictions have no error; who says nothing gets 0.5 exactly; what is hidden is not in the support."""
    shown = []
    who = newcomers(log, [0, 1, 3], seed=0)
    truth = np.zeros((3, ITEMS))
    truth[np.nonzero(who.mask)[0], who.item[who.mask]] = who.rating[who.mask]
    found = cold_start(Recommender(lambda support: shown.append(support), lambda _: truth), who, ITEMS)
    np.testing.assert_array_equal(found.mae, 0)
    assert (found.ndcg > 0.5).all()
    np.testing.assert_array_equal(shown[0].mask.sum(axis=1), who.mask.sum(axis=1) - 10)
    assert not shown[0].mask[:, :10].any()
    nothing = cold_start(fixed(np.full((3, ITEMS), 9.0)), who, ITEMS)
    np.testing.assert_allclose([nothing.precision, nothing.ndcg], 0.5)
    np.testing.assert_allclose(nothing.mae, np.abs(5 - who.rating[:, :10]).mean(axis=1))


def test_without_ties_the_truth_finds_itself():
    ratings = np.random.default_rng(0).permutation(10)[None] * 1.0
    np.testing.assert_allclose(first_of_both(ratings, ratings, 5), 1)
    np.testing.assert_allclose(first_of_both(-ratings, ratings, 5), 0)


def test_who_is_eligible():
    user = np.repeat(np.arange(4), [12, 13, 100, 101])
    np.testing.assert_array_equal(np.sort(np.concatenate(cold_start_folds(user, folds=2))), [1, 2])


def test_functions_of_one_user_are_compiled_once():
    traces = []

    def adapt(one):
        traces.append(None)
        return jnp.zeros(4).at[one.item].add(jnp.where(one.mask, one.rating, 0))

    mapped = per_user(adapt, lambda state: state)
    rng = np.random.default_rng(0)
    for n in (1, 2):
        support = Support(rng.integers(0, 4, (3, 2)), rng.random((3, 2), np.float32), np.tile(np.arange(2) < n, (3, 1)))
        found = mapped.scores(mapped.adapt(support))
        for row in range(3):
            one = adapt(Support(*(jnp.asarray(part[row]) for part in support)))
            np.testing.assert_allclose(found[row], one, rtol=1e-6)
    assert len(traces) == 1 + 6


def test_of_equal_scores_a_random_one_comes_first_and_never_an_excluded_one():
    scores, excluded = np.zeros((2000, 3)), np.tile([False, True, False], (2000, 1))
    scores[:, 1] = 1
    first = top_items(scores, excluded, 2, seed=0)
    assert set(first[0]) == {0, 2}
    assert 0.45 < np.mean(first[:, 0] == 0) < 0.55
    assert top_items(np.array([[-np.inf, 1.0]]), np.array([[False, True]]), 1, seed=0).tolist() == [[0]]


def test_mistakes_are_refused(log):
    who = newcomers(log, [0], seed=0)
    with pytest.raises(UserError, match="an order of random, time, got 1 users and 'file'"):
        newcomers(log, [0], order="file")
    with pytest.raises(UserError, match="users with interactions"):
        newcomers(log, [7])
    with pytest.raises(UserError, match=r"rising numbers of at least 0, got \(5, 1\)"):
        adaptation_curve(fixed(0), who, ITEMS, after=(5, 1))
    with pytest.raises(UserError, match=r"scores of shape \(1, 30\)"):
        adaptation_curve(fixed(np.zeros(ITEMS)), who, ITEMS)
    with pytest.raises(UserError, match="steps >= 1"):
        replay(fixed(0), who, ITEMS, steps=0)
    with pytest.raises(UserError, match="more than 10 ratings"):
        cold_start(fixed(0), newcomers(log, [2]), ITEMS)
    with pytest.raises(UserError, match="2 to 3 folds"):
        user_folds([1, 2, 3], 4, 0)
    with pytest.raises(UserError, match="at least k >= 1 items left"):
        top_items(np.zeros((1, 2)), np.array([[True, False]]), 2, seed=0)


def test_popularity_does_not_move(log):
    """Candidates and what is to be found are the same at each n, so who learns nothing has a flat curve."""
    who = newcomers(log, range(5), seed=3)
    steady = from_histories(popularity(np.random.default_rng(0).random((9, ITEMS))), ITEMS)
    found = adaptation_curve(steady, who, ITEMS, after=(0, 1, 4))
    np.testing.assert_array_equal(found.measures.ndcg[0], found.measures.ndcg[2])
