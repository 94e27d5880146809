"""Products with second derivatives, forward over reverse, and conjugate gradients on them.

For a scalar R(x, y) and a direction v in x, one forward derivative of one gradient gives

    (d^2 R / dx dx) v    and    (d^2 R / dy dx) v,

at a few times the cost of R and with the memory of one gradient: nothing of size n x n is formed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

Tree = Any


def curvature_products(function: Callable[[Tree, Tree], Array], x: Tree, y: Tree, direction: Tree) -> tuple[Tree, Tree]:
    """Both products above.

    By symmetry of second derivatives they are the vector-Jacobian products of grad_x R with `direction`.

    Args:
        function: R(x, y), a scalar; twice differentiable.
        x: a tree of floating-point arrays.
        y: likewise.
        direction: v, a tree like x.

    Returns:
        A tree like x and a tree like y.

    >>> curvature_products(lambda x, y: x**3 * y, 2.0, 5.0, 1.0)
    (Array(60., dtype=float32, weak_type=True), Array(12., dtype=float32, weak_type=True))
    """
    return jax.jvp(lambda x: jax.grad(function, argnums=(0, 1))(x, y), (x,), (direction,))[1]


class Solve(NamedTuple):
    """What conjugate gradients found.

    Attributes:
        solution: x, a tree like the right-hand side.
        residual: |b - A x| / |b|, computed anew from x; 0 if b is 0.
        iterations: products with A, but for the last, which is the residual's.
        converged: whether the residual is within the tolerance. It is not if A turned out not to be positive
            definite, or the numbers not finite.
    """

    solution: Tree
    residual: Float[Array, ""]
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]


def conjugate_gradients(product: Callable[[Tree], Tree], right: Tree, *, tolerance: float, max_steps: int) -> Solve:
    """Solves A x = b for a symmetric positive definite A that is known by its products.

    Args:
        product: x -> A x.
        right: b, a tree of arrays.
        tolerance: on |b - A x| / |b|.
        max_steps: at most so many iterations; in exact arithmetic the dimension suffices.

    Returns:
        A `Solve`. It stops early at a direction of no or negative curvature, with what it has.

    >>> found = conjugate_gradients(lambda x: jnp.array([2.0, 4.0]) * x, jnp.ones(2), tolerance=1e-5, max_steps=5)
    >>> found.solution.round(5).tolist(), int(found.iterations), bool(found.converged)
    ([0.5, 0.25], 2, True)
    """
    square = optax.tree.vdot(right, right)

    def unfinished(state: tuple) -> Array:
        _, _, _, remaining, iteration, definite = state
        return (remaining > tolerance**2 * square) & (iteration < max_steps) & definite

    def iterate(state: tuple) -> tuple:
        x, residual, direction, remaining, iteration, _ = state
        image = product(direction)
        curvature = optax.tree.vdot(direction, image)
        definite = curvature > 0
        length = jnp.where(definite, remaining / jnp.where(definite, curvature, 1), 0)
        x, residual = optax.tree.add_scale(x, length, direction), optax.tree.add_scale(residual, -length, image)
        left = optax.tree.vdot(residual, residual)
        return x, residual, optax.tree.add_scale(residual, left / remaining, direction), left, iteration + 1, definite

    zero = jax.tree.map(jnp.zeros_like, right)
    start = (zero, right, right, square, jnp.zeros((), jnp.int32), jnp.asarray(True))
    x, _, _, _, iterations, _ = jax.lax.while_loop(unfinished, iterate, start)
    missing = optax.tree.add_scale(right, -1, product(x))
    residual = jnp.sqrt(optax.tree.vdot(missing, missing) / jnp.where(square == 0, 1, square))
    # The recursion's residual drifts from the true one by rounding, which the band allows for.
    return Solve(x, residual, iterations, residual <= 2 * tolerance)
