"""Creator values: what exposure is worth to those who get it.

A creator value is a concave function of each exposure, phi_j(e_j), given with what a dual method needs of it: the
conjugate max over e of phi(e) - p e, and the exposure that attains it, at a price p per unit of exposure.
"""

import dataclasses
import math
import numbers
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.pytrees import register

_RELATIVE_GROWTH = tuple(1 / math.factorial(k) for k in range(9, 0, -1))
"""The series of (exp(x) - 1) / x, highest power first: exact to 1e-16 below 0.05."""

Exposure = Float[Array, " c"]
Prices = Float[Array, " c"]


@runtime_checkable
class CreatorValue(Protocol):
    """The contract of a creator value: all maps are elementwise over creators."""

    def value(self, exposure: Exposure) -> Exposure:
        """phi_j(e_j), in units of welfare; -inf where e_j is not allowed."""
        ...

    def conjugate(self, prices: Prices) -> Exposure:
        """Max over e of phi_j(e) - p_j e."""
        ...

    def demand(self, prices: Prices) -> Exposure:
        """The exposure that attains the maximum: the negative gradient of `conjugate`."""
        ...

    def curvature(self, prices: Prices) -> Exposure:
        """The second derivative of `conjugate`, at least 0."""
        ...

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """The nearest prices at which the conjugate is finite, kept away from its singularities."""
        ...

    def start(self, exposure: Exposure) -> Prices:
        """Prices to start from, given the exposure at price 0."""
        ...


@dataclasses.dataclass(frozen=True)
class Nash:
    """Weighted Nash welfare, phi_j(e) = w_j log e: proportional fairness, no creator is left without exposure.

    The price that supports an exposure is w_j / e_j. Source: Eisenberg and Gale (1959); Nash (1950).

    Attributes:
        weights: (c,), w_j > 0, in units of welfare.
    """

    weights: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """w log e."""
        return self.weights * jnp.log(exposure)

    def derivative(self, exposure: Exposure) -> Prices:
        """w / e: the price that supports an exposure."""
        return self.weights / exposure

    def conjugate(self, prices: Prices) -> Exposure:
        """w log(w / p) - w."""
        return self.weights * (jnp.log(self.weights / prices) - 1)

    def demand(self, prices: Prices) -> Exposure:
        """w / p."""
        return self.weights / prices

    def curvature(self, prices: Prices) -> Exposure:
        """w / p^2."""
        return self.weights / prices**2

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """At least a fifth of the previous price: prices of a Nash market are positive."""
        return jnp.maximum(prices, previous / 5)

    def start(self, exposure: Exposure) -> Prices:
        """The supporting prices of the exposure at price 0, with its smallest entries lifted."""
        return self.weights / jnp.maximum(exposure, 0.1 * jnp.mean(exposure))


@dataclasses.dataclass(frozen=True)
class Linear:
    """A constant worth per unit of exposure, phi_j(e) = r_j e: the document's sum_j b_j b_uj (*Metaverse* §4.2).

    Its price is its rate, so a market with linear creator values separates into its users.

    Attributes:
        rates: (c,), r_j, welfare per unit of exposure.
    """

    rates: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """r e."""
        return self.rates * exposure

    def derivative(self, exposure: Exposure) -> Prices:
        """The rate, whatever the exposure."""
        return jnp.broadcast_to(self.rates, exposure.shape)

    def conjugate(self, prices: Prices) -> Exposure:
        """0 at the only admissible price, the rate."""
        return jnp.zeros_like(prices)

    def demand(self, prices: Prices) -> Exposure:
        """0: any exposure will do at the rate."""
        return jnp.zeros_like(prices)

    def curvature(self, prices: Prices) -> Exposure:
        """0."""
        return jnp.zeros_like(prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """The rates, the only prices with a finite conjugate."""
        return jnp.broadcast_to(self.rates, prices.shape)

    def start(self, exposure: Exposure) -> Prices:
        """The rates."""
        return self.rates


@dataclasses.dataclass(frozen=True)
class AlphaFair:
    """Alpha-fair welfare, from total exposure (alpha to 0) over Nash (1) to the poorest creator (alpha to inf).

        phi_j(e) = w_j s_j ((e / s_j)^(1 - alpha_j) - 1) / (1 - alpha_j),      w_j s_j log(e / s_j) at alpha_j = 1

    The price that supports an exposure is w (e / s)^-alpha. Source: Atkinson (1970); Mo and Walrand (2000). The ends
    of the family are classes of their own: `alpha_fair` picks them.

    Attributes:
        weights: (c,), w_j > 0, welfare per unit of exposure at e = s.
        alpha: (c,), above 0: how much more a unit is worth to who has less.
        scale: (c,), s_j > 0, the exposure at which phi is 0, e.g. a fair share; keeps numbers in range where alpha is
            large.
    """

    weights: Float[Array, " c"]
    alpha: Float[Array, " c"]
    scale: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """The formula above; -inf at no exposure where alpha is 1 or more."""
        return self.weights * self.scale * power_growth(jnp.log(exposure / self.scale), 1 - self.alpha)

    def derivative(self, exposure: Exposure) -> Prices:
        """w (e / s)^-alpha: the price that supports an exposure."""
        return self.weights * (exposure / self.scale) ** -self.alpha

    def conjugate(self, prices: Prices) -> Exposure:
        """Phi at the demand, less what the demand costs."""
        demand = self.demand(prices)
        return self.value(demand) - prices * demand

    def demand(self, prices: Prices) -> Exposure:
        """s (w / p)^(1 / alpha)."""
        return self.scale * (self.weights / prices) ** (1 / self.alpha)

    def curvature(self, prices: Prices) -> Exposure:
        """The demand over alpha p."""
        return self.demand(prices) / (self.alpha * prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """At least a fifth of the previous price: prices are positive."""
        return jnp.maximum(prices, previous / 5)

    def start(self, exposure: Exposure) -> Prices:
        """The supporting prices of the exposure at price 0, with its smallest entries lifted."""
        return self.derivative(jnp.maximum(exposure, 0.1 * jnp.mean(exposure)))


@dataclasses.dataclass(frozen=True)
class MaxMin:
    """The worst-off creator's exposure, phi(e) = min_j w_j e_j: max-min fairness, the limit of `AlphaFair`.

    Not separable: every creator is attributed an equal part of the minimum. Prices share the weights out,
    p_j = w_j q_j with q on the simplex, and are 0 but for creators that are worst off. Newton's method only, which
    reaches it by continuation in a soft minimum. Source: Rawls (1971); Kelly, Maulloo and Tan (1998).

    Attributes:
        weights: (c,), w_j > 0, welfare per unit of exposure of the creator who is worst off.
    """

    weights: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """An equal part of min_j w_j e_j."""
        worst = jnp.min(self.weights * exposure)
        return jnp.full_like(exposure, worst / exposure.size)

    def conjugate(self, prices: Prices) -> Exposure:
        """0 where p >= 0 and sum_j p_j / w_j >= 1 (to rounding), inf elsewhere."""
        enough = (prices >= 0).all() & (jnp.sum(prices / self.weights) >= 1 - 1e-5)
        return jnp.where(enough, jnp.zeros_like(prices), jnp.inf)

    def demand(self, prices: Prices) -> Exposure:
        """0; so is any exposure at which all w_j e_j are equal."""
        return jnp.zeros_like(prices)

    def curvature(self, prices: Prices) -> Exposure:
        """0."""
        return jnp.zeros_like(prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """Not negative, and scaled up to sum_j p_j / w_j = 1 where that is less."""
        prices = jnp.maximum(prices, 1e-6 * self.weights / prices.size)
        return prices / jnp.minimum(jnp.sum(prices / self.weights), 1)

    def start(self, exposure: Exposure) -> Prices:
        """An equal share of the weight."""
        return self.weights / self.weights.size


def power_growth(log_ratio: Array, power: Array) -> Array:
    """(exp(x log_ratio) - 1) / x for a power x, elementwise; the logarithm itself at x = 0, smooth in x there too."""
    grown = power * log_ratio
    small = (power == 0) | (jnp.abs(grown) < 0.05)
    near = jnp.where(small & jnp.isfinite(grown), grown, 0)
    series = jnp.polyval(jnp.asarray(_RELATIVE_GROWTH, near.dtype), near)
    return jnp.where(small, log_ratio * series, jnp.expm1(grown) / jnp.where(small, 1, power))


def alpha_fair(weights: Any, alpha: float, scale: Any = 1.0) -> CreatorValue:
    """The alpha-fair creator value of any alpha >= 0.

    Args:
        weights: scalar or (c,), above 0: welfare per unit of exposure at `scale`.
        alpha: one number from 0 (`Linear`) over 1 (Nash, with weights w s) to inf (`MaxMin`).
        scale: scalar or (c,), above 0: the exposure at which a unit is worth its weight.

    Raises:
        UserError: for an alpha that is negative or no number.

    >>> type(alpha_fair(1.0, 0)).__name__, type(alpha_fair(1.0, 2)).__name__, type(alpha_fair(1.0, jnp.inf)).__name__
    ('Linear', 'AlphaFair', 'MaxMin')
    """
    if not (isinstance(alpha, numbers.Real) and alpha >= 0):
        fail("alpha_fair", expected="alpha >= 0", got=repr(alpha), advice="0 is total exposure, 1 Nash, inf max-min.")
    weights, scale = jnp.asarray(weights, float), jnp.asarray(scale, float)
    if alpha == 0:
        return Linear(weights)
    if alpha == jnp.inf:
        return MaxMin(weights)
    return AlphaFair(weights, jnp.asarray(float(alpha)), scale)


for _value in (Nash, Linear, AlphaFair, MaxMin):
    register(_value)
