"""The *In the source* boxes of tutorial 03, and its cases by hand, again without a notebook."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Creators, Floors, Linear, Market, solve
from attnjax.pareto import mean, mgda, pcgrad, upgrad


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def test_metaverse_income_in_cents_moves_the_allocation():
    taste, euros = jnp.array([[2.0, 1.0]]), jnp.array([0.0, 0.02])
    units = [
        solve(Market.of(taste, Creators.one_per_item(2), platform_rates=unit * euros)).exposure for unit in (1, 100)
    ]
    # Softmax of scores plus rates: (2, 1.02) and (2, 3).
    shares = [1 / (1 + np.exp(0.98)), 1 / (1 + np.exp(-1.0))]
    np.testing.assert_allclose([exposure[1] for exposure in units], shares, atol=1e-6)


def test_metaverse_no_weight_gives_half_and_a_floor_does():
    alike = Market.of([[2.0, 1.0]] * 4, Creators.one_per_item(2), temperature=0.0)
    by_weight = [
        solve(dataclasses.replace(alike, creator_value=Linear(jnp.array([0, b])))).exposure[1] for b in (0.9, 1.1)
    ]
    by_floor = solve(dataclasses.replace(alike, creator_value=Floors(jnp.array([0.0, 2.0]))))
    np.testing.assert_allclose(by_weight, [0.0, 4.0], atol=0.02)  # to the solver's tolerance of 1e-3
    assert by_floor.exposure[1] == pytest.approx(2.0, abs=1e-6)
    assert by_floor.prices[1] == pytest.approx(1.0, abs=1e-3)  # the weight at which users don't care


@pytest.mark.parametrize(
    ("rule", "direction"),
    [
        (mean(), [1, 1 / 2]),
        (mgda(), [3 / 17, 12 / 17]),
        (pcgrad(jax.random.key(0)), [3 / 2, 5 / 2]),
        (upgrad(), [3 / 4, 5 / 4]),
    ],
    ids=["mean", "mgda", "pcgrad", "upgrad"],
)
def test_two_gradients_in_conflict_are_what_the_pencil_says(rule, direction):
    gradients = jnp.array([[3.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_allclose(rule.combine(gradients, rule.init(2))[0].direction, direction, atol=1e-6)


def test_for_three_objectives_pcgrad_may_hurt_one_and_upgrad_does_not():
    gradients = jnp.array([[1.0, 0.0, 0.0], [-0.7, 0.71414284, 0.0], [-0.7, -0.65, 0.29580399]])
    worst = {}
    for name, rule in (("pcgrad", pcgrad(jax.random.key(0))), ("upgrad", upgrad())):
        direction = rule.combine(gradients, rule.init(3))[0].direction
        worst[name] = float(jnp.min(gradients @ direction))
    assert worst["upgrad"] >= -1e-9
    assert worst["pcgrad"] < -1e-3


def test_a_weighted_sum_of_half_a_series_is_least_at_an_end():
    share = np.linspace(0, 1, 1001)
    for weight in np.linspace(0.01, 0.99, 99):
        total = weight * (1 - (1 - share) ** 2) + (1 - weight) * (1 - share**2)
        assert np.argmin(total) in (0, 1000)
        assert np.all(np.diff(total, 2) < 0)
