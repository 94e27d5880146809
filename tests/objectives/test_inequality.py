import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.objectives import atkinson_index, gini, jain_index, lorenz_curve, smallest_share, smooth_gini


@pytest.fixture(scope="module")
def amounts():
    return jnp.asarray(np.random.default_rng(0).lognormal(size=41).astype(np.float32))


def test_gini_is_half_the_relative_mean_difference(amounts):
    x = np.asarray(amounts, np.float64)
    assert float(gini(amounts)) == pytest.approx(np.abs(x[:, None] - x).mean() / (2 * x.mean()), rel=1e-5)


def test_gini_ignores_order_and_unit(amounts):
    assert float(gini(7 * amounts[::-1])) == pytest.approx(float(gini(amounts)), rel=1e-5)


def test_gini_at_its_ends():
    assert float(gini(jnp.full(9, 3.0))) == 0
    assert float(gini(jnp.zeros(9))) == 0
    assert float(gini(jnp.array([0.0] * 8 + [2.0]))) == pytest.approx(8 / 9)


def test_lorenz_curve_is_convex_from_nothing_to_all(amounts):
    curve = np.asarray(lorenz_curve(amounts, 201))
    assert curve[0] == 0
    assert curve[-1] == pytest.approx(1)
    assert (np.diff(curve, 2) > -1e-6).all()
    area = float(np.sum((curve[1:] + curve[:-1]) / 2) / 200)
    assert 1 - 2 * area == pytest.approx(float(gini(amounts)), abs=2e-3)


def test_every_index_ignores_order_and_unit_and_knows_equality(amounts):
    for index in (smooth_gini, jain_index, atkinson_index, lambda x: atkinson_index(x, 2.0), smallest_share):
        assert float(index(7 * amounts[::-1])) == pytest.approx(float(index(amounts)), rel=1e-4)
        equal = float(index(jnp.full(9, 3.0)))
        assert equal == pytest.approx(float(index(jnp.zeros(9))), abs=1e-6)
        assert equal == pytest.approx(1.0 if index in (jain_index, smallest_share) else 0.0, abs=1e-6)


def test_the_smooth_gini_is_near_below_and_has_a_gradient_at_ties(amounts):
    for width in (0.1, 0.01):
        assert 0 <= float(gini(amounts) - smooth_gini(amounts, width)) <= width / 2
    np.testing.assert_allclose(jax.grad(smooth_gini)(jnp.array([2.0, 2.0, 2.0])), np.zeros(3), atol=1e-7)
    assert np.isfinite(jax.grad(smooth_gini)(jnp.zeros(3))).all()
    with pytest.raises(UserError, match="a width above 0"):
        smooth_gini(amounts, 0.0)


def test_jain_and_atkinson_are_their_formulas(amounts):
    x = np.asarray(amounts, np.float64)
    assert float(jain_index(amounts)) == pytest.approx(x.sum() ** 2 / (x.size * (x**2).sum()), rel=1e-5)
    assert float(jain_index(1e25 * amounts)) == pytest.approx(float(jain_index(amounts)), rel=1e-5)
    for aversion in (0.5, 1.0, 2.0):
        equivalent = np.exp(np.log(x).mean()) if aversion == 1 else (x ** (1 - aversion)).mean() ** (1 / (1 - aversion))
        assert float(atkinson_index(amounts, aversion)) == pytest.approx(1 - equivalent / x.mean(), rel=1e-4)
    assert float(atkinson_index(jnp.array([0.0, 1.0]))) == 1
    for aversion in (0.0, np.inf):
        with pytest.raises(UserError, match="an aversion above 0"):
            atkinson_index(amounts, aversion)


@pytest.mark.usefixtures("x64")
def test_gradients_by_central_differences():
    x = np.array([0.4, 1.0, 2.5, 1.7])
    for index in (gini, smooth_gini, jain_index, atkinson_index, lambda a: atkinson_index(a, 2.0), smallest_share):
        exact = jax.jit(jax.grad(index))(jnp.asarray(x))
        central_differences.assert_close(exact, central_differences.jacobian(jax.jit(index), x), 1e-7)
