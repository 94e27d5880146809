"""Separable convex regularisers: what spreading attention costs.

A regulariser is a convex function of one non-negative weight, omega(a), summed over the entries,

    Omega(a) = sum_i omega(a_i),

and it decides the shape of the answer of `attnjax.allocation.allocate`: entropy gives softmax, half the squared
norm sparsemax, Tsallis entropies entmax, the cube the worked example of *Metaverse* §4.3.

Each is a pytree (so its parameters can be traced, batched and differentiated) with four elementwise maps:

    value(a)                         omega(a)
    derivative(a)                    omega'(a), the marginal cost of attention
    inverse_derivative(y, upper)     the a in [0, upper] whose marginal cost is y: how much attention a score buys
    inverse_curvature(a)             1 / omega''(a), how fast it buys more
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.bisection import bisect
from attnjax.errors import fail
from attnjax.pytrees import register

Weights = Float[Array, "*n"]


@runtime_checkable
class Regularizer(Protocol):
    """The contract of a regulariser: four elementwise maps on non-negative arrays of any shape."""

    def value(self, a: Weights) -> Weights:
        """omega(a), the cost of the weight a."""
        ...

    def derivative(self, a: Weights) -> Weights:
        """omega'(a), the marginal cost; may be -inf at 0."""
        ...

    def inverse_derivative(self, y: Weights, upper: Weights) -> Weights:
        """The weight in [0, upper] with marginal cost y (0 below omega'(0), upper above omega'(upper))."""
        ...

    def inverse_curvature(self, a: Weights) -> Weights:
        """1 / omega''(a), for a > 0."""
        ...


@dataclasses.dataclass(frozen=True)
class Entropy:
    """Negative Shannon entropy, omega(a) = a log a: softmax.

    With a budget met with equality and no caps, the allocation is `budget * softmax(scores / temperature)`.

    >>> float(Entropy().value(jnp.float32(0.0)))
    0.0
    """

    def value(self, a: Weights) -> Weights:
        """a log a, with 0 log 0 = 0; the derivative at exactly 0 is taken as 0 too, so that -inf never meets 0."""
        return jnp.where(a == 0, 0, a * jnp.log(jnp.where(a == 0, 1, a)))

    def derivative(self, a: Weights) -> Weights:
        """log a + 1; -inf at 0, so no weight is ever exactly zero unless its score is -inf."""
        return jnp.log(a) + 1

    def inverse_derivative(self, y: Weights, upper: Weights) -> Weights:
        """exp(y - 1)."""
        return jnp.minimum(jnp.exp(y - 1), upper)

    def inverse_curvature(self, a: Weights) -> Weights:
        """A weight moves in proportion to itself: 1 / omega'' = a."""
        return a


@dataclasses.dataclass(frozen=True)
class SquaredNorm:
    """Half the squared norm, omega(a) = a^2 / 2: sparsemax, the projection onto the simplex.

    Source: Martins and Astudillo (2016), From softmax to sparsemax.

    >>> float(SquaredNorm().value(jnp.float32(2.0)))
    2.0
    """

    def value(self, a: Weights) -> Weights:
        """a^2 / 2."""
        return a * a / 2

    def derivative(self, a: Weights) -> Weights:
        """The weight itself."""
        return a

    def inverse_derivative(self, y: Weights, upper: Weights) -> Weights:
        """y, clipped to [0, upper]."""
        return jnp.clip(y, 0, upper)

    def inverse_curvature(self, a: Weights) -> Weights:
        """1 everywhere."""
        return jnp.ones_like(a)


@dataclasses.dataclass(frozen=True)
class Tsallis:
    """Negative Tsallis entropy, omega(a) = (a^alpha - a) / (alpha (alpha - 1)): entmax.

    It joins the two above: alpha -> 1 is `Entropy`, and alpha = 2 is `SquaredNorm` up to the constant budget / 2.
    `alpha` is a leaf of the pytree: it may be traced, batched and learned.

    Source: Peters, Niculae and Martins (2019), Sparse sequence-to-sequence models.

    Args:
        alpha: in (1, 2]; smaller is denser.

    Raises:
        UserError: if `alpha` is a number outside (1, 2].

    >>> Tsallis(1.0)
    Traceback (most recent call last):
    ...
    attnjax.errors.UserError: Tsallis: expected alpha in (1, 2], got 1.0. For alpha = 1 use Entropy().
    """

    alpha: Any = 1.5

    def __post_init__(self) -> None:
        if isinstance(self.alpha, int | float) and not 1 < self.alpha <= 2:
            fail(
                "Tsallis",
                expected="alpha in (1, 2]",
                got=str(self.alpha),
                advice="For alpha = 1 use Entropy().",
            )

    def value(self, a: Weights) -> Weights:
        """(a^alpha - a) / (alpha (alpha - 1)), written so that alpha near 1 loses no digits."""
        safe = jnp.where(a > 0, a, 1)
        grown = a * jnp.expm1((self.alpha - 1) * jnp.log(safe)) / (self.alpha * (self.alpha - 1))
        return jnp.where(a > 0, grown, 0)

    def derivative(self, a: Weights) -> Weights:
        """(a^(alpha - 1) - 1) / (alpha - 1) + 1 / alpha; finite at 0, so weights can be exactly zero."""
        safe = jnp.where(a > 0, a, 1)
        power = jnp.where(a > 0, jnp.expm1((self.alpha - 1) * jnp.log(safe)), -1)
        return power / (self.alpha - 1) + 1 / self.alpha

    def inverse_derivative(self, y: Weights, upper: Weights) -> Weights:
        """(1 + (alpha - 1) (y - 1 / alpha))^(1 / (alpha - 1)), and 0 where the base is not positive."""
        base = (self.alpha - 1) * (y - 1 / self.alpha)
        safe = jnp.maximum(base, -1 + jnp.finfo(y.dtype).epsneg)
        grown = jnp.exp(jnp.log1p(safe) / (self.alpha - 1))
        return jnp.where(base > -1, jnp.minimum(grown, upper), 0)

    def inverse_curvature(self, a: Weights) -> Weights:
        """a^(2 - alpha)."""
        return a ** (2 - self.alpha)


@dataclasses.dataclass(frozen=True)
class Power:
    """A power, omega(a) = a^exponent; the cube is *Metaverse* §4.3, where satisfaction a^2 is paid by a.

    `exponent` is static (a Python number): the cube then costs a square root, not a general power.
    For exponents above 2 the inverse curvature is unbounded at 0: a weight that is just being activated moves
    infinitely fast in its score, and derivatives there are large but finite for every positive weight.

    Args:
        exponent: above 1.

    Raises:
        UserError: if `exponent` is not above 1 (the function would not be strictly convex).

    >>> float(Power(3).value(jnp.float32(2.0)))
    8.0
    """

    exponent: float = 3

    def __post_init__(self) -> None:
        if not self.exponent > 1:
            fail(
                "Power",
                expected="an exponent above 1, so that the power is strictly convex",
                got=str(self.exponent),
                advice="Use Power(3) for the cube of Metaverse §4.3, or Entropy() for a linear objective.",
            )

    def value(self, a: Weights) -> Weights:
        """a^exponent."""
        return a**self.exponent

    def derivative(self, a: Weights) -> Weights:
        """exponent * a^(exponent - 1)."""
        return self.exponent * a ** (self.exponent - 1)

    def inverse_derivative(self, y: Weights, upper: Weights) -> Weights:
        """(y / exponent)^(1 / (exponent - 1)), and 0 for negative y."""
        ratio = jnp.maximum(y, 0) / self.exponent
        if self.exponent == 3:
            grown = jnp.sqrt(ratio)
        elif self.exponent == 2:
            grown = ratio
        else:
            grown = ratio ** (1 / (self.exponent - 1))
        return jnp.minimum(grown, upper)

    def inverse_curvature(self, a: Weights) -> Weights:
        """a^(2 - exponent) / (exponent (exponent - 1))."""
        return a ** (2 - self.exponent) / (self.exponent * (self.exponent - 1))


@dataclasses.dataclass(frozen=True)
class SeparableConvex:
    """A convex function of the caller's own, summed over the entries; the inverse is found by bisection.

    `function(a, *parameters)` must be elementwise and traceable, twice differentiable for a > 0, and strictly
    convex on a >= 0. Parameters broadcast against a, so each entry may have its own (a city's uses have different
    returns, *City* §3.1), and derivatives flow to them. The function is static: define it once, since a new lambda
    compiles anew.

    Args:
        function: omega.
        parameters: a tuple of arrays, each a scalar or of the shape of the weights.

    >>> cost = SeparableConvex(lambda a, k: k * a**2, (jnp.array([1.0, 3.0]),))
    >>> cost.derivative(jnp.array([1.0, 1.0])).tolist()
    [2.0, 6.0]
    """

    function: Callable[..., Array]
    parameters: tuple = ()

    def value(self, a: Weights) -> Weights:
        """The caller's function."""
        return self.function(a, *self.parameters)

    def derivative(self, a: Weights) -> Weights:
        """Its derivative, by automatic differentiation."""
        return jax.jvp(self.value, (a,), (jnp.ones_like(a),))[1]

    def inverse_derivative(self, y: Weights, upper: Weights) -> Weights:
        """By bisection over the floating-point numbers in [0, upper]."""
        upper = jnp.broadcast_to(upper, y.shape)
        inside, _ = bisect(lambda a: self.derivative(a) <= y, jnp.zeros_like(y), upper)
        tiny = jnp.finfo(y.dtype).tiny
        started = self.derivative(jnp.full_like(y, tiny)) < y
        return jnp.where(self.derivative(upper) <= y, upper, jnp.where(started, inside, 0))

    def inverse_curvature(self, a: Weights) -> Weights:
        """1 / omega'', by automatic differentiation twice."""
        return 1 / jax.jvp(self.derivative, (a,), (jnp.ones_like(a),))[1]


for _regularizer in (Entropy, SquaredNorm, Tsallis):
    register(_regularizer)
register(Power, static=("exponent",))
register(SeparableConvex, static=("function",))
