"""One step of an inner loop, and the scan over steps that every way of taking the gradient shares.

    g_t = clip(grad_phi R(phi_t; theta, eta, support_t)),
    (phi, memory)_{t+1} = optimiser(phi_t, memory_t, g_t; eta)

R is the support loss, plus lambda / 2 |phi - theta|^2 where the loop is proximal.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

Tree = Any


class Given(NamedTuple):
    """What an inner loop is a function of, besides the support.

    Attributes:
        start: the leaves that adapt, as meta-learned; `None` in the place of the others.
        frozen: the leaves that do not adapt, likewise.
        eta: the meta-parameters of the inner loop itself.
    """

    start: Tree
    frozen: Tree
    eta: Tree


class Problem(NamedTuple):
    """An inner loop taken apart into functions.

    Attributes:
        objective: `(phi, given, batch) -> (R, support loss)`.
        memory: `given -> memory` of the optimiser before the first step.
        advance: `(phi, memory, gradient, given) -> (phi, memory)`, with the clipping.
        steps: how many.
        per_step: whether the leaves of the support have a leading axis of steps.
        unroll: steps per iteration of the compiled loop.
    """

    objective: Callable[[Tree, Given, Tree], tuple[Array, Array]]
    memory: Callable[[Given], Tree]
    advance: Callable[[Tree, Tree, Tree, Given], tuple[Tree, Tree]]
    steps: int
    per_step: bool
    unroll: int


def clip_by_norm(gradient: Tree, limit: float | None) -> Tree:
    """g min(1, limit / |g|), with the norm over all leaves.

    Differentiable everywhere but where |g| is the limit (there the derivative is that of not clipping), also at
    g = 0, where a norm by itself has none.

    >>> clip_by_norm({"w": jnp.array([3.0, 4.0])}, 1.0)["w"].tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    if limit is None:
        return gradient
    squared = optax.tree.norm(gradient, squared=True)
    long = squared > limit**2
    scale = jnp.where(long, limit * jax.lax.rsqrt(jnp.where(long, squared, 1)), 1)
    return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), gradient)


def gradient_and_loss(problem: Problem, phi: Tree, given: Given, batch: Tree) -> tuple[Tree, Float[Array, ""]]:
    """The gradient of R in the leaves that adapt, and the support loss there (which carries no derivative)."""
    gradient, loss = jax.grad(problem.objective, has_aux=True)(phi, given, batch)
    return gradient, jax.lax.stop_gradient(loss)


def scan_steps(problem: Problem, body: Callable[[Any, Tree], tuple[Any, Any]], carry: Any, support: Tree) -> Any:
    """`lax.scan` of `body(carry, batch)` over the steps, each with its own slice of the support if it is per step.

    One step is no loop: the compiler then merges it with what surrounds it, and needs a quarter less memory.
    """
    if problem.steps == 1:
        carry, out = body(carry, jax.tree.map(lambda x: x[0], support) if problem.per_step else support)
        return carry, jax.tree.map(lambda x: x[None], out)
    if problem.per_step:
        return jax.lax.scan(body, carry, support, length=problem.steps, unroll=problem.unroll)
    return jax.lax.scan(lambda carry, _: body(carry, support), carry, None, length=problem.steps, unroll=problem.unroll)


def unrolled(
    problem: Problem, given: Given, support: Tree, *, first_order: bool, remat: bool
) -> tuple[Tree, Float[Array, " steps"]]:
    """The adapted leaves and the support losses, differentiated through the steps as they are.

    With `first_order` each gradient counts as a constant, so d phi_k / d start is the identity (for gradient descent).
    With `remat` reverse mode keeps (phi_t, memory_t) only and computes each step's inside again.
    """

    def body(carry: tuple[Tree, Tree], batch: Tree) -> tuple[tuple[Tree, Tree], Array]:
        phi, memory = carry
        gradient, loss = gradient_and_loss(problem, phi, given, batch)
        if first_order:
            gradient = jax.lax.stop_gradient(gradient)
        return problem.advance(phi, memory, gradient, given), loss

    # Inside a scan nothing can merge the second computation with the first, so no barrier is needed against it.
    again = remat and not first_order and problem.steps > 1
    stepped = jax.checkpoint(body, prevent_cse=False) if again else body
    (phi, _), losses = scan_steps(problem, stepped, (given.start, problem.memory(given)), support)
    return phi, losses
