"""How unequally exposure is shared: the Gini coefficient and the Lorenz curve.

Source: Gini (1912), Variabilita e mutabilita; Lorenz (1905). Fairness as a loss is a wider subject; these two are what
every report of exposure shows.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def gini(amounts: Float[Array, " n"]) -> Float[Array, ""]:
    """The Gini coefficient of n non-negative amounts: 0 where all are equal, 1 - 1/n where one has everything.

    Half the mean absolute difference between two of them, relative to the mean. Where all are 0 it is 0. Its gradient
    exists wherever no two amounts are equal, and at ties is that of one of the orders.

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


def lorenz_curve(amounts: Float[Array, " n"], points: int = 101) -> Float[Array, " points"]:
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
