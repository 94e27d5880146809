"""Uses that may be left out: each gets nothing, or at least a minimum; which to serve is part of the question.

    maximise  sum over i in S of f_i(w_i)  +  sum over i not in S of idle_i
    over      S,  lower_i <= w_i <= upper_i for i in S,  w_i = 0 otherwise,  sum_i w_i = R

A phase of a signal is like that: green pays only beyond its lost time and up to its queue, so what it brings is flat,
then steep, then flat, which is not concave. The price method alone fails: at one price a use jumps from nothing to its
minimum and past the resource, and what it bounds from above no split attains (the duality gap). Here all 2^n choices of
S are solved, each a concave problem with a certificate of its own, so the answer is exact and its bound the largest
of theirs.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from attnjax.allocation.bisection import bisect
from attnjax.allocation.contributions import Contribution
from attnjax.allocation.operator import allocate
from attnjax.allocation.regularizers import SquaredNorm
from attnjax.allocation.shares import Scalar, Vector, checked, split_unchecked
from attnjax.errors import fail

MOST_USES = 12
"""Choices double with each use: 4,096 concave problems."""


class SparseSplit(NamedTuple):
    """A split that leaves uses out, and its certificate; every field survives jit, vmap and differentiation.

    Attributes:
        shares: (n,), exactly 0 for those left out.
        served: (n,), the chosen S.
        price: scalar, what one more unit of the resource is worth with these uses served.
        value: scalar, the objective.
        bound: scalar, no feasible split has a larger objective: the largest of all choices' dual values.
        gap: scalar, bound - value; 0 up to rounding.
        price_bound: scalar, what a single price for all uses can show: its dual value at the best price.
            `price_bound - value` is the duality gap: where it is above rounding, no price decides who is served.
        feasible: whether some choice admits a split.
    """

    shares: Vector
    served: Bool[Array, " n"]
    price: Scalar
    value: Scalar
    bound: Scalar
    gap: Scalar
    price_bound: Scalar
    feasible: Bool[Array, ""]


def split_or_skip(
    contribution: Contribution, resource: Any = 1.0, *, lower: Any = 0.0, upper: Any = None, idle: Any = 0.0
) -> SparseSplit:
    """Splits a resource over the uses that are worth their minimum, exactly.

    Derivatives are those of `split` with the chosen uses; where two choices are equally good they are those of one.

    Args:
        contribution: f, for at most 12 uses, each concave between its bounds; outside of them it is not asked.
        resource: scalar R >= 0.
        lower: scalar or (n,), >= 0, the least that a use gets if it is served at all.
        upper: None for R, or scalar or (n,), the most; 0 for a use that is never served.
        idle: scalar or (n,), what a use brings when left out.

    Returns:
        A `SparseSplit`.

    Raises:
        UserError: as `split` does, and for more uses than can be enumerated.

    >>> from attnjax.allocation import Concave
    >>> gain = Concave(lambda w, a: a * w, (jnp.array([1.0, 2.0, 3.0]),))
    >>> found = split_or_skip(gain, lower=0.4, upper=jnp.array([1.0, 1.0, 0.5]))
    >>> print(np.asarray(found.shares).round(3), float(found.value), float(found.price_bound))
    [0.  0.5 0.5] 2.5 2.5
    """
    resource, lower, upper = checked("split_or_skip", contribution, resource, lower, upper, skippable=True)
    if lower.size > MOST_USES:
        fail(
            "split_or_skip",
            expected=f"at most {MOST_USES} uses",
            got=str(lower.size),
            advice="All choices of uses are tried: split among groups first, then within each.",
        )
    idle = jnp.asarray(idle, lower.dtype)
    if idle.shape not in ((), lower.shape):
        fail(
            "split_or_skip",
            expected=f"idle to be a scalar or of shape {lower.shape}",
            got=f"shape {idle.shape}",
            advice="Say what each use brings when it is left out.",
        )
    return _split_or_skip(contribution, resource, lower, upper, jnp.broadcast_to(idle, lower.shape))


@jax.jit
def _split_or_skip(
    contribution: Contribution, resource: Scalar, lower: Vector, upper: Vector, idle: Vector
) -> SparseSplit:
    count = lower.size
    choices = jnp.asarray((np.arange(2**count)[:, None] >> np.arange(count)) & 1, bool)

    def solve(served: Bool[Array, " n"]) -> tuple[Any, Scalar]:
        found = split_unchecked(contribution, resource, jnp.where(served, lower, 0), jnp.where(served, upper, 0))
        # What is left out adds `idle`, and not what its function says of a share of 0.
        brought = contribution.value(found.shares)
        return found, jnp.sum(jnp.where(served, brought, idle))

    def judge(served: Bool[Array, " n"]) -> tuple[Scalar, Scalar]:
        found, value = solve(served)
        possible = found.feasible & (~served | (upper > 0)).all()
        return jnp.where(possible, value, -jnp.inf), jnp.where(possible, value + found.gap, -jnp.inf)

    fixed = jax.lax.stop_gradient((contribution, resource, lower, upper, idle))
    values, bounds = jax.lax.stop_gradient(jax.vmap(judge)(choices))
    best = jnp.argmax(values)
    served, feasible = choices[best], values[best] > -jnp.inf
    found, value = solve(served)
    bound = jnp.where(feasible, jnp.max(bounds), jnp.inf)
    gap = jnp.where(feasible, jnp.maximum(bound - jax.lax.stop_gradient(value), 0), jnp.inf)
    alone = jax.lax.stop_gradient(jnp.where(feasible, jnp.maximum(_price_bound(*fixed), bound), jnp.inf))
    return SparseSplit(found.shares, served, found.price, value, bound, gap, alone, feasible)


def _price_bound(contribution: Contribution, resource: Scalar, lower: Vector, upper: Vector, idle: Vector) -> Scalar:
    """The smallest dual value: at each price every use decides alone, and is served where that is better for it."""

    def decide(price: Scalar) -> tuple[Vector, Vector]:
        share = contribution.response(jnp.broadcast_to(price, lower.shape), lower, upper)
        gain = contribution.value(share) - price * share
        served = (upper > 0) & (gain > idle)
        return jnp.where(served, share, 0), jnp.where(served, gain, idle)

    most = jnp.asarray(jnp.finfo(lower.dtype).max / 4, lower.dtype)
    ends = bisect(lambda price: jnp.sum(decide(price)[0]) >= resource, -jnp.sqrt(most), jnp.sqrt(most))
    return jnp.min(jnp.stack([price * resource + jnp.sum(decide(price)[1]) for price in ends]))


def project_or_skip(
    shares: Vector,
    minimum: Any,
    allowed: Bool[Array, " n"] | None = None,
    urgency: Vector | None = None,
) -> Vector:
    """The nearest shares that sum to 1 and are each 0 or at least a minimum.

        argmin |w - shares|^2  over  sum_i w_i = 1,  w_i = 0 or w_i >= minimum

    Exactly, for if k uses are kept they are the urgent ones and then the largest: so n sparsemaxes decide, one for each
    k. Unbatched; works under jit, vmap and grad. The derivative is that of the projection onto the kept uses: above the
    minimum the change less its mean, 0 elsewhere.

    Args:
        shares: (n,), wishes, any numbers.
        minimum: scalar in (0, 1], the least that a use gets if any; at most floor(1 / minimum) uses are kept.
        allowed: (n,), False for padding, which gets 0. Default all.
        urgency: (n,); a use with one above 0 is kept. Where these are too many, those with the largest. Default none.

    Returns:
        (n,), in {0} or [minimum, 1] up to rounding, summing to 1; 0 throughout if nothing is allowed.

    Raises:
        UserError: for a minimum, where it is a number, outside (0, 1], or arrays of another shape.

    >>> print(np.asarray(project_or_skip(jnp.array([0.65, 0.3, 0.05]), 0.2)).round(3))
    [0.675 0.325 0.   ]
    >>> print(np.asarray(project_or_skip(jnp.array([0.65, 0.3, 0.05]), 0.2, urgency=jnp.array([0.0, 0, 1]))).round(3))
    [0.575 0.225 0.2  ]
    """
    shares = jnp.asarray(shares)
    if isinstance(minimum, int | float) and not 0 < minimum <= 1:
        fail(
            "project_or_skip",
            expected="a minimum in (0, 1]",
            got=str(minimum),
            advice="Divide the seconds of minimum green by those of the budget.",
        )
    allowed = jnp.ones(shares.shape, bool) if allowed is None else allowed
    urgency = jnp.zeros_like(shares) if urgency is None else urgency
    if shares.ndim != 1 or allowed.shape != shares.shape or urgency.shape != shares.shape:
        fail(
            "project_or_skip",
            expected="shares (n,), and allowed and urgency of the same shape",
            got=f"shapes {shares.shape}, {allowed.shape} and {urgency.shape}",
            advice="Use jax.vmap for a batch.",
        )
    # Kept first: what is urgent, then what is large; padding last.
    urgency = jax.lax.stop_gradient(jnp.where(allowed, jnp.maximum(urgency, 0), 0))
    order = jnp.lexsort((-jax.lax.stop_gradient(shares), -urgency, ~allowed))
    rank = jnp.zeros(shares.shape, int).at[order].set(jnp.arange(shares.size))
    most = jnp.minimum(jnp.floor(1 / jnp.asarray(minimum, shares.dtype) + 1e-5), jnp.sum(allowed))
    least = jnp.clip(jnp.sum(urgency > 0), 1, jnp.maximum(most, 1))

    def keep(count: Array) -> tuple[Vector, Scalar]:
        kept = (rank < count) & allowed
        spare = jnp.maximum(1 - count * minimum, 0)
        nearest = allocate(jnp.where(kept, shares - minimum, -jnp.inf), spare, regularizer=SquaredNorm()).weights
        found = jnp.where(kept, minimum + nearest, 0)
        possible = (count >= least) & (count <= most)
        return found, jnp.where(possible, jnp.sum(jnp.where(allowed, found - shares, 0) ** 2), jnp.inf)

    found, distance = jax.vmap(keep)(jnp.arange(1, shares.size + 1))
    return jnp.where(allowed.any(), found[jnp.argmin(jax.lax.stop_gradient(distance))], 0)
