"""The parties' utilities: the market's own numbers, the shop's, and derivatives."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import AlphaFair, Creators, Entropy, Linear, Market, SquaredNorm, exposure_of, welfare_of
from attnjax.errors import UserError
from attnjax.objectives import (
    attention_cost,
    creator_revenue,
    exposure_to,
    platform_income,
    revenue_rate,
    shop_loss,
    shop_revenue,
    user_satisfaction,
)

pytestmark = pytest.mark.usefixtures("x64")
U, N = 4, 5
DRAWS = np.random.default_rng(8)
ATTENTION = DRAWS.dirichlet(np.ones(N), size=U) * np.array([[1.0], [2.0], [0.5], [1.0]])
SCORES = DRAWS.normal(size=(U, N))


def creators():
    return Creators.of([0, 0, 1, 2, 3, 4], [0, 1, 1, 2, 2, 0], num_items=N, num_creators=3)


def test_the_parts_of_a_market_are_these_summed():
    rates, value = np.array([0.3, 0.1, 0.7]), Linear(jnp.array([1.0, 2.0, 0.5]))
    budgets = ATTENTION.sum(axis=1)
    market = Market.of(SCORES, creators(), value, budgets=budgets, platform_rates=rates)
    parts, attention = welfare_of(market, jnp.asarray(ATTENTION)), jnp.asarray(ATTENTION)
    exposure = jnp.sum(exposure_to(attention, market.creators), axis=0)
    np.testing.assert_allclose(exposure, exposure_of(market, attention), rtol=1e-12)
    assert float(budgets @ user_satisfaction(attention, SCORES)) == pytest.approx(float(parts.satisfaction))
    assert float(creator_revenue(exposure, value).sum()) == pytest.approx(float(parts.creators))
    assert float(platform_income(exposure, rates)) == pytest.approx(float(parts.platform))
    assert U * float(attention_cost(attention, Entropy())) == pytest.approx(-float(parts.variety))
    assert float(attention_cost(attention, SquaredNorm())) == pytest.approx((ATTENTION**2).sum() / 2 / U)


def test_satisfaction_is_a_mean_of_scores_without_a_budget():
    spent = user_satisfaction(jnp.asarray(ATTENTION), SCORES)
    np.testing.assert_allclose(spent, user_satisfaction(7 * jnp.asarray(ATTENTION), SCORES), rtol=1e-12)
    assert ((SCORES.min(axis=1) <= spent) & (spent <= SCORES.max(axis=1))).all()
    hidden = np.where(np.arange(N) == 0, -np.inf, SCORES)
    attention = jnp.asarray(ATTENTION).at[:, 0].set(0).at[1].set(0)
    value, gradient = jax.value_and_grad(lambda a: user_satisfaction(a, hidden).sum())(attention)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert user_satisfaction(attention, hidden)[1] == 0


def test_the_gradient_of_satisfaction_is_the_documented_one():
    """Also for an item without attention, which sparse attention could not come back to otherwise."""
    attention = jnp.asarray(ATTENTION).at[0, 2].set(0)
    gradient = jax.grad(lambda a: user_satisfaction(a, SCORES).sum())(attention)
    level = np.asarray(user_satisfaction(attention, SCORES))
    np.testing.assert_allclose(
        gradient, (SCORES - level[:, None]) / np.asarray(attention).sum(axis=1, keepdims=True), rtol=1e-9
    )


def test_the_virtual_shops_loss_from_its_parts():
    """L = sum s a + sum p - sum b_j b_uj with s = a^2 and b_uj = b_j a_uj: its exposure is b_j times attention."""
    income = jnp.array([0.5, 2.0, 6.0, 1.0, 0.1])
    rate = revenue_rate(income)
    exposure = jnp.asarray(ATTENTION).sum(axis=0) * rate
    loss = (ATTENTION**3).sum() + income.sum() - shop_revenue(exposure, income).sum()
    assert float(loss) == pytest.approx(float(shop_loss(jnp.asarray(ATTENTION), income)))
    exact = jax.jacobian(lambda p: shop_revenue(exposure, p))(income)
    np.testing.assert_allclose(np.diag(exact), exposure / (1 + 2 * rate), rtol=1e-12)
    central_differences.assert_close(
        exact, central_differences.jacobian(lambda p: shop_revenue(exposure, p), income), 1e-8
    )


def test_income_is_net_of_what_creators_and_serving_cost():
    exposure, rates = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 0.4, 0.3])
    value = AlphaFair(jnp.ones(3), jnp.full(3, 0.5), jnp.ones(3))

    def income(e):
        return platform_income(e, rates, paid=creator_revenue(e, value), serving_cost=0.1)

    np.testing.assert_allclose(jax.grad(income)(exposure), rates - 0.1 - value.derivative(exposure), rtol=1e-12)


def test_shapes_are_checked():
    for call in (
        lambda: user_satisfaction(jnp.ones((2, 3)), jnp.ones((3, 2))),
        lambda: exposure_to(jnp.ones((2, 4)), creators()),
        lambda: shop_revenue(jnp.ones(2), jnp.ones(3)),
        lambda: platform_income(jnp.ones(2), jnp.ones(2), paid=jnp.ones(3)),
    ):
        with pytest.raises(UserError):
            call()
