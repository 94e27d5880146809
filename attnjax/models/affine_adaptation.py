"""The best affine adaptation: from what a newcomer did first to scores of what comes later, in closed form.

For each user of training let S be a random n of the events, s its indicator over events' columns (liked items, then
disliked ones), and y which items are liked outside S. The map that answers best, on average over users and over S, is

    minimise over b, W:   sum_u E_S |y - b - s W|^2 + l2 |W|^2

No S is drawn: with p = n / c and p' = p (n - 1) / (c - 1), for a user with c events x and likes l,

    E s_i = p x_i,    E s_i s_k = p' x_i x_k,    E y_j = (1 - p) l_j,    E s_i y_j = (p - p') x_i l_j

for different events, and E s_i y_j = 0 where both are one event. So n = 0 is popularity, and for each n the map trusts
what it saw as far as n events warrant. EASE is the case in which everything is shown and predicts itself, without b: it
is made for long histories, this for short ones. In meta-learning's terms, start and update rule are learned together,
to do best on the query after the support, and the optimum is had without gradient steps.

Source: H. Steck, Autoencoders that don't overfit towards the identity, NeurIPS 2020, for the expectation over dropout.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail

Matrix = NDArray[np.float32]


class AffineAdaptation(NamedTuple):
    """Maps from first events to scores, one per number of events.

    Attributes:
        after: the numbers n, rising.
        columns: (m,) which columns count: item i liked is i, disliked is items + i.
        offsets: (len(after), items), b.
        weights: (len(after), m, items), W.
    """

    after: tuple[int, ...]
    columns: NDArray[np.int64]
    offsets: Matrix
    weights: Matrix

    def scores(self, liked: ArrayLike, disliked: ArrayLike) -> Matrix:
        """Scores of all items, by the map for the largest n that is no larger than the number of events.

        Args:
            liked: (users, items), 1 where an item was liked, else 0.
            disliked: (users, items), likewise.

        Returns:
            (users, items) float32.
        """
        events = np.concatenate([np.asarray(liked, np.float32), np.asarray(disliked, np.float32)], axis=1)
        which = np.searchsorted(self.after, events.sum(axis=1), side="right") - 1
        events = events[:, self.columns]
        found = np.empty((len(events), self.offsets.shape[1]), np.float32)
        for k in np.unique(which):
            rows = which == k
            found[rows] = self.offsets[k] + events[rows] @ self.weights[k]
        return found


def affine_adaptation(
    liked: ArrayLike, disliked: ArrayLike, after: Sequence[int], l2: float | Sequence[float], *, fewest: int = 5
) -> AffineAdaptation:
    """Fits one map for each number of first events.

    Args:
        liked: (users, items), 1 where the user liked the item, else 0.
        disliked: (users, items), 1 where the user did something else with it.
        after: the numbers n, rising, the first 0. A user with fewer than n + 1 events has all but one shown.
        l2: above 0, in units of users: one for each n, or one number that is multiplied by n.
        fewest: columns of fewer users have no weights.

    Returns:
        The maps.

    Raises:
        UserError: if matrices, numbers or penalties are out of range.

    >>> both, first = [1, 1, 0], [1, 0, 1]
    >>> found = affine_adaptation([both, both, first, first], np.zeros((4, 3)), (0, 1), 1e-3, fewest=1)
    >>> found.scores([[0, 0, 0], [0, 1, 0]], np.zeros((2, 3))).round(2).tolist()  # who liked the second likes the first
    [[1.0, 0.5, 0.5], [1.0, 0.0, 0.0]]
    """
    likes, others = np.asarray(liked, np.float32), np.asarray(disliked, np.float32)
    known = tuple(int(n) for n in after)
    penalties = np.multiply(l2, np.maximum(known, 1)) if np.ndim(l2) == 0 else np.asarray(l2)
    rising = known[:1] == (0,) and all(a < b for a, b in itertools.pairwise(known))
    if likes.ndim != 2 or likes.shape != others.shape or ((likes + others) > 1).any():
        fail(
            "affine_adaptation",
            expected="two matrices (users, items) of 0 and 1, no event in both",
            got=f"shapes {likes.shape} and {others.shape}",
            advice="Split events by whether they are likes.",
        )
    if not rising or penalties.shape != (len(known),) or not (penalties > 0).all():
        fail(
            "affine_adaptation",
            expected="rising numbers that start with 0, and l2 above 0 for each",
            got=f"{after} and {l2}",
            advice="E.g. (0, 1, 5, 20) and 0.3.",
        )
    events = np.concatenate([likes, others], axis=1)
    columns = np.flatnonzero(events.sum(axis=0) >= fewest)
    shown, count = events[:, columns], events.sum(axis=1)
    fitted = [
        _fit(shown, columns, likes, count, n, float(penalty)) for n, penalty in zip(known, penalties, strict=True)
    ]
    offsets, weights = (np.stack(parts) for parts in zip(*fitted, strict=True))
    return AffineAdaptation(known, columns, offsets, weights)


def _fit(
    shown: Matrix, columns: NDArray[np.int64], likes: Matrix, count: Matrix, n: int, l2: float
) -> tuple[Matrix, Matrix]:
    """b and W for one n, by the normal equations with b eliminated."""
    users, items = likes.shape
    drawn = np.minimum(n, np.maximum(count - 1, 0))
    one = drawn / np.maximum(count, 1)
    two = one * (drawn - 1) / np.maximum(count - 1, 1)
    mean_shown, mean_wanted = one @ shown / users, (1 - one) @ likes / users
    if n == 0:
        return mean_wanted, np.zeros((len(columns), items), np.float32)
    second = (shown * two[:, None]).T @ shown
    np.fill_diagonal(second, one @ shown)
    cross = (shown * (one - two)[:, None]).T @ likes
    own = columns < items
    cross[np.flatnonzero(own), columns[own]] = 0
    second -= users * np.outer(mean_shown, mean_shown)
    cross -= users * np.outer(mean_shown, mean_wanted)
    weights = np.linalg.solve(second + np.float32(l2) * np.eye(len(second), dtype=np.float32), cross)
    return mean_wanted - mean_shown @ weights, weights
