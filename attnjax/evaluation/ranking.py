"""How good a ranking of all items is for one user; ties are averaged exactly.

Items of equal score have no order: each measure is its mean over all orders of the tied items, computed, not drawn.
So a scorer that knows nothing (all scores equal) gets exactly what a random order gets on average, and no item gains
by its number. With `better` items above a group of `size` tied ones, an item of the group has the places
better + 1 ... better + size, each as likely as the next.

All items are ranked but those the user has seen (`excluded`), never a sample of them: sampled measures need not even
agree on which of two rankings is better (Krichene and Rendle, 2020).

    jax.vmap(lambda s, r, e: ranking_measures(s, r, e, k=10))(scores, relevant, seen)     # over users
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from attnjax.errors import fail


class RankingMeasures(NamedTuple):
    """How well the relevant items are found; each in [0, 1], NaN for a user with none to find.

    Attributes:
        ndcg: sum over relevant items in the first k of 1 / log2(1 + place), relative to the best possible.
        hit_rate: whether (with ties: how likely) any of the first k is relevant.
        recall: the share of relevant items among the first k.
        mrr: 1 / place of the first relevant item, wherever it is.
    """

    ndcg: Float[Array, ""]
    hit_rate: Float[Array, ""]
    recall: Float[Array, ""]
    mrr: Float[Array, ""]


def ranking_measures(
    scores: Float[Array, " n"], relevant: Bool[Array, " n"], excluded: Bool[Array, " n"] | None = None, *, k: int = 10
) -> RankingMeasures:
    """Measures one user's ranking; `jax.vmap` it over users.

    Not for derivatives: the measures are piecewise constant in the scores.

    Args:
        scores: (n,), larger is better; -inf is allowed, NaN makes every measure NaN.
        relevant: (n,), which items were to be found; those that are excluded don't count.
        excluded: (n,), which items are not ranked, or None.
        k: the cut-off of nDCG, hit rate and recall.

    Returns:
        The measures.

    Raises:
        UserError: if the shapes differ or k is below 1.

    >>> found = ranking_measures(jnp.array([3.0, 2.0, 1.0]), jnp.array([False, True, False]), k=2)
    >>> [round(float(value), 4) for value in found]
    [0.6309, 1.0, 1.0, 0.5]
    >>> tied = ranking_measures(jnp.zeros(4), jnp.array([False, True, False, False]), k=2)
    >>> float(tied.hit_rate), round(float(tied.mrr), 5), round((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, 5)
    (0.5, 0.52083, 0.52083)
    """
    scores, relevant = jnp.asarray(scores), jnp.asarray(relevant, bool)
    excluded = jnp.zeros(scores.shape, bool) if excluded is None else jnp.asarray(excluded, bool)
    if scores.ndim != 1 or not scores.shape == relevant.shape == excluded.shape or k < 1:
        fail(
            "ranking_measures",
            expected="scores, relevant and excluded of one shape (n,), and k >= 1",
            got=f"shapes {scores.shape}, {relevant.shape}, {excluded.shape} and k = {k}",
            advice="Use jax.vmap over users.",
        )
    scores = scores if jnp.issubdtype(scores.dtype, jnp.floating) else scores.astype(jnp.float32)
    return _measures(scores, relevant, excluded, k=k)


@functools.partial(jax.jit, static_argnames="k")
def _measures(
    scores: Float[Array, " n"], relevant: Bool[Array, " n"], excluded: Bool[Array, " n"], *, k: int
) -> RankingMeasures:
    n = scores.shape[0]
    candidates = n - jnp.sum(excluded)
    relevant = relevant & ~excluded
    wanted = jnp.sum(relevant)
    ranked = jnp.sort(jnp.where(excluded, -jnp.inf, scores))
    better = n - jnp.searchsorted(ranked, scores, side="right")
    size = jnp.minimum(n - jnp.searchsorted(ranked, scores, side="left"), candidates) - better
    size = jnp.maximum(size, 1)  # of an excluded item, which counts for nothing

    place = jnp.arange(n)
    gain = jnp.where(place < k, 1 / jnp.log2(place + 2.0), 0)
    gained = jnp.concatenate([jnp.zeros(1), jnp.cumsum(gain)])
    ideal = gained[wanted]
    each = (gained[better + size] - gained[better]) / size
    within = (jnp.minimum(better + size, k) - jnp.minimum(better, k)) / size

    # The best tied group that holds a relevant item: its start, its size, and how many of it are relevant.
    start = jnp.min(jnp.where(relevant, better, n))
    group = jnp.max(jnp.where(relevant & (better == start), size, 1))
    several = jnp.sum(relevant & (better == start))
    # later[j]: the first of them comes after place j of the group; drawn without replacement, factor by factor.
    rest = jnp.maximum(group - place, 1)
    later = jnp.cumprod(jnp.clip(1 - several / rest, 0, 1))
    first = jnp.concatenate([jnp.ones(1), later[:-1]]) - later
    cut = k - start  # places of the group above the cut-off
    hit = jnp.where(cut > 0, 1 - later[jnp.clip(cut, 1, n) - 1], 0)

    found = RankingMeasures(
        ndcg=jnp.sum(jnp.where(relevant, each, 0)) / ideal,
        hit_rate=hit,
        recall=jnp.sum(jnp.where(relevant, within, 0)) / wanted,
        mrr=jnp.sum(first / (start + 1 + place)),
    )
    judged = (wanted > 0) & ~jnp.isnan(scores).any()
    return RankingMeasures(*(jnp.where(judged, value, jnp.nan) for value in found))


def measure_users(scores: Any, relevant: Any, excluded: Any, *, k: int = 10, at_once: int = 512) -> RankingMeasures:
    """Measures many users' rankings, in batches of bounded memory.

    Args:
        scores: (users, n).
        relevant: (users, n) bool.
        excluded: (users, n) bool.
        k: the cut-off.
        at_once: users per batch.

    Returns:
        The measures, each a NumPy array (users,), for `difference_interval` and the like.

    Raises:
        UserError: if the shapes differ, or as `ranking_measures` does.

    >>> measure_users(np.eye(3), np.eye(3) > 0, np.zeros((3, 3)) > 0).mrr.tolist()
    [1.0, 1.0, 1.0]
    """
    shapes = [np.shape(values) for values in (scores, relevant, excluded)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 2 or min(*shapes[0], at_once) < 1:
        fail(
            "measure_users",
            expected="scores, relevant and excluded of one shape (users, n), and at_once >= 1",
            got=f"shapes {', '.join(map(str, shapes))} and {at_once}",
            advice="Give every user a row of all items in each.",
        )
    parts = [
        _measure_rows(*(jnp.asarray(values[begin : begin + at_once]) for values in (scores, relevant, excluded)), k=k)
        for begin in range(0, shapes[0][0], at_once)
    ]
    return jax.tree.map(lambda *values: np.concatenate([np.asarray(value) for value in values]), *parts)


def measure_one_wanted(scores: Any, wanted: Any, excluded: Any, *, k: int = 10) -> RankingMeasures:
    """Measures many users' rankings where one item each was to be found, as in leave-one-out: `measure_users`, quickly.

    With one relevant item only its own place counts, and how many are tied with it: no sorting.

    Args:
        scores: (users, n), no NaN.
        wanted: (users,) integers, the item of each user.
        excluded: (users, n) bool; never the wanted item.
        k: the cut-off.

    Returns:
        The measures, each a NumPy array (users,), float64.

    Raises:
        UserError: if the shapes differ, an item is not there or excluded, a score is NaN, or k is below 1.

    >>> found = measure_one_wanted([[3.0, 2.0, 2.0]], [1], [[False] * 3], k=2)
    >>> [round(float(value[0]), 4) for value in found]
    [0.3155, 0.5, 0.5, 0.4167]
    """
    scores, wanted, excluded = np.asarray(scores), np.asarray(wanted), np.asarray(excluded, bool)
    rows = np.arange(len(wanted))
    fits = scores.ndim == 2 and scores.shape == excluded.shape and wanted.shape == rows.shape == scores.shape[:1]
    if not fits or k < 1 or not ((wanted >= 0) & (wanted < scores.shape[1])).all() or np.isnan(scores).any():
        fail(
            "measure_one_wanted",
            expected="scores and excluded of one shape (users, n), free of NaN, one item of n per user, and k >= 1",
            got=f"shapes {scores.shape}, {excluded.shape} and {wanted.shape}, and k = {k}",
            advice="Give every user a row of all items; use measure_users where several are wanted.",
        )
    if excluded[rows, wanted].any():
        fail(
            "measure_one_wanted",
            expected="wanted items that are ranked",
            got=f"{int(excluded[rows, wanted].sum())} that are excluded",
            advice="Exclude what was seen before, not what is to be found.",
        )
    own = scores[rows, wanted][:, None]
    better = np.sum((scores > own) & ~excluded, axis=1)
    size = np.sum((scores == own) & ~excluded, axis=1)
    place = np.arange(1, scores.shape[1] + 1)

    def over_the_tie(worth: NDArray) -> NDArray:
        """The mean worth of the places that the item may have."""
        upto = np.concatenate([[0.0], np.cumsum(worth)])
        return (upto[better + size] - upto[better]) / size

    hit = over_the_tie(1.0 * (place <= k))
    return RankingMeasures(over_the_tie((place <= k) / np.log2(place + 1.0)), hit, hit, over_the_tie(1 / place))  # type: ignore[arg-type]


@functools.partial(jax.jit, static_argnames="k")
def _measure_rows(scores: Array, relevant: Array, excluded: Array, *, k: int) -> RankingMeasures:
    return jax.vmap(functools.partial(ranking_measures, k=k))(scores, relevant, excluded)
