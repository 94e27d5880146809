"""EASE: the best linear map from histories to themselves in which no item predicts itself, in closed form.

    minimise |X - X B|^2 + l2 |B|^2  subject to  B_jj = 0:     B_ij = -P_ij / P_jj off the diagonal,
    P = (X'X + l2 I)^-1

Source: H. Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail


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
    x = np.asarray(interactions, np.float64)
    if not l2 > 0 or x.ndim != 2:
        fail(
            "ease_links",
            expected="a matrix of users by items and l2 > 0",
            got=f"shape {x.shape} and l2 = {l2}",
            advice="The usual values of l2 are 100 to 1,000.",
        )
    inverse = np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1]))
    links = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(links, 0)
    return links
