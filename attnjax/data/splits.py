"""Which interactions are for learning and which for judging: pure functions of arrays.

A split is a pair of sorted row numbers that together name every row once. Which split answers which question:

- `holdout_split` draws a share of each user's rows at random: every user is judged, on many rows;
- `leave_one_out_split` holds out one row of each user, at random or the last: the next item, everything known before.
  By time, others' rows after a user's last one are still learned from;
- `time_split` cuts the whole log at one moment: nothing that is learned from lies after anything that is judged;
- `user_split` holds out whole users: newcomers of whom nothing was learned.

For a validation part, split the training rows again: `train[inner.train]`, `train[inner.test]`.
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


def user_split(user: ArrayLike, fraction: float, seed: int) -> Split:
    """Holds out all rows of a random share of the users.

    Of n users, round(fraction n) are held out, halves up, but at least one and never all.

    Args:
        user: (rows,) integers, the user of each row; at least two different ones.
        fraction: the share of users to hold out, in (0, 1).
        seed: a non-negative integer.

    Returns:
        The split; no user has rows in both parts.

    Raises:
        UserError: the fraction is outside (0, 1), `user` is not a one-dimensional array of integers, or has one user.

    >>> user = np.array([0, 0, 1, 1, 2, 2])
    >>> split = user_split(user, fraction=0.3, seed=0)
    >>> len(split.test), set(user[split.train]) & set(user[split.test])
    (2, set())
    """
    users = np.asarray(user)
    _check_rows("user_split", "user", users, "iu")
    _check_fraction("user_split", fraction)
    known = np.unique(users)
    if len(known) < 2:
        fail(
            "user_split",
            expected="rows of at least two users",
            got="one",
            advice="Split a single user's rows with holdout_split.",
        )
    held = int(np.clip(np.floor(fraction * len(known) + 0.5), 1, len(known) - 1))
    chosen = np.random.default_rng(seed).choice(known, size=held, replace=False)
    return _split(np.flatnonzero(np.isin(users, chosen)), len(users))


def leave_one_out_split(user: ArrayLike, seed: int, timestamp: ArrayLike | None = None) -> Split:
    """Holds out one row of each user: a random one, or one of the last.

    **Ties.** By time, several rows of a user may share the last moment (in MovieLens-100k most do share it, since
    ratings were entered page by page). One of them is drawn at random, by the seed; the order of the file never
    decides. `last_moment_ties` says how often that happens, and several seeds say what it matters.

    A user's only row is kept for training.

    Args:
        user: (rows,) integers, the user of each row.
        seed: a non-negative integer.
        timestamp: (rows,) numbers or `datetime64` to hold out a last row, or None for a random one.

    Returns:
        The split.

    Raises:
        UserError: `user` is not a one-dimensional array of integers, or `timestamp` does not match it.

    >>> leave_one_out_split([0, 0, 0, 1], seed=0, timestamp=[5, 9, 7, 1]).test
    array([1])
    """
    users = np.asarray(user)
    _check_rows("leave_one_out_split", "user", users, "iu")
    times = _matching_times("leave_one_out_split", users, timestamp)
    draw = np.random.default_rng(seed).permutation(len(users))
    order = np.lexsort((draw, times, users))
    _, start, count = np.unique(users[order], return_index=True, return_counts=True)
    return _split(order[(start + count - 1)[count > 1]], len(users))


def last_moment_ties(user: ArrayLike, timestamp: ArrayLike) -> NDArray[np.int64]:
    """How many rows of each user share the user's last moment.

    Args:
        user: (rows,) integers, the user of each row.
        timestamp: (rows,) numbers or `datetime64`.

    Returns:
        (users,) the number, in the order of the users' numbers; 1 where the last row is the only one.

    Raises:
        UserError: as for `leave_one_out_split`.

    >>> last_moment_ties([0, 0, 0, 1], [5, 9, 9, 1])
    array([2, 1])
    """
    users = np.asarray(user)
    _check_rows("last_moment_ties", "user", users, "iu")
    times = _matching_times("last_moment_ties", users, timestamp)
    order = np.lexsort((times, users))
    known, start, count = np.unique(users[order], return_index=True, return_counts=True)
    last = times[order][start + count - 1]
    return np.bincount(
        np.searchsorted(known, users[times == last[np.searchsorted(known, users)]]), minlength=len(known)
    )


def _matching_times(where: str, users: NDArray, timestamp: ArrayLike | None) -> NDArray:
    """The timestamps, or zeros where order in time has no part."""
    if timestamp is None:
        return np.zeros(len(users))
    times = np.asarray(timestamp)
    _check_rows(where, "timestamp", times, "iufM")
    if times.shape != users.shape or np.isnan(times).any():
        fail(
            where,
            expected="one timestamp per row, none missing",
            got=f"{len(times)} for {len(users)} rows" + (", some missing" if np.isnan(times).any() else ""),
            advice="Pass two columns of one log; drop rows whose time is unknown.",
        )
    return times


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
