"""Users of `attnjax.envs.Recommender`, fitted to ratings of real items.

    r_ui = q_i + b_u + <w_u, f_i> + noise,        q_i ~ N(<m, [1, f_i]>, tau^2),        [b_u, w_u] ~ N(0, S)

Noise, tau, S and m are the likeliest, by EM over users' vectors, so there is nothing to tune: how far a user's few
ratings are believed follows from how much users differ. A rating of four stars and more counts as what would be
clicked; if noise is normal, the log odds of that are nearly linear in the expected rating:

    u_ui = 1.702 (E r_ui - 3.5) / sigma

Ratings say nothing of boredom, drift and patience, which are the caller's. And they are of films that users chose to
see, so click rates are those of films one would choose, higher than those of any film.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.envs.recommender import RecommenderTask
from attnjax.envs.spaces import float_dtype
from attnjax.errors import fail

LIKE = 3.5
"""Between the ratings that count as no click and those that do, in stars."""
LOGITS = 1.702
"""Log odds per deviation: the logistic function that is nearest to the normal distribution's (within 0.01)."""


class FittedUsers(NamedTuple):
    """What ratings say.

    Attributes:
        quality: (n,), q, in stars.
        bias: (u,), b, in stars.
        weights: (u, d), w, in stars per unit of a feature; 0, as b, for a user without ratings.
        noise: sigma^2, in squared stars.
        spread: (1 + d, 1 + d), S: how users differ.
    """

    quality: NDArray[np.float64]
    bias: NDArray[np.float64]
    weights: NDArray[np.float64]
    noise: float
    spread: NDArray[np.float64]

    def ratings(self, features: ArrayLike, user: ArrayLike, item: ArrayLike) -> NDArray[np.float64]:
        """Expected ratings (rows,), in stars.

        Args:
            features: (n, d), as fitted.
            user: (rows,).
            item: (rows,).
        """
        who, what = np.asarray(user), np.asarray(item)
        liking = np.sum(self.weights[who] * np.asarray(features, np.float64)[what], axis=1)
        return self.quality[what] + self.bias[who] + liking


def fit_users(
    user: ArrayLike, item: ArrayLike, rating: ArrayLike, features: ArrayLike, num_users: int, *, sweeps: int = 20
) -> FittedUsers:
    """Fits items' qualities and users' tastes to ratings.

    Args:
        user: (rows,) in [0, num_users).
        item: (rows,) in [0, n).
        rating: (rows,), stars.
        features: (n, d), finite, about 0 in the mean.
        num_users: how many.
        sweeps: of EM, at least 1.

    Returns:
        The fit.

    Raises:
        UserError: for numbers out of range, features that are not finite, or less than one sweep.

    Source: N. Laird and J. Ware, Random-effects models for longitudinal data, 1982.

    >>> rng = np.random.default_rng(0)
    >>> features, taste = rng.normal(size=(30, 1)), np.repeat([1.0, -1.0], 10)
    >>> user, item = (rows.ravel() for rows in np.indices((20, 30)))
    >>> rating = 3 + taste[user] * features[item, 0] + 0.1 * rng.normal(size=600)
    >>> fit = fit_users(user, item, rating, features, num_users=20)
    >>> bool(abs(fit.weights[:, 0] - taste).max() < 0.2), round(fit.noise, 2)
    (True, 0.01)
    """
    who, what, stars, given = _checked(user, item, rating, features, num_users, sweeps)
    with_one = np.concatenate([np.ones((len(given), 1)), given], axis=1)
    width, count = with_one.shape[1], np.bincount(what, minlength=len(given))
    rows = with_one[what]
    gram = np.empty((num_users, width, width))
    for j in range(width):
        for k in range(j + 1):
            gram[:, j, k] = gram[:, k, j] = np.bincount(who, rows[:, j] * rows[:, k], num_users)
    rated, noise = count > 0, float(stars.var()) + 1e-6
    tau, spread = noise, noise * np.eye(width)
    mean = np.append(stars.mean(), np.zeros(width - 1))
    taste = np.zeros((num_users, width))
    quality = with_one @ mean
    for _ in range(sweeps):
        left = stars - np.sum(taste[who] * rows, axis=1)
        prior = with_one @ mean
        total = np.bincount(what, left, len(given))
        quality = (total + noise / tau * prior) / (count + noise / tau)
        mean = np.linalg.solve(
            with_one[rated].T @ with_one[rated] + 1e-3 * np.eye(width), with_one[rated].T @ quality[rated]
        )
        unsure = noise / (count[rated] + noise / tau)
        tau = float(np.mean((quality - with_one @ mean)[rated] ** 2 + unsure)) + 1e-9
        left = stars - quality[what]
        told = np.stack([np.bincount(who, left * rows[:, j], num_users) for j in range(width)], axis=1)
        covariance = np.linalg.inv(np.linalg.inv(spread) + gram / noise)
        taste = np.einsum("ujk,uk->uj", covariance, told) / noise
        squares = np.sum((left - np.sum(taste[who] * rows, axis=1)) ** 2) + np.sum(gram * covariance)
        noise = float(squares) / len(stars) + 1e-9
        spread = (taste.T @ taste + covariance.sum(axis=0)) / num_users + 1e-9 * np.eye(width)
    return FittedUsers(quality, taste[:, 0], taste[:, 1:], noise, spread)


def tasks_of_users(
    fit: FittedUsers,
    features: ArrayLike,
    topics: ArrayLike,
    *,
    boredom: float = 0.5,
    fading: float = 0.8,
    drift: float = 0.05,
    patience: float = 0.85,
) -> RecommenderTask:
    """The fitted users as tasks that share a catalogue: leaves of users have a leading axis, `OF_USERS` says which.

    Features are scaled into the unit ball, and tastes against that, so that expected ratings stay what they are.

    Args:
        fit: of `fit_users`.
        features: (n, d), as fitted.
        topics: (n, g), at least 0: an item's genres. Each row is divided by its sum; one of zeros has no topic.
        boredom: of all users.
        fading: likewise.
        drift: likewise.
        patience: likewise.

    Returns:
        A task whose `mood`, `interest` and so on are (u,) and (u, d).

    Raises:
        UserError: for topics of other items, or below 0.

    >>> fit = FittedUsers(np.array([4.0, 3.0]), np.zeros(2), np.array([[1.0], [-1.0]]), 1.0, np.eye(2))
    >>> tasks = tasks_of_users(fit, [[2.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]])
    >>> tasks.features.tolist(), tasks.interest.tolist(), tasks.topics.tolist()
    ([[1.0], [-0.5]], [[1.0], [-1.0]], [[0.5, 0.5], [0.0, 0.0]])
    """
    given, shares = np.asarray(features, np.float64), np.asarray(topics, np.float64)
    if shares.ndim != 2 or len(shares) != len(fit.quality) or not (shares >= 0).all():
        fail(
            "tasks_of_users",
            expected=f"topics of the {len(fit.quality)} items, at least 0",
            got=f"shape {shares.shape}",
            advice="Pass a row per item, e.g. 1 for each of its genres.",
        )
    slope = LOGITS / np.sqrt(fit.noise)
    scale = max(float(np.linalg.norm(given, axis=1).max()), 1e-12)
    strength = np.linalg.norm(fit.weights, axis=1)
    users = len(fit.bias)
    leaves = {
        "quality": slope * (fit.quality - LIKE),
        "features": given / scale,
        "topics": shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12),
        "mood": slope * fit.bias,
        "interest": fit.weights / np.maximum(strength, 1e-12)[:, None],
        "strength": slope * scale * strength,
        "boredom": np.full(users, boredom),
        "fading": np.full(users, fading),
        "drift": np.full(users, drift),
        "patience": np.full(users, patience),
    }
    return RecommenderTask(**{name: jnp.asarray(leaf, float_dtype()) for name, leaf in leaves.items()})


def _checked(
    user: ArrayLike, item: ArrayLike, rating: ArrayLike, features: ArrayLike, num_users: int, sweeps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    who, what, stars = np.asarray(user), np.asarray(item), np.asarray(rating, np.float64)
    given = np.asarray(features, np.float64)
    if given.ndim != 2 or not np.isfinite(given).all() or sweeps < 1:
        fail(
            "fit_users",
            expected="finite features (items, d) and at least one sweep",
            got=f"shape {given.shape} and {sweeps} sweeps",
            advice="Fill what is missing.",
        )
    columns = who.ndim == 1 and who.shape == what.shape == stars.shape and who.size > 0
    if not columns or not (_inside(who, num_users) and _inside(what, len(given))) or not np.isfinite(stars).all():
        fail(
            "fit_users",
            expected=f"columns of one length, of users below {num_users}, items below {len(given)} and finite ratings",
            got=f"shapes {who.shape}, {what.shape} and {stars.shape}",
            advice="Pass columns of one log.",
        )
    return who.astype(np.int64), what.astype(np.int64), stars, given


def _inside(numbers: NDArray, below: int) -> bool:
    return bool(np.issubdtype(numbers.dtype, np.integer) and numbers.min() >= 0 and numbers.max() < below)
