"""Interactive replay: a recommender acts on users' own logs, without any model of users.

At each step it is given what it has seen of the user, scores all items, and the best of those that the user did rate
and that have not been played is played. Its rating is the answer; a like is the reward. That is exact: every answer is
one that was given. But only rated items are replayed, which users chose themselves, so rewards are higher than those of
items anybody could be shown. A recommender never sees which items the user's log holds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnjax.errors import fail
from attnjax.evaluation.protocols.newcomers import Newcomers
from attnjax.evaluation.protocols.recommender import LIKE, Recommender, Support, checked_scores, top_items


class Replay(NamedTuple):
    """What was played.

    Attributes:
        item: (users, steps) int32; 0 where the log was used up.
        reward: (users, steps) float64, 1 for a like, 0 for none; 0 where the log was used up.
        played: (users, steps) bool, where it was not.
        best: (users, steps) float64, the cumulative likes of who knows all answers.
        failures: how many times scores that are not numbers were given; they rank last.
    """

    item: NDArray[np.int32]
    reward: NDArray[np.float64]
    played: NDArray[np.bool_]
    best: NDArray[np.float64]
    failures: int

    @property
    def likes(self) -> NDArray[np.float64]:
        """(users, steps), cumulative likes."""
        return np.cumsum(self.reward, axis=1)

    @property
    def regret(self) -> NDArray[np.float64]:
        """(users, steps), how many likes fewer than the best."""
        return self.best - self.likes


def replay(
    recommender: Recommender, who: Newcomers, num_items: int, *, steps: int = 20, pool: int = 100, seed: int = 0
) -> Replay:
    """Plays so many steps with each newcomer.

    Args:
        recommender: must not have learned from these users.
        who: the newcomers; actions are the items of their first `pool` interactions.
        num_items: how many items there are.
        steps: how many.
        pool: how many of a user's interactions can be played at most.
        seed: of the order of ties.

    Returns:
        A `Replay`.

    Raises:
        UserError: for fewer than one step or item to play, or scores of another shape.

    >>> who = Newcomers(np.array([0]), np.array([[2, 1]]), np.array([[5.0, 1.0]]), np.array([[True, True]]))
    >>> steady = Recommender(lambda support: len(support.item), lambda users: np.tile([[9.0, 2.0, 1.0]], (users, 1)))
    >>> found = replay(steady, who, 3, steps=2)
    >>> found.item.tolist(), found.likes.tolist(), found.regret.tolist()
    ([[1, 2]], [[0.0, 1.0]], [[1.0, 0.0]])
    """
    if steps < 1 or pool < 1:
        fail("replay", expected="steps >= 1 and pool >= 1", got=f"{steps} and {pool}", advice="20 and 100 are usual.")
    own = who.cut(pool)
    users = len(own.user)
    stars = np.zeros((users, num_items), np.float32)
    rows, places = np.nonzero(own.mask)
    stars[rows, own.item[rows, places]] = own.rating[rows, places]
    open_ = np.asarray(stars > 0)
    item, rating = np.zeros((users, steps), np.int32), np.zeros((users, steps), np.float32)
    played = np.zeros((users, steps), bool)
    failures, everyone = 0, np.arange(users)
    for step in range(steps):
        scores = checked_scores("replay", recommender, Support(item, rating, played), num_items)
        failures += int(np.isnan(scores).any(axis=1).sum())
        ranked = np.where(np.isnan(scores), -np.inf, scores)
        left = np.asarray(open_.any(axis=1))
        # A user with nothing left has no choice to make; any will do, for it is not played.
        choice = top_items(ranked, np.where(left[:, None], ~open_, False), 1, seed + step)[:, 0]
        played[:, step] = left
        item[:, step] = np.where(left, choice, 0)
        rating[:, step] = np.where(left, stars[everyone, choice], 0)
        open_[everyone[left], choice[left]] = False
    best = np.minimum(own.liked.sum(axis=1)[:, None], np.arange(1, steps + 1)[None, :])
    return Replay(item, (rating >= LIKE).astype(np.float64), played, best.astype(np.float64), failures)
