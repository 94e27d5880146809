"""What `cold_start` learns from and whom it judges."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnjax.data import MovieLens, creators, movielens_features
from attnjax.evaluation.protocols import LIKE, cold_start_folds, user_folds
from attnjax.evaluation.rating_baselines import Answers, answers
from experiments.next_item.logs import Log


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """What methods are fitted to: the log of users who are not judged. Compared by identity, to be a key of caches.

    Attributes:
        liked: (users, items) float64, 1 for a like.
        others: (users, items) float64, 1 for another rating.
        stars: the ratings as answers.
        likes: the same, 1 for a like and 0 else.
        features: (items, f), year and genres, about 0 in the mean, 0 where missing.
        genres: (items, g), 1 where a film has a genre.
        seed: of whatever is random in fitting.
    """

    liked: NDArray[np.float64]
    others: NDArray[np.float64]
    stars: Answers
    likes: Answers
    features: NDArray[np.float64]
    genres: NDArray[np.float64]
    seed: int

    @property
    def num_items(self) -> int:
        """How many films there are."""
        return self.liked.shape[1]


class Fold(NamedTuple):
    """Who is judged, and who is used for choosing settings; of neither was anything learned then."""

    cold: NDArray[np.int64]
    validation: NDArray[np.int64]


def folds_of(log: Log, protocol: str, fewest: int, folds: int, seed: int) -> list[Fold]:
    """The folds of a protocol: each has the next one's cold users for validation."""
    if protocol == "rating":
        dealt = cold_start_folds(log.user, folds=folds, seed=seed)
    else:
        dealt = user_folds(np.flatnonzero(np.bincount(log.user) >= fewest), folds, seed)
    return [Fold(cold, dealt[(k + 1) % len(dealt)]) for k, cold in enumerate(dealt)]


def learned(data: MovieLens, log: Log, without: NDArray[np.int64], seed: int) -> Learned:
    """All but some users."""
    rows = np.flatnonzero(~np.isin(log.user, without))
    stars, likes = answers(log, rows), answers(log, rows, "likes")
    matrix = np.zeros((2, stars.num_users, log.num_items))
    matrix[(log.rating[rows] < LIKE).astype(int), stars.user, stars.item] = 1
    return Learned(matrix[0], matrix[1], stars, likes, _features(data, log.row[rows]), genres_of(data), seed)


def _features(data: MovieLens, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    found = movielens_features(data, rows).items
    genres = found.tags["genres"]
    return np.concatenate([found.numeric, genres - genres.mean(axis=0, keepdims=True)], axis=1).astype(np.float64)


def genres_of(data: MovieLens) -> NDArray[np.float64]:
    """(items, genres), 1 where a film has a genre."""
    return data.items["genres"].str.get_dummies("|").to_numpy(np.float64)


def directors_of(data: MovieLens) -> Any:
    """(items, directors), each director's share of each film."""
    return creators(data, "directed_by").dense()


def padded(data: Answers, longest: int, seed: int) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
    """Each user's items, values and mask, (users, longest); of more answers a random part."""
    order = np.lexsort((np.random.default_rng(seed).permutation(len(data.user)), data.user))
    count = np.bincount(data.user, minlength=data.num_users)
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    kept = place < longest
    rows, user, at = order[kept], data.user[order][kept], place[kept]
    shape = (data.num_users, longest)
    item, value, mask = np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, bool)
    item[user, at], value[user, at], mask[user, at] = data.item[rows], data.value[rows], True
    return item, value, mask
