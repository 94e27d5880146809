import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import xlogy

from attnjax.allocation import (
    Creators,
    Linear,
    Market,
    Nash,
    Power,
    SeparableConvex,
    allocate,
    best_response,
    exposure_of,
    uniform_attention,
    welfare_of,
)
from attnjax.errors import UserError

INF = np.inf
SCORES = np.array([[1.0, 0.2, -0.5], [0.4, -INF, 0.0]])
MAP = Creators.of([0, 1, 1, 2], [0, 0, 1, 1], [1, 0.5, 0.5, 1], num_items=3, num_creators=2)
DENSE = np.array([[1, 0], [0.5, 0.5], [0, 1.0]])
RATES = np.array([0.3, -0.1])


def market_of(**change):
    terms = {
        "creator_value": Nash(jnp.array([1.0, 2.0])),
        "budgets": [1.0, 3.0],
        "platform_rates": RATES,
        "temperature": 0.5,
    }
    return Market.of(SCORES, MAP, **(terms | change))


REFUSALS = {
    "a vector of scores": ({"scores": np.zeros(3)}, r"scores of shape \(users, 3\).*got shape \(3,\)"),
    "too many items": ({"scores": np.zeros((2, 4))}, r"one column per item.*shape \(2, 4\)"),
    "NaN": ({"scores": np.full((2, 3), np.nan)}, r"scores that are finite, or -inf.*division by zero"),
    "infinity": ({"scores": np.full((2, 3), INF)}, r"scores that are finite"),
    "budgets of another length": (
        {"budgets": [1.0] * 3},
        r"budgets to be a scalar or of shape \(2,\), got shape \(3,\)",
    ),
    "a negative budget": ({"budgets": [1.0, -2.0]}, r"budgets of at least 0, got -2.0. Attention can't"),
    "an infinite budget": ({"budgets": INF}, r"budgets to be finite"),
    "a user without items": ({"scores": [[0.0] * 3, [-INF] * 3]}, r"an admissible item.*none for user 1.*budget to 0"),
    "a negative temperature": ({"temperature": -0.1}, r"a temperature of at least 0, got -0.1"),
    "an infinite temperature": ({"temperature": INF}, r"temperature to be finite"),
    "NaN platform rates": ({"platform_rates": np.nan}, r"platform_rates to be finite"),
    "rates of another length": ({"platform_rates": [0.0] * 3}, r"platform_rates to be a scalar or of shape \(2,\)"),
    "weights of another length": (
        {"creator_value": Nash(jnp.ones(3))},
        r"the creator value's parameters.*shape \(2,\)",
    ),
    "NaN weights": ({"creator_value": Nash(jnp.array([1, np.nan]))}, r"the creator value's parameters to be finite"),
}


@pytest.mark.parametrize(("change", "message"), REFUSALS.values(), ids=REFUSALS)
def test_markets_that_do_not_fit_are_refused(change, message):
    call = {"scores": SCORES, "creators": MAP} | change
    with pytest.raises(UserError, match="Market.of: expected .*" + message):
        Market.of(**call)


def test_defaults_and_dtypes():
    market = Market.of(np.zeros((2, 3), int), MAP)
    assert market.scores.dtype == jnp.float32
    assert isinstance(market.creator_value, Linear)
    np.testing.assert_array_equal(market.creator_value.rates, np.zeros(2))
    np.testing.assert_array_equal(market.budgets, np.ones(2))
    idle = Market.of([[-INF] * 3, [0.0] * 3], MAP, budgets=[0.0, 1.0])
    np.testing.assert_array_equal(uniform_attention(idle)[0], np.zeros(3))


@pytest.mark.usefixtures("x64")
def test_welfare_is_the_sum_of_its_parties():
    market, attention = market_of(), np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 2.0]])
    exposure = attention.sum(axis=0) @ DENSE
    parts = welfare_of(market, attention)
    expected = {
        "satisfaction": (np.where(np.isfinite(SCORES), SCORES, 0) * attention).sum(),
        "variety": -0.5 * xlogy(attention, attention).sum(),
        "creators": np.array([1.0, 2.0]) @ np.log(exposure),
        "platform": RATES @ exposure,
    }
    for name, number in expected.items():
        assert float(getattr(parts, name)) == pytest.approx(number, rel=1e-14)
    assert float(parts.total) == pytest.approx(sum(expected.values()), rel=1e-14)
    np.testing.assert_allclose(exposure_of(market, attention), exposure)


@pytest.mark.usefixtures("x64")
def test_welfares_gradient_is_that_of_its_formula():
    market, attention = market_of(), np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 2.0]])
    gradient = np.asarray(jax.grad(lambda a: welfare_of(market, a).total)(jnp.asarray(attention)))
    price = np.array([1.0, 2.0]) / (attention.sum(axis=0) @ DENSE) + RATES
    used = attention > 0
    expected = SCORES + DENSE @ price - 0.5 * (np.log(np.where(used, attention, 1)) + 1)
    np.testing.assert_allclose(gradient[used], expected[used], rtol=1e-13)
    assert np.isfinite(gradient).all()  # the excluded item has no part in it

    # Where an admissible item gets nothing, a first unit is still worth its score.
    satisfied = jax.grad(lambda a: welfare_of(market, a).satisfaction)(jnp.zeros((2, 3)))
    np.testing.assert_array_equal(satisfied, np.where(np.isfinite(SCORES), SCORES, 0))


@pytest.mark.usefixtures("x64")
def test_best_responses_are_the_operator_row_by_row():
    market, prices = market_of(regularizer=Power(3)), np.array([0.7, -0.2])
    response = best_response(market, jnp.asarray(prices))
    value = 0.0
    for row, budget in enumerate([1.0, 3.0]):
        scores = SCORES[row] + DENSE @ (prices + RATES)
        alone = allocate(scores, budget, None, Power(3), temperature=0.5)
        np.testing.assert_allclose(response.attention[row], alone.weights, atol=1e-14)
        value += float(alone.value)
    assert float(response.value) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(response.exposure, response.attention.sum(axis=0) @ DENSE, rtol=1e-14)


@pytest.mark.usefixtures("x64")
def test_the_users_value_has_exposure_as_its_gradient_in_prices_and_thresholds_in_budgets():
    market, prices = market_of(), jnp.array([0.7, -0.2])
    value = lambda p, r: best_response(dataclasses.replace(market, budgets=r), p).value  # noqa: E731
    in_prices, in_budgets = jax.jit(jax.grad(value, (0, 1)))(prices, market.budgets)
    np.testing.assert_allclose(in_prices, best_response(market, prices).exposure, rtol=1e-13)
    scores = SCORES + DENSE @ (np.asarray(prices) + RATES)
    thresholds = [float(allocate(s, r, temperature=0.5).threshold) for s, r in zip(scores, [1.0, 3.0], strict=True)]
    np.testing.assert_allclose(in_budgets, thresholds, rtol=1e-13)


@pytest.mark.usefixtures("x64")
def test_a_regulariser_with_a_parameter_per_item_serves_every_user():
    cost = SeparableConvex(lambda a, k: k * a**2, (jnp.array([1.0, 2.0, 4.0]),))
    attention = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 2.0]])
    variety = welfare_of(market_of(regularizer=cost), attention).variety
    assert float(variety) == pytest.approx(-0.5 * (attention**2 @ [1, 2, 4]).sum(), rel=1e-14)


def test_uniform_attention_spends_each_budget_on_what_is_admitted():
    np.testing.assert_allclose(uniform_attention(market_of()), [[1 / 3] * 3, [1.5, 0, 1.5]], rtol=1e-6)
