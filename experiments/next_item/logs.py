"""The log of `next_item`, split: what is learned from, what settings are chosen by, and what is judged.

Per user one interaction is held out for judging and, from the rest, one for choosing: the last ones by time (of several
at one moment a random one), or random ones.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnjax.data import MovieLens, leave_one_out_split, movielens_features
from attnjax.data.histories import pad_histories
from attnjax.models import PAD

CENTRE = 3.5
"""Ratings are given to models relative to this many stars."""


class Log(NamedTuple):
    """The interactions of some users.

    Attributes:
        row: (rows,) of the whole data set.
        user: (rows,) from 0 to num_users - 1.
        item: (rows,).
        rating: (rows,) stars.
        timestamp: (rows,) seconds.
        num_users: how many.
        num_items: all of the data set.
    """

    row: NDArray[np.int64]
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64]
    num_users: int
    num_items: int


class Parts(NamedTuple):
    """Rows of a log: `train` and `validation` together are what is learned from before judging."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.int64]:
        """All rows but those that are judged."""
        return np.sort(np.concatenate([self.train, self.validation]))


class Events(NamedTuple):
    """Histories in one shape, the latest event last; see `attnjax.models.History`.

    Attributes:
        items: (users, length) int32, `PAD` where there is no event; NumPy's, or JAX's on the device.
        ratings: (users, length) float32, less `CENTRE`.
        times: (users, length) int32, seconds.
    """

    items: Any
    ratings: Any
    times: Any


class About(NamedTuple):
    """What is known of users and films beside what was watched.

    Attributes:
        categories: (users, 2) int32, gender and occupation.
        numbers: (users, 1) float32, age; NaN where missing.
        films: (items, g) float32, year and genres; NaN where missing.
        sizes: how many categories there are of each kind.
    """

    categories: NDArray[np.int32]
    numbers: NDArray[np.float32]
    films: NDArray[np.float32]
    sizes: tuple[int, ...]


def log_of(data: MovieLens, users: int) -> Log:
    """The log of the first so many users."""
    row = np.flatnonzero(data.user < users)
    columns = (data.user[row], data.item[row], data.rating[row], data.timestamp[row])
    return Log(row, *columns, min(users, data.num_users), data.num_items)


def parts_of(log: Log, split: str, seed: int) -> Parts:
    """Two leave-one-out splits, one inside the other; `split` is "time" or "random"."""
    times = log.timestamp if split == "time" else None
    outer = leave_one_out_split(log.user, seed, times)
    known = outer.train
    inner = leave_one_out_split(log.user[known], seed, None if times is None else times[known])
    return Parts(known[inner.train], known[inner.test], outer.test)


def matrix(log: Log, rows: NDArray) -> NDArray[np.float64]:
    """(users, items), 1 where there was an interaction."""
    found = np.zeros((log.num_users, log.num_items))
    found[log.user[rows], log.item[rows]] = 1
    return found


def targets(log: Log, rows: NDArray) -> NDArray[np.int32]:
    """(users,), the one item of each user that is held out."""
    found = np.full(log.num_users, PAD, np.int32)
    found[log.user[rows]] = log.item[rows]
    assert (found != PAD).all()  # every user of the data set has 20 ratings or more
    return found


def events(log: Log, rows: NDArray, length: int) -> Events:
    """The histories that some rows make."""
    padded = pad_histories(log.user[rows], log.item[rows], log.timestamp[rows], num_users=log.num_users, length=length)
    # From the left of the row to its right end.
    kept = padded.mask.sum(axis=1, keepdims=True)
    place = np.arange(length)[None, :] - (length - kept)
    row = np.where(place >= 0, np.take_along_axis(padded.row, np.maximum(place, 0), axis=1), -1)
    valid, row = row >= 0, rows[np.maximum(row, 0)]
    return Events(
        np.where(valid, log.item[row], PAD).astype(np.int32),
        np.where(valid, log.rating[row] - CENTRE, 0).astype(np.float32),
        np.where(valid, log.timestamp[row], 0).astype(np.int32),
    )


def about(data: MovieLens, log: Log, parts: Parts) -> About:
    """Features fitted on the training rows."""
    found = movielens_features(data, log.row[parts.train])
    films = np.where(found.items.missing > 0, np.nan, found.items.numeric)
    genres = found.items.tags["genres"]
    return About(
        found.users.codes[: log.num_users],
        np.where(found.users.missing > 0, np.nan, found.users.numeric)[: log.num_users],
        np.concatenate([films, genres - genres.mean(axis=0, keepdims=True)], axis=1).astype(np.float32),
        found.user_table.sizes(),
    )
