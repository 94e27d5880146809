"""Which interactions are for learning and which for judging: two splits, both pure functions of arrays.

A split is a pair of sorted row numbers that together name every row once. The hold-out split draws a share of
each user's rows at random, so every user can be judged; the time split cuts the whole log at one moment, so
nothing that is learned from lies after anything that is judged.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail


class Split(NamedTuple):
    """Row numbers of the two parts.

    Attributes:
        train: (m,) int64, sorted.
        test: (n - m,) int64, sorted.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def holdout_split(user: ArrayLike, fraction: float, seed: int) -> Split:
    """Holds out a random share of each user's rows.

    Of a user's n rows, round(fraction n) are held out, halves up, but never the last one left for training.
    The draw depends on nothing but `seed` and `user`.

    Args:
        user: (rows,) integers, the user of each row.
        fraction: the share to hold out, in (0, 1).
        seed: a non-negative integer.

    Returns:
        The split.

    Raises:
        UserError: the fraction is outside (0, 1), or `user` is not a one-dimensional array of integers.

    >>> split = holdout_split([0, 0, 0, 0, 1], fraction=0.25, seed=1)
    >>> len(split.train), len(split.test), 4 in split.train
    (4, 1, True)
    """
    users = np.asarray(user)
    _check_rows("holdout_split", "user", users, "iu")
    _check_fraction("holdout_split", fraction)
    draw = np.random.default_rng(seed).permutation(len(users))
    order = np.lexsort((draw, users))
    _, start, count = np.unique(users[order], return_index=True, return_counts=True)
    held = np.minimum(np.floor(fraction * count + 0.5).astype(np.int64), count - 1)
    rank = np.arange(len(users)) - np.repeat(start, count)
    return _split(order[rank < np.repeat(held, count)], len(users))


def time_split(timestamp: ArrayLike, fraction: float) -> Split:
    """Holds out the latest share of all rows, so that every training row lies strictly before every test row.

    Rows of the moment at which the cut falls are all held out, so the test part may be larger than asked for.

    Args:
        timestamp: (rows,) numbers or `datetime64`, in any unit.
        fraction: the least share to hold out, in (0, 1).

    Returns:
        The split.

    Raises:
        UserError: the fraction is outside (0, 1), `timestamp` is not one-dimensional, or the cut falls on the
            earliest moment, which leaves nothing to train on.

    >>> time_split([30, 10, 20, 40], fraction=0.25)
    Split(train=array([0, 1, 2]), test=array([3]))
    """
    times = np.asarray(timestamp)
    _check_rows("time_split", "timestamp", times, "iufM")
    _check_fraction("time_split", fraction)
    held = max(1, int(np.floor(fraction * len(times) + 0.5)))
    cut = np.sort(times)[len(times) - held]
    test = np.flatnonzero(times >= cut)
    if len(test) == len(times):
        fail(
            "time_split",
            expected="rows before the moment of the cut, to train on",
            got=f"a cut at the earliest of {len(times)} rows",
            advice="Hold out a smaller fraction, or use timestamps of a finer unit.",
        )
    return _split(test, len(times))


def _split(test: NDArray, rows: int) -> Split:
    mask = np.zeros(rows, dtype=bool)
    mask[test] = True
    return Split(train=np.flatnonzero(~mask), test=np.flatnonzero(mask))


def _check_fraction(where: str, fraction: float) -> None:
    if not 0.0 < fraction < 1.0:
        fail(where, expected="a fraction in (0, 1)", got=str(fraction), advice="Pass 0.2 to hold out a fifth.")


def _check_rows(where: str, what: str, values: NDArray, kinds: str) -> None:
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in kinds:
        fail(
            where,
            expected=f"{what}: a one-dimensional, non-empty array with one entry per row",
            got=f"a {values.dtype} array of shape {values.shape}",
            advice=f"Pass the column of {what}s, such as `data.{what}`.",
        )
