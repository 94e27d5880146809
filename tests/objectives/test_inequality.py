import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.objectives import gini, lorenz_curve


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
