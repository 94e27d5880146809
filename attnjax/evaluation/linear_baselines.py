"""Linear Gaussian models of a user, had in three ways, and the recommender of any of them.

    biased_factors     ratings factorised by alternating least squares; a newcomer is folded in
    linear_bandit      given features of items around the items' means, a prior of one scale: LinUCB's belief
    empirical_bayes    offsets, features and noise by maximum likelihood of all users' answers (EM)

They differ in nothing but the numbers in `attnjax.models.LinearGaussian`. Fits are NumPy in float64, for logs of some
10^5 ratings.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail
from attnjax.evaluation.protocols.recommender import LIKE, Recommender, Support
from attnjax.evaluation.rating_baselines import VALUES, Answers, item_means
from attnjax.models.linear_gaussian import Belief, LinearGaussian, believe, expected, uncertainty

Vector = NDArray[np.float64]


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

    >>> data = Answers(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([5.0, 1.0, 4.0]), num_users=2, num_items=2)
    >>> model = biased_factors(data, factors=0)
    >>> bool(model.offset[0] > data.value.mean() > model.offset[1])
    True
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

    >>> data = Answers(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([5.0, 1.0, 4.0]), num_users=2, num_items=2)
    >>> linear_bandit(data, [[1.0], [-1.0]], l2=4.0, shrink=0.0).features.tolist()
    [[0.5, 0.5], [0.5, -0.5]]
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

    >>> data = Answers(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([5.0, 1.0, 4.0]), num_users=2, num_items=2)
    >>> model = empirical_bayes(data, factors=1, sweeps=5)
    >>> model.features.shape, bool(model.offset[0] > model.offset[1])
    ((2, 1), True)
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

    >>> data = Answers(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([5.0, 1.0, 4.0]), num_users=2, num_items=2)
    >>> curious = linear_recommender(linear_bandit(data, [[1.0], [-1.0]]), bonus=1.0)
    >>> nobody = Support(*(np.zeros((1, 1), kind) for kind in (np.int32, np.float32, bool)))
    >>> curious.scores(curious.adapt(nobody)).shape
    (1, 2)
    """
    if value not in VALUES:
        fail("linear_recommender", expected=f"a value of {', '.join(VALUES)}", got=repr(value), advice="As fitted.")
    known = LinearGaussian(*(jnp.asarray(part, jnp.float32) for part in (model.offset, model.features, model.noise)))
    return Recommender(
        lambda support: believe_all(known, support, of_likes=value == "likes"),
        lambda beliefs: value_all(known, beliefs, jnp.float32(bonus)),
    )


@functools.partial(jax.jit, static_argnames="of_likes")
def believe_all(model: LinearGaussian, support: Support, *, of_likes: bool) -> Belief:
    """The beliefs about many users, compiled once for all models of one size.

    Args:
        model: before any answer.
        support: of the users.
        of_likes: whether a rating is read as a like or not, rather than as stars.
    """
    said = (support.rating >= LIKE).astype(jnp.float32) if of_likes else support.rating
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
