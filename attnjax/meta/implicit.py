"""Implicit differentiation of an inner problem that was solved, not merely started on.

At a minimum of R over phi, grad_phi R(phi; y) = 0 whatever the path that led there, so for a cotangent v of phi

    (d^2 R / dphi dphi + damping I) u = v,        y's cotangent = -(d^2 R / dy dphi) u,

where y is all that R depends on besides. With R = loss + lambda / 2 |phi - theta|^2 the cotangent of theta is
lambda u, which is (I + H / lambda)^-1 v as implicit MAML has it. Neither memory nor the gradient depends on the
number of inner steps.

Source: Rajeswaran, Finn, Kakade and Levine (2019), Meta-learning with implicit gradients.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.meta.curvature import Solve, conjugate_gradients, curvature_products
from attnjax.meta.leaves import floats
from attnjax.meta.steps import Given, Problem, unrolled

Tree = Any


@dataclasses.dataclass(frozen=True)
class LinearSolve:
    """How the linear system is solved.

    Args:
        tolerance: on the relative residual.
        max_steps: iterations of conjugate gradients, at most.
        damping: added to the Hessian's diagonal; biases the gradient towards v / damping, and keeps a Hessian that is
            not positive definite solvable.

    Raises:
        UserError: for a negative tolerance or damping, or fewer than one step.
    """

    tolerance: float = 1e-6
    max_steps: int = 50
    damping: float = 0.0

    def __post_init__(self) -> None:
        if self.tolerance < 0 or self.damping < 0 or self.max_steps < 1:
            fail(
                "LinearSolve",
                expected="tolerance >= 0, damping >= 0 and max_steps >= 1",
                got=f"{self.tolerance}, {self.damping} and {self.max_steps}",
                advice="The defaults are 1e-6, 0 and 50.",
            )


def pull_back(
    problem: Problem, linear: LinearSolve, phi: Tree, given: Given, support: Tree, cotangent: Tree
) -> tuple[list, Solve]:
    """The cotangents of `floats((given, support))` for one of phi, by the two equations above, and the solve behind it.

    Args:
        problem: the inner problem.
        linear: how to solve the linear system.
        phi: where the inner problem ended; the result is exact only if grad R vanishes there.
        given: what phi is a function of.
        support: likewise.
        cotangent: v, a tree like phi.
    """
    values, constants, join = floats((given, support))

    def objective(phi: Tree, values: list) -> Array:
        return problem.objective(phi, *join(values, constants))[0]

    def damped(direction: Tree) -> Tree:
        image = jax.jvp(lambda phi: jax.grad(objective)(phi, values), (phi,), (direction,))[1]
        return optax.tree.add_scale(image, linear.damping, direction)

    solve = conjugate_gradients(damped, cotangent, tolerance=linear.tolerance, max_steps=linear.max_steps)
    _, mixed = curvature_products(objective, phi, values, solve.solution)
    return jax.tree.map(jnp.negative, mixed), solve


def implicit(
    problem: Problem, linear: LinearSolve, given: Given, support: Tree
) -> tuple[Tree, Float[Array, " steps"], Float[Array, ""]]:
    """The adapted leaves, the support losses, and |grad R| at the end; reverse mode by `pull_back`."""
    values, constants, join = floats((given, support))

    def run(values: list, constants: list) -> tuple[Tree, Array, Array]:
        given, support = join(values, constants)
        phi, losses = unrolled(problem, given, support, first_order=False, remat=False)
        return phi, losses, stationarity(problem, phi, given, support)

    def forward(values: list, constants: list) -> tuple[Any, Any]:
        result = run(values, constants)
        return result, (result[0], values, constants)

    def backward(residuals: Any, cotangents: tuple[Tree, Array, Array]) -> tuple[list, None]:
        phi, values, constants = residuals
        given, support = join(values, constants)
        return pull_back(problem, linear, phi, given, support, cotangents[0])[0], None

    adapted = jax.custom_vjp(run)
    adapted.defvjp(forward, backward)
    return adapted(values, constants)


def stationarity(problem: Problem, phi: Tree, given: Given, support: Tree) -> Float[Array, ""]:
    """|grad_phi R|: how far the inner problem is from solved."""
    gradient, _ = jax.grad(problem.objective, has_aux=True)(phi, given, support)
    return optax.tree.norm(gradient)
