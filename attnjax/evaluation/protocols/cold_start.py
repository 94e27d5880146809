"""Cold-start rating: ten of a newcomer's ratings are hidden and predicted from the others.

Users with 13 to 100 ratings, each cold in one of ten folds; everybody else is learned from. The ten items are ranked by
predicted rating, and what should be found is the user's own first five of the ten by true rating. Ties are averaged on
both sides: of true ratings that tie for the last places each is relevant with the same probability, so that nobody
gains by the order in which a file lists what users rated alike. A random order gets 0.5 of both ranking measures.

The published table for this task (RecBole-MetaRec) breaks ties arbitrarily and tests 58 users, which leaves +- 0.05.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail
from attnjax.evaluation.protocols.newcomers import Newcomers, user_folds
from attnjax.evaluation.protocols.recommender import Recommender, Support, checked_scores

FEWEST, MOST = 13, 100
"""Users with so many ratings are eligible."""
STARS = (1.0, 5.0)


class ColdStart(NamedTuple):
    """What was measured, per user.

    Attributes:
        precision: (users,), the share of the user's first k among the predicted first k.
        ndcg: (users,), the same with the discount 1 / log2(1 + place), relative to the best possible.
        mae: (users,), mean absolute error in stars, predictions clipped to the scale.
        failures: how many users had scores that are not numbers; their measures are NaN.
    """

    precision: NDArray[np.float64]
    ndcg: NDArray[np.float64]
    mae: NDArray[np.float64]
    failures: int


def cold_start_folds(user: ArrayLike, *, folds: int = 10, seed: int = 0) -> list[NDArray[np.int64]]:
    """The eligible users, dealt out so that each is cold once.

    Args:
        user: (rows,) the user of each rating.
        folds: how many.
        seed: a non-negative integer.

    Returns:
        The cold users of each fold.

    Raises:
        UserError: if there are fewer eligible users than folds.
    """
    count = np.bincount(np.asarray(user))
    return user_folds(np.flatnonzero((count >= FEWEST) & (count <= MOST)), folds, seed)


def cold_start(recommender: Recommender, who: Newcomers, num_items: int, *, query: int = 10, k: int = 5) -> ColdStart:
    """Judges a recommender on the first `query` ratings of each newcomer, given all the others.

    Args:
        recommender: scores are predicted ratings in stars; it must not have learned from these users.
        who: the newcomers in random order, each with more than `query` ratings.
        num_items: how many items there are.
        query: how many ratings are hidden.
        k: the cut-off.

    Returns:
        The measures.

    Raises:
        UserError: if a newcomer has too few ratings, k is not below `query`, or scores have another shape.

    >>> item, mask = np.arange(3)[None], np.ones((1, 3), bool)
    >>> who = Newcomers(np.array([0]), item, np.array([[5.0, 1.0, 3.0]]), mask)
    >>> all_fives = Recommender(lambda support: len(support.item), lambda users: np.full((users, 3), 5.0))
    >>> found = cold_start(all_fives, who, 3, query=2, k=1)
    >>> found.precision.tolist(), found.mae.tolist()  # no order among equals: a half
    ([0.5], [2.0])
    """
    if not 1 <= k < query or not (who.mask.sum(axis=1) > query).all():
        fail(
            "cold_start",
            expected=f"newcomers with more than {query} ratings, and 1 <= k < {query}",
            got=f"{int(who.mask.sum(axis=1).min())} ratings and k = {k}",
            advice="Choose users by cold_start_folds.",
        )
    hidden = np.arange(who.item.shape[1]) < query
    support = Support(who.item, who.rating, who.mask & ~hidden[None, :])
    scores = checked_scores("cold_start", recommender, support, num_items)
    predicted = np.take_along_axis(scores, who.item[:, :query].astype(np.int64), axis=1)
    precision, ndcg = first_of_both(predicted, who.rating[:, :query], k)
    broken = np.isnan(predicted).any(axis=1)
    error = np.abs(np.clip(predicted, *STARS) - who.rating[:, :query]).mean(axis=1)
    precision, ndcg, mae = (np.where(broken, np.nan, found) for found in (precision, ndcg, error))
    return ColdStart(precision, ndcg, mae, int(broken.sum()))


def first_of_both(predicted: ArrayLike, true: ArrayLike, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and nDCG at k of finding the first k by the truth, both averaged over all orders of ties.

    Args:
        predicted: (users, n), larger is better.
        true: (users, n), likewise.
        k: the cut-off, at most n.

    Returns:
        Two arrays (users,).

    >>> first_of_both([[3.0, 2.0, 1.0]], [[5.0, 1.0, 1.0]], 2)[0].tolist()  # the first for certain, and one of two
    [0.75]
    """

    def expected(values: Any, worth: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each entry's place is worth on average, where `worth` is cumulative over places."""
        values = np.asarray(values, np.float64)
        better = (values[:, None, :] > values[:, :, None]).sum(axis=2)
        size = np.maximum((values[:, None, :] == values[:, :, None]).sum(axis=2), 1)
        return (worth[better + size] - worth[better]) / size

    n = np.shape(predicted)[1]
    inside = np.concatenate([[0.0], np.cumsum(np.arange(n) < k)])
    discount = np.concatenate([[0.0], np.cumsum(np.where(np.arange(n) < k, 1 / np.log2(np.arange(n) + 2), 0))])
    relevance = expected(true, inside)
    precision = np.sum(relevance * expected(predicted, inside), axis=1) / k
    return precision, np.sum(relevance * expected(predicted, discount), axis=1) / discount[k]
