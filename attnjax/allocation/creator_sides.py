"""The creators' side of the smoothed dual, for Newton's method: gradient, curvature and gap in a smooth coordinate."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import Linear, Nash
from attnjax.allocation.feasibility import Bounds
from attnjax.allocation.market import Market

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]


class Side(Protocol):
    """The creators' side of the dual, in a coordinate y in which it is smooth."""

    def coordinate(self, prices: Prices) -> Prices:
        """y at these prices (c,)."""
        ...

    def prices(self, y: Prices) -> Prices:
        """The prices (c,) at y."""
        ...

    def project(self, y: Prices) -> Prices:
        """The nearest coordinate whose prices the creator value admits."""
        ...

    def gradient(self, y: Prices, exposure: Prices, eps: Scalar) -> Prices:
        """The smoothed dual's derivative in y (c,), given the users' exposure at these prices."""
        ...

    def hessian(self, y: Prices, exposure: Prices, users: Array, eps: Scalar) -> Array:
        """The second derivative (c, c), given the derivative `users` (c, c) of the exposure in the prices."""
        ...

    def reach(self, eps: Scalar, relative: Scalar) -> Scalar:
        """The largest step in any coordinate; `relative` is the smoothing relative to worth, `eps` in its units."""
        ...

    def violation(self, gradient: Prices) -> Scalar:
        """The gradient's size, relative to what a market of this size can have."""
        ...

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        """The creators' Fenchel-Young gap: phi^*(p) + p e - phi(e)."""
        ...


class _Priced(NamedTuple):
    """Linear values: the prices are the rates, and nothing is left to solve."""

    rates: Prices

    def coordinate(self, prices: Prices) -> Prices:
        return self.rates

    def prices(self, y: Prices) -> Prices:
        return self.rates

    def project(self, y: Prices) -> Prices:
        return y

    def gradient(self, y: Prices, exposure: Prices, eps: Scalar) -> Prices:
        return jnp.zeros_like(y)

    def hessian(self, y: Prices, exposure: Prices, users: Array, eps: Scalar) -> Array:
        return jnp.eye(y.size, dtype=y.dtype)

    def reach(self, eps: Scalar, relative: Scalar) -> Scalar:
        return eps

    def violation(self, gradient: Prices) -> Scalar:
        return jnp.zeros((), gradient.dtype)

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        return jnp.zeros((), prices.dtype)


class _Logarithmic(NamedTuple):
    """Nash welfare: y = log p, phi^*(p) = w log(w / p) - w."""

    weights: Prices

    def coordinate(self, prices: Prices) -> Prices:
        return jnp.log(prices)

    def prices(self, y: Prices) -> Prices:
        return jnp.exp(y)

    def project(self, y: Prices) -> Prices:
        return y

    def gradient(self, y: Prices, exposure: Prices, eps: Scalar) -> Prices:
        return jnp.exp(y) * exposure - self.weights

    def hessian(self, y: Prices, exposure: Prices, users: Array, eps: Scalar) -> Array:
        prices = jnp.exp(y)
        return users * (prices[:, None] * prices[None, :]) + jnp.diag(prices * exposure)

    def reach(self, eps: Scalar, relative: Scalar) -> Scalar:
        return jnp.minimum(2, 8 * relative)

    def violation(self, gradient: Prices) -> Scalar:
        return jnp.sum(jnp.abs(gradient)) / jnp.sum(self.weights)

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        ratio = prices * exposure / self.weights
        return jnp.sum(self.weights * (ratio - 1 - jnp.log(ratio)))


class _Boxed(NamedTuple):
    """Floors and caps: phi^*(p) = max(-p floor, -p cap), smoothed by a softplus."""

    bounds: Bounds

    def coordinate(self, prices: Prices) -> Prices:
        return prices

    def prices(self, y: Prices) -> Prices:
        return y

    def project(self, y: Prices) -> Prices:
        return jnp.where(self.bounds.uncapped, jnp.maximum(y, 0), y)

    def gradient(self, y: Prices, exposure: Prices, eps: Scalar) -> Prices:
        floors, caps = self.bounds.floors, self.bounds.caps
        return exposure - (floors + (caps - floors) * jax.nn.sigmoid(-y / eps))

    def hessian(self, y: Prices, exposure: Prices, users: Array, eps: Scalar) -> Array:
        chance = jax.nn.sigmoid(-y / eps)
        hessian = users + jnp.diag((self.bounds.caps - self.bounds.floors) * chance * (1 - chance) / eps)
        # Where caps are tight a shift of all prices changes nothing: fix it.
        mean = jnp.trace(hessian) / y.size
        return hessian + jnp.where(self.bounds.tight, mean / y.size, 0) * jnp.ones_like(hessian)

    def reach(self, eps: Scalar, relative: Scalar) -> Scalar:
        return 8 * eps

    def violation(self, gradient: Prices) -> Scalar:
        # Relative to the exposure that a creator can have on average, not to caps so high that they never bind.
        even = jnp.mean(self.bounds.reached)
        return jnp.max(jnp.abs(gradient) / jnp.clip(self.bounds.caps, 1e-3 * even, even))

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        subsidised = prices * (exposure - self.bounds.floors)
        taxed = -prices * (self.bounds.caps - exposure)
        return jnp.sum(jnp.maximum(jnp.where(prices > 0, subsidised, taxed), 0))


def side_of(market: Market, bounds: Bounds) -> Side:
    """The side of a market's creator value."""
    value = market.creator_value
    if isinstance(value, Nash):
        return _Logarithmic(value.weights)
    if isinstance(value, Linear):
        return _Priced(value.rates)
    return _Boxed(bounds)
