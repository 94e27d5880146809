"""The indicators against loops, areas counted in pixels, and what they must not reward."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.pareto import (
    crowding_distance,
    dominates,
    hypervolume,
    igd_plus,
    nondominated_ranks,
    r2_indicator,
)

pytestmark = pytest.mark.usefixtures("x64")
POINTS = np.random.default_rng(6).integers(0, 6, size=(20, 3)).astype(float)


def beats(a, b):
    return bool((a <= b).all() and (a < b).any())


def test_ranks_are_those_of_peeling_by_hand():
    wanted, left, front = {}, set(range(20)), 0
    while left:
        best = {i for i in left if not any(beats(POINTS[j], POINTS[i]) for j in left)}
        wanted |= dict.fromkeys(best, front)
        left, front = left - best, front + 1
    assert nondominated_ranks(jnp.asarray(POINTS)).tolist() == [wanted[i] for i in range(20)]
    assert front > 2
    table = dominates(jnp.asarray(POINTS))
    assert all(bool(table[i, j]) == beats(POINTS[i], POINTS[j]) for i in range(20) for j in range(20))


def test_hypervolume_counts_the_dominated_pixels():
    """Points with whole coordinates: the volume is a number of unit cubes. Some lie beyond the reference."""
    middles = np.stack(np.meshgrid(*[np.arange(7) + 0.5] * 3, indexing="ij"), axis=-1)
    for reference in (np.array([5.0, 4.0]), np.array([5.0, 4.0, 6.0])):
        m = reference.size
        cubes = middles[:, :, 0, :2] if m == 2 else middles
        run = jax.jit(hypervolume)
        for count in (1, 4, 20):
            points = POINTS[:count, :m]
            covered = (points[(slice(None), *[None] * m)] < cubes).all(axis=-1).any(axis=0)
            assert float(run(jnp.asarray(points), reference)) == (covered & (cubes < reference).all(axis=-1)).sum()
    assert np.isnan(hypervolume(jnp.array([[0.0, 1.0], [jnp.nan, 0.0]]), jnp.ones(2)))
    for points, reference in ((np.ones((2, 4)), np.ones(4)), (np.ones((2, 3)), np.ones(2))):
        with pytest.raises(UserError, match=r"points \(k, 2\) or \(k, 3\)"):
            hypervolume(points, reference)


def test_the_gradient_of_hypervolume_is_the_size_of_its_faces():
    points, reference = np.array([[0.5, 2.0], [1.0, 1.0], [2.5, 0.3], [2.0, 2.0]]), jnp.array([3.0, 3.0])
    slope = jax.jit(jax.grad(hypervolume))
    exact = slope(jnp.asarray(points), reference)
    np.testing.assert_allclose(exact[1], [-(2.0 - 1.0), -(2.5 - 1.0)])
    np.testing.assert_array_equal(exact[3], [0, 0])
    solid = np.concatenate([points, [[1.5], [0.2], [1.1], [2.9]]], axis=1)
    for corners, worst in ((points, reference), (solid, jnp.array([3.0, 3.0, 3.0]))):
        volume = jax.jit(lambda flat, shape=corners.shape, worst=worst: hypervolume(flat.reshape(shape), worst))
        numerical = central_differences.jacobian(volume, corners.ravel())
        np.testing.assert_allclose(slope(jnp.asarray(corners), worst).ravel(), numerical, atol=1e-8)


def test_igd_plus_is_the_double_loop_and_zero_where_the_front_is_met():
    front = POINTS[np.asarray(nondominated_ranks(jnp.asarray(POINTS))) == 0]
    some = POINTS[5:9]
    wanted = np.mean([min(np.linalg.norm(np.maximum(a - z, 0)) for a in some) for z in front])
    assert float(igd_plus(some, front)) == pytest.approx(wanted)
    assert float(igd_plus(POINTS, front)) == 0
    assert np.isfinite(jax.grad(igd_plus)(jnp.asarray(POINTS), front)).all()


def test_r2_is_the_double_loop_and_more_points_never_hurt():
    weights = np.random.default_rng(0).dirichlet(np.ones(3), size=9)
    ideal = np.array([-1.0, 0.0, -0.5])
    values = []
    for count in (3, 10, 20):
        wanted = np.mean([min((w * (a - ideal)).max() for a in POINTS[:count]) for w in weights])
        values.append(float(r2_indicator(POINTS[:count], weights, ideal)))
        assert values[-1] == pytest.approx(wanted)
    assert values == sorted(values, reverse=True)


def test_crowding_is_the_gap_between_neighbours():
    front = np.array([[0.0, 10.0], [1.0, 6.0], [2.0, 5.0], [6.0, 1.0], [10.0, 0.0]])
    wanted = [np.inf, 0.2 + 0.5, 0.5 + 0.5, 0.8 + 0.5, np.inf]
    order = [3, 0, 4, 2, 1]
    np.testing.assert_allclose(crowding_distance(jnp.asarray(front[order])), np.array(wanted)[order])
    np.testing.assert_array_equal(crowding_distance(jnp.ones((3, 2))), np.zeros(3))
    for few in (1, 2):
        assert crowding_distance(jnp.asarray(front[:few])).shape == (few,)


def test_shapes_are_checked():
    for call in (lambda: dominates(jnp.ones(3)), lambda: igd_plus(jnp.ones((2, 3)), jnp.ones((2, 2)))):
        with pytest.raises(UserError, match="as many objectives"):
            call()
