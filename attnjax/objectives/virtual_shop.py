"""The worked example of *Metaverse* §4.3: a virtual shop, solved in closed form, by descent, and by the operator.

Each user u spreads attention a_u over N goods. Satisfaction is s_ui = a_ui^2, exposure b_uj = b_j a_uj, and the
revenue rate b_j follows from the platform's income p_j through b_j = p_j / (1 + b_j). The document minimises

    L(A) = sum_ui s_ui a_ui + sum_j p_j - sum_uj b_j b_uj = sum_u sum_i (a_ui^3 - b_i^2 a_ui) + sum_j p_j.

Users don't interact, so one user's problem is all there is: minimise sum_i (a_i^3 - b_i^2 a_i) over a >= 0, without a
budget (a_i = b_i / sqrt 3), with sum a = R, or with sum a <= R (water-filling: a_i = sqrt(max(b_i^2 - tau, 0) / 3)).
It is the allocation operator with scores b^2 and the cube as regulariser.

What is wrong in the document, and is corrected here: reproducibility/ERRATA.md, entries Metaverse-1 to Metaverse-4.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from attnjax.allocation import Allocation, Power, allocate
from attnjax.errors import fail

Prices = Float[Array, " n"]


class Descent(NamedTuple):
    """Where gradient descent ended.

    Attributes:
        attention: (n,), the last iterate, in units of the budget.
        iterations: how many steps were taken.
        converged: whether a step changed no entry by more than the tolerance. False also where it diverged.
    """

    attention: Float[Array, " n"]
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]


def revenue_rate(income: Prices) -> Prices:
    """The creators' revenue rate b >= 0 with b = p / (1 + b): the positive root of b^2 + b - p = 0.

    Written as 2 p / (1 + sqrt(1 + 4 p)), which keeps its digits for small p. Its derivative is 1 / (1 + 2 b).

    Args:
        income: (n,) or any shape, the platform's income p >= 0 from each creator, money per unit of exposure.

    Returns:
        The rate, same shape and unit.

    >>> revenue_rate(jnp.array([0.0, 2.0, 6.0])).tolist()
    [0.0, 1.0, 2.0]
    """
    return 2 * income / (1 + jnp.sqrt(1 + 4 * income))


def iterate_revenue_rate(income: Prices, steps: int) -> Float[Array, "steps n"]:
    """The document's definition read as an iteration, b <- p / (1 + b) from b = 0; all iterates.

    It converges to `revenue_rate`, but its contraction factor at the root is b / (1 + b): each digit takes about
    2.3 b iterations when p, and so b, is large (ERRATA, Metaverse-3).

    Args:
        income: (n,), p >= 0.
        steps: how many iterations, at least 1.

    Returns:
        (steps, n), the iterates.

    Raises:
        UserError: if `steps` is below 1.
    """
    if steps < 1:
        fail("iterate_revenue_rate", expected="at least 1 step", got=str(steps), advice="Ask for more steps.")

    def step(rate: Prices, _: None) -> tuple[Prices, Prices]:
        following = income / (1 + rate)
        return following, following

    return jax.lax.scan(step, jnp.zeros_like(income), None, length=steps)[1]


def shop_loss(attention: Float[Array, "*u n"], income: Prices) -> Float[Array, ""]:
    """The document's L(A) for attention of one user (n,) or many (u, n), and income p (n,); to be minimised.

    Its gradient in the attention is 3 a^2 - b^2, with b the revenue rate.
    """
    rate = jnp.broadcast_to(revenue_rate(income), attention.shape)
    return jnp.sum(attention**3 - rate**2 * attention) + jnp.sum(income)


def shop_optimum(income: Prices, budget: float | Array | None = None, *, at_most: bool = False) -> Float[Array, " n"]:
    """The exact minimiser for one user: a_i = sqrt(max(b_i^2 - tau, 0) / 3), water-filling.

    Without a budget tau = 0. With one, tau solves a single monotone equation, by halving an interval until it can't
    be halved. It shares no code with `allocate`, so that the two can be compared; for derivatives use
    `shop_by_operator`.

    Args:
        income: (n,), p >= 0.
        budget: None for no budget (a_i = b_i / sqrt 3), else R >= 0 in the units of attention.
        at_most: whether the budget is an upper bound.

    Returns:
        (n,), the attention of one user.

    >>> import numpy as np
    >>> print(np.asarray(shop_optimum(jnp.array([2.0, 6.0]))).round(4))
    [0.5774 1.1547]
    """
    worth = revenue_rate(income) ** 2
    free = jnp.sqrt(worth / 3)
    if budget is None:
        return free
    # sum_i sqrt(max(w_i - tau, 0) / 3) falls from above R to 0 over this interval.
    low = jnp.min(worth) - 3 * (jnp.asarray(budget, worth.dtype) ** 2) - 1
    high = jnp.max(worth)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        below, above = ends
        middle = (below + above) / 2
        enough = jnp.sum(jnp.sqrt(jnp.maximum(worth - middle, 0) / 3)) >= budget
        return jnp.where(enough, middle, below), jnp.where(enough, above, middle)

    below, _ = jax.lax.fori_loop(0, 200, halve, (low, high))
    bound = jnp.sqrt(jnp.maximum(worth - below, 0) / 3)
    return jnp.where(at_most & (jnp.sum(free) <= budget), free, bound)


def shop_by_operator(income: Prices, budget: float | Array, *, at_most: bool = False) -> Allocation:
    """The same minimiser from the allocation operator: scores b^2, the cube, one budget.

    Args:
        income: (n,), p >= 0.
        budget: R >= 0.
        at_most: whether the budget is an upper bound.

    Returns:
        The `Allocation`; `shop_loss` at its weights is `sum(income) - value`.
    """
    return allocate(revenue_rate(income) ** 2, budget, None, Power(3), at_most=at_most)


def shop_by_descent(
    income: Prices,
    start: Float[Array, " n"],
    budget: float | Array | None = None,
    *,
    learning_rate: float | Array = 0.05,
    max_iterations: int = 100_000,
    tolerance: float = 1e-12,
    at_most: bool = False,
    projected: bool = True,
) -> Descent:
    """Gradient descent on the shop's loss, as the document describes it; projected, since it must be.

    After each step the iterate is projected onto a >= 0 (no budget), onto the simplex sum a = R, or onto a >= 0 with
    sum a <= R (optax's projections, so that this way of solving shares no code with the operator). With
    `projected=False` it is the document's algorithm to the letter: from a start with a negative entry a^3 is unbounded
    below and the iterates run away (ERRATA, Metaverse-2).

    Args:
        income: (n,), p >= 0.
        start: (n,), the first iterate.
        budget: None for none, else R > 0.
        learning_rate: step size; below 1 / (3 max(R, a)) descent is monotone.
        max_iterations: when to give up.
        tolerance: stop once no entry moves by more than this.
        at_most: whether the budget is an upper bound.
        projected: False for the document's unprojected descent (which knows no budget either).

    Returns:
        A `Descent`; look at `converged`.

    Raises:
        UserError: if a budget is given to the unprojected descent.
    """
    if budget is not None and not projected:
        fail(
            "shop_by_descent",
            expected="no budget for the unprojected descent",
            got=f"budget={budget}",
            advice="The document's descent can't hold a budget: pass projected=True or budget=None.",
        )

    def project(a: Array) -> Array:
        if not projected:
            return a
        positive = optax.projections.projection_non_negative(a)
        if budget is None:
            return positive
        met = optax.projections.projection_simplex(a, budget)
        return jnp.where(jnp.sum(positive) <= budget, positive, met) if at_most else met

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        a, _, count = state
        following = project(a - learning_rate * jax.grad(shop_loss)(a, income))
        return following, jnp.max(jnp.abs(following - a)), count + 1

    def running(state: tuple[Array, Array, Array]) -> Array:
        _, moved, count = state
        return (count < max_iterations) & (moved > tolerance) & jnp.isfinite(moved)

    start = project(jnp.asarray(start, income.dtype))
    moved = jnp.asarray(jnp.inf, income.dtype)
    first = step((start, moved, jnp.asarray(0)))
    attention, moved, count = jax.lax.while_loop(running, step, first)
    return Descent(attention, count, moved <= tolerance)
