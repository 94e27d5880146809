"""The counterexamples of reproducibility/ERRATA.md, one test each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import SquaredNorm, allocate
from attnjax.objectives import iterate_revenue_rate, revenue_rate, shop_by_descent, shop_optimum


def test_minimising_benefits_picks_the_worst_item():
    benefit = jnp.array([1.0, 0.0])
    best = allocate(benefit, temperature=1e-3).weights
    worst = allocate(-benefit, temperature=1e-3).weights  # what "argmin of a sum of benefits" asks for
    np.testing.assert_allclose(best, [1, 0], atol=1e-6)
    np.testing.assert_allclose(worst, [0, 1], atol=1e-6)


def test_unprojected_descent_runs_away():
    income = jnp.array([2.0, 6.0])
    below = -1.01 * revenue_rate(income[0]) / jnp.sqrt(3)
    literal = shop_by_descent(income, jnp.array([below, 1.0]), learning_rate=0.01, projected=False)
    assert not literal.converged
    assert not literal.attention[0] > -1e6
    mended = shop_by_descent(income, jnp.array([below, 1.0]), learning_rate=0.01, tolerance=1e-7)
    assert mended.converged
    np.testing.assert_allclose(mended.attention, shop_optimum(income), rtol=1e-4)


def test_without_a_budget_goods_do_not_compete():
    alone = shop_optimum(jnp.array([2.0]))[0]
    crowded = shop_optimum(jnp.array([2.0, 600.0, 7000.0]))[0]
    assert alone == crowded
    assert shop_optimum(jnp.array([2.0, 600.0]), 1.0)[0] < shop_optimum(jnp.array([2.0]), 1.0)[0]


@pytest.mark.parametrize("income", [0.5, 6.0, 90.0])
def test_fixed_point_iteration_contracts_at_its_predicted_rate(income, x64):
    root = float(revenue_rate(jnp.float64(income)))
    error = np.abs(np.asarray(iterate_revenue_rate(jnp.array([income], jnp.float64), 400))[:, 0] - root)
    seen = (error[:-1] < 1e-3 * root) & (error[:-1] > 1e-8 * root)
    measured = np.median(error[1:][seen] / error[:-1][seen])
    assert measured == pytest.approx(root / (1 + root), rel=2e-3)
    assert income == pytest.approx(root * (1 + root), rel=1e-12)


def test_constant_satisfaction_gives_one_item_everything():
    scores = jnp.array([0.4, 0.7, 0.69, 0.1])
    limit = allocate(scores, temperature=1e-5).weights
    np.testing.assert_allclose(limit, [0, 1, 0, 0], atol=1e-6)
    assert (allocate(scores, temperature=1e-5, cap=0.5).weights > 0.49).sum() == 2  # a cap makes it an allocation
    assert (allocate(scores, regularizer=SquaredNorm()).weights > 0).sum() > 1  # and so does curvature


def test_squared_error_of_class_indices_has_no_shape():
    outputs, classes = jnp.zeros((64, 10)), jnp.zeros(64, int)
    with pytest.raises((TypeError, ValueError), match=r"incompatible|broadcast"):
        _ = outputs - classes
    assert (outputs - jax.nn.one_hot(classes, 10)).shape == (64, 10)
