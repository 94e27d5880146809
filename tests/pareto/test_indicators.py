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
    hypervolume_2d,
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
    points = POINTS[:, :2]
    x, y = np.meshgrid(np.arange(7) + 0.5, np.arange(7) + 0.5)
    for count in (1, 4, 20):
        covered = ((points[:count, 0, None, None] < x) & (points[:count, 1, None, None] < y)).any(axis=0)
        inside = covered & (x < 5) & (y < 4)
        assert float(hypervolume_2d(jnp.asarray(points[:count]), jnp.array([5.0, 4.0]))) == inside.sum()
    with pytest.raises(UserError, match="two objectives"):
        hypervolume_2d(jnp.asarray(POINTS), jnp.ones(3))


def test_the_gradient_of_hypervolume_is_the_length_of_its_sides():
    points, reference = np.array([[0.5, 2.0], [1.0, 1.0], [2.5, 0.3], [2.0, 2.0]]), jnp.array([3.0, 3.0])
    exact = jax.grad(hypervolume_2d)(jnp.asarray(points), reference)
    numerical = central_differences.jacobian(lambda p: hypervolume_2d(p.reshape(4, 2), reference), points.ravel())
    np.testing.assert_allclose(exact.ravel(), numerical, atol=1e-8)
    np.testing.assert_allclose(exact[1], [-(2.0 - 1.0), -(2.5 - 1.0)])
    np.testing.assert_array_equal(exact[3], [0, 0])


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
