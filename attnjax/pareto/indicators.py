"""How good a set of points is, where every objective is minimised: ranks, crowding, hypervolume, IGD+ and R2.

Points are (k, m), k points by m objectives. A point dominates another if it is nowhere larger and somewhere smaller;
one with a NaN neither dominates nor is dominated. All are pure functions of arrays of fixed shape, so they jit and
vmap. Of amounts to be maximised, e.g. `Front.gains`, pass the negative.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail

Points = Float[Array, "k m"]


def _check_points(where: str, points: Array, *others: Array) -> None:
    shapes = [jnp.shape(array) for array in (points, *others)]
    if any(len(shape) != 2 for shape in shapes) or len({shape[-1:] for shape in shapes}) != 1 or 0 in shapes[0]:
        fail(
            where,
            expected="points (k, m), all of as many objectives",
            got=f"shapes {shapes}",
            advice="One row per point, one column per objective to be minimised.",
        )


def dominates(points: Points) -> Bool[Array, "k k"]:
    """Which point dominates which: entry (i, j) says that i dominates j.

    Raises:
        UserError: if the points are not (k, m).

    >>> dominates(jnp.array([[0.0, 0.0], [1.0, 0.0]])).tolist()
    [[False, True], [False, False]]
    """
    _check_points("dominates", points)
    nowhere_larger = (points[:, None, :] <= points[None, :, :]).all(axis=-1)
    return nowhere_larger & ~nowhere_larger.T


def nondominated_ranks(points: Points) -> Int[Array, " k"]:
    """The non-dominated sort: 0 for points that none dominates, 1 for those that only such dominate, and so on.

    Points that are equal have one rank. Work k^2 m, and k^2 for each front.

    Raises:
        UserError: if the points are not (k, m).

    Source: Deb et al. (2002), NSGA-II.

    >>> nondominated_ranks(jnp.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 2.0]])).tolist()
    [0, 0, 1, 2]
    """
    beats = dominates(points)
    count = points.shape[0]

    def peel(state: tuple[Array, Array]) -> tuple[Array, Array]:
        ranks, front = state
        left = ranks < 0
        beaten = (beats & left[:, None]).any(axis=0)
        return jnp.where(left & ~beaten, front, ranks), front + 1

    start = (jnp.full(count, -1), jnp.asarray(0))
    return jax.lax.while_loop(lambda state: (state[0] < 0).any() & (state[1] < count), peel, start)[0]


def crowding_distance(points: Points) -> Float[Array, " k"]:
    """How far apart a point's neighbours are: per objective the gap between them over the range, summed.

    inf for the ends in any objective. For points of one front; an objective in which all are equal counts 0.

    Raises:
        UserError: if the points are not (k, m).

    Source: Deb et al. (2002), NSGA-II.

    >>> crowding_distance(jnp.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])).tolist()
    [inf, 2.0, inf]
    """
    _check_points("crowding_distance", points)

    def along(values: Array) -> Array:
        order = jnp.argsort(values)
        rising = values[order]
        span = rising[-1] - rising[0]
        gaps = (rising[2:] - rising[:-2]) / jnp.where(span > 0, span, 1)
        ends = jnp.where(span > 0, jnp.inf, 0).astype(values.dtype)[None]
        return jnp.zeros_like(values).at[order].set(jnp.concatenate([ends, gaps, ends])[: values.size])

    return jnp.sum(jax.vmap(along, in_axes=1)(points), axis=0)


def hypervolume(points: Points, reference: Float[Array, " m"]) -> Float[Array, ""]:
    """The area or volume that the points dominate up to a reference point, exactly, for two or three objectives.

    Points beyond the reference add nothing. Its gradient in a point is minus the size of the faces of the volume that
    the point alone bounds: 0 for dominated points. Memory k for two objectives, k^2 for three.

    Args:
        points: (k, m), m = 2 or 3.
        reference: (m,), the worst values that count.

    Returns:
        A scalar in the product of the objectives' units; NaN where a point is.

    Raises:
        UserError: for another number of objectives; use moocore for more.

    Source: Zitzler and Thiele (1998); Guerreiro, Fonseca and Paquete (2021), The hypervolume indicator.

    >>> float(hypervolume(jnp.array([[1.0, 2.0], [2.0, 1.0]]), jnp.array([3.0, 3.0])))
    3.0
    >>> float(hypervolume(jnp.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]), jnp.array([2.0, 2.0, 2.0])))
    5.0
    """
    _check_points("hypervolume", points)
    if points.shape[1] not in (2, 3) or jnp.shape(reference) != points.shape[1:]:
        fail(
            "hypervolume",
            expected="points (k, 2) or (k, 3) and a reference of as many objectives",
            got=f"points {points.shape} and a reference {jnp.shape(reference)}",
            advice="moocore.hypervolume is exact for more objectives.",
        )
    inside = jnp.minimum(points, reference[None, :])
    if points.shape[1] == 2:
        return _area(inside, reference)
    rising = inside[jnp.argsort(inside[:, 2])]
    # Between the height of a point and that of the next the section is what all points so far dominate.
    below = jnp.tri(rising.shape[0], dtype=bool)
    sections = jnp.where(below[:, :, None], rising[None, :, :2], reference[None, None, :2])
    heights = jnp.append(rising[1:, 2], reference[2]) - rising[:, 2]
    return jnp.sum(heights * jax.vmap(lambda section: _area(section, reference[:2]))(sections))


def _area(points: Float[Array, "k 2"], reference: Float[Array, " 2"]) -> Float[Array, ""]:
    rising = points[jnp.argsort(points[:, 0])]
    # The best second objective among points up to here, over the strip to the next point.
    best = jax.lax.cummin(rising[:, 1])
    widths = jnp.append(rising[1:, 0], reference[0]) - rising[:, 0]
    return jnp.sum(widths * (reference[1] - best))


def igd_plus(points: Points, front: Float[Array, "f m"]) -> Float[Array, ""]:
    """IGD+: the mean distance from points of the true front to the set, counting only where the set is worse.

        mean over z of min over a of |max(a - z, 0)|

    0 where every point of the front is weakly dominated by the set. It never gets worse when a point improves.

    Args:
        points: (k, m), the set.
        front: (f, m), points of the true front.

    Returns:
        A scalar, at least 0.

    Raises:
        UserError: if the shapes don't fit.

    Source: Ishibuchi et al. (2015), Modified distance calculation in generational distance.

    >>> float(igd_plus(jnp.array([[1.0, 1.0]]), jnp.array([[0.0, 1.0], [1.0, 2.0]])))
    0.5
    """
    _check_points("igd_plus", points, front)
    worse = jnp.maximum(points[None, :, :] - front[:, None, :], 0)
    square = jnp.min(jnp.sum(worse**2, axis=-1), axis=1)
    return jnp.mean(jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0))


def r2_indicator(points: Points, weights: Float[Array, "w m"], ideal: Any = 0.0) -> Float[Array, ""]:
    """R2: the mean over weightings of the best Tchebycheff value that the set has for it.

        mean over w of min over a of max_i w_i (a_i - z_i)

    Args:
        points: (k, m), the set.
        weights: (w, m), non-negative, e.g. spread over the simplex.
        ideal: z, scalar or (m,), at or below all points.

    Returns:
        A scalar; less is better.

    Raises:
        UserError: if the shapes don't fit.

    Source: Brockhoff, Wagner and Trautmann (2012), On the properties of the R2 indicator.

    >>> float(r2_indicator(jnp.array([[1.0, 1.0]]), jnp.array([[0.5, 0.5], [1.0, 0.0]])))
    0.75
    """
    _check_points("r2_indicator", points, weights)
    above = points - jnp.broadcast_to(jnp.asarray(ideal, points.dtype), points.shape[1:])[None, :]
    return jnp.mean(jnp.min(jnp.max(weights[:, None, :] * above[None, :, :], axis=-1), axis=1))
