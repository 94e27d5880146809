"""First tries where users rate: items' means, and item neighbours by ratings.

What is fitted is a table of answers; what comes out recommends as `attnjax.evaluation.protocols` asks. NumPy in
float64, dense. `attnjax.evaluation.linear_baselines` has matrix factorisation and two bandits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail
from attnjax.evaluation.protocols.recommender import LIKE, Recommender, Support, histories, likes

Vector = NDArray[np.float64]
VALUES = ("stars", "likes")


class Answers(NamedTuple):
    """Users' answers to items, one row each.

    Attributes:
        user: (rows,) in [0, num_users).
        item: (rows,) in [0, num_items).
        value: (rows,) float64, stars or likes.
        num_users: how many.
        num_items: how many.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    value: Vector
    num_users: int
    num_items: int


def answers(log: Any, rows: ArrayLike, value: str = "stars") -> Answers:
    """Some rows of a log as answers, users renumbered.

    Args:
        log: has columns `user`, `item` and `rating`, and `num_items`, as `attnjax.data.MovieLens` does.
        rows: which, at least one.
        value: "stars" for ratings, "likes" for 1 where a rating is a like and 0 elsewhere.

    Returns:
        The answers.

    Raises:
        UserError: for no rows, or another value.

    >>> from types import SimpleNamespace
    >>> columns = {"user": np.array([4, 7]), "item": np.array([1, 0]), "rating": np.array([5.0, 2.0])}
    >>> found = answers(SimpleNamespace(**columns, num_items=2), [0, 1], "likes")
    >>> found.user.tolist(), found.value.tolist()
    ([0, 1], [1.0, 0.0])
    """
    chosen = np.asarray(rows)
    if chosen.size == 0 or value not in VALUES:
        fail(
            "answers",
            expected=f"rows, and a value of {', '.join(VALUES)}",
            got=f"{chosen.size} rows and {value!r}",
            advice="Pass the rows that are learned from.",
        )
    known, user = np.unique(np.asarray(log.user)[chosen], return_inverse=True)
    rating = np.asarray(log.rating, np.float64)[chosen]
    values = rating if value == "stars" else (rating >= LIKE).astype(np.float64)
    return Answers(user, np.asarray(log.item)[chosen].astype(np.int64), values, len(known), log.num_items)


def item_means(data: Answers, shrink: float) -> Vector:
    """Each item's mean value, drawn towards the mean of all by `shrink` answers of that.

    With likes this is the like-rate.

    Args:
        data: what is learned from.
        shrink: at least 0; items without an answer have the mean of all.

    Returns:
        (items,).

    >>> item_means(Answers(np.array([0, 1]), np.array([0, 0]), np.array([1.0, 0.0]), 2, 2), 1.0).tolist()
    [0.5, 0.5]
    """
    mean = data.value.mean()
    count = np.bincount(data.item, minlength=data.num_items)
    total = np.bincount(data.item, data.value, minlength=data.num_items) + shrink * mean
    return np.where(count + shrink > 0, total / np.maximum(count + shrink, 1e-300), mean)


def rating_neighbours(
    data: Answers, *, value: str = "stars", neighbours: int = 50, shrink: float = 20.0, prior: float = 1.0
) -> Recommender:
    """Predicts by what the user said of similar items, relative to what is usual for them.

        s_ij = <d_i, d_j> / (|d_i| |d_j|) n_ij / (n_ij + shrink),        d_ui = value_ui - mean_i of common users,
        score_j = mean_j + sum_i s_ij d_ui / (sum_i |s_ij| + prior)

    over those of the user's items that are among j's nearest.

    Args:
        data: what is learned from.
        value: "stars" or "likes", the unit of `data`, in which supports are read too.
        neighbours: how many per item, by |s|.
        shrink: lessens similarities that rest on few common users.
        prior: draws towards the item's mean.

    Returns:
        The recommender.

    Raises:
        UserError: for another unit, or an option out of range.

    Source: B. Sarwar et al., Item-based collaborative filtering, WWW 2001.

    >>> user, item = np.repeat(np.arange(3), 2), np.tile([0, 1], 3)
    >>> alike = Answers(user, item, np.array([5.0, 5.0, 1.0, 1.0, 3.0, 3.0]), num_users=3, num_items=2)
    >>> found = rating_neighbours(alike, shrink=0.0)
    >>> support = Support(np.array([[0]]), np.array([[5.0]]), np.array([[True]]))
    >>> found.scores(found.adapt(support)).tolist()  # as far above the mean of 3 as was said, half believed
    [[3.0, 4.0]]
    """
    if value not in VALUES or neighbours < 1 or shrink < 0 or not prior > 0:
        fail(
            "rating_neighbours",
            expected=f"a value of {', '.join(VALUES)}, neighbours >= 1, shrink >= 0 and prior > 0",
            got=f"{value!r}, {neighbours}, {shrink} and {prior}",
            advice="Mend the options.",
        )
    means = item_means(data, 5.0)
    dev, known = (np.zeros((data.num_users, data.num_items), np.float32) for _ in range(2))
    dev[data.user, data.item] = data.value - means[data.item]
    known[data.user, data.item] = 1
    squares = (dev**2).T @ known
    scale = np.sqrt(squares * squares.T)
    common = known.T @ known
    product = (dev.T @ dev) * common / (common + shrink)
    near = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    np.fill_diagonal(near, 0)
    if neighbours < len(near):
        least = np.partition(abs(near), -neighbours, axis=0)[-neighbours]
        near = np.where(abs(near) >= least[None, :], near, 0)

    read: Callable[[Any], Any] = likes if value == "likes" else np.asarray

    def adapt(support: Support) -> tuple[NDArray, NDArray]:
        held = histories(support, data.num_items, np.ones_like)
        said = histories(support, data.num_items, read)
        return held, held * (said - means[None, :])

    def scores(state: tuple[NDArray, NDArray]) -> NDArray:
        held, surprise = state
        return means[None, :] + (surprise @ near) / (held @ abs(near) + prior)

    return Recommender(adapt, scores)


def constant(scores: ArrayLike) -> Recommender:
    """The recommender that scores alike for everybody.

    Args:
        scores: (items,); all equal for a random order.

    >>> steady = constant([1.0, 2.0])
    >>> steady.scores(steady.adapt(Support(np.zeros((2, 1), int), np.zeros((2, 1)), np.zeros((2, 1), bool)))).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    row = np.asarray(scores, np.float64)
    return Recommender(lambda support: len(support.item), lambda users: np.tile(row, (users, 1)))
