"""How unequally amounts are shared: Gini, Lorenz curve, Jain's index, Atkinson's index, and the smallest share.

Each has one definition for users' satisfaction, creators' exposure or anything else that is not negative, and depends
on neither order nor unit. Where all amounts are 0 they count as equal.

Source: Gini (1912), Variabilita e mutabilita; Lorenz (1905); Jain, Chiu and Hawe (1984); Atkinson (1970).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail

Amounts = Float[Array, " n"]


def gini(amounts: Amounts) -> Float[Array, ""]:
    """The Gini coefficient of n non-negative amounts: 0 where all are equal, 1 - 1/n where one has everything.

    Half the mean absolute difference between two of them, relative to the mean. Where all are 0 it is 0. Its gradient
    exists wherever no two amounts are equal, and at ties is that of one of the orders; see `smooth_gini`.

    Args:
        amounts: (n,), any unit.

    Returns:
        A scalar in [0, 1 - 1/n].

    >>> float(gini(jnp.array([1.0, 1.0, 1.0, 1.0]))), float(gini(jnp.array([0.0, 0.0, 0.0, 8.0])))
    (0.0, 0.75)
    """
    rising = jnp.sort(amounts)
    count = amounts.size
    total = jnp.sum(rising)
    ranks = (2 * jnp.arange(1, count + 1) - count - 1).astype(rising.dtype)
    return jnp.where(total > 0, jnp.sum(ranks * rising) / (count * jnp.where(total > 0, total, 1)), 0)


def smooth_gini(amounts: Amounts, width: float = 0.01) -> Float[Array, ""]:
    """The Gini coefficient with |d| replaced by sqrt(d^2 + h^2) - h, h the width times the mean: smooth, for a loss.

        sum_jk (sqrt((x_j - x_k)^2 + h^2) - h) / (2 n sum x)

    Within width / 2 below `gini`, 0 where all amounts are equal, and its gradient there is 0: among nearly equals it
    does not pull. Memory n^2.

    Args:
        amounts: (n,), any unit.
        width: above 0, in units of the mean.

    Returns:
        A scalar in [0, 1 - 1/n].

    Raises:
        UserError: for a width that is not above 0.

    >>> bool(gini(jnp.array([1.0, 3.0])) - 0.005 < smooth_gini(jnp.array([1.0, 3.0])) < gini(jnp.array([1.0, 3.0])))
    True
    """
    if not width > 0:
        fail("smooth_gini", expected="a width above 0", got=str(width), advice="Use gini for the exact coefficient.")
    total = jnp.sum(amounts)
    shares = amounts / jnp.where(total > 0, total, 1)
    step = width / amounts.size
    apart = shares[:, None] - shares[None, :]
    # d^2 / (sqrt(d^2 + h^2) + h) is the same without the cancellation.
    return jnp.sum(apart**2 / (jnp.sqrt(apart**2 + step**2) + step)) / (2 * amounts.size)


def lorenz_curve(amounts: Amounts, points: int = 101) -> Float[Array, " points"]:
    """The share of the total held by the poorest 0 %, ..., 100 %, at evenly spaced population shares.

    Linear between the n steps; the Gini coefficient is twice the area between it and the diagonal.

    Args:
        amounts: (n,), non-negative, any unit, not all 0.
        points: how many population shares from 0 to 1.

    Returns:
        (points,), rising from 0 to 1.

    >>> lorenz_curve(jnp.array([3.0, 1.0]), 3).tolist()
    [0.0, 0.25, 1.0]
    """
    rising = jnp.sort(amounts)
    held = jnp.concatenate([jnp.zeros(1, rising.dtype), jnp.cumsum(rising) / jnp.sum(rising)])
    population = jnp.linspace(0, 1, amounts.size + 1, dtype=rising.dtype)
    return jnp.interp(jnp.linspace(0, 1, points, dtype=rising.dtype), population, held)


def jain_index(amounts: Amounts) -> Float[Array, ""]:
    """Jain's index (sum x)^2 / (n sum x^2): 1 where all are equal, k / n where k of n share equally.

    Smooth everywhere but where all are 0. Its gradient, 2 / sum x (1 - x_k sum x / sum x^2) times the index, is
    positive for who has less than the x^2-weighted mean.

    Args:
        amounts: (n,), any unit.

    Returns:
        A scalar in [1/n, 1]; more is more equal.

    >>> float(jain_index(jnp.array([2.0, 2.0, 0.0, 0.0])))
    0.5
    """
    largest = jnp.max(jnp.abs(amounts))
    relative = amounts / jnp.where(largest > 0, largest, 1)
    square = jnp.sum(relative**2)
    return jnp.where(square > 0, jnp.sum(relative) ** 2 / (amounts.size * jnp.where(square > 0, square, 1)), 1)


def atkinson_index(amounts: Amounts, aversion: float = 1.0) -> Float[Array, ""]:
    """Atkinson's index: the part of the total that could be given up for equality at the same alpha-fair welfare.

        1 - (mean x^(1 - e))^(1 / (1 - e)) / mean x;       with the geometric mean at e = 1

    Smooth where amounts are above 0. With e >= 1 anyone at 0 makes it 1, and the gradient in that amount is infinite.

    Args:
        amounts: (n,), any unit.
        aversion: e > 0, the alpha of `welfare`.

    Returns:
        A scalar in [0, 1]; 0 where all are equal.

    Raises:
        UserError: for an aversion that is not above 0 and finite.

    >>> [round(float(atkinson_index(jnp.array([1.0, 4.0]), e)), 4) for e in (0.5, 1, 2)]
    [0.1, 0.2, 0.36]
    """
    if not 0 < aversion < float("inf"):
        fail("atkinson_index", expected="an aversion above 0", got=str(aversion), advice="1 is usual; 0 sees nothing.")
    mean = jnp.mean(amounts)
    relative = amounts / jnp.where(mean > 0, mean, 1)
    if aversion == 1:
        equivalent = jnp.exp(jnp.mean(jnp.log(relative)))
    else:
        equivalent = jnp.mean(relative ** (1 - aversion)) ** (1 / (1 - aversion))
    return jnp.where(mean > 0, 1 - equivalent, 0)


def smallest_share(amounts: Amounts) -> Float[Array, ""]:
    """The smallest amount over the largest: 1 where all are equal, 0 where anyone has nothing.

    The gradient concerns the two at the ends only (shared where several are); for a loss `welfare` with a large alpha
    is the smooth form.

    Args:
        amounts: (n,), any unit.

    Returns:
        A scalar in [0, 1].

    >>> float(smallest_share(jnp.array([2.0, 1.0, 4.0])))
    0.25
    """
    largest = jnp.max(amounts)
    return jnp.where(largest > 0, jnp.min(amounts) / jnp.where(largest > 0, largest, 1), 1)
