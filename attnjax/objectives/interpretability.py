"""An interpretability loss: attention that is read as a reason should be on few things, and not jump (*City* §9).

    sparsity    (R^2 / |a|^2 - 1) / (n - 1)                 0 on one use, 1 spread evenly
    stability   |a(x') - a(x)|_1 / (2 R)                    0 unchanged, 1 moved altogether

Whether sparse and stable attention does explain a decision is another question, for a deletion test; these make it
short enough to read, and the same for states that are the same to a reader.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail


def spread(attention: Float[Array, " n"]) -> Float[Array, ""]:
    """Over how many uses attention is spread, from 0 (one) to 1 (all alike).

        (R^2 / sum_i a_i^2 - 1) / (n - 1)

    R^2 / |a|^2 is the effective number of uses: k where k share evenly. Smooth in a wherever a is not 0; its gradient
    takes from small weights and gives to large ones, in proportion to a_i - |a|^2 / R. At a = 0 it is 0.

    Args:
        attention: (n,), non-negative, n at least 2; any unit.

    Returns:
        A scalar in [0, 1].

    Raises:
        UserError: for fewer than two uses.

    >>> [round(float(spread(jnp.array(a))), 4) for a in ([1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0])]
    [0.0, 0.5, 1.0]
    """
    if attention.ndim != 1 or attention.size < 2:
        fail(
            "spread",
            expected="attention (n,) over at least two uses",
            got=f"shape {attention.shape}",
            advice="Use jax.vmap for many; one use leaves nothing to spread over.",
        )
    total = jnp.sum(attention)
    shares = attention / jnp.where(total > 0, total, 1)
    square = jnp.sum(shares**2)
    return jnp.where(total > 0, (1 / jnp.where(total > 0, square, 1) - 1) / (attention.size - 1), 0)


def moved(attention: Float[Array, " n"], other: Float[Array, " n"]) -> Float[Array, ""]:
    """The part of attention that goes elsewhere between two allocations: their total-variation distance.

        |a / R - a' / R'|_1 / 2

    Its gradient in a share is half the sign of its change (0 where there is none).

    Args:
        attention: (n,), not all 0.
        other: (n,), not all 0.

    Returns:
        A scalar in [0, 1].

    Raises:
        UserError: if the shapes differ.

    >>> float(moved(jnp.array([1.0, 1.0]), jnp.array([2.0, 0.0])))
    0.5
    """
    if attention.shape != other.shape:
        fail(
            "moved",
            expected="two allocations of one shape",
            got=f"{attention.shape} and {other.shape}",
            advice="Compare attention over the same uses.",
        )
    apart = attention / jnp.sum(attention) - other / jnp.sum(other)
    # jnp.abs has the derivative 1 at 0.
    return jnp.sum(jnp.where(apart == 0, 0, jnp.abs(apart))) / 2


def interpretability_loss(
    attend: Callable[[Any], Float[Array, " n"]],
    state: Array,
    key: Array,
    *,
    sparsity: Any = 1.0,
    stability: Any = 1.0,
    noise: Any = 0.01,
    draws: int = 4,
) -> Float[Array, ""]:
    """How hard attention is to read: its spread, and how much of it moves when the state is blurred.

        sparsity spread(a(x)) + stability mean_k moved(a(x), a(x + noise z_k)),     z_k normal

    Args:
        attend: state to attention (n,); the model with its parameters inside.
        state: what it sees, an array.
        key: for the draws.
        sparsity: weight of the first part.
        stability: weight of the second.
        noise: standard deviation of the blur, in units of the state: below what a reader would call a change.
        draws: how many blurred states, at least 1.

    Returns:
        A scalar in [0, sparsity + stability].

    Raises:
        UserError: for fewer draws than 1.

    The gradient is that of both attentions: neither side of the comparison is held fixed.

    Source: *City* §9, Q5, which asks for such a loss and does not give one.

    >>> float(interpretability_loss(lambda x: jnp.array([1.0, 0.0]), jnp.zeros(3), jax.random.key(0)))
    0.0
    """
    if draws < 1:
        fail("interpretability_loss", expected="at least 1 draw", got=str(draws), advice="4 are enough for training.")
    attention = attend(state)
    state = jnp.asarray(state, float)
    blurred = state[None] + noise * jax.random.normal(key, (draws, *state.shape), state.dtype)
    changes = jax.vmap(lambda near: moved(attention, attend(near)))(blurred)
    return sparsity * spread(attention) + stability * jnp.mean(changes)
