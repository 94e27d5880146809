"""Welfare: one number for the utilities of many, from the sum over alpha-fairness to the worst off first.

    utilitarian    sum_k w_k x_k
    alpha-fair     sum_k w_k (x_k^(1 - alpha) - 1) / (1 - alpha), which at alpha = 1 is sum_k w_k log x_k
    max-min        min_k w_k x_k
    sorted         sum_k v_k x_(k), x_(1) <= x_(2) <= ..., with falling v: generalised Gini welfare

All are increasing and concave in utilities x (n,), of users, creators or groups alike, and all but weights treat them
alike. The first three are the creator values of `attnjax.allocation` summed; solvers maximise those exactly.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation import alpha_fair
from attnjax.errors import fail

Utilities = Float[Array, " n"]


def welfare(utilities: Utilities, alpha: float = 0.0, weights: Any = 1.0) -> Float[Array, ""]:
    """Alpha-fair welfare: 0 is utilitarian, 1 Nash, inf the worst off.

    Args:
        utilities: (n,), above 0 where alpha is 1 or more (-inf at 0); any for alpha 0 and inf.
        alpha: from 0 to inf, a Python number: how much more a unit is worth to who has less.
        weights: scalar or (n,), above 0.

    Returns:
        A scalar: in the utilities' unit for alpha 0 and inf, in nats for 1.

    Raises:
        UserError: for an alpha that is negative or no number.

    The gradient is w_k x_k^(-alpha): what a further unit is worth in k's hands. For alpha = inf it is w_k for the one
    who is worst off, shared where several are.

    Source: Atkinson (1970); Mo and Walrand (2000); Nash (1950); Rawls (1971).

    >>> x = jnp.array([1.0, 4.0])
    >>> [round(float(welfare(x, alpha)), 4) for alpha in (0, 1, 2, jnp.inf)]
    [5.0, 1.3863, 0.75, 1.0]
    """
    weights = jnp.broadcast_to(jnp.asarray(weights, utilities.dtype), utilities.shape)
    return jnp.sum(alpha_fair(weights, alpha, jnp.ones_like(utilities)).value(utilities))


def gini_weights(count: int, dtype: Any = None) -> Float[Array, " n"]:
    """The weights 2 (n - k) + 1 over n^2, k = 1..n: sorted welfare with them is the mean times 1 - Gini.

    >>> gini_weights(2).tolist()
    [0.75, 0.25]
    """
    return (2 * (count - jnp.arange(1, count + 1, dtype=dtype or float)) + 1) / count**2


def leximin_weights(count: int, ratio: float = 0.1) -> Float[Array, " n"]:
    """Weights 1, r, r^2, ... divided by their sum: with a small r sorted welfare puts the worst off first.

    It orders two allocations as leximin does wherever the first utility (from below) in which they differ differs by
    more than r / (1 - r) times the largest later difference.

    Args:
        count: n.
        ratio: r, above 0, at most 1 (1 is the mean).

    Raises:
        UserError: for another ratio.

    >>> [round(float(w), 4) for w in leximin_weights(2, 0.25)]
    [0.8, 0.2]
    """
    if not 0 < ratio <= 1:
        fail("leximin_weights", expected="a ratio above 0, at most 1", got=str(ratio), advice="0.1 is usual.")
    powers = ratio ** jnp.arange(count, dtype=float)
    return powers / jnp.sum(powers)


def sorted_welfare(utilities: Utilities, weights: Float[Array, " n"]) -> Float[Array, ""]:
    """Generalised Gini welfare: a weighted sum of the utilities in rising order.

        sum_k v_k x_(k)

    Concave, and a transfer from better to worse off raises it, when the weights fall; `leximin_weights` and
    `gini_weights` do. Range: between the smallest and the largest utility if the weights sum to 1.

    Args:
        utilities: (n,), any numbers.
        weights: (n,), for the poorest first.

    Returns:
        A scalar in the utilities' unit.

    Raises:
        UserError: if the shapes differ.

    The gradient in a utility is the weight of its place; among equals it is that of one of the orders, a supergradient.

    Source: Weymark (1981), Generalized Gini inequality indices; Do and Usunier (2022), Optimizing generalized Gini
    indices for fairness in rankings.

    >>> float(sorted_welfare(jnp.array([4.0, 1.0]), gini_weights(2)))
    1.75
    """
    if jnp.shape(utilities) != jnp.shape(weights) or jnp.ndim(utilities) != 1:
        fail(
            "sorted_welfare",
            expected="utilities (n,) and as many weights",
            got=f"shapes {jnp.shape(utilities)} and {jnp.shape(weights)}",
            advice="Use jax.vmap for a batch.",
        )
    return jnp.sum(jnp.sort(utilities) * weights)
