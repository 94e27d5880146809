"""Forward over reverse: the gradient through an inner loop from its trajectory and Hessian-vector products alone.

With v_t the cotangent of phi_t, reverse mode through (phi, memory)_{t+1} = optimiser(phi_t, memory_t, g_t; eta) and
g_t = grad_phi R(phi_t, y), y all that R depends on besides, is

    (v_t, w_t, u_t) = pull back (v_{t+1}, w_{t+1}) through the optimiser,        elementwise and cheap,
    v_t <- v_t + (d^2 R / dphi dphi) u_t,        y's cotangent <- + (d^2 R / dy dphi) u_t.

Both products are forward derivatives of a gradient, so no graph of a gradient is ever kept: what is stored is
(phi_t, memory_t) for each step.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from attnjax.meta.curvature import curvature_products
from attnjax.meta.leaves import floats
from attnjax.meta.steps import Given, Problem, gradient_and_loss, scan_steps

Tree = Any


def forward_over_reverse(problem: Problem, given: Given, support: Tree) -> tuple[Tree, Float[Array, " steps"]]:
    """The adapted leaves and the support losses; reverse mode follows the rule above.

    The same derivative as `unrolled`'s, up to rounding, in everything of floating point: the start, the frozen leaves,
    eta and the support. Reverse mode once: it has no forward mode and so no second derivative.
    """
    values, constants, join = floats((given, support))

    def run(values: list, constants: list, keep: bool) -> tuple[tuple[Tree, Array], Any]:
        given, support = join(values, constants)

        def body(carry: tuple[Tree, Tree], batch: Tree) -> tuple[tuple[Tree, Tree], tuple[Array, Any]]:
            phi, memory = carry
            gradient, loss = gradient_and_loss(problem, phi, given, batch)
            return problem.advance(phi, memory, gradient, given), (loss, carry if keep else None)

        (phi, _), (losses, kept) = scan_steps(problem, body, (given.start, problem.memory(given)), support)
        return (phi, losses), kept

    @jax.custom_vjp
    def adapted(values: list, constants: list) -> tuple[Tree, Array]:
        return run(values, constants, keep=False)[0]

    def forward(values: list, constants: list) -> tuple[tuple[Tree, Array], Any]:
        result, trajectory = run(values, constants, keep=True)
        return result, (values, constants, trajectory)

    def backward(residuals: Any, cotangents: tuple[Tree, Array]) -> tuple[list, None]:
        values, constants, trajectory = residuals
        given, support = join(values, constants)
        in_given, in_support = _pull_back(problem, given, support, trajectory, cotangents[0])
        return [*in_given, *in_support], None

    adapted.defvjp(forward, backward)
    return adapted(values, constants)


def _pull_back(problem: Problem, given: Given, support: Tree, trajectory: tuple, v_phi: Tree) -> tuple[list, list]:
    """The cotangents of the floating-point leaves of given and support."""
    given_values, given_constants, join_given = floats(given)
    support_values, _, _ = floats(support)

    def back(carry: tuple, step: tuple) -> tuple[tuple, Any]:
        v_phi, v_memory, v_given, v_support = carry
        phi, memory, batch = step
        memory_values, memory_constants, join_memory = floats(memory)
        batch_values, batch_constants, join_batch = floats(batch if problem.per_step else support)

        def objective(phi: Tree, others: tuple[list, list]) -> Array:
            given, batch = join_given(others[0], given_constants), join_batch(others[1], batch_constants)
            return problem.objective(phi, given, batch)[0]

        def advance(phi: Tree, memory_values: list, gradient: Tree, given_values: list) -> tuple[Tree, list]:
            memory = join_memory(memory_values, memory_constants)
            phi, memory = problem.advance(phi, memory, gradient, join_given(given_values, given_constants))
            return phi, floats(memory)[0]

        others = (given_values, batch_values)
        _, pull = jax.vjp(advance, phi, memory_values, jax.grad(objective)(phi, others), given_values)
        v_phi, v_memory, direction, direct = pull((v_phi, v_memory))
        own, (in_given, in_batch) = curvature_products(objective, phi, others, direction)
        v_phi, v_given = _sum(v_phi, own), _sum(v_given, direct, in_given)
        if problem.per_step:
            return (v_phi, v_memory, v_given, v_support), in_batch
        return (v_phi, v_memory, v_given, _sum(v_support, in_batch)), None

    def begin(given_values: list) -> tuple[Tree, list]:
        given = join_given(given_values, given_constants)
        return given.start, floats(problem.memory(given))[0]

    (_, memory_values), pull = jax.vjp(begin, given_values)
    zeros = jax.tree.map(jnp.zeros_like, (memory_values, given_values, support_values))
    steps = (*trajectory, support if problem.per_step else None)
    carry, by_step = jax.lax.scan(
        back, (v_phi, *zeros), steps, length=problem.steps, reverse=True, unroll=problem.unroll
    )
    v_phi, v_memory, v_given, v_support = carry
    return _sum(v_given, pull((v_phi, v_memory))[0]), by_step if problem.per_step else v_support


def _sum(first: Tree, *others: Tree) -> Tree:
    return functools.reduce(optax.tree.add, others, first)
