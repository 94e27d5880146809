"""The creators' side of the smoothed dual, for Newton's method: gradient, curvature and gap in a smooth coordinate."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import AlphaFair, Linear, MaxMin, Nash, power_growth
from attnjax.allocation.feasibility import Bounds
from attnjax.allocation.guarantees import SoftBox
from attnjax.allocation.market import Market

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]


class Smoothing(NamedTuple):
    """How smooth the dual is made.

    Attributes:
        worth: in units of worth, i.e. of prices.
        relative: relative to the spread of worth.
    """

    worth: Scalar
    relative: Scalar


class Side(Protocol):
    """The creators' side of the dual, in a coordinate y in which it is smooth."""

    def coordinate(self, prices: Prices) -> Prices:
        """y at these prices (c,)."""
        ...

    def prices(self, y: Prices) -> Prices:
        """The prices (c,) at y."""
        ...

    def push(self, y: Prices, change: Prices) -> Prices:
        """How prices change (c,) with a change of y: the derivative of `prices`, times it."""
        ...

    def speed(self, y: Prices) -> Prices:
        """How fast each price (c,) moves in its own coordinate: the derivative's diagonal, about."""
        ...

    def pull(self, y: Prices, slope: Prices) -> Prices:
        """A slope in prices (c,) as a slope in y: the derivative's transpose, times it."""
        ...

    def project(self, y: Prices) -> Prices:
        """The nearest coordinate whose prices the creator value admits."""
        ...

    def gradient(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        """The smoothed dual's derivative in y (c,), given the users' exposure at these prices."""
        ...

    def own(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        """The second derivative's diagonal (c,), without the users' part."""
        ...

    def gauge(self) -> Scalar:
        """1 where a shift of y changes nothing and must be fixed, else 0."""
        ...

    def reach(self, smoothing: Smoothing) -> Scalar:
        """The largest step in any coordinate."""
        ...

    def violation(self, y: Prices, gradient: Prices) -> Scalar:
        """The gradient's size, relative to what a market of this size can have."""
        ...

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        """The creators' Fenchel-Young gap: phi^*(p) + p e - phi(e)."""
        ...

    def size(self, prices: Prices, exposure: Prices) -> Scalar:
        """How much welfare creators stand for: what a relative gap is relative to."""
        ...


class _Priced(NamedTuple):
    """Linear values: the prices are the rates, and nothing is left to solve."""

    rates: Prices

    def coordinate(self, prices: Prices) -> Prices:
        return self.rates

    def prices(self, y: Prices) -> Prices:
        return self.rates

    def push(self, y: Prices, change: Prices) -> Prices:
        return jnp.zeros_like(change)

    def speed(self, y: Prices) -> Prices:
        return jnp.zeros_like(y)

    def pull(self, y: Prices, slope: Prices) -> Prices:
        return jnp.zeros_like(slope)

    def project(self, y: Prices) -> Prices:
        return y

    def gradient(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        return jnp.zeros_like(y)

    def own(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        return jnp.ones_like(y)

    def gauge(self) -> Scalar:
        return jnp.zeros(())

    def reach(self, smoothing: Smoothing) -> Scalar:
        return smoothing.worth

    def violation(self, y: Prices, gradient: Prices) -> Scalar:
        return jnp.zeros((), gradient.dtype)

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        return jnp.zeros((), prices.dtype)

    def size(self, prices: Prices, exposure: Prices) -> Scalar:
        return jnp.sum(jnp.abs(self.rates) * exposure)


class _Positive(NamedTuple):
    """Alpha-fair welfare, Nash (alpha = 1) included: y = log p, with demand s (w / p)^(1 / alpha)."""

    weights: Prices
    alpha: Prices
    scale: Prices

    def coordinate(self, prices: Prices) -> Prices:
        return jnp.log(prices)

    def prices(self, y: Prices) -> Prices:
        return jnp.exp(y)

    def push(self, y: Prices, change: Prices) -> Prices:
        return jnp.exp(y) * change

    def speed(self, y: Prices) -> Prices:
        return jnp.exp(y)

    def pull(self, y: Prices, slope: Prices) -> Prices:
        return jnp.exp(y) * slope

    def project(self, y: Prices) -> Prices:
        return y

    def _spent(self, y: Prices) -> Prices:
        """What creators spend at their demand, p e: the weight, if alpha is 1."""
        return self.weights * self.scale * jnp.exp((1 - 1 / self.alpha) * (y - jnp.log(self.weights)))

    def gradient(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        return jnp.exp(y) * exposure - self._spent(y)

    def own(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        paid, spent = jnp.exp(y) * exposure, self._spent(y)
        # Above alpha = 1 the dual is convex in log p only where users give what is asked for, or more.
        return jnp.where(self.alpha > 1, jnp.maximum(paid, spent), paid) + (1 / self.alpha - 1) * spent

    def gauge(self) -> Scalar:
        return jnp.zeros(())

    def reach(self, smoothing: Smoothing) -> Scalar:
        return jnp.minimum(2, 8 * smoothing.relative) * jnp.maximum(jnp.max(self.alpha), 1)

    def violation(self, y: Prices, gradient: Prices) -> Scalar:
        return jnp.sum(jnp.abs(gradient)) / jnp.sum(self._spent(y))

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        spent = self._spent(jnp.log(prices))
        more = jnp.log(prices * exposure / spent)
        return jnp.sum(spent * (jnp.expm1(more) - power_growth(more, 1 - self.alpha)))

    def size(self, prices: Prices, exposure: Prices) -> Scalar:
        spent = jnp.sum(self._spent(jnp.log(prices)))
        return jnp.minimum(spent, jnp.where((self.alpha == 1).all(), spent, jnp.sum(prices * exposure)))


class _Shared(NamedTuple):
    """Max-min welfare: p = w softmax(y), smoothed by the entropy of the softmax, which makes the minimum soft.

    What users lose by smoothing falls with its square, what a soft minimum loses with itself: the latter is smoothed
    by the square. `even` is what w e is on average when attention is spread evenly.
    """

    weights: Prices
    even: Scalar

    def coordinate(self, prices: Prices) -> Prices:
        return jnp.log(prices / self.weights)

    def prices(self, y: Prices) -> Prices:
        return self.weights * jax.nn.softmax(y)

    def push(self, y: Prices, change: Prices) -> Prices:
        part = jax.nn.softmax(y)
        return self.weights * part * (change - jnp.sum(part * change))

    def speed(self, y: Prices) -> Prices:
        part = jax.nn.softmax(y)
        return self.weights * part * (1 - part)

    def pull(self, y: Prices, slope: Prices) -> Prices:
        part = jax.nn.softmax(y)
        worth = self.weights * slope
        return part * (worth - jnp.sum(part * worth))

    def project(self, y: Prices) -> Prices:
        return jnp.maximum(y - jnp.max(y), -60)

    def gradient(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        part = jax.nn.softmax(y)
        worth = self.weights * exposure + smoothing.relative**2 * self.even * jax.nn.log_softmax(y)
        return part * (worth - jnp.sum(part * worth))

    def own(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        return smoothing.relative**2 * self.even * jax.nn.softmax(y)

    def gauge(self) -> Scalar:
        return jnp.zeros(())

    def reach(self, smoothing: Smoothing) -> Scalar:
        return jnp.full_like(self.even, 2)

    def violation(self, y: Prices, gradient: Prices) -> Scalar:
        # The minimum feels every error of an exposure, and nothing makes up for it.
        return 100 * jnp.sum(jnp.abs(gradient)) / jnp.maximum(self.even, jnp.finfo(gradient.dtype).tiny)

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        worth = self.weights * exposure
        return jnp.sum(prices / self.weights * (worth - jnp.min(worth)))

    def size(self, prices: Prices, exposure: Prices) -> Scalar:
        return jnp.min(self.weights * exposure)


class _Boxed(NamedTuple):
    """Floors and caps: phi^*(p) = max(-p floor, -p cap, -penalty floor), smoothed by softplus.

    `floors` are the value's, `bounds.floors` those that must hold.
    """

    bounds: Bounds
    floors: Prices
    penalty: Prices

    def coordinate(self, prices: Prices) -> Prices:
        return prices

    def prices(self, y: Prices) -> Prices:
        return y

    def push(self, y: Prices, change: Prices) -> Prices:
        return change

    def speed(self, y: Prices) -> Prices:
        return jnp.ones_like(y)

    def pull(self, y: Prices, slope: Prices) -> Prices:
        return slope

    def project(self, y: Prices) -> Prices:
        return jnp.where(self.bounds.uncapped, jnp.maximum(y, 0), y)

    def gradient(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        floors, caps = self.floors, self.bounds.caps
        kept = jax.nn.sigmoid((self.penalty - y) / smoothing.worth)
        return exposure - (floors * kept + (caps - floors) * jax.nn.sigmoid(-y / smoothing.worth))

    def own(self, y: Prices, exposure: Prices, smoothing: Smoothing) -> Prices:
        floors, caps = self.floors, self.bounds.caps
        chance = jax.nn.sigmoid(-y / smoothing.worth)
        kept = jax.nn.sigmoid((self.penalty - y) / smoothing.worth)
        return ((caps - floors) * chance * (1 - chance) + floors * kept * (1 - kept)) / smoothing.worth

    def gauge(self) -> Scalar:
        # Where caps use up all attention a shift of all prices changes nothing.
        return self.bounds.tight.astype(self.penalty.dtype)

    def reach(self, smoothing: Smoothing) -> Scalar:
        return 8 * smoothing.worth

    def violation(self, y: Prices, gradient: Prices) -> Scalar:
        # Relative to the exposure that a creator can have on average, not to caps so high that they never bind.
        even = jnp.maximum(jnp.mean(self.bounds.reached), jnp.finfo(gradient.dtype).tiny)
        return jnp.max(jnp.abs(gradient) / jnp.clip(self.bounds.caps, 1e-3 * even, even))

    def gap(self, prices: Prices, exposure: Prices) -> Scalar:
        floors, caps = self.floors, self.bounds.caps
        missing = jnp.maximum(floors - exposure, 0)
        hard = jnp.isinf(self.penalty)
        subsidy = jnp.clip(prices, 0, jnp.where(hard, jnp.finfo(prices.dtype).max, self.penalty))
        missed = jnp.where(hard, 0, jnp.where(hard, 0, self.penalty) - subsidy) * missing
        subsidised = subsidy * jnp.maximum(exposure - floors, 0) + jnp.maximum(prices - subsidy, 0) * exposure
        taxed = jnp.maximum(-prices, 0) * jnp.maximum(caps - exposure, 0)
        return jnp.sum(subsidised + taxed + missed)

    def size(self, prices: Prices, exposure: Prices) -> Scalar:
        missing = jnp.maximum(self.floors - exposure, 0)
        return jnp.sum(jnp.where(jnp.isinf(self.penalty), 0, self.penalty * missing))


def side_of(market: Market, bounds: Bounds) -> Side:
    """The side of a market's creator value."""
    value = market.creator_value
    if isinstance(value, Nash):
        return _Positive(value.weights, jnp.ones_like(value.weights), jnp.ones_like(value.weights))
    if isinstance(value, AlphaFair):
        return _Positive(value.weights, value.alpha, value.scale)
    if isinstance(value, MaxMin):
        return _Shared(value.weights, jnp.mean(value.weights * bounds.reached))
    if isinstance(value, Linear):
        return _Priced(value.rates)
    if isinstance(value, SoftBox):
        return _Boxed(bounds, value.floors, value.penalty)
    return _Boxed(bounds, bounds.floors, jnp.full_like(bounds.floors, jnp.inf))
