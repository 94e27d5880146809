"""A city's shares: one resource, split over uses with a contribution function each.

    maximise F(w) = sum_i f_i(w_i)  over  lower <= w <= upper,  sum_i w_i = R        (*City* §3.1, with R = 1)

The document's problem; where it minimises its effect, this maximises (ERRATA, City-1). For concave f_i one price
solves it, as it does for `attnjax.allocation.allocate`, which is the case f_i(w) = s_i w - T omega(w): every use takes
the share that is best for it at the price, and the price makes the shares sum to R. Other than there, f_i may have
straight pieces: at the price where such a use jumps, those that jump divide what is left in proportion to their jumps.

For uses that may also be left out altogether, which makes the problem non-concave, see `attnjax.allocation.skipping`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from attnjax.allocation.bisection import bisect
from attnjax.allocation.contributions import Contribution, slope
from attnjax.allocation.operator_checks import slack
from attnjax.errors import fail

Vector = Float[Array, " n"]
Scalar = Float[Array, ""]


class Split(NamedTuple):
    """A split of a resource and its certificate; every field survives jit, vmap and differentiation.

    Attributes:
        shares: (n,), what each use gets, in units of the resource.
        price: scalar, what one more unit of the resource is worth, in units of F per unit: the derivative of `value`
            in the resource wherever that exists.
        value: scalar, F at `shares`.
        bound: scalar, the dual value at `price`: no feasible split has a larger F, if each f_i is concave between its
            bounds. inf where no split is feasible.
        gap: scalar, bound - value, computed without cancellation; 0 up to rounding at the optimum.
        feasible: whether bounds and resource admit a split. Where False, `shares` is the nearest that the bounds allow.
    """

    shares: Vector
    price: Scalar
    value: Scalar
    bound: Scalar
    gap: Scalar
    feasible: Bool[Array, ""]


class _Solution(NamedTuple):
    """What the solver finds: `jump` is how far each use's response falls where the price is crossed."""

    shares: Vector
    price: Scalar
    jump: Vector


def split(contribution: Contribution, resource: Any = 1.0, *, lower: Any = 0.0, upper: Any = None) -> Split:
    """Splits a resource over uses so that the sum of their contributions is largest.

    Solves argmax sum_i f_i(w_i) over lower <= w <= upper with sum w = resource. Unbatched: `jax.vmap` it. Works under
    jit, vmap, grad, jvp and their compositions.

    Derivatives are exact, to any order, by implicit differentiation at the solution: each share moves with f_i's
    parameters and bounds at the price, and the price moves so that the shares go on summing to the resource. Where one
    use is on a straight piece, it takes up what all others leave, and the price is its slope. Where several are, at the
    same slope, the split among them is a convention, and so is its derivative. Where no use is free the price's
    derivative is 0.

    Args:
        contribution: f, for n uses: at least one of its arrays has shape (n,). Concave between the bounds.
        resource: scalar R >= 0, to be split; 1 for shares of a whole.
        lower: scalar or (n,), >= 0, the least that each use gets.
        upper: None for R, or scalar or (n,), the most. A use with upper = 0 takes no part.

    Returns:
        A `Split`: shares with their certificate.

    Raises:
        UserError: for wrong shapes; and, where the values are known (outside jit), for a negative resource, bounds that
            cross, or a resource that the bounds don't admit. Under jit these are reported in `feasible`.

    Source: *City* §3.1 and §4.3; water-filling as in Boyd and Vandenberghe (2004), Convex Optimization, §5.5.3.

    >>> from attnjax.allocation import Concave
    >>> gain = Concave(lambda w, a: a * jnp.log(w), (jnp.array([1.0, 2.0, 1.0]),))
    >>> found = split(gain)
    >>> found.shares.tolist(), float(found.price)
    ([0.25, 0.5, 0.25], 4.0)
    """
    problem = checked("split", contribution, resource, lower, upper)
    return _split(contribution, *problem)


def checked(
    where: str, contribution: Contribution, resource: Any, lower: Any, upper: Any, *, skippable: bool = False
) -> tuple[Scalar, Vector, Vector]:
    """Resource and bounds as arrays of the contribution's size and type; refuses what can't be split.

    Args:
        where: the function that asks.
        contribution: whose arrays say how many uses there are.
        resource: as given.
        lower: as given.
        upper: as given.
        skippable: whether a use may also get nothing, so that the lower bounds may sum to more than there is.
    """
    if not isinstance(contribution, Contribution):
        fail(
            where,
            expected="a contribution such as Concave(function, parameters), or those of attnjax.objectives",
            got=repr(contribution),
            advice="Pass an object with the two methods of attnjax.allocation.Contribution.",
        )
    leaves = jax.tree.leaves(contribution)
    shapes = {np.shape(leaf) for leaf in leaves} - {()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or next(iter(shapes)) == (0,):
        fail(
            where,
            expected="a contribution whose arrays are scalars or of one shape (n,), at least one of them (n,)",
            got=f"shapes {sorted(np.shape(leaf) for leaf in leaves)}",
            advice="Give each use its own parameter; for a batch of problems use jax.vmap.",
        )
    (shape,) = shapes
    double = any(jnp.result_type(leaf) == jnp.float64 for leaf in leaves if not isinstance(leaf, float))
    dtype = jnp.float64 if double else jnp.float32
    resource, lower, upper = (jnp.asarray(x, dtype) for x in (resource, lower, resource if upper is None else upper))
    wrong = [x.shape for x in (lower, upper) if x.shape not in ((), shape)]
    if resource.shape != () or wrong:
        fail(
            where,
            expected=f"a scalar resource, and bounds that are scalars or of shape {shape}",
            got=f"shapes {resource.shape}, {lower.shape} and {upper.shape}",
            advice="Give one bound for all uses or one each.",
        )
    lower, upper = (jnp.broadcast_to(x, shape) for x in (lower, upper))
    if not any(isinstance(x, jax.core.Tracer) for x in (resource, lower, upper)):
        _check_values(where, float(resource), np.asarray(lower, float), np.asarray(upper, float), dtype, skippable)
    return resource, lower, upper


def _check_values(where: str, resource: float, lower: Any, upper: Any, dtype: Any, skippable: bool) -> None:
    if not (np.isfinite(resource) and resource >= 0):
        fail(where, expected="a finite resource of at least 0", got=str(resource), advice="Split what there is.")
    # A use without room takes no part where uses may be skipped, whatever its lower bound.
    crossed = ~((lower >= 0) & ((lower <= upper) | (skippable & (upper == 0))) & np.isfinite(upper))
    if crossed.any():
        i = int(np.argmax(crossed))
        fail(
            where,
            expected="0 <= lower <= upper, finite",
            got=f"[{lower[i]:g}, {upper[i]:g}] for use {i}",
            advice="Mend the bounds.",
        )
    room = slack(dtype) * max(resource, 1)
    least = 0.0 if skippable else lower.sum()
    if least > resource + room or upper.sum() < resource - room:
        fail(
            where,
            expected=f"bounds that admit the resource {resource:g}",
            got=f"at least {least:g} and at most {upper.sum():g} in all",
            advice="Lower the lower bounds or raise the upper ones.",
        )


@jax.jit
def _split(contribution: Contribution, resource: Scalar, lower: Vector, upper: Vector) -> Split:
    shares, price, _ = _solution(contribution, resource, lower, upper)
    value = jnp.sum(contribution.value(shares))
    gap, feasible = jax.lax.stop_gradient(_certificate(contribution, resource, lower, upper))
    return Split(shares, price, value, jnp.where(feasible, value + gap, jnp.inf), gap, feasible)


split_unchecked = _split
"""`split` of arrays that were checked before."""


def _respond(contribution: Contribution, price: Scalar, lower: Vector, upper: Vector) -> Vector:
    return jnp.clip(contribution.response(jnp.broadcast_to(price, lower.shape), lower, upper), lower, upper)


@jax.custom_jvp
def _solution(contribution: Contribution, resource: Scalar, lower: Vector, upper: Vector) -> _Solution:
    """Shares, price and jumps, feasible or not; the derivative rule is below."""
    most = jnp.asarray(jnp.finfo(lower.dtype).max / 4, lower.dtype)
    low, high = bisect(lambda price: jnp.sum(_respond(contribution, price, lower, upper)) >= resource, -most, most)
    more, less = (_respond(contribution, price, lower, upper) for price in (low, high))
    jump = more - less
    total = jnp.sum(jump)
    part = jnp.where(total > 0, (resource - jnp.sum(less)) / jnp.where(total > 0, total, 1), 0)
    shares = less + jnp.clip(part, 0, 1) * jump
    # Bounds that leave no choice leave the price open: the nearest that supports them is finite.
    slopes, real = slope(contribution, shares), upper > lower
    low = jnp.where(jnp.sum(lower) >= resource, jnp.max(jnp.where(real, slopes, -most)), low)
    low = jnp.where(jnp.sum(upper) <= resource, jnp.min(jnp.where(real, slopes, most)), low)
    return _Solution(shares, jnp.where(real.any(), jnp.clip(low, -most, most), 0), jump)


@_solution.defjvp
def _solution_jvp(primals: tuple, tangents: tuple) -> tuple[_Solution, _Solution]:
    """Differentiates each use's response, and the sum of all, at the price.

    Written in terms of the solution itself, so that differentiating this rule gives the second derivative.
    """
    contribution, _, lower, upper = primals
    d_contribution, d_resource, d_lower, d_upper = tangents
    out = _solution(*primals)
    prices = jnp.broadcast_to(out.price, lower.shape)
    straight = out.jump > jnp.sqrt(jnp.finfo(lower.dtype).eps)
    taken = straight.any()
    _, moved = jax.jvp(
        lambda c, low, high: c.response(prices, low, high),
        (contribution, lower, upper),
        (d_contribution, d_lower, d_upper),
    )
    _, speed = jax.jvp(lambda p: contribution.response(p, lower, upper), (prices,), (jnp.ones_like(prices),))
    moved, speed = jnp.where(straight, 0, moved), jnp.where(straight, 0, speed)
    part = jnp.where(straight, out.jump, 0) / jnp.where(taken, jnp.sum(jnp.where(straight, out.jump, 0)), 1)
    inner = jnp.where(straight, out.shares, (lower + upper) / 2)
    _, d_slope = jax.jvp(lambda c: slope(c, inner), (contribution,), (d_contribution,))
    total = jnp.sum(speed)
    smooth = (d_resource - jnp.sum(moved)) / jnp.where(total < 0, total, 1)
    d_price = jnp.where(taken, jnp.sum(jnp.where(straight, part * d_slope, 0)), jnp.where(total < 0, smooth, 0))
    others = moved + speed * d_price
    d_shares = others + jnp.where(taken, part * (d_resource - jnp.sum(others)), 0)
    return out, _Solution(d_shares, d_price, jnp.zeros_like(out.jump))


def _certificate(
    contribution: Contribution, resource: Scalar, lower: Vector, upper: Vector
) -> tuple[Scalar, Bool[Array, ""]]:
    """The duality gap at the price, and whether there is a feasible split.

    The dual value is price * R + sum_i max over b of f_i(b) - price * b. Subtracting F use by use leaves differences
    between b_i and w_i, which keep their digits.
    """
    shares, price, _ = _solution(contribution, resource, lower, upper)
    best = _respond(contribution, price, lower, upper)
    brought = jnp.where(best != shares, contribution.value(best) - contribution.value(shares), 0)
    gap = jnp.sum(brought - price * (best - shares)) + price * (resource - jnp.sum(shares))
    room = slack(lower.dtype) * jnp.maximum(resource, 1)
    feasible = jnp.isfinite(resource) & (resource >= 0) & ((lower >= 0) & (lower <= upper)).all()
    feasible &= (jnp.sum(lower) <= resource + room) & (jnp.sum(upper) >= resource - room) & ~jnp.isnan(gap)
    return jnp.where(feasible, jnp.maximum(gap, 0), jnp.inf), feasible
