"""First tries where users rate: like-rate, rating neighbours, matrix factorisation and two bandits.

All but the first two are linear Gaussian models (`attnjax.models.linear_gaussian`) that are had in different ways:

    biased_factors     ratings factorised by alternating least squares; a newcomer is folded in
    linear_bandit      given features of items around the like-rate, a prior of one scale: LinUCB's belief
    empirical_bayes    offsets, features and noise by maximum likelihood of all users' answers (EM)

`linear_recommender` makes a recommender of each. NumPy in float64, for logs of some 10^5 ratings.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail
from attnjax.evaluation.protocols.recommender import LIKE, Recommender, Support, histories
from attnjax.models.linear_gaussian import Belief, LinearGaussian, believe, expected, uncertainty

Vector = NDArray[np.float64]
VALUES = ("stars", "likes")


class Answers(NamedTuple):
    """Users' answers to items, one row each.

    Attributes:
        user: (rows,) in [0, num_users).
        item: (rows,) in [0, num_items).
        value: (rows,) float64, stars or likes.
        num_users: how many.
        num_items: how many.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    value: Vector
    num_users: int
    num_items: int


def answers(log: Any, rows: ArrayLike, value: str = "stars") -> Answers:
    """Some rows of a log as answers, users renumbered.

    Args:
        log: has columns `user`, `item` and `rating`, and `num_items`, as `attnjax.data.MovieLens` does.
        rows: which, at least one.
        value: "stars" for ratings, "likes" for 1 where a rating is a like and 0 elsewhere.

    Returns:
        The answers.

    Raises:
        UserError: for no rows, or another value.
    """
    chosen = np.asarray(rows)
    if chosen.size == 0 or value not in VALUES:
        fail(
            "answers",
            expected=f"rows, and a value of {', '.join(VALUES)}",
            got=f"{chosen.size} rows and {value!r}",
            advice="Pass the rows that are learned from.",
        )
    known, user = np.unique(np.asarray(log.user)[chosen], return_inverse=True)
    rating = np.asarray(log.rating, np.float64)[chosen]
    values = rating if value == "stars" else (rating >= LIKE).astype(np.float64)
    return Answers(user, np.asarray(log.item)[chosen].astype(np.int64), values, len(known), log.num_items)


def item_means(data: Answers, shrink: float) -> Vector:
    """Each item's mean value, drawn towards the mean of all by `shrink` answers of that.

    With likes this is the like-rate.

    Args:
        data: what is learned from.
        shrink: at least 0; items without an answer have the mean of all.

    Returns:
        (items,).

    >>> item_means(Answers(np.array([0, 1]), np.array([0, 0]), np.array([1.0, 0.0]), 2, 2), 1.0).tolist()
    [0.5, 0.5]
    """
    mean = data.value.mean()
    count = np.bincount(data.item, minlength=data.num_items)
    total = np.bincount(data.item, data.value, minlength=data.num_items) + shrink * mean
    return np.where(count + shrink > 0, total / np.maximum(count + shrink, 1e-300), mean)


def rating_neighbours(data: Answers, *, neighbours: int = 50, shrink: float = 20.0, prior: float = 1.0) -> Recommender:
    """Predicts by what the user said of similar items, relative to what is usual for them.

        s_ij = <d_i, d_j> / (|d_i| |d_j|) n_ij / (n_ij + shrink),        d_ui = value_ui - mean_i of common users,
        score_j = mean_j + sum_i s_ij d_ui / (sum_i |s_ij| + prior)

    over those of the user's items that are among j's nearest.

    Args:
        data: what is learned from.
        neighbours: how many per item, by |s|.
        shrink: lessens similarities that rest on few common users.
        prior: draws towards the item's mean.

    Returns:
        The recommender; it reads supports in the unit that `data` has: likes where all values are 0 or 1, else stars.

    Source: B. Sarwar et al., Item-based collaborative filtering, WWW 2001.
    """
    means = item_means(data, 5.0)
    dev, known = (np.zeros((data.num_users, data.num_items), np.float32) for _ in range(2))
    dev[data.user, data.item] = data.value - means[data.item]
    known[data.user, data.item] = 1
    squares = (dev**2).T @ known
    scale = np.sqrt(squares * squares.T)
    common = known.T @ known
    product = (dev.T @ dev) * common / (common + shrink)
    near = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    np.fill_diagonal(near, 0)
    if neighbours < len(near):
        least = np.partition(abs(near), -neighbours, axis=0)[-neighbours]
        near = np.where(abs(near) >= least[None, :], near, 0)
    read = _reader(data)

    def adapt(support: Support) -> tuple[NDArray, NDArray]:
        held = histories(support, data.num_items, np.ones_like)
        said = histories(support, data.num_items, read)
        return held, held * (said - means[None, :])

    def scores(state: tuple[NDArray, NDArray]) -> NDArray:
        held, surprise = state
        return means[None, :] + (surprise @ near) / (held @ abs(near) + prior)

    return Recommender(adapt, scores)


def biased_factors(
    data: Answers, *, factors: int = 6, l2: float = 10.0, bias_l2: float = 5.0, sweeps: int = 15, seed: int = 0
) -> LinearGaussian:
    """Biased matrix factorisation by alternating least squares, as a prior to fold newcomers into.

        sum (v_ui - mu - b_u - b_i - <p_u, q_i>)^2 + l2 (|p|^2 + |q|^2) + bias_l2 (|b_u|^2 + |b_i|^2)

    Args:
        data: what is learned from.
        factors: the length of p and q, at least 0.
        l2: above 0.
        bias_l2: above 0.
        sweeps: how often users and items are solved for.
        seed: of the first factors.

    Returns:
        The model: folding in is the same ridge regression that users are solved by.

    Source: Y. Koren, R. Bell and C. Volinsky, Matrix factorization techniques for recommender systems, 2009.
    """
    if factors < 0 or sweeps < 1 or not (l2 > 0 and bias_l2 > 0):
        fail(
            "biased_factors",
            expected="factors >= 0, sweeps >= 1, l2 > 0 and bias_l2 > 0",
            got=f"{factors}, {sweeps}, {l2} and {bias_l2}",
            advice="Mend the options.",
        )
    mu = data.value.mean()
    ridge = np.diag([bias_l2, *[l2] * factors])
    users = np.zeros((data.num_users, 1 + factors))  # b_u, p_u
    items = np.zeros((data.num_items, 1 + factors))  # b_i, q_i
    items[:, 1:] = np.random.default_rng(seed).normal(scale=0.1, size=(data.num_items, factors))
    sides = ((data.user, data.item), (data.item, data.user))
    for _ in range(sweeps):
        users = _ridge_rows(*sides[0], data.value - mu - items[data.item, 0], _with_one(items), ridge, data.num_users)
        items = _ridge_rows(*sides[1], data.value - mu - users[data.user, 0], _with_one(users), ridge, data.num_items)
    scale = 1 / np.sqrt(np.diag(ridge))
    return _model(mu + items[:, 0], _with_one(items) * scale, 1.0)


def linear_bandit(data: Answers, features: ArrayLike, *, l2: float = 10.0, shrink: float = 5.0) -> LinearGaussian:
    """The belief of LinUCB with one ridge regression per user on given features, around the items' means.

    Args:
        data: what is learned from.
        features: (items, d), finite; a column of ones is added.
        l2: above 0, of each user's regression.
        shrink: of the means.

    Returns:
        The model; `linear_recommender` with a bonus makes it LinUCB.

    Source: L. Li, W. Chu, J. Langford and R. Schapire, A contextual-bandit approach to personalized news article
    recommendation, WWW 2010.
    """
    given = np.asarray(features, np.float64)
    if given.ndim != 2 or len(given) != data.num_items or not np.isfinite(given).all() or not l2 > 0:
        fail(
            "linear_bandit",
            expected=f"finite features of the {data.num_items} items and l2 > 0",
            got=f"shape {given.shape} and l2 = {l2}",
            advice="Fill what is missing.",
        )
    with_one = np.concatenate([np.ones((len(given), 1)), given], axis=1)
    return _model(item_means(data, shrink), with_one / np.sqrt(l2), 1.0)


def empirical_bayes(
    data: Answers,
    *,
    factors: int = 8,
    item_l2: float = 1.0,
    sweeps: int = 20,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> LinearGaussian:
    """The linear Gaussian model that makes all users' answers most likely: EM, users' vectors integrated out.

    Items' offsets and features have Gaussian priors (offsets around the mean of all answers, features around 0), of
    variance noise / item_l2. The likelihood with these never falls.

    Args:
        data: what is learned from.
        factors: the length of z, at least 1; what is common to all of a user's answers takes one.
        item_l2: above 0.
        sweeps: of EM.
        seed: of the first features.
        report: is told the penalised log likelihood before each sweep.

    Returns:
        The model.

    Source: S. Roweis, EM algorithms for PCA and SPCA, 1998, with missing entries; as a bandit's prior, L. Zhou and
    E. Brunskill, Latent contextual bandits and their application to personalized recommendations, 2016.
    """
    if factors < 1 or sweeps < 1 or not item_l2 > 0:
        fail(
            "empirical_bayes",
            expected="factors >= 1, sweeps >= 1 and item_l2 > 0",
            got=f"{factors}, {sweeps} and {item_l2}",
            advice="Mend the options.",
        )
    mu, noise = data.value.mean(), float(data.value.var())
    weights = np.zeros((data.num_items, 1 + factors))  # offset less mu, features
    weights[:, 1:] = np.random.default_rng(seed).normal(scale=0.1 * np.sqrt(noise), size=(data.num_items, factors))
    weights[:, 1] = np.sqrt(noise) / 3
    by_user, by_item = (_rows_of(side, size) for side, size in ((data.user, data.num_users), (data.item, len(weights))))
    centred, eye = data.value - mu, np.eye(1 + factors)
    for _ in range(sweeps):
        first = np.empty((data.num_users, 1 + factors))
        second = np.empty((data.num_users, 1 + factors, 1 + factors))
        likelihood = -item_l2 / 2 * np.sum(weights**2) / noise - weights.size / 2 * np.log(noise)
        for user, rows in enumerate(by_user):
            own = weights[data.item[rows]]
            surprise = centred[rows] - own[:, 0]
            precision = np.eye(factors) + own[:, 1:].T @ own[:, 1:] / noise
            covariance = np.linalg.inv(precision)
            mean = covariance @ (own[:, 1:].T @ surprise) / noise
            left = surprise - own[:, 1:] @ mean
            likelihood -= (left @ surprise / noise + np.linalg.slogdet(precision)[1] + len(rows) * np.log(noise)) / 2
            first[user] = [1, *mean]
            second[user] = np.outer(first[user], first[user])
            second[user, 1:, 1:] += covariance
        if report is not None:
            report(float(likelihood))
        squares = 0.0
        for item, rows in enumerate(by_item):
            seen = second[data.user[rows]].sum(axis=0)
            told = centred[rows] @ first[data.user[rows]]
            weights[item] = np.linalg.solve(seen + item_l2 * eye, told)
            squares += centred[rows] @ centred[rows] - weights[item] @ told
        # At the items' optimum, squares are those of the answers and the penalty together.
        noise = float(squares / (len(centred) + weights.size))
    return _model(mu + weights[:, 0], weights[:, 1:], noise)


def linear_recommender(model: LinearGaussian, *, value: str = "stars", bonus: float = 0.0) -> Recommender:
    """The recommender that ranks by expected value, plus a bonus for what is uncertain.

    Args:
        model: of values in that unit.
        value: "stars" or "likes", how supports are read.
        bonus: of how many standard deviations; LinUCB's alpha.

    Returns:
        The recommender; with no bonus its scores are predicted values.

    Raises:
        UserError: for another unit.
    """
    if value not in VALUES:
        fail("linear_recommender", expected=f"a value of {', '.join(VALUES)}", got=repr(value), advice="As fitted.")
    known = LinearGaussian(*(jnp.asarray(part, jnp.float32) for part in (model.offset, model.features, model.noise)))
    return Recommender(
        lambda support: believe_all(known, support, likes=value == "likes"),
        lambda beliefs: value_all(known, beliefs, jnp.float32(bonus)),
    )


@functools.partial(jax.jit, static_argnames="likes")
def believe_all(model: LinearGaussian, support: Support, *, likes: bool) -> Belief:
    """The beliefs about many users, compiled once for all models of one size.

    Args:
        model: before any answer.
        support: of the users.
        likes: whether a rating is read as a like or not, rather than as stars.
    """
    said = (support.rating >= LIKE).astype(jnp.float32) if likes else support.rating
    return jax.vmap(believe, in_axes=(None, 0, 0, 0))(model, support.item, said, support.mask)


@jax.jit
def value_all(model: LinearGaussian, beliefs: Belief, bonus: Float[Array, ""]) -> Float[Array, "u n"]:
    """Expected values of all items for many users, and a bonus per standard deviation.

    Args:
        model: before any answer.
        beliefs: of the users.
        bonus: how many standard deviations are added.
    """

    def one(belief: Belief) -> Array:
        return expected(model, belief) + bonus * uncertainty(model, belief)

    return jax.vmap(one)(beliefs)


def constant(scores: ArrayLike) -> Recommender:
    """The recommender that scores alike for everybody.

    Args:
        scores: (items,); all equal for a random order.
    """
    row = np.asarray(scores, np.float64)
    return Recommender(lambda support: len(support.item), lambda users: np.tile(row, (users, 1)))


def _reader(data: Answers) -> Callable[[NDArray[np.float32]], Vector]:
    if np.isin(data.value, (0, 1)).all():
        return lambda rating: (rating >= LIKE).astype(np.float64)
    return lambda rating: rating.astype(np.float64)


def _model(offset: Vector, features: Vector, noise: float) -> LinearGaussian:
    return LinearGaussian(np.float32(offset), np.float32(features), np.float32(noise))


def _with_one(weights: Vector) -> Vector:
    """The features of the other side: 1 in the place of its own bias."""
    return np.concatenate([np.ones((len(weights), 1)), weights[:, 1:]], axis=1)


def _rows_of(side: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    order = np.argsort(side, kind="stable")
    return np.split(order, np.cumsum(np.bincount(side, minlength=size))[:-1])


def _ridge_rows(
    side: NDArray[np.int64], other: NDArray[np.int64], target: Vector, features: Vector, ridge: Vector, size: int
) -> Vector:
    """A ridge regression per row of one side, on the features of the other."""
    found = np.zeros((size, features.shape[1]))
    for one, rows in enumerate(_rows_of(side, size)):
        own = features[other[rows]]
        found[one] = np.linalg.solve(own.T @ own + ridge, own.T @ target[rows])
    return found
