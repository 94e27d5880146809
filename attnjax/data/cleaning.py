"""Rows that can't be: told apart from rows that are rare, counted by reason, and left out.

Cleaning looks at each row by itself and at its repeats; it fits nothing, so it may be done before a split.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail


class Cleaned(NamedTuple):
    """What is left of a log, and why the rest is not.

    Attributes:
        frame: the rows kept, in their order, numbered anew.
        dropped: how many rows went, by reason; each row counts for the first reason that it meets.
    """

    frame: pd.DataFrame
    dropped: dict[str, int]


def clean_interactions(
    frame: pd.DataFrame,
    *,
    limits: Mapping[str, tuple[float, float]],
    keys: tuple[str, ...] = ("user", "item"),
    timestamp: str = "timestamp",
) -> Cleaned:
    """Drops rows without a key or with impossible values, and repeats of a key but for the latest.

    In order: a key or the timestamp is missing; a value lies outside its limits or is infinite; the row is the same as
    an earlier one; there is a later row of the same keys (of those at one moment the last in the log is kept, since it
    was written last). A value that is missing, but is no key, is no reason: it is for `fit_table` to fill.

    Args:
        frame: one row per interaction.
        limits: column to the least and the largest possible value, e.g. `{"rating": (1, 5)}`.
        keys: the columns that name an interaction.
        timestamp: the column that orders repeats.

    Returns:
        The rows kept and the counts.

    Raises:
        UserError: if a column is not there, or limits are the wrong way round.

    >>> log = pd.DataFrame({"user": [0, 0, 1], "item": [5, 5, 5], "rating": [3, 4, 9], "timestamp": [1, 2, 1]})
    >>> cleaned = clean_interactions(log, limits={"rating": (1, 5)})
    >>> cleaned.frame["rating"].tolist(), cleaned.dropped["impossible rating"], cleaned.dropped["repeated"]
    ([4], 1, 1)
    """
    lacking = [name for name in (*keys, timestamp, *limits) if name not in frame]
    if lacking or any(not low <= high for low, high in limits.values()):
        fail(
            "clean_interactions",
            expected="the columns of keys, timestamp and limits, and limits with low <= high",
            got=f"columns {', '.join(map(str, frame.columns))} and limits {dict(limits)}",
            advice="Name columns of the frame.",
        )
    left = frame.reset_index(drop=True)
    dropped: dict[str, int] = {}

    def drop(reason: str, bad: NDArray[np.bool_]) -> None:
        nonlocal left
        dropped[reason] = int(bad.sum())
        left = left[~bad].reset_index(drop=True)

    drop("missing key", left[[*keys, timestamp]].isna().any(axis=1).to_numpy())
    for name, (low, high) in limits.items():
        values = left[name].to_numpy(np.float64, na_value=np.nan)
        drop(f"impossible {name}", ~(np.isnan(values) | ((values >= low) & (values <= high) & np.isfinite(values))))
    drop("duplicate", left.duplicated().to_numpy())
    order = left.sort_values(timestamp, kind="stable").index
    drop("repeated", left.loc[order].duplicated(list(keys), keep="last").sort_index().to_numpy())
    return Cleaned(left, dropped)


def time_gaps(user: ArrayLike, timestamp: ArrayLike) -> NDArray[np.float64]:
    """The time since a user's previous interaction, as log(1 + seconds): a feature that knows the past only.

    Args:
        user: (rows,) integers.
        timestamp: (rows,) seconds.

    Returns:
        (rows,) float64, NaN at a user's first row. Rows of one moment follow each other in the order of the log, with
        gaps of 0.

    Raises:
        UserError: if the columns do not match.

    >>> time_gaps([0, 1, 0], [10, 3, 10]).tolist()
    [nan, nan, 0.0]
    """
    users, times = np.asarray(user), np.asarray(timestamp, np.float64)
    if users.ndim != 1 or users.shape != times.shape:
        fail(
            "time_gaps",
            expected="a user and a timestamp per row",
            got=f"shapes {users.shape} and {times.shape}",
            advice="Pass two columns of one log.",
        )
    order = np.lexsort((times, users))
    gaps = np.full(len(users), np.nan)
    same = users[order][1:] == users[order][:-1]
    gaps[order[1:][same]] = np.log1p(np.diff(times[order])[same])
    return gaps
