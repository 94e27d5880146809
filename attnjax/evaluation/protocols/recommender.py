"""What a protocol asks of a recommender: two pure functions, of many newcomers at once.

    state = adapt(support)         whatever it makes of the interactions so far
    scores = scores(state)         (users, items), larger is better

Every protocol gives supports of one shape, padded under a mask, so a compiled recommender is compiled once.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail

LIKE = 4.0
"""From so many stars on, a rating is a like."""


class Support(NamedTuple):
    """What is known of newcomers: their interactions so far, in their order.

    Attributes:
        item: (users, n) int32; 0 where padded.
        rating: (users, n) float32, stars; 0 where padded.
        mask: (users, n) bool, which places hold an interaction; padding may stand anywhere.
    """

    item: Any
    rating: Any
    mask: Any


class Recommender(NamedTuple):
    """A way to recommend.

    Attributes:
        adapt: `Support -> state`.
        scores: `state -> (users, items)`.
    """

    adapt: Callable[[Support], Any]
    scores: Callable[[Any], Any]


def per_user(adapt: Callable[[Support], Any], scores: Callable[[Any], Any]) -> Recommender:
    """The recommender of two JAX functions of one user, compiled and mapped over users.

    Args:
        adapt: of a `Support` whose leaves are (n,).
        scores: of what that returns, to (items,).

    Returns:
        The recommender.

    >>> count = per_user(lambda one: one.mask.sum(), lambda seen: seen * np.ones(3))
    >>> support = Support(np.zeros((2, 1), np.int32), np.ones((2, 1), np.float32), np.array([[True], [False]]))
    >>> count.scores(count.adapt(support)).tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    return Recommender(jax.jit(jax.vmap(adapt)), jax.jit(jax.vmap(scores)))


def likes(rating: Any) -> Any:
    """1 for a rating of `LIKE` stars or more, 0 for a lower one: how a support counts in a history of likes."""
    return (rating >= LIKE).astype(np.float64)


def from_histories(
    scorer: Callable[[NDArray[np.float64]], Any],
    num_items: int,
    weigh: Callable[[Any], Any] = likes,
) -> Recommender:
    """The recommender of a scorer of histories, such as those of `attnjax.evaluation.baselines`.

    Args:
        scorer: from histories (users, items) to scores (users, items).
        num_items: how many items there are.
        weigh: from ratings to what an interaction counts in a history.

    Returns:
        The recommender; its state is the histories.

    >>> from attnjax.evaluation import item_knn
    >>> neighbours = from_histories(item_knn([[1, 1, 0], [0, 1, 1]]), num_items=3)
    >>> support = Support(np.array([[0]]), np.array([[5.0]]), np.array([[True]]))
    >>> neighbours.scores(neighbours.adapt(support)).round(3).tolist()
    [[0.0, 0.707, 0.0]]
    """
    return Recommender(functools.partial(histories, num_items=num_items, weigh=weigh), scorer)


def histories(support: Support, num_items: int, weigh: Callable[[Any], Any] = likes) -> NDArray[np.float64]:
    """Supports as a matrix.

    Args:
        support: of some users.
        num_items: how many items there are.
        weigh: from ratings to what an interaction counts.

    Returns:
        (users, num_items) float64, 0 where there was no interaction.

    >>> histories(Support(np.array([[2, 0]]), np.array([[5.0, 0.0]]), np.array([[True, False]])), 3).tolist()
    [[0.0, 0.0, 1.0]]
    """
    item, rating, mask = (np.asarray(part) for part in support)
    matrix = np.zeros((len(item), num_items))
    user, place = np.nonzero(mask)
    matrix[user, item[user, place]] = weigh(rating[user, place])
    return matrix


def checked_scores(where: str, recommender: Recommender, support: Support, num_items: int) -> NDArray[np.float64]:
    """A recommender's scores for a support, as NumPy's, or a refusal."""
    found = np.asarray(recommender.scores(recommender.adapt(support)))
    if found.shape != (len(support.item), num_items):
        fail(
            where,
            expected=f"scores of shape {(len(support.item), num_items)}, one per user and item",
            got=f"shape {found.shape}",
            advice="Wrap functions of one user by per_user.",
        )
    return found


def top_items(scores: ArrayLike, excluded: ArrayLike, k: int, seed: int) -> NDArray[np.int32]:
    """The first k of each ranking, of equal scores a random order.

    Args:
        scores: (users, items).
        excluded: (users, items), what is not ranked; it leaves at least k.
        k: how many.
        seed: of the order of ties.

    Returns:
        (users, k) int32, best first.

    >>> top_items([[1.0, 3.0, 2.0]], [[False, True, False]], 2, seed=0).tolist()
    [[2, 0]]
    """
    ranked = np.where(excluded, -np.inf, np.asarray(scores, np.float64))
    if ranked.ndim != 2 or k < 1 or np.any(np.sum(~np.asarray(excluded, bool), axis=1) < k):
        fail(
            "top_items",
            expected="scores (users, items), with at least k >= 1 items left to rank",
            got=f"shape {ranked.shape} and k = {k}",
            advice="Exclude less, or ask for fewer.",
        )
    draw = np.random.default_rng(seed).random(ranked.shape)
    # What can be excluded is -inf like a score may be, so it goes last by a key of its own.
    order = np.lexsort((draw, -ranked, np.asarray(excluded, bool)), axis=1)
    return order[:, :k].astype(np.int32)
