"""Each baseline is what its definition says, found another way."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from attnjax.errors import UserError
from attnjax.evaluation import ease, implicit_als, item_knn, popularity
from attnjax.evaluation.baselines import _solve_rows, als_objective

RANDOM = np.random.default_rng(0)
X = (RANDOM.random((40, 12)) < 0.3).astype(float)
HISTORIES = (RANDOM.random((5, 12)) < 0.3).astype(float)


def test_popularity_counts():
    np.testing.assert_array_equal(popularity(X)(HISTORIES), np.tile(X.sum(axis=0), (5, 1)))


def test_neighbours_are_scikit_learns_cosines():
    cosine = cosine_similarity(X.T)
    np.fill_diagonal(cosine, 0)
    np.testing.assert_allclose(item_knn(X, neighbours=12)(HISTORIES), HISTORIES @ cosine, atol=1e-12)
    for item in range(12):
        row = item_knn(X, neighbours=3)(np.eye(12)[[item]])[0]
        kept = np.flatnonzero(row)
        assert set(np.argsort(-cosine[item], kind="stable")[:3]) <= set(kept)
        np.testing.assert_allclose(row[kept], cosine[item, kept], rtol=1e-12)
        assert cosine[item, kept].min() > np.delete(cosine[item], kept).max()


def test_shrinking_and_items_nobody_knows():
    x = np.array([[1.0, 1, 0], [1, 1, 0], [1, 0, 0]])
    scores = item_knn(x, shrink=2.0)(np.eye(3))
    assert scores[0, 1] == pytest.approx(2 / (np.sqrt(6) + 2))
    assert (scores[2] == 0).all()
    assert (item_knn(x)(np.zeros((1, 3))) == 0).all()


def test_ease_solves_its_least_squares():
    """Column by column: ridge regression on the other items, by lstsq on stacked rows."""
    l2 = 3.0
    weights = ease(X, l2)(np.eye(12))
    assert (np.diag(weights) == 0).all()
    for item in range(12):
        others = np.arange(12) != item
        design = np.vstack([X[:, others], np.sqrt(l2) * np.eye(11)])
        target = np.concatenate([X[:, item], np.zeros(11)])
        expected = np.linalg.lstsq(design, target, rcond=None)[0]
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-10)


def test_als_never_rises_and_each_half_sweep_is_the_best_there_is():
    told = []
    implicit_als(X, factors=4, l2=0.5, confidence=5.0, sweeps=10, report=told.append)
    assert len(told) == 20
    assert (np.diff(told) <= 1e-9 * told[0]).all()
    assert told[-1] < 0.9 * told[0]
    items = RANDOM.normal(size=(12, 3))
    users = _solve_rows(X, items, 0.5, 5.0)
    for user in (0, 7):
        confidence = np.diag(1 + 5.0 * X[user])
        brute = np.linalg.solve(items.T @ confidence @ items + 0.5 * np.eye(3), items.T @ confidence @ (X[user] > 0))
        np.testing.assert_allclose(users[user], brute, rtol=1e-9)
    best = als_objective(X, users, items, 0.5, 5.0)
    for _ in range(20):
        assert als_objective(X, users + 0.01 * RANDOM.normal(size=users.shape), items, 0.5, 5.0) > best


def test_als_ends_where_a_general_minimiser_ends():
    from scipy.optimize import minimize

    told = []
    implicit_als(X, factors=2, l2=2.0, confidence=4.0, sweeps=200, report=told.append)

    def objective(flat):
        users, items = flat[:80].reshape(40, 2), flat[80:].reshape(12, 2)
        return als_objective(X, users, items, 2.0, 4.0)

    def gradient(flat):
        users, items = flat[:80].reshape(40, 2), flat[80:].reshape(12, 2)
        error = (1 + 4.0 * X) * (users @ items.T - (X > 0))
        return np.concatenate([(error @ items + 2 * users).ravel(), (error.T @ users + 2 * items).ravel()]) * 2

    starts = [np.random.default_rng(seed).normal(scale=0.3, size=104) for seed in range(4)]
    best = min(minimize(objective, start, jac=gradient, method="L-BFGS-B").fun for start in starts)
    assert told[-1] == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("fit", [popularity, item_knn, ease, implicit_als])
def test_a_new_users_scores_come_from_the_history_alone(fit):
    score = fit(X)
    together = score(np.concatenate([HISTORIES, np.zeros((1, 12))]))
    np.testing.assert_allclose(together[:5], score(HISTORIES), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(together[[2]], score(HISTORIES[[2]]), rtol=1e-9, atol=1e-12)
    assert np.isfinite(together).all()
    with pytest.raises(UserError, match="histories over the 12 items of the fit"):
        score(np.zeros((1, 11)))
    for bad in (np.zeros(3), np.full((2, 2), np.nan), -np.ones((2, 2)), np.zeros((0, 3))):
        with pytest.raises(UserError, match="a matrix"):
            fit(bad)


def test_options_out_of_range_are_refused():
    for call in (
        lambda: item_knn(X, 0),
        lambda: item_knn(X, shrink=-1),
        lambda: ease(X, 0),
        lambda: implicit_als(X, factors=0),
        lambda: implicit_als(X, l2=0),
        lambda: implicit_als(X, confidence=-1),
    ):
        with pytest.raises(UserError, match="expected"):
            call()
