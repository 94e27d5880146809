"""Fronts of markets: certified from all sides, against a closed form, another solver and guarantees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Creators, Floors, Linear, Market, Nash, solve, welfare_of
from attnjax.errors import UserError
from attnjax.pareto import market_front, simplex_lattice, weighted_market

DRAWS = np.random.default_rng(2)
U, N, C = 6, 4, 3
SCORES = DRAWS.uniform(size=(U, N))
SCORES[0, 1] = -np.inf
RATES, INCOME = DRAWS.uniform(size=C), DRAWS.uniform(size=C)
MADE = ([0, 1, 2, 3], [0, 1, 2, 2])


def market(value, **options):
    made = Creators.of(*MADE, num_items=N, num_creators=C)
    return Market.of(SCORES, made, value, platform_rates=INCOME, **options)


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def nash():
    problem = market(Nash(jnp.array([0.5, 1.0, 0.7])), temperature=0.2)
    weights = simplex_lattice(3, 4, least=0.05)
    return problem, weights, market_front(problem, weights, 1e-7)


def assert_certified(front):
    """Its own plane touches each point, and no plane is crossed by any."""
    assert bool(front.converged.all())
    values = np.asarray(front.weights) @ np.asarray(front.gains).T
    upper = np.asarray(front.upper)[:, None]
    assert (values <= upper + 1e-9).all()
    np.testing.assert_allclose(np.diagonal(values), upper[:, 0] - front.gap, atol=1e-9)


def test_no_point_is_above_any_others_certificate(nash):
    _, weights, front = nash
    assert_certified(front)
    assert front.gains.shape == (len(weights), 3)
    # What a party gets grows with its weight, the other two weighed alike.
    for party in range(3):
        others = [k for k in range(3) if k != party]
        line = np.flatnonzero(np.isclose(weights[:, others[0]], weights[:, others[1]]))
        order = line[np.argsort(np.asarray(weights)[line, party])]
        assert len(order) == 3
        assert (np.diff(np.asarray(front.gains)[order, party]) > 0.01).all()


def test_another_solver_one_by_one_finds_the_same(nash):
    """The dual gradient method, cold; and the attention that the front's prices stand for."""
    problem, weights, front = nash
    for k in (0, 7, 14):
        single = weighted_market(problem, weights[k])
        found = solve(single, 1e-5, method="dual_gradient")
        assert bool(found.converged)
        assert float(found.lower) <= float(front.upper[k]) + 1e-9
        assert float(front.upper[k] - front.gap[k]) <= float(found.upper) + 1e-9
        parts = welfare_of(problem, found.attention)
        gains = [parts.satisfaction + parts.variety, parts.creators, parts.platform]
        np.testing.assert_allclose(front.gains[k], gains, atol=0.05)


def test_order_and_how_many_at_a_time_do_not_matter(nash):
    problem, weights, front = nash
    some = market_front(problem, weights[::-1], 1e-7, together=4)
    np.testing.assert_allclose(some.weights, weights[::-1])
    assert_certified(some)
    values, wanted = (np.sum(f.weights * f.gains, axis=1) for f in (some, front))
    np.testing.assert_allclose(values, wanted[::-1], rtol=2e-7)
    # Along the front a value is flat: a gap of 1e-7 leaves gains free to about its root.
    np.testing.assert_allclose(some.gains, front.gains[::-1], atol=2e-3)


def test_without_variety_every_user_takes_the_best_item():
    """Linear worth separates users: the closed form of the weighted optimum, also at the corners of the simplex."""
    problem = market(Linear(jnp.asarray(RATES)), temperature=0.0)
    weights = np.asarray(simplex_lattice(3, 4))
    front = market_front(problem, weights, 1e-6)
    assert_certified(front)
    owner = np.array(MADE[1])
    for weight, gain in zip(weights, front.gains, strict=True):
        worth = np.where(np.isinf(SCORES), -np.inf, weight[0] * np.where(np.isinf(SCORES), 0, SCORES))
        worth = worth + (weight[1] * RATES + weight[2] * INCOME)[owner]
        assert float(weight @ gain) == pytest.approx(worth.max(axis=1).sum(), rel=1e-5)


def test_guarantees_hold_at_any_weights():
    problem = market(Floors(jnp.full(C, 0.8)), temperature=0.1)
    front = market_front(problem, [[0.9, 0.0, 0.1], [0.3, 0.0, 0.7]], 1e-6)
    assert_certified(front)
    assert (front.exposure >= 0.8 * (1 - 1e-6)).all()
    np.testing.assert_array_equal(front.gains[:, 1], [0, 0])
    assert front.gains[0, 0] > front.gains[1, 0]
    assert front.gains[1, 2] > front.gains[0, 2]


def test_bad_input_is_refused():
    problem = market(Nash(jnp.ones(C)), temperature=0.2)
    equal = np.full((1, 3), 1 / 3)
    for call, message in (
        (lambda: market_front(problem, np.ones((2, 2)) / 2), r"weightings \(k, 3\)"),
        (lambda: market_front(problem, equal * 2), "on the simplex"),
        (lambda: market_front(problem, [[0.5, 0.0, 0.5]]), "weights above 0 for creators, whose value is Nash"),
        (lambda: market_front(problem, equal, together=0), "at least 1 market"),
        (lambda: weighted_market(problem, jnp.ones(2)), r"weights \(3,\)"),
    ):
        with pytest.raises(UserError, match=message):
            call()
