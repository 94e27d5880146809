"""EASE: the best linear map from histories to themselves in which no item predicts itself, in closed form.

    minimise |X - X B|^2 + l2 |B|^2  subject to  B_jj = 0:     B_ij = -P_ij / P_jj off the diagonal,
    P = (X'X + l2 I)^-1

Source: H. Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019.

What is trained on top of B must not see a user's items through B, which was fitted to them: the user's row is taken
out by Sherman and Morrison's formula, P_-u = P + P x x'P / (1 - x'P x), so that scores in training are as honest as
those of a newcomer.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail


class OwnPart(NamedTuple):
    """What users themselves have put into links; see `without_own`. Leading axes are users.

    Attributes:
        pull: (..., n), P x; NumPy's or JAX's.
        push: (..., n), P x / (diag P (1 - x'P x)); likewise.
    """

    pull: Any
    push: Any


def ease_links(interactions: ArrayLike, l2: float) -> NDArray[np.float64]:
    """The matrix B: what item i in a history says for item j.

    Args:
        interactions: (u, n), e.g. 1 where a user had to do with an item in training, else 0.
        l2: above 0.

    Returns:
        (n, n) float64; the work is of order n^3.

    Raises:
        UserError: if `l2` is not above 0, or interactions is not a matrix.

    >>> ease_links([[1.0, 1.0], [1.0, 1.0]], 1.0).round(3).tolist()
    [[0.0, 0.667], [0.667, 0.0]]
    """
    return _links(_inverse(interactions, l2))


def ease_links_and_own(interactions: ArrayLike, l2: float) -> tuple[NDArray[np.float64], OwnPart]:
    """`ease_links`, and what each of the users has put into them.

    Args:
        interactions: as there.
        l2: as there.

    Returns:
        B (n, n), and the own part of each of the u users, (u, n) float32.

    Raises:
        UserError: as there.
    """
    x = np.asarray(interactions, np.float64)
    inverse = _inverse(x, l2)
    pull = x @ inverse
    rest = 1 - np.sum(pull * x, axis=1, keepdims=True)
    push = pull / (np.diag(inverse)[None, :] * rest)
    return _links(inverse), OwnPart(pull.astype(np.float32), push.astype(np.float32))


def without_own(
    linked: Float[Array, "*batch n"], remembered: Float[Array, "*batch n"], own: OwnPart
) -> Float[Array, "*batch n"]:
    """Scores y B, as they would be had B been fitted to all other users.

    Args:
        linked: (..., n), y B.
        remembered: (..., n), y: any function of the user's history, linear or not.
        own: the users' own parts.

    Returns:
        (..., n), y B_-u.

    >>> x = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    >>> links, own = ease_links_and_own(x, 1.0)
    >>> y = np.array([[0.0, 1.0, 0.0]])
    >>> found = without_own(y @ links, y, OwnPart(own.pull[:1], own.push[:1]))
    >>> bool(np.allclose(found, y @ ease_links(x[1:], 1.0), atol=1e-6))
    True
    """
    reached = (remembered * own.pull).sum(axis=-1, keepdims=True)
    return (linked - remembered - reached * own.push) / (1 + own.pull * own.push) + remembered


def _inverse(interactions: ArrayLike, l2: float) -> NDArray[np.float64]:
    """P."""
    x = np.asarray(interactions, np.float64)
    if not l2 > 0 or x.ndim != 2:
        fail(
            "ease_links",
            expected="a matrix of users by items and l2 > 0",
            got=f"shape {x.shape} and l2 = {l2}",
            advice="The usual values of l2 are 100 to 1,000.",
        )
    return np.asarray(np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1])), np.float64)


def _links(inverse: NDArray[np.float64]) -> NDArray[np.float64]:
    links = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(links, 0)
    return links
