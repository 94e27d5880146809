"""The *In the source* boxes of tutorial 02, and its counterexamples to the solver, again without a notebook."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Creators, Floors, Linear, Market, Nash, allocate, solve, welfare_of


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def hand_case(scores=((3.0, 1.0), (2.0, 1.5)), floor=0.5):
    floors = Floors(jnp.array([0.0, floor]))
    return Market.of(jnp.array(scores), Creators.one_per_item(2), floors, temperature=0.0)


def test_metaverse_the_platforms_income_is_a_constant():
    income = jnp.array([12.0, 20.0])
    pull = jax.grad(lambda exposure: jnp.sum(income))(jnp.ones(2))
    assert pull.tolist() == [0.0, 0.0]


def test_a_rate_per_unit_of_exposure_does_pull():
    def exposure(rates):
        return solve(Market.of([[2.0, 1.5]], Creators.one_per_item(2), platform_rates=rates)).exposure

    assert exposure(jnp.array([0.0, 0.5]))[1] > exposure(0.0)[1] + 0.05


def test_metaverse_users_under_a_linear_worth_never_meet():
    crowd = solve(
        Market.of([[2.0, 1.5]] * 99, Creators.one_per_item(2), Linear(jnp.array([0.1, 0.4])), temperature=0.25)
    )
    alone = allocate(jnp.array([2.0 + 0.1, 1.5 + 0.4]), 1.0, temperature=0.25).weights
    np.testing.assert_allclose(crowd.attention, jnp.tile(alone, (99, 1)), atol=1e-12)
    np.testing.assert_array_equal(crowd.prices, [0.1, 0.4])


def test_users_under_nash_welfare_do_meet():
    def ben(users):
        market = Market.of(users, Creators.one_per_item(2), Nash(jnp.full(2, 0.375)), temperature=0.25)
        return solve(market, 1e-8).attention[0]

    assert abs(ben([[2.0, 1.5]]) - ben([[2.0, 1.5], [3.0, 1.0]]))[0] > 0.05


@pytest.mark.parametrize(("floor", "price", "welfare"), [(0.5, 0.5, 4.75), (1.5, 2.0, 3.5)])
def test_the_hand_case_is_what_the_pencil_says(floor, price, welfare):
    solution = solve(hand_case(floor=floor), 1e-9)
    assert solution.prices[1] == pytest.approx(price, abs=1e-6)
    assert solution.lower == pytest.approx(welfare, abs=1e-6)


def test_what_looks_better_than_the_optimum_breaks_the_floor():
    rival = jnp.array([[1.0, 0.0], [0.6, 0.4]])
    parts = welfare_of(hand_case(), rival)
    assert parts.satisfaction > 4.75
    assert parts.total == -jnp.inf


def test_a_lie_moves_the_burden():
    honest = solve(hand_case(), 1e-9).attention
    lied = solve(hand_case(scores=((3.0, 1.0), (2.0, -2.0))), 1e-9).attention
    np.testing.assert_allclose(honest, [[1, 0], [0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(lied, [[0.5, 0.5], [1, 0]], atol=1e-6)


def test_where_worth_rises_too_fast_no_price_closes_the_gap():
    # A creator lives on 3/2 of two hours, which is worth 1, and on no less. Every pair of prices is tried.
    grid = np.linspace(0, 2, 241)
    first, second = np.meshgrid(grid, grid)
    bound = 2 * np.maximum(first, second) + np.maximum(0, 1 - 1.5 * first) + np.maximum(0, 1 - 1.5 * second)
    assert bound.min() == pytest.approx(4 / 3, abs=1e-9)
