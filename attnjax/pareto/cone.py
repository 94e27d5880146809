"""Aggregators that solve a quadratic program: MGDA, UPGrad, DualProj, CAGrad.

All come down to `nonnegative_quadratic` with the Gramian G of the gradients g_i, whatever their number of entries, and
all return weights with the residual of the program. The dual cone is where no objective gets worse to first order,
{d : <g_i, d> >= 0 for all i}; its nearest point to J' u is J' v with v the minimiser of v' G v over v >= u.

A gradient that the others outweigh by 1e18 or more counts as 1e-18 of the longest.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.pareto.aggregator import (
    Aggregator,
    State,
    Weighed,
    by_geometry,
    checked_preference,
    preference_or_equal,
)
from attnjax.pareto.gradients import Geometry
from attnjax.pareto.quadratic import nonnegative_quadratic

SHORTEST = 1e-18
NEWTON_STEPS = 20


def rounding_of(geometry: Geometry) -> float:
    """By how much rounding moves eigenvalues of m cosines: what is added to their diagonal.

    The errors of single cosines are independent, so they add up like the square root of m.
    """
    return 4 * geometry.norms.size**0.5 * float(jnp.finfo(geometry.norms.dtype).eps)


def relative_lengths(geometry: Geometry) -> Float[Array, " m"]:
    """Lengths in units of the longest, at least 1e-18."""
    return jnp.maximum(geometry.norms / geometry.longest, SHORTEST)


def definite_cosines(geometry: Geometry) -> Float[Array, "m m"]:
    """The cosines with a diagonal of 1 and a little, also for gradients that are zero."""
    ones = jnp.eye(geometry.norms.size, dtype=geometry.norms.dtype)
    return jnp.where(ones > 0, 1 + rounding_of(geometry), geometry.cosines)


def per_gradient(per_unit: Float[Array, " m"], geometry: Geometry) -> Float[Array, " m"]:
    """Weights of the gradients from those of the unit vectors along them, up to the unit; 0 for a zero gradient."""
    return jnp.where(geometry.norms > 0, per_unit / relative_lengths(geometry), 0)


def mgda() -> Aggregator:
    """The shortest vector in the convex hull of the gradients: the steepest direction common to all.

        w = argmin |sum_i w_i g_i|^2 over the simplex

    It conflicts with no objective, <g_i, d> >= |d|^2, and is 0 exactly where the gradients are Pareto stationary. A
    short gradient gets most of the weight. With all gradients zero the weights are equal.

    Source: Desideri (2012), C. R. Acad. Sci. Paris 350; Sener and Koltun (2018), NeurIPS.

    >>> combined, _ = mgda().combine(jnp.array([[2.0, 0.0], [0.0, 1.0]]), ())
    >>> [round(float(x), 4) for x in combined.weights]
    [0.2, 0.8]
    """

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        lengths = relative_lengths(geometry)
        solved = nonnegative_quadratic(definite_cosines(geometry), (-jnp.min(lengths) / lengths)[None])
        # In units of the shortest length: weights before normalisation are finite whatever the lengths.
        parts = solved.x[0] * (jnp.min(lengths) / lengths)
        return Weighed(parts / jnp.sum(parts), solved.residual[0]), state

    return by_geometry("mgda", weigh)


def upgrad(preference: Any = None) -> Aggregator:
    """The mean of the gradients after each is projected onto the dual cone: no conflict, and each has its say.

        d = sum_i u_i pi(g_i),      pi(g) the nearest point of {d : <g_j, d> >= 0 for all j}

    Linear in the length of each gradient: a short one has a small say. 0 where the gradients are Pareto stationary
    with positive weights. The m programs share the Gramian and are solved side by side.

    Args:
        preference: (m,), u on the simplex; equal by default.

    Raises:
        UserError: for weights off the simplex; in use, for another number of gradients.

    Source: Quinton and Rey (2024), Jacobian descent for multi-objective optimization, arXiv:2406.16232.

    >>> combined, _ = upgrad().combine(jnp.array([[1.0, 0.0], [-1.0, 1.0]]), ())
    >>> combined.direction.round(4).tolist()
    [0.25, 0.75]
    """
    preference = checked_preference("upgrad", preference)

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        wished = preference_or_equal(preference, geometry.norms)
        matrix = definite_cosines(geometry)
        solved = nonnegative_quadratic(matrix, matrix)
        each = (wished * geometry.norms / geometry.longest)[:, None] * solved.x
        weights = wished + per_gradient(jnp.sum(each, axis=0), geometry)
        return Weighed(weights, jnp.max(solved.residual)), state

    return by_geometry("upgrad", weigh, preference=preference)


def dualproj(preference: Any = None) -> Aggregator:
    """The point of the dual cone nearest to the mean gradient: no conflict, at the least change.

    0 where the gradients are Pareto stationary with positive weights. A long gradient rules, as it does the mean.

    Args:
        preference: (m,), weights of the mean, on the simplex; equal by default.

    Raises:
        UserError: for weights off the simplex; in use, for another number of gradients.

    Source: Lopez-Paz and Ranzato (2017), Gradient episodic memory, NeurIPS.

    >>> combined, _ = dualproj().combine(jnp.array([[4.0, 0.0], [-1.0, 1.0]]), ())
    >>> combined.direction.round(4).tolist()
    [1.0, 1.0]
    """
    preference = checked_preference("dualproj", preference)

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        wished = preference_or_equal(preference, geometry.norms)
        matrix = definite_cosines(geometry)
        solved = nonnegative_quadratic(matrix, (matrix @ (wished * geometry.norms / geometry.longest))[None])
        return Weighed(wished + per_gradient(solved.x[0], geometry), solved.residual[0]), state

    return by_geometry("dualproj", weigh, preference=preference)


def cagrad(c: float = 0.5) -> Aggregator:
    """Near the mean gradient g_0, the direction that the worst-off objective gains most from.

        d = argmax min_i <g_i, d>   over |d - g_0| <= c |g_0|

    For a promise t to all, the shortest correction e(t) with <g_i, g_0 + e> >= t is a quadratic program; its length is
    convex in t with slope sum(y) / |e(t)|, y its multipliers, so Newton's method from above finds the promise that uses
    up c |g_0|. Where the gradients that bind balance each other no promise above 0 can be kept, which leaves the choice
    open: the direction is then `dualproj`'s. With c >= 1 nothing conflicts, and the direction is 0 where the gradients
    are Pareto stationary with positive weights. With c < 1 it is 0 only where the mean is, so training goes on to the
    least mean loss.

    Args:
        c: at least 0, how far from the mean; 0 is the mean itself.

    Raises:
        UserError: for a negative c.

    Source: Liu et al. (2021), Conflict-averse gradient descent for multi-task learning, NeurIPS.

    >>> combined, _ = cagrad(0.5).combine(jnp.array([[1.0, 0.0], [0.0, 1.0]]), ())
    >>> combined.direction.round(4).tolist()
    [0.75, 0.75]
    """
    if not c >= 0:
        fail("cagrad", expected="c of at least 0", got=str(c), advice="0 is the mean gradient; 0.5 is usual.")

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        lengths, matrix = relative_lengths(geometry), definite_cosines(geometry)
        equal = jnp.full_like(lengths, 1 / lengths.size)
        gains = geometry.gramian @ equal
        reach = c * jnp.sqrt(jnp.maximum(equal @ gains, 0))
        tiny = jnp.finfo(lengths.dtype).tiny

        def step(_: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            """The corrections for the promise and for a promise of 0; then the next promise."""
            promise = state[0]
            promises = jnp.stack([promise, jnp.zeros_like(promise)])
            solved = nonnegative_quadratic(matrix, (gains[None] - promises[:, None]) / lengths[None])
            along = solved.x[0]
            used = jnp.sqrt(jnp.maximum(along @ matrix @ along, 0))
            slope = jnp.sum(along / lengths) / jnp.maximum(used, tiny)
            excess = jnp.where(used > 0, (used - reach) / jnp.maximum(slope, tiny), 0)
            found = (jnp.clip(promise - excess, least, most), solved.x, used, solved.residual)
            # From above Newton's method stays above but for rounding, which a stationary point blows up.
            kept = (used < 0.99 * reach) & (state[2] > 0)
            return jax.tree.map(lambda new, old: jnp.where(kept, old, new), found, state)

        least, most = jnp.min(gains), jnp.min(gains + reach * lengths)
        nothing = jnp.zeros((2, lengths.size), lengths.dtype)
        start = (most, nothing, jnp.zeros_like(most), nothing[:, 0])
        _, (along, nearest), used, (residual, error) = jax.lax.fori_loop(0, NEWTON_STEPS, step, start)
        # Unit gradients that balance to rounding; a short gradient beside a long one is no balance.
        stationary = along @ geometry.cosines @ along <= 8 * rounding_of(geometry) * jnp.sum(along) ** 2
        correction = jnp.where(stationary, nearest, along * reach / jnp.maximum(used, tiny))
        missed = jnp.where(stationary, error, jnp.maximum(residual, jnp.abs(used - reach) / jnp.maximum(reach, tiny)))
        some = reach > 0
        weights = equal + jnp.where(some, per_gradient(correction, geometry), 0)
        return Weighed(weights, jnp.where(some, missed, 0)), state

    return by_geometry("cagrad", weigh)
