"""Newton's direction: with the Hessian at hand, or by conjugate gradients where creators are too many for one.

With H_users the derivative of exposure in prices and J that of prices in the coordinate y, the dual's Hessian is

    H = J' H_users J + diag(own) + gauge 1 1',

positive semidefinite. A Cholesky factor costs c^3 / 3 and a matrix of c^2; conjugate gradients (Hestenes and Stiefel
1952; Dembo, Eisenstat and Steihaug 1982 for Newton steps) two passes over the users per product and no matrix.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.creator_sides import Side, Smoothing
from attnjax.allocation.market import Market
from attnjax.allocation.sweeps import Linearisation, is_dense, moved_by

Prices = Float[Array, " c"]
Scalar = Float[Array, ""]

PRODUCTS, FORCING, EXACT = 60, 0.1, 1e-6
"""Conjugate gradients stop after so many products, or once the residual has fallen to so much of the gradient: of a
step, and of a derivative."""


class System:
    """The linear system of one Newton step: H at one point, to be solved against slopes in y.

    Args:
        market: whose users are asked.
        side: the creators' side.
        y: (c,), the point.
        smoothing: of the dual.
        temperature: (u,), at which users respond.
        at: the users' exposure and its derivative there.
    """

    def __init__(
        self,
        market: Market,
        side: Side,
        y: Prices,
        smoothing: Smoothing,
        temperature: Array,
        at: Linearisation,
    ) -> None:
        own = side.own(y, at.exposure, smoothing)
        creators = market.creators
        bonus = creators.on_items(side.prices(y) + market.platform_rates)
        self._dense = is_dense(market)
        if self._dense:
            half = jax.vmap(lambda column: side.pull(y, column), 1, 1)(at.hessian)
            of_users = jax.vmap(lambda row: side.pull(y, row))(half)
            diagonal = jnp.diag(of_users)
            mean = jnp.mean(own + diagonal)
            self._hessian = of_users + jnp.diag(own) + side.gauge() * mean / y.size * jnp.ones_like(of_users)
        else:
            diagonal = side.speed(y) ** 2 * at.hessian
            mean = jnp.mean(own + diagonal)

            def product(v: Prices) -> Prices:
                change = creators.on_items(side.push(y, v))
                felt = creators.exposure(moved_by(market, bonus, temperature, change))
                return side.pull(y, felt) + own * v + side.gauge() * mean / y.size * jnp.sum(v)

            self._product = product
        self._diagonal, self._mean, self._mean_of_users = own + diagonal, mean, jnp.mean(diagonal)

    def solve(self, right: Prices) -> Prices:
        """H^-1 b (c,) for derivatives, with some rounding's worth of the users' curvature to keep H positive definite.

        At the scale of the creators' a floor that binds would blur all others: its own curvature has no bound.
        """
        return self._solve(right, self._mean_of_users, EXACT)

    def direction(self, gradient: Prices) -> Prices:
        """-H^-1 g, or a step down the gradient where H can't be factored.

        What is added here is at the scale of all curvature: where users are in no doubt theirs vanishes, and steps
        would be as long as they are meaningless.
        """
        direction = -self._solve(gradient, self._mean, FORCING)
        downhill = -gradient / jnp.maximum(self._mean, 1e-30)
        return jnp.where(jnp.isfinite(direction).all(), direction, downhill)

    def _solve(self, right: Prices, scale: Scalar, forcing: float) -> Prices:
        info = jnp.finfo(right.dtype)
        ridge = 16 * info.eps * scale + info.tiny
        if self._dense:
            factor = jax.scipy.linalg.cho_factor(self._hessian + ridge * jnp.eye(right.size, dtype=right.dtype))
            return jax.scipy.linalg.cho_solve(factor, right)

        def by_gradients(product: Callable, right: Prices) -> Prices:
            return conjugate_gradients(product, right, self._diagonal + ridge, forcing, PRODUCTS)

        return jax.lax.custom_linear_solve(lambda v: self._product(v) + ridge * v, right, by_gradients, symmetric=True)


def conjugate_gradients(
    product: Callable[[Prices], Prices], right: Prices, diagonal: Prices, forcing: float, limit: int
) -> Prices:
    """Solves A x = b for positive definite A, preconditioned by its diagonal, until |b - A x| <= forcing |b|.

    Args:
        product: x (c,) to A x.
        right: b (c,).
        diagonal: (c,), above 0.
        forcing: the relative residual, in the preconditioner's norm, at which it stops.
        limit: at most so many products.
    """

    def step(state: tuple) -> tuple:
        x, residual, direction, energy, count = state
        image = product(direction)
        curve = jnp.sum(direction * image)
        length = jnp.where(curve > 0, energy / jnp.where(curve > 0, curve, 1), 0)
        x, residual = x + length * direction, residual - length * image
        solved = residual / diagonal
        following = jnp.sum(residual * solved)
        direction = solved + following / jnp.maximum(energy, jnp.finfo(energy.dtype).tiny) * direction
        return x, residual, direction, jnp.where(curve > 0, following, 0), count + 1

    solved = right / diagonal
    energy = jnp.sum(right * solved)
    enough = forcing**2 * energy
    state = (jnp.zeros_like(right), right, solved, energy, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(lambda s: (s[3] > enough) & (s[4] < limit), step, state)[0]
