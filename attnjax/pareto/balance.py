"""Aggregators by a condition of balance between the objectives: IMTL-G, ConFIG, Aligned-MTL, Nash-MTL, FairGrad.

Unit vectors u_i = g_i / |g_i| and their cosines C carry most of it:

    IMTL-G        equal projections, <d, u_i> the same for all i
    ConFIG        the same, at the length sum_i <g_i, d> / |d|
    Aligned-MTL   the nearest orthogonal gradients of one length
    Nash-MTL      the bargaining solution, <g_i, d> = 1 / w_i
    FairGrad      alpha-fair gains, <g_i, d> = w_i^(-1 / alpha)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
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
from attnjax.pareto.cone import definite_cosines, per_gradient, relative_lengths
from attnjax.pareto.gradients import Geometry

STEPS = 100
STEP_SIZES = 0.5 ** np.arange(24)


def _eigen(matrix: Float[Array, "m m"]) -> tuple[Float[Array, " m"], Float[Array, "m m"]]:
    """Eigenvalues and vectors; NaN where an entry is none.

    In a branch of its own: with LAPACK at the top level of a program XLA runs all of it on a CPU a quarter slower.
    """

    def nothing(matrix: Array) -> tuple[Array, Array]:
        return jnp.full_like(matrix[0], jnp.nan), jnp.full_like(matrix, jnp.nan)

    return jax.lax.cond(jnp.isfinite(matrix).all(), lambda a: tuple(jnp.linalg.eigh(a)), nothing, matrix)


def _least_squares(matrix: Float[Array, "m m"], right: Float[Array, " m"]) -> Float[Array, " m"]:
    """The shortest least-squares solution; eigenvalues that are rounding errors count as 0."""
    values, vectors = _eigen(matrix)
    cutoff = matrix.shape[0] * jnp.finfo(matrix.dtype).eps * jnp.max(jnp.abs(values))
    kept = values > cutoff
    return vectors @ jnp.where(kept, (vectors.T @ right) / jnp.where(kept, values, 1), 0)


def imtl_g() -> Aggregator:
    """The direction with the same projection on every gradient, by weights that sum to 1 (and may be negative).

    C z = 1 and w_i proportional to z_i / |g_i|, in the least-squares sense where the cosines are singular. It promises
    the same sign of change to all, not which. The weights are 0 where they would sum to 0; a zero gradient has none.

    Source: Liu et al. (2021), Towards impartial multi-task learning, ICLR.

    >>> combined, _ = imtl_g().combine(jnp.array([[2.0, 0.0], [0.0, 1.0]]), ())
    >>> [round(float(x), 4) for x in combined.weights]
    [0.3333, 0.6667]
    """

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        seen = (geometry.norms > 0).astype(geometry.norms.dtype)
        parts = per_gradient(_least_squares(geometry.cosines, seen), geometry)
        total, size = jnp.sum(parts), jnp.sum(jnp.abs(parts))
        enough = jnp.abs(total) > 8 * jnp.finfo(parts.dtype).eps * size
        weights = jnp.where(enough, parts / jnp.where(enough, total, 1), 0)
        return Weighed(weights, jnp.zeros_like(total)), state

    return by_geometry("imtl_g", weigh)


def config(preference: Any = None) -> Aggregator:
    """The conflict-free direction: equal projections on all unit gradients, at the length the gradients have along it.

        d = (sum_i <g_i, x>) x,     x the unit vector along U^+ u,  rows of U the unit gradients

    Conflicts with no objective where the gradients are linearly independent. Linear in the length of each gradient.

    Args:
        preference: (m,), u: the wanted ratio of projections, on the simplex; equal by default.

    Raises:
        UserError: for weights off the simplex; in use, for another number of gradients.

    Source: Liu, Chu and Thuerey (2024), ConFIG: towards conflict-free training of physics informed neural networks.

    >>> combined, _ = config().combine(jnp.array([[2.0, 0.0], [0.0, 1.0]]), ())
    >>> combined.direction.round(4).tolist()
    [1.5, 1.5]
    """
    preference = checked_preference("config", preference)

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        wished = preference_or_equal(preference, geometry.norms)
        along = _least_squares(geometry.cosines, jnp.where(geometry.norms > 0, wished, 0))
        projections = geometry.cosines @ along
        square = along @ projections
        # A right-hand side out of the range gives a solution that is rounding error.
        found = square > geometry.norms.size * jnp.finfo(square.dtype).eps * (wished @ wished)
        length = (geometry.norms / geometry.longest) @ projections / jnp.where(found, square, 1)
        return Weighed(jnp.where(found, length, 0) * per_gradient(along, geometry), jnp.zeros_like(square)), state

    return by_geometry("config", weigh, preference=preference)


def aligned_mtl(preference: Any = None) -> Aggregator:
    """The mean of the gradients after their principal components are brought to one length, the smallest.

        w = sqrt(lambda_min) G^(-1/2) u

    with lambda_min the smallest eigenvalue of the Gramian that is not a rounding error; smaller ones are dropped.
    With all gradients zero the weights are the preference.

    Args:
        preference: (m,), u on the simplex; equal by default.

    Raises:
        UserError: for weights off the simplex; in use, for another number of gradients.

    Source: Senushkin et al. (2023), Independent component alignment for multi-task learning, CVPR.

    >>> combined, _ = aligned_mtl().combine(jnp.array([[2.0, 0.0], [0.0, 1.0]]), ())
    >>> combined.direction.round(4).tolist()
    [0.5, 0.5]
    """
    preference = checked_preference("aligned_mtl", preference)

    def weigh(geometry: Geometry, state: State) -> tuple[Weighed, State]:
        wished = preference_or_equal(preference, geometry.norms)
        values, vectors = _eigen(geometry.gramian)
        kept = values > geometry.norms.size * jnp.finfo(values.dtype).eps * jnp.max(values)
        smallest = jnp.min(jnp.where(kept, values, jnp.inf))
        inverse = jnp.where(kept, jnp.sqrt(smallest / jnp.where(kept, values, 1)), 0)
        weights = vectors @ (inverse * (vectors.T @ wished))
        return Weighed(jnp.where(kept.any(), weights, wished), jnp.zeros_like(smallest)), state

    return by_geometry("aligned_mtl", weigh, preference=preference)


class _Search(NamedTuple):
    point: Array
    residual: Array
    stuck: Array
    taken: Array


def _balanced(matrix: Float[Array, "m m"], pull: Float[Array, " m"], power: float) -> tuple[Array, Array]:
    """The z > 0 with H z = k z^(-power), and max_i |z_i (H z)_i / (k z_i^(1 - power)) - 1|.

    It minimises the convex 1/2 z' H z - sum_i k_i z_i^(1 - power) / (1 - power): Newton's method with the longest step
    of 1, 1/2, 1/4, ... that stays positive and goes not far beyond the minimum along its line.
    """
    tol = 16 * float(jnp.finfo(matrix.dtype).eps)

    def slope(point: Array) -> Array:
        return matrix @ point - pull * point**-power

    def missed(point: Array) -> Array:
        return jnp.max(jnp.abs((matrix @ point) * point**power / pull - 1))

    def step(state: _Search) -> _Search:
        point, downhill = state.point, slope(state.point)
        factor = jax.scipy.linalg.cho_factor(matrix + jnp.diag(power * pull * point ** (-power - 1)))
        move = -jax.scipy.linalg.cho_solve(factor, downhill)
        tried = point[None, :] + jnp.asarray(STEP_SIZES, point.dtype)[:, None] * move[None, :]
        inside = (tried > 0.05 * point[None, :]).all(axis=1)
        slopes = jax.vmap(slope)(jnp.where(inside[:, None], tried, point[None, :])) @ move
        good = inside & (slopes <= 0.5 * jnp.abs(downhill @ move))
        new = jnp.where(good.any(), tried[jnp.argmax(good)], point)
        residual = missed(new)
        # Near rounding the residual stops falling; before, it may rise for some steps.
        stuck = ~good.any() | ((residual >= state.residual) & (residual < 1e3 * tol))
        return _Search(jnp.where(stuck, point, new), jnp.where(stuck, state.residual, residual), stuck, state.taken + 1)

    def running(state: _Search) -> Array:
        return (state.taken < STEPS) & (state.residual > tol) & ~state.stuck

    alone = pull ** (1 / (1 + power))  # the solution if no two gradients had anything in common
    start = alone * (jnp.sum(alone**2) / (alone @ matrix @ alone)) ** (1 / (1 + power))
    last = jax.lax.while_loop(running, step, _Search(start, missed(start), jnp.asarray(False), jnp.asarray(0)))
    return last.point, last.residual


def _fair_weights(geometry: Geometry, alpha: float) -> Weighed:
    lengths = relative_lengths(geometry)
    along, residual = _balanced(definite_cosines(geometry), lengths ** (1 / alpha - 1), 1 / alpha)
    unit = geometry.longest ** (-2 * alpha / (1 + alpha))
    return Weighed(unit * per_gradient(along, geometry), residual)


def nash_mtl() -> Aggregator:
    """The Nash bargaining solution: the direction that maximises the sum of the logarithms of all gains.

        <g_i, d> = 1 / w_i   for all i,      |d|^2 = m

    Its length does not depend on the gradients', so the learning rate is the step; put `optax.clip_by_global_norm`
    after it to bound steps where gradients vanish. It conflicts with no objective. At a Pareto stationary point there
    is no solution; that of the cosines with a rounding error on their diagonal is used: its direction is near 0, its
    weights are as large as the type allows, and the residual, about 0.1, says that it solves nothing.

    Source: Navon et al. (2022), Multi-task learning as a bargaining game, ICML.

    >>> combined, _ = nash_mtl().combine(jnp.array([[2.0, 0.0], [0.0, 1.0]]), ())
    >>> combined.direction.round(4).tolist()
    [1.0, 1.0]
    """
    return by_geometry("nash_mtl", lambda geometry, state: (_fair_weights(geometry, 1.0), state))


def fairgrad(alpha: float = 2.0) -> Aggregator:
    """Alpha-fair gains: the direction that maximises alpha-fair welfare of the gains <g_i, d>.

        <g_i, d> = w_i^(-1 / alpha)   for all i

    alpha = 1 is `nash_mtl`; a larger one cares more for the objective that gains least. Its length scales with the
    gradients' as s^((1 - alpha) / (1 + alpha)). It conflicts with no objective; at a Pareto stationary point as
    `nash_mtl`.

    Args:
        alpha: above 0.

    Raises:
        UserError: for an alpha that is not above 0.

    Source: Ban and Ji (2024), Fair resource allocation in multi-task learning, ICML.

    >>> combined, _ = fairgrad(2.0).combine(jnp.array([[1.0, 0.0], [0.0, 8.0]]), ())
    >>> [round(float(x), 4) for x in combined.direction]
    [1.0, 0.5]
    """
    if not alpha > 0:
        fail("fairgrad", expected="alpha above 0", got=str(alpha), advice="1 is Nash bargaining; for 0 use mean().")
    return by_geometry("fairgrad", lambda geometry, state: (_fair_weights(geometry, float(alpha)), state))
