"""Bisection over floating-point numbers: so many halvings at most, and always to neighbouring floats.

Halving the *interval* of reals needs a number of steps that depends on its width, and stalls near zero. Halving the
*list of floats* between the ends does not: there are fewer than 2^32 (2^64) of them in single (double) precision, so
32 (64) steps at most end at two neighbours, whatever the scale. The order of floats is the order of their bit patterns
once the negative ones are mirrored.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_INTEGERS = {"float32": jnp.int32, "float64": jnp.int64}


def _mirror(bits: Int[Array, "*n"]) -> Int[Array, "*n"]:
    """Maps bit patterns to integers ordered as the floats are; it is its own inverse."""
    return jnp.where(bits < 0, jnp.iinfo(bits.dtype).min - bits, bits)


def bisect(
    holds: Callable[[Float[Array, "*n"]], Bool[Array, "*n"]],
    low: Float[Array, "*n"],
    high: Float[Array, "*n"],
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Narrows [low, high] to neighbouring floats around the point where a monotone condition stops holding.

    Elementwise over arrays of any shape. Not differentiable: callers give the implicit derivative. XLA counts subnormal
    numbers as 0, so near 0 the neighbours may be any of them.

    Args:
        holds: a condition that is true up to some point and false beyond it. It is taken to hold at `low` and to
            fail at `high`, and is never asked there.
        low: lower ends, float32 or float64, finite.
        high: upper ends, the same shape and dtype, at least `low`.

    Returns:
        The last float at which the condition holds and the first at which it does not (neighbours; equal to the
        given ends where the condition changes outside the interval).

    >>> low, high = bisect(lambda x: x * x <= 2.0, jnp.float32(0.0), jnp.float32(1e30))
    >>> float(low) < 2**0.5 < float(high), float(high - low) < 2e-7
    (True, True)
    """
    integer = _INTEGERS[str(low.dtype)]

    def number(order: Int[Array, "*n"]) -> Float[Array, "*n"]:
        return jax.lax.bitcast_convert_type(_mirror(order), low.dtype)

    def halve(ends: tuple[Array, Array]) -> tuple[Array, Array]:
        below, above = ends
        middle = (below & above) + ((below ^ above) >> 1)  # the floor of the mean, without overflow
        held = holds(number(middle)) | (middle == below)
        return jnp.where(held, middle, below), jnp.where(held, above, middle)

    first, last = (_mirror(jax.lax.bitcast_convert_type(end, integer)) for end in (low, high))
    below, above = jax.lax.while_loop(lambda ends: jnp.any(ends[0] + 1 < ends[1]), halve, (first, last))
    return number(below), number(above)
