"""What a practitioner would try first: popularity, item neighbours, EASE and implicit ALS, each in a few lines.

Every baseline is fitted to a matrix of interactions X (users, items; 0 where there was none) and returns a function
from histories, in the same form, to scores of all items: the users of a history need not be those of the fit. What is
to be left out of a ranking (the history itself) is for the judge to say: see `attnjax.evaluation.ranking`.

    score = ease(interactions, l2=500.0)
    measure_users(score(interactions), relevant, interactions > 0)

NumPy in float64, dense: made for tens of thousands of items at most.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail
from attnjax.models.ease import ease_links

Matrix = NDArray[np.float64]
Scorer = Callable[[Any], Matrix]


def popularity(interactions: ArrayLike) -> Scorer:
    """Scores an item by how much it was interacted with, the same for everyone.

    Args:
        interactions: (users, items), at least 0.

    Returns:
        The scorer.

    Raises:
        UserError: if they are no such matrix.

    >>> popularity([[1, 0], [1, 1]])([[0, 0]]).tolist()
    [[2.0, 1.0]]
    """
    x = _checked("popularity", interactions)
    count = x.sum(axis=0)
    return _scorer("popularity", lambda histories: np.tile(count, (len(histories), 1)), x.shape[1])


def item_knn(interactions: ArrayLike, neighbours: int = 50, shrink: float = 0.0) -> Scorer:
    """Scores an item by its cosine similarity to the items of the history, among each one's nearest neighbours.

        s_ij = <x_i, x_j> / (|x_i| |x_j| + shrink),     score_j = sum over i in the history, j near i, of h_i s_ij

    An item is not its own neighbour. Where several are tied for the last place, all of them are kept.

    Args:
        interactions: (users, items), at least 0.
        neighbours: how many are kept per item, at least 1.
        shrink: at least 0; lessens similarities that rest on few users.

    Returns:
        The scorer.

    Raises:
        UserError: if they are no such matrix or an option is out of range.

    Source: M. Deshpande and G. Karypis, Item-based top-N recommendation algorithms, 2004.
    """
    x = _checked("item_knn", interactions)
    if neighbours < 1 or shrink < 0:
        fail(
            "item_knn",
            expected="neighbours >= 1 and shrink >= 0",
            got=f"{neighbours} and {shrink}",
            advice="The usual values are 20 to 200, and 0 to 100.",
        )
    product = x.T @ x
    length = np.sqrt(np.diag(product))
    scale = np.outer(length, length) + shrink
    similarity = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    np.fill_diagonal(similarity, 0)
    if neighbours < len(similarity):
        least = np.partition(similarity, -neighbours, axis=1)[:, -neighbours]
        similarity = np.where(similarity >= least[:, None], similarity, 0)
    return _scorer("item_knn", lambda histories: histories @ similarity, x.shape[1])


def ease(interactions: ArrayLike, l2: float = 500.0) -> Scorer:
    """Scores by EASE, the best linear map from histories to themselves: see `attnjax.models.ease_links`.

    Args:
        interactions: (users, items).
        l2: above 0.

    Returns:
        The scorer.

    Raises:
        UserError: if they are no matrix or l2 is not positive.

    Source: H. Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019.
    """
    x = _checked("ease", interactions)
    weights = ease_links(x, l2)
    return _scorer("ease", lambda histories: histories @ weights, x.shape[1])


def implicit_als(
    interactions: ArrayLike,
    *,
    factors: int = 32,
    l2: float = 10.0,
    confidence: float = 10.0,
    sweeps: int = 15,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> Scorer:
    """Scores by factors of users and items, fitted by alternating exact least squares to implicit feedback.

        sum_ui c_ui ([x_ui > 0] - <y_u, z_i>)^2 + l2 (sum_u |y_u|^2 + sum_i |z_i|^2),     c_ui = 1 + confidence x_ui

    Each half sweep solves for all users, or all items, exactly, so the objective never rises. A history's factors are
    the solution for it as a user.

    Args:
        interactions: (users, items), at least 0.
        factors: length of the factors, at least 1.
        l2: above 0.
        confidence: how much more an interaction counts than its absence, per unit, at least 0.
        sweeps: how often users and items are solved for, at least 1.
        seed: of the items' first factors.
        report: is told the objective after each half sweep.

    Returns:
        The scorer.

    Raises:
        UserError: if they are no such matrix or an option is out of range.

    Source: Y. Hu, Y. Koren and C. Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008.
    """
    x = _checked("implicit_als", interactions)
    if factors < 1 or sweeps < 1 or not l2 > 0 or confidence < 0:
        fail(
            "implicit_als",
            expected="factors >= 1, sweeps >= 1, l2 > 0 and confidence >= 0",
            got=f"{factors}, {sweeps}, {l2} and {confidence}",
            advice="Mend the options.",
        )
    items = np.random.default_rng(seed).normal(scale=0.1, size=(x.shape[1], factors))
    for _ in range(sweeps):
        users = _solve_rows(x, items, l2, confidence)
        if report is not None:
            report(als_objective(x, users, items, l2, confidence))
        items = _solve_rows(x.T, users, l2, confidence)
        if report is not None:
            report(als_objective(x, users, items, l2, confidence))
    return _scorer(
        "implicit_als", lambda histories: _solve_rows(histories, items, l2, confidence) @ items.T, x.shape[1]
    )


def als_objective(interactions: Matrix, users: Matrix, items: Matrix, l2: float, confidence: float) -> float:
    """What `implicit_als` minimises.

    Args:
        interactions: (users, items).
        users: (users, factors).
        items: (items, factors).
        l2: as there.
        confidence: as there.
    """
    error = (interactions > 0) - users @ items.T
    weighted = np.sum((1 + confidence * interactions) * error**2)
    return float(weighted + l2 * (np.sum(users**2) + np.sum(items**2)))


def _solve_rows(x: Matrix, other: Matrix, l2: float, confidence: float) -> Matrix:
    """The factors of each row of x, given the factors of its columns: Z'CZ y = Z'Cp, where C is 1 off the history."""
    shared = other.T @ other + l2 * np.eye(other.shape[1])
    solved = np.zeros((len(x), other.shape[1]))
    for row, values in enumerate(x):
        held = np.flatnonzero(values)
        own, extra = other[held], confidence * values[held]
        solved[row] = np.linalg.solve(shared + (own.T * extra) @ own, own.T @ (1 + extra))
    return solved


def _scorer(name: str, score: Callable[[Matrix], Matrix], items: int) -> Scorer:
    """A scorer that looks at its histories first."""

    def scorer(histories: Any) -> Matrix:
        checked = _checked(f"{name}'s scorer", histories)
        if checked.shape[1] != items:
            fail(
                f"{name}'s scorer",
                expected=f"histories over the {items} items of the fit",
                got=f"shape {checked.shape}",
                advice="Number the items alike.",
            )
        return score(checked)

    return scorer


def _checked(where: str, interactions: ArrayLike) -> Matrix:
    x = np.asarray(interactions, dtype=np.float64)
    if x.ndim != 2 or 0 in x.shape or not np.isfinite(x).all() or (x < 0).any():
        fail(
            where,
            expected="a matrix (users, items) of finite numbers of at least 0",
            got=f"shape {x.shape}" + (" with other values" if x.ndim == 2 and x.size else ""),
            advice="Give 1 where there was an interaction and 0 elsewhere.",
        )
    return x
