"""A Bayesian linear model of one user's answers, in which adaptation is a formula.

    value_j = offset_j + <f_j, z> + noise,        z ~ N(0, I),        noise ~ N(0, sigma^2)

After answers v to the items of a support S, with F_S its features, the user's z is Gaussian again:

    precision P = I + F_S' F_S / sigma^2,        mean m = P^-1 F_S' (v - offset_S) / sigma^2

Any Gaussian prior N(m_0, L L') is in it: offsets that hold F m_0 and features F L. So this is fold-in of a matrix
factorisation (L a scale), the belief of LinUCB (features of items, a scale), and an empirical-Bayes linear bandit
(offsets and features fitted to other users). It is differentiable in everything: offsets, features and noise can be
learned through adaptation, as in meta-learning with closed-form solvers (Bertinetto et al. 2019).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail
from attnjax.pytrees import register


@dataclasses.dataclass(frozen=True)
class LinearGaussian:
    """What is known before a user has answered anything.

    Attributes:
        offset: (n,), the expected value of each item, in the unit of values.
        features: (n, d), what a unit of each component of z adds, likewise.
        noise: scalar above 0, the variance of an answer, in squared units.
    """

    offset: Any
    features: Any
    noise: Any


register(LinearGaussian)


class Belief(NamedTuple):
    """What is known of one user.

    Attributes:
        mean: (d,), of z.
        root: (d, d), lower triangular with root root' = P: the variance of <f, z> is |root^-1 f|^2.
    """

    mean: Float[Array, " d"]
    root: Float[Array, "d d"]


def believe(
    model: LinearGaussian, item: Int[Array, " k"], value: Float[Array, " k"], mask: Bool[Array, " k"]
) -> Belief:
    """The belief after some answers of one user; `jax.vmap` it over users.

    Exact, in any order of answers. Its gradient in the model and the values is that of the formula.

    Args:
        model: before any answer.
        item: (k,), what was answered to.
        value: (k,), the answers.
        mask: (k,), False for padding, which may hold anything finite.

    Returns:
        The belief.

    Raises:
        UserError: if the shapes do not belong together.

    >>> model = LinearGaussian(jnp.zeros(2), jnp.array([[1.0], [2.0]]), jnp.array(1.0))
    >>> belief = believe(model, jnp.array([0]), jnp.array([1.0]), jnp.array([True]))
    >>> print(expected(model, belief).round(3))  # z was N(0, 1), and one answer of variance 1 halves the way
    [0.5 1. ]
    """
    if jnp.ndim(item) != 1 or not jnp.shape(item) == jnp.shape(value) == jnp.shape(mask):
        fail(
            "believe",
            expected="item, value and mask of one shape (k,)",
            got=f"shapes {jnp.shape(item)}, {jnp.shape(value)} and {jnp.shape(mask)}",
            advice="Use jax.vmap over users.",
        )
    features = jnp.where(mask[:, None], model.features[item], 0)
    surprise = jnp.where(mask, value - model.offset[item], 0)
    precision = jnp.eye(features.shape[1], dtype=features.dtype) + features.T @ features / model.noise
    root = jnp.linalg.cholesky(precision)
    mean = jax.scipy.linalg.cho_solve((root, True), features.T @ surprise / model.noise)
    return Belief(mean, root)


def expected(model: LinearGaussian, belief: Belief) -> Float[Array, " n"]:
    """(n,), the expected value of each item.

    Args:
        model: before any answer.
        belief: of the user.
    """
    return model.offset + model.features @ belief.mean


def uncertainty(model: LinearGaussian, belief: Belief) -> Float[Array, " n"]:
    """(n,), the standard deviation of each item's value, without the noise of an answer.

    Args:
        model: before any answer.
        belief: of the user.

    >>> model = LinearGaussian(jnp.zeros(1), jnp.array([[2.0]]), jnp.array(1.0))
    >>> before = believe(model, jnp.zeros(1, int), jnp.zeros(1), jnp.array([False]))
    >>> uncertainty(model, before).tolist()
    [2.0]
    """
    spread = jax.scipy.linalg.solve_triangular(belief.root, model.features.T, lower=True)
    return jnp.sqrt(jnp.sum(spread**2, axis=0))
