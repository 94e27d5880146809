"""Creator values: what exposure is worth to those who get it.

A creator value is a concave function of each exposure, phi_j(e_j), given with what a dual method needs of it: the
conjugate max over e of phi(e) - p e, and the exposure that attains it, at a price p per unit of exposure.
"""

import dataclasses
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.pytrees import register

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
class Floors:
    """A guarantee, e_j >= floor_j, and no value beyond it. Its price is what the guarantee costs at the margin.

    Attributes:
        floors: (c,), at least 0, in units of exposure.
    """

    floors: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """0 where the floor is met (to a relative 1e-6), -inf where not."""
        return jnp.where(exposure >= self.floors * (1 - 1e-6), 0, -jnp.inf)

    def conjugate(self, prices: Prices) -> Exposure:
        """-p floor, for p >= 0."""
        return -prices * self.floors

    def demand(self, prices: Prices) -> Exposure:
        """The floor."""
        return self.floors

    def curvature(self, prices: Prices) -> Exposure:
        """0."""
        return jnp.zeros_like(prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """At least 0: a guarantee is never a tax."""
        return jnp.maximum(prices, 0)

    def start(self, exposure: Exposure) -> Prices:
        """0."""
        return jnp.zeros_like(self.floors)


@dataclasses.dataclass(frozen=True)
class Box:
    """Floors and caps, floor_j <= e_j <= cap_j, and no value in between.

    Its price is positive where a floor binds (a subsidy) and negative where a cap does (a toll).

    Attributes:
        floors: (c,), at least 0, in units of exposure.
        caps: (c,), at least the floors; inf for none.
    """

    floors: Float[Array, " c"]
    caps: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """0 inside (to a relative 1e-6), -inf outside."""
        inside = (exposure >= self.floors * (1 - 1e-6)) & (exposure <= self.caps * (1 + 1e-6))
        return jnp.where(inside, 0, -jnp.inf)

    def conjugate(self, prices: Prices) -> Exposure:
        """Max of -p floor and -p cap."""
        return jnp.where(prices > 0, -prices * self.floors, jnp.where(prices < 0, -prices * self.caps, 0))

    def demand(self, prices: Prices) -> Exposure:
        """The floor at positive prices, the cap at negative ones."""
        return jnp.where(prices > 0, self.floors, self.caps)

    def curvature(self, prices: Prices) -> Exposure:
        """0, but for the kink at price 0."""
        return jnp.zeros_like(prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """Any price, but no toll where there is no cap."""
        return jnp.where(jnp.isinf(self.caps), jnp.maximum(prices, 0), prices)

    def start(self, exposure: Exposure) -> Prices:
        """0."""
        return jnp.zeros_like(self.floors)


for _value in (Nash, Linear, Floors, Box):
    register(_value)
