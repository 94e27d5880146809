"""Guarantees to creators: floors and caps on exposure, hard or at a price.

They are creator values (see `attnjax.allocation.creator_values`) that are worth nothing as long as they are kept. Their
price is what the guarantee costs users at the margin.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.pytrees import register

Exposure = Float[Array, " c"]
Prices = Float[Array, " c"]


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


@dataclasses.dataclass(frozen=True)
class SoftBox:
    """Floors that may be missed at a penalty per missing unit, under hard caps.

        phi_j(e) = -penalty_j max(0, floor_j - e)   for e <= cap_j

    Where a creator gets anything its price is at most the penalty: a floor that would cost more than that is missed.
    With hard floors out of reach it finds the allocation that misses least.

    Attributes:
        floors: (c,), at least 0, in units of exposure.
        caps: (c,), at least the floors; inf for none.
        penalty: (c,), above 0, welfare per missing unit of exposure.
    """

    floors: Float[Array, " c"]
    caps: Float[Array, " c"]
    penalty: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """The penalty of what is missing; -inf above the cap (by more than a relative 1e-6)."""
        missing = jnp.maximum(self.floors - exposure, 0)
        return jnp.where(exposure <= self.caps * (1 + 1e-6), -self.penalty * missing, -jnp.inf)

    def conjugate(self, prices: Prices) -> Exposure:
        """Max of -p floor and -p cap; at prices above the penalty an exposure of 0, with its penalty, is better."""
        kept = jnp.where(prices > 0, -prices * self.floors, jnp.where(prices < 0, -prices * self.caps, 0))
        return jnp.maximum(kept, -self.penalty * self.floors)

    def demand(self, prices: Prices) -> Exposure:
        """The floor at positive prices, the cap at negative ones, nothing above the penalty."""
        return jnp.where(prices > self.penalty, 0, jnp.where(prices > 0, self.floors, self.caps))

    def curvature(self, prices: Prices) -> Exposure:
        """0, but for the kinks at price 0 and at the penalty."""
        return jnp.zeros_like(prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """Any price, but no toll where there is no cap."""
        return jnp.where(jnp.isinf(self.caps), jnp.maximum(prices, 0), prices)

    def start(self, exposure: Exposure) -> Prices:
        """0."""
        return jnp.zeros_like(self.floors)


for _value in (Floors, Box, SoftBox):
    register(_value)
