"""What one use of a city's resource brings: concave contribution functions, and how much of it a price buys.

    f_i(w_i),  and the share that it takes at a price:  argmax over w in [lower, upper] of f_i(w) - price * w

Source: *City* §3.1, whose f_i are left open; the functions of traffic, emergency cover and energy are in
`attnjax.objectives`. A contribution is a pytree with two elementwise maps, `value` and `response`. Where a function
has kinks, `response` must be written for it; where it is smooth, `smooth_response` finds it by bisection.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.bisection import bisect
from attnjax.pytrees import register

Shares = Float[Array, " n"]


@runtime_checkable
class Contribution(Protocol):
    """The contract of a contribution: a pytree of floats of shape (n,) or (), with two elementwise maps."""

    def value(self, w: Shares) -> Shares:
        """f_i(w_i), concave between the bounds that it is used with."""
        ...

    def response(self, price: Shares, lower: Shares, upper: Shares) -> Shares:
        """The share in [lower, upper] with the largest f_i(w) - price * w; it does not rise with the price.

        Where a whole interval is best, any of its points. Differentiable in all arguments and in f's parameters.
        """
        ...


def slope(contribution: Contribution, w: Shares) -> Shares:
    """f_i'(w_i), what the next bit of share brings, by automatic differentiation.

    >>> slope(Concave(lambda w, a: a * jnp.sqrt(w), (jnp.array([1.0, 3.0]),)), jnp.array([0.25, 0.25])).tolist()
    [1.0, 3.0]
    """
    return jax.jvp(contribution.value, (w,), (jnp.ones_like(w),))[1]


@jax.custom_jvp
def smooth_response(contribution: Contribution, price: Shares, lower: Shares, upper: Shares) -> Shares:
    """The share at which the slope has fallen to the price, by bisection over the floats between the bounds.

    Exact derivatives to any order, by implicit differentiation of f_i'(w_i) = price: dw = (df' - dprice) / -f''
    strictly between the bounds, the bound's own at a bound, and 0 where f'' = 0 (a straight piece: the share jumps).

    Args:
        contribution: with a slope that does not rise; not called at the bounds where they are equal.
        price: (n,), in units of the contribution per unit of share.
        lower: (n,), finite.
        upper: (n,), at least `lower`.

    Returns:
        (n,), between the bounds.

    >>> square_root = Concave(lambda w: jnp.sqrt(w))
    >>> smooth_response(square_root, jnp.array([0.5, 1.0]), jnp.zeros(2), jnp.full(2, 0.5)).round(4).tolist()
    [0.5, 0.25]
    """
    inside, _ = bisect(lambda w: slope(contribution, w) >= price, lower, upper)
    return jnp.where(slope(contribution, upper) >= price, upper, inside)


@smooth_response.defjvp
def _smooth_response_jvp(primals: tuple, tangents: tuple) -> tuple[Shares, Shares]:
    contribution, _, lower, upper = primals
    d_contribution, d_price, d_lower, d_upper = tangents
    w = smooth_response(*primals)
    free = (w > lower) & (w < upper)
    inner = jnp.where(free, w, (lower + upper) / 2)
    curvature = jax.jvp(lambda x: slope(contribution, x), (inner,), (jnp.ones_like(w),))[1]
    free &= curvature < 0
    _, d_slope = jax.jvp(lambda c: slope(c, inner), (contribution,), (d_contribution,))
    moved = jnp.where(free, (d_slope - d_price) / jnp.where(free, -curvature, 1), 0)
    at_bound = jnp.where(w <= lower, d_lower, jnp.where(w >= upper, d_upper, 0))
    return w, jnp.where(free, moved, at_bound)


@dataclasses.dataclass(frozen=True)
class Concave:
    """A smooth concave function of the caller's own.

    `function(w, *parameters)` must be elementwise, traceable and concave, and twice differentiable for w > 0.
    Derivatives flow to the parameters. The function is static: define it once, since a new lambda compiles anew.

    Args:
        function: f.
        parameters: a tuple of float arrays, each of shape (n,) or a scalar.

    >>> gain = Concave(lambda w, a: a * jnp.log(w), (jnp.array([1.0, 3.0]),))
    >>> gain.response(jnp.array([4.0, 4.0]), jnp.zeros(2), jnp.ones(2)).tolist()
    [0.25, 0.75]
    """

    function: Callable[..., Array]
    parameters: tuple[Any, ...] = ()

    def value(self, w: Shares) -> Shares:
        """The caller's function."""
        return self.function(w, *self.parameters)

    def response(self, price: Shares, lower: Shares, upper: Shares) -> Shares:
        """By `smooth_response`."""
        return smooth_response(self, price, lower, upper)


register(Concave, static=("function",))
