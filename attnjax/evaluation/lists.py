"""What lists of recommendations are like, beside being right: diverse, new, like the user, and fair to creators.

A list is k items; all but `coverage` and `creator_exposure` are per user, for paired intervals. NumPy.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail

Vector = NDArray[np.float64]


def diversity(lists: ArrayLike, tags: ArrayLike) -> Vector:
    """How little the items of a list share: the mean Jaccard distance of their tags over all pairs.

        1 - |A and B| / |A or B|;        two items without tags are alike

    Args:
        lists: (users, k) integers, k at least 2.
        tags: (items, t), 1 where an item has a tag, e.g. a genre.

    Returns:
        (users,), in [0, 1].

    Raises:
        UserError: if the shapes are off or a list names an unknown item.

    >>> diversity([[0, 1], [0, 2]], [[1, 0], [1, 1], [0, 1]]).tolist()
    [0.5, 1.0]
    """
    shown, has = _checked("diversity", lists, tags, least=2)
    held = has[shown]
    both = np.einsum("uit,ujt->uij", held, held)
    size = held.sum(axis=2)
    either = size[:, :, None] + size[:, None, :] - both
    distance = 1 - np.divide(both, either, out=np.ones_like(both), where=either > 0)
    k = shown.shape[1]
    return distance.sum(axis=(1, 2)) / (k * (k - 1))


def coverage(lists: ArrayLike, num_items: int) -> float:
    """The share of all items that are in anybody's list.

    Args:
        lists: (users, k) integers.
        num_items: how many items there are.

    >>> coverage([[0, 1], [1, 0]], 4)
    0.5
    """
    return len(np.unique(np.asarray(lists))) / num_items


def novelty(lists: ArrayLike, count: ArrayLike, num_users: int) -> Vector:
    """How surprising a list's items are: the mean of -log2 of the share of users who know them, in bits.

    Args:
        lists: (users, k) integers.
        count: (items,), how many users of training had to do with each item; one is added, so that none is unknown.
        num_users: how many users of training there are.

    Returns:
        (users,), at least 0.

    Source: S. Vargas and P. Castells, Rank and relevance in novelty and diversity metrics, RecSys 2011.

    >>> novelty([[0, 1]], [3, 0], 3).tolist()
    [1.0]
    """
    bits = -np.log2((np.asarray(count, np.float64) + 1) / (num_users + 1))
    return bits[np.asarray(lists)].mean(axis=1)


def miscalibration(lists: ArrayLike, liked: ArrayLike, tags: ArrayLike, *, smooth: float = 0.01) -> Vector:
    """How far a list's tags are from those of what the user likes: a Kullback-Leibler divergence, in nats.

        KL(p | (1 - smooth) q + smooth p),        p, q: tags of what is liked, of the list, each item shared equally

    Args:
        lists: (users, k) integers.
        liked: (users, items), 1 for what the user likes; it may be what was to be found.
        tags: (items, t), 1 where an item has a tag.
        smooth: above 0, so that a tag that the list lacks does not count without bound.

    Returns:
        (users,), at least 0; NaN for a user who likes nothing that has a tag.

    Raises:
        UserError: if the shapes are off or a list names an unknown item.

    Source: H. Steck, Calibrated recommendations, RecSys 2018.

    >>> miscalibration([[0, 1]], [[0, 0, 1, 1]], [[1, 0], [0, 1], [0, 1], [1, 0]]).round(6).tolist()
    [0.0]
    """
    shown, has = _checked("miscalibration", lists, tags, least=1)
    share = np.divide(has, has.sum(axis=1, keepdims=True), out=np.zeros_like(has), where=has > 0)
    wanted, given = np.asarray(liked, np.float64) @ share, share[shown].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = wanted / wanted.sum(axis=1, keepdims=True)
        q = np.nan_to_num(given / given.sum(axis=1, keepdims=True))
        terms = np.where(p > 0, p * np.log(p / ((1 - smooth) * q + smooth * p)), 0)
    return np.where(wanted.sum(axis=1) > 0, terms.sum(axis=1), np.nan)


def creator_exposure(lists: ArrayLike, shares: ArrayLike) -> Vector:
    """What lists give to creators: places discounted by 1 / log2(1 + place), split as items are.

    Args:
        lists: (users, k) integers, best first.
        shares: (items, creators), each creator's share of each item, as `attnjax.data.Incidence.dense` gives.

    Returns:
        (creators,), the exposure over all lists, in places at the top; `attnjax.objectives.gini` says how unequal.

    Raises:
        UserError: if the shapes are off or a list names an unknown item.

    >>> creator_exposure([[1, 0]], [[1.0, 0.0], [0.5, 0.5]]).round(3).tolist()
    [1.131, 0.5]
    """
    shown, split = _checked("creator_exposure", lists, shares, least=1)
    worth = np.broadcast_to(1 / np.log2(np.arange(shown.shape[1]) + 2), shown.shape)
    return np.bincount(shown.ravel(), worth.ravel(), minlength=len(split)) @ split


def _checked(where: str, lists: Any, table: Any, least: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    shown, values = np.asarray(lists), np.asarray(table, np.float64)
    good = shown.ndim == values.ndim == 2 and shown.size > 0 and shown.dtype.kind in "iu"
    if not good or shown.shape[1] < least or shown.min() < 0 or shown.max() >= len(values):
        fail(
            where,
            expected=f"lists (users, k) of integers below the number of items, k >= {least}, and a row per item",
            got=f"shapes {shown.shape} and {values.shape}",
            advice="Number the items alike.",
        )
    return shown.astype(np.int64), values
