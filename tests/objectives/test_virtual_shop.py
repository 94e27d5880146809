"""*Metaverse* §4.3, three ways, and what is wrong in it."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnjax.errors import UserError
from attnjax.objectives import (
    iterate_revenue_rate,
    revenue_rate,
    shop_by_descent,
    shop_by_operator,
    shop_loss,
    shop_optimum,
)

pytestmark = pytest.mark.usefixtures("x64")
incomes = arrays(np.float64, 4, elements=st.floats(0, 50))


@given(income=arrays(np.float64, 4, elements=st.floats(0, 1e12)))
def test_the_revenue_rate_is_the_positive_fixed_point(income):
    rate = np.asarray(revenue_rate(income))
    assert (rate >= 0).all()
    np.testing.assert_allclose(rate * (1 + rate), income, rtol=1e-14)
    np.testing.assert_allclose(rate, (np.sqrt(1 + 4 * income) - 1) / 2, rtol=1e-9, atol=1e-12)


def test_the_revenue_rate_keeps_its_digits_and_its_derivative():
    assert float(revenue_rate(1e-14)) == pytest.approx(1e-14, rel=1e-13)
    for income in (0.0, 0.3, 2.0, 100.0):
        slope = jax.grad(revenue_rate)(income)
        assert float(slope) == pytest.approx(1 / (1 + 2 * float(revenue_rate(income))), rel=1e-14)


@pytest.mark.parametrize("income", [0.1, 2.0, 100.0])
def test_the_documents_iteration_converges_at_the_rate_b_over_one_plus_b(income):
    """Erratum Metaverse-3: errors alternate in sign and shrink by b / (1 + b), slowly for large p."""
    root = float(revenue_rate(income))
    errors = np.asarray(iterate_revenue_rate(jnp.array([income]), 400))[:, 0] - root
    factor = -root / (1 + root)
    late = np.flatnonzero(np.abs(errors) > 1e-9 * (1 + root))[-1]
    assert errors[late] / errors[late - 1] == pytest.approx(factor, rel=1e-6)
    if income == 100.0:
        assert abs(errors[50]) > 1e-3  # after fifty iterations not three digits
    assert abs(errors[-1]) < 1e-9


def test_the_iterations_are_the_definition():
    steps = np.asarray(iterate_revenue_rate(jnp.array([2.0, 6.0]), 3))
    np.testing.assert_allclose(steps, [[2, 6], [2 / 3, 6 / 7], [2 / (5 / 3), 6 / (13 / 7)]], rtol=1e-15)
    with pytest.raises(UserError, match=r"iterate_revenue_rate: expected at least 1 step, got 0\. Ask for more steps"):
        iterate_revenue_rate(jnp.array([1.0]), 0)


def test_the_loss_is_the_documents_sum_and_its_gradient_3aa_minus_bb():
    income = np.array([2.0, 6.0, 0.5])
    attention = np.array([[0.1, 0.5, 0.2], [1.0, 0.0, 0.4]])
    rate = np.asarray(revenue_rate(income))
    satisfaction, exposure = attention**2, rate * attention
    by_sums = (satisfaction * attention).sum() + income.sum() - (rate * exposure).sum()
    assert float(shop_loss(attention, income)) == pytest.approx(by_sums, rel=1e-14)
    gradient = jax.grad(shop_loss)(jnp.asarray(attention), income)
    np.testing.assert_allclose(gradient, 3 * attention**2 - rate**2, atol=1e-14)
    # Users don't interact: two users' loss is the sum of each one's, less the platform's income counted once more.
    apart = sum(float(shop_loss(row, income)) for row in attention) - income.sum()
    assert float(shop_loss(attention, income)) == pytest.approx(apart, rel=1e-14)


descend = jax.jit(lambda p, start, r, rate: shop_by_descent(p, start, r, learning_rate=rate))
descend_freely = jax.jit(lambda p, start, rate: shop_by_descent(p, start, learning_rate=rate))


@given(income=incomes, budget=st.floats(0.1, 5))
def test_closed_form_and_operator_agree_for_any_prices(income, budget):
    """To 1e-6: near an entry that just enters, a weight is the square root of a difference, with half the digits."""
    for at_most in (False, True):
        closed, operator = (
            shop_optimum(income, budget, at_most=at_most),
            shop_by_operator(income, budget, at_most=at_most),
        )
        np.testing.assert_allclose(operator.weights, closed, atol=1e-6)
        loss = income.sum() - float(operator.value)
        assert float(shop_loss(closed, income)) == pytest.approx(loss, abs=1e-9 * (1 + abs(loss)))
        assert float(closed.sum()) <= budget + 1e-6
        if not at_most:
            assert float(closed.sum()) == pytest.approx(budget, abs=1e-6)
    loose = shop_by_operator(income, 1e6, at_most=True).weights
    np.testing.assert_allclose(loose, shop_optimum(income), atol=1e-6)


@given(income=arrays(np.float64, 4, elements=st.floats(0.5, 20)), budget=st.floats(0.5, 3))
def test_projected_descent_ends_at_the_closed_form(income, budget):
    rate = 0.1 / max(budget, float(shop_optimum(income).max()))
    bound = descend(income, np.full(4, budget / 4), budget, rate)
    assert bool(bound.converged)
    np.testing.assert_allclose(bound.attention, shop_optimum(income, budget), atol=1e-6)
    free = descend_freely(income, np.full(4, 0.5), rate)
    assert bool(free.converged)
    np.testing.assert_allclose(free.attention, shop_optimum(income), atol=1e-6)
    np.testing.assert_allclose(free.attention, revenue_rate(income) / np.sqrt(3), atol=1e-6)


@pytest.mark.parametrize("budget", [0.9, 5.0], ids=["binding", "spare"])
def test_projected_descent_holds_an_upper_bound_too(budget):
    income = jnp.array([2.0, 6.0, 0.4])
    held = shop_by_descent(income, jnp.full(3, 0.3), budget, at_most=True)
    assert bool(held.converged)
    np.testing.assert_allclose(held.attention, shop_optimum(income, budget, at_most=True), atol=1e-6)


def test_each_unconstrained_pair_contributes_minus_two_b_cubed_over_three_root_three():
    income = jnp.array([2.0, 6.0])
    worth = -2 * np.array([1.0, 8.0]) / (3 * np.sqrt(3))
    assert float(shop_loss(shop_optimum(income), income)) == pytest.approx(worth.sum() + 8.0, rel=1e-14)


def test_the_unprojected_descent_runs_away_from_a_negative_start():
    """Erratum Metaverse-2: nothing in the document keeps attention from falling below zero."""
    income, start = jnp.array([2.0, 6.0]), jnp.array([-0.7, 0.5])
    loose = shop_by_descent(income, start, projected=False)
    assert not bool(loose.converged)
    assert not np.isfinite(loose.attention[0])
    assert int(loose.iterations) < 1000  # it notices
    few = shop_by_descent(income, start, projected=False, max_iterations=20)
    assert float(shop_loss(few.attention, income)) < float(shop_loss(shop_optimum(income), income)) - 1
    held = shop_by_descent(income, start)
    assert bool(held.converged)
    np.testing.assert_allclose(held.attention, shop_optimum(income), atol=1e-6)


def test_giving_up_is_reported():
    result = shop_by_descent(jnp.array([2.0, 6.0]), jnp.array([0.1, 0.1]), max_iterations=3)
    assert int(result.iterations) == 3
    assert not bool(result.converged)


def test_unprojected_descent_refuses_a_budget():
    with pytest.raises(UserError, match=r"shop_by_descent: expected no budget.*got budget=1.0.*projected=True"):
        shop_by_descent(jnp.ones(2), jnp.ones(2), 1.0, projected=False)


@pytest.mark.parametrize("income", [[0.0, 0.0], [0.0, 3.0], [5.0, 5.0]])
def test_special_prices(income):
    income = jnp.array(income)
    for budget in (0.0, 0.7, 10.0):
        closed = shop_optimum(income, budget)
        np.testing.assert_allclose(closed, shop_by_operator(income, budget).weights, atol=1e-6)
        assert float(closed.sum()) == pytest.approx(budget, abs=1e-6)


def test_the_operators_derivative_in_the_prices_is_exact():
    income = np.array([2.0, 6.0, 0.4, 3.0])
    run = jax.jit(lambda p: shop_by_operator(p, 0.9).weights)
    numerical = central_differences.jacobian(run, income)
    central_differences.assert_close(
        jax.jit(jax.jacrev(lambda p: shop_by_operator(p, 0.9).weights))(income), numerical, 1e-6
    )
