"""How good a set of points is, in units where uniform attention is (0, 1, 0) and nothing gets beyond 1.

hypervolume   of what the points dominate in the cube from (0, 0, 0) to (1, 1, 1)
ceiling       the same of everything that no certificate excludes: no optimiser can have more
distance      IGD+ to the exact points
room          how much more all three parties could have at once, at most: mean over the points
spread        the largest distance between two of the points
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from attnjax.pareto import hypervolume, igd_plus
from experiments.pareto_fronts.optimisers import Solved

ROWS = 128
"""Sets are filled up to a multiple of it (with copies of their first point), so that few programs measure them all."""

CELLS = 48
"""The ceiling is counted in cubes of 1 / 48."""


class Planes(NamedTuple):
    """What certificates exclude: <weights, gains> above upper.

    Attributes:
        weights: (k, 3), on the simplex.
        upper: (k,).
    """

    weights: NDArray
    upper: NDArray


def planes_of(part: Solved) -> Planes:
    """The certificates of `by_weights`; markets that are not solved have one, too."""
    return Planes(np.asarray(part.weights, float), np.asarray(part.upper, float))


def slack(points: NDArray, planes: Planes) -> NDArray:
    """How far each point (k, 3) is below the nearest plane, counted along (1, 1, 1): (k,)."""
    return (planes.upper[None] - points @ planes.weights.T).min(axis=1)


def ceiling(planes: Planes) -> float:
    """The part of the unit cube in which a point could lie, as far as the planes tell."""
    side = (np.arange(CELLS) + 0.5) / CELLS
    cells = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    return float((slack(cells, planes) >= 0).mean())


def measure(points: NDArray, exact: NDArray, planes: Planes) -> dict[str, float]:
    """All measures of the points that were found, how many those are, and how many failed."""
    found = finite(points)
    kept = found if len(found) else np.zeros((1, 3))
    volume, distance = _indicators(_filled(kept), _filled(exact))
    return {
        "hypervolume": float(volume),
        "distance": float(distance),
        "room": float(np.maximum(slack(kept, planes), 0).mean()),
        "spread": float(np.linalg.norm(kept[:, None] - kept[None], axis=-1).max()),
        "found": float(len(found)),
        "failed": float(len(points) - len(found)),
    }


def certified(part: Solved) -> dict[str, float]:
    """How many markets are solved, and how well those are."""
    return {
        "markets": float(part.solved.size),
        "unsolved": float((~np.asarray(part.solved)).sum()),
        "largest_gap": float(np.max(np.where(part.solved, part.gap, 0))),
    }


def most_above(planes: Planes, sets: Iterable[NDArray]) -> float:
    """By how much a point of any set is above a plane, at most: 0 unless a plane is wrong, but for rounding."""
    return max([0.0, *(float(-slack(points, planes).min()) for points in map(finite, sets) if len(points))])


def worth_apart(part: Solved, others: NDArray) -> float:
    """How far the weighted gains of solved markets are from those of other points for the same weightings, at most."""
    apart = np.abs(np.sum(np.asarray(part.weights) * (np.asarray(part.points) - others), axis=1))
    return float(np.nanmax(apart, initial=0.0))


def finite(points: NDArray) -> NDArray:
    """The points that were found."""
    return points[np.isfinite(points).all(axis=1)]


def _filled(points: NDArray) -> Float[Array, "rows 3"]:
    """Losses, 1 less the gains."""
    rows = np.arange(-(-len(points) // ROWS) * ROWS)
    return jnp.asarray(1 - points[np.where(rows < len(points), rows, 0)], jnp.float32)


@jax.jit
def _indicators(losses: Array, front: Array) -> tuple[Array, Array]:
    return hypervolume(losses, jnp.ones(3, losses.dtype)), igd_plus(losses, front)
