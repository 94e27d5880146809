"""Newcomers: users of whom nothing was learned, with their interactions in the order in which they become known.

The random order draws anew per seed. The order of time leaves ties (interactions of one moment) to the draw as well;
in MovieLens-100k three of four share their moment with another, so that order is mostly that of a list on a screen.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail
from attnjax.evaluation.protocols.recommender import LIKE, Support

ORDERS = ("random", "time")


class Newcomers(NamedTuple):
    """Users and all they did, padded on the right.

    Attributes:
        user: (users,) their numbers in the log.
        item: (users, length) int32, in the order in which they become known; 0 where padded.
        rating: (users, length) float32, stars; 0 where padded.
        mask: (users, length) bool, which places hold an interaction.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    mask: NDArray[np.bool_]

    def support(self, first: int) -> Support:
        """What is known after the first so many interactions, in the shape of everything that may be known.

        Args:
            first: how many.
        """
        return Support(self.item, self.rating, self.mask & (np.arange(self.item.shape[1])[None, :] < first))

    def cut(self, length: int) -> "Newcomers":
        """The same users with their first so many interactions only."""
        return Newcomers(self.user, self.item[:, :length], self.rating[:, :length], self.mask[:, :length])

    def matrix(self, places: ArrayLike, num_items: int) -> NDArray[np.bool_]:
        """Which items stand at some of the places.

        Args:
            places: (users, length) bool; padding does not count.
            num_items: how many items there are.

        Returns:
            (users, num_items).
        """
        found = np.zeros((len(self.user), num_items), bool)
        user, place = np.nonzero(np.asarray(places, bool) & self.mask)
        found[user, self.item[user, place]] = True
        return found

    @property
    def liked(self) -> NDArray[np.bool_]:
        """(users, length), which interactions are likes."""
        return self.mask & (self.rating >= LIKE)


def newcomers(log: Any, users: ArrayLike, *, order: str = "random", seed: int = 0) -> Newcomers:
    """Lays out some users' interactions in the order in which they become known.

    A user's order depends on the seed, and not on which other users there are.

    Args:
        log: has columns `user`, `item`, `rating` and `timestamp`, as `attnjax.data.MovieLens` does.
        users: (m,) numbers of users, each with an interaction.
        order: "random" or "time".
        seed: a non-negative integer.

    Returns:
        The newcomers, in the order of `users`.

    Raises:
        UserError: if the order is unknown, there are no users, or one has no interaction.

    >>> from types import SimpleNamespace
    >>> columns = {"user": [7, 7, 8], "item": [3, 4, 3], "rating": [5.0, 2.0, 4.0], "timestamp": [20, 10, 30]}
    >>> found = newcomers(SimpleNamespace(**columns), [8, 7], order="time")
    >>> found.item.tolist(), found.mask.tolist()
    ([[3, 0], [4, 3]], [[True, False], [True, True]])
    """
    whom, user = np.asarray(users), np.asarray(log.user)
    count = np.bincount(user, minlength=int(whom.max(initial=0)) + 1)
    if order not in ORDERS or whom.ndim != 1 or whom.size == 0 or whom.min() < 0 or (count[whom] == 0).any():
        fail(
            "newcomers",
            expected=f"users with interactions, and an order of {', '.join(ORDERS)}",
            got=f"{whom.size} users and {order!r}",
            advice="Choose users by np.bincount(log.user).",
        )
    draw = np.random.default_rng(seed).permutation(len(user))
    times = np.asarray(log.timestamp) if order == "time" else np.zeros(len(user))
    rows = np.lexsort((draw, times, user))
    begin = np.cumsum(count) - count
    place = np.arange(count[whom].max())
    mask = place[None, :] < count[whom][:, None]
    row = rows[np.where(mask, begin[whom][:, None] + place[None, :], 0)]
    return Newcomers(
        whom.astype(np.int64),
        np.where(mask, np.asarray(log.item)[row], 0).astype(np.int32),
        np.where(mask, np.asarray(log.rating)[row], 0).astype(np.float32),
        mask,
    )


def user_folds(users: ArrayLike, folds: int, seed: int) -> list[NDArray[np.int64]]:
    """Deals users out at random, so that each is cold in exactly one fold.

    Args:
        users: (m,) numbers of users.
        folds: how many, at least 2 and at most m.
        seed: a non-negative integer.

    Returns:
        The users of each fold, sorted; sizes differ by at most one.

    Raises:
        UserError: for a number of folds out of range.

    >>> [len(fold) for fold in user_folds(range(7), 3, seed=0)]
    [3, 2, 2]
    """
    whom = np.asarray(users)
    if not 2 <= folds <= whom.size:
        fail("user_folds", expected=f"2 to {whom.size} folds", got=str(folds), advice="10 is usual.")
    dealt = np.random.default_rng(seed).permutation(whom)
    return [np.sort(part).astype(np.int64) for part in np.array_split(dealt, folds)]
