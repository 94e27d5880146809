"""Losses of the three parties: what they are 0 at, and the derivative through the exact solution."""

import dataclasses

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Creators, Market, Nash, allocate, best_response, solve
from attnjax.errors import UserError
from attnjax.models import (
    Drawn,
    Seen,
    Steering,
    decision_focused_loss,
    join,
    seen_losses,
    stakeholder_losses,
    two_stage_loss,
)

U, N, C = 3, 4, 3
MADE = Creators.of([0, 1, 2, 3, 3], [0, 1, 2, 0, 2], num_items=N, num_creators=C)
RNG = np.random.default_rng(0)
SCORES, TRUE = RNG.normal(size=(U, N)), RNG.normal(size=(U, N))
FLOORS = np.array([0.2, 1.2, 1.35])
PRICES = np.array([0.1, 0.0, 0.3])
DEMAND = np.array([1.0, 2.0, 0.5])
pytestmark = pytest.mark.usefixtures("x64")


def parties(prices=PRICES, floors=FLOORS, demand=DEMAND):
    demand, floors, prices = map(jnp.asarray, (demand, floors, prices))
    drawn = Drawn(demand, jnp.log(demand), jnp.zeros((C, 1)), jnp.zeros((C, 1, 1, 1)))
    return drawn, Steering(prices, floors, None)


def joined(scores=SCORES, temperature=0.5, **numbers):
    drawn, steering = parties(**numbers)
    budgets = jnp.array([1.0, 0.5, 2.0])
    return join(jnp.asarray(scores), MADE, drawn, steering, budgets=budgets, temperature=temperature)


def test_seen_losses_vanish_at_the_models_own_attention_and_nowhere_else():
    market, (drawn, steering) = joined(), parties()
    own = best_response(market, jnp.zeros(C)).attention
    seen = Seen(own, drawn.demand / drawn.demand.sum(), allocate(steering.prices).weights)
    np.testing.assert_allclose(seen_losses(market, drawn, steering, seen), 0, atol=1e-12)
    other = Seen(own[:, ::-1], seen.creators[::-1], seen.platform[::-1])
    assert min(seen_losses(market, drawn, steering, other)) > 1e-3
    unlogged = seen_losses(market, drawn, steering, other._replace(platform=None))
    assert float(unlogged.platform) == 0


def test_its_gradients_are_predicted_less_observed():
    drawn, steering = parties()
    draw = RNG.exponential(size=(U, N))
    market = joined()
    observed = draw / draw.sum(1, keepdims=True) * np.asarray(market.budgets)[:, None]
    seen = Seen(jnp.asarray(observed), jnp.array([0.2, 0.2, 0.6]), jnp.array([0.5, 0.5, 0.0]))

    def loss(scores, log_demand, prices):
        return two_stage_loss(
            joined(scores),
            drawn._replace(log_demand=log_demand),
            steering._replace(prices=prices),
            seen,
            weights=(1.0, 2.0, 3.0),
        )

    in_scores, in_demand, in_prices = jax.jit(jax.grad(loss, (0, 1, 2)))(SCORES, drawn.log_demand, steering.prices)
    own = best_response(market, jnp.zeros(C)).attention
    np.testing.assert_allclose(in_scores, (own - observed) / U, atol=1e-12)
    np.testing.assert_allclose(in_demand, 2 * (DEMAND / DEMAND.sum() - seen.creators), atol=1e-12)
    np.testing.assert_allclose(in_prices, 3 * (allocate(PRICES).weights - seen.platform), atol=1e-12)


def test_stakeholders_losses_are_the_parts_of_welfare_and_what_floors_miss():
    truth = joined(TRUE)
    attention = np.array([[1.0, 0, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 2.0]])
    exposure = np.array([1.0 + 1.0, 0.0, 0.5 + 1.0])
    entropy = -0.5 * np.log(0.5) - 2.0 * np.log(2.0)
    satisfied = (np.asarray(truth.scores) * attention).sum() + 0.5 * entropy
    found = stakeholder_losses(truth, jnp.asarray(attention))
    np.testing.assert_allclose(found.users, -satisfied / 3.5, rtol=1e-12)
    np.testing.assert_allclose(found.creators, 1.2 / 3.5, rtol=1e-12)
    np.testing.assert_allclose(found.platform, -(PRICES @ exposure) / 3.5, rtol=1e-12)
    assert float(found.weighted((1.0, 0.0, 2.0))) == pytest.approx(float(found.users + 2 * found.platform))
    nash = Market.of(jnp.asarray(TRUE), MADE, Nash(jnp.ones(C)), budgets=truth.budgets)
    even = jnp.full((U, N), 0.25) * nash.budgets[:, None]
    worth = -np.log(np.asarray(MADE.exposure(even.sum(0)))).sum()
    assert float(stakeholder_losses(nash, even).creators) == pytest.approx(worth / 3.5)


def test_the_derivative_through_the_decision_is_that_of_differences():
    """In scores, prices, demand and floors at once, with floors that bind and one that does not.

    Creators' true floors are higher than what is decided, away from the kink where they are just met.
    """
    truth = joined(TRUE, floors=FLOORS + 0.1)
    start = np.concatenate([SCORES.ravel(), PRICES, DEMAND, FLOORS])

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        scores, prices, demand, floors = jnp.split(x, [U * N, U * N + C, U * N + 2 * C])
        market = joined(scores.reshape(U, N), prices=prices, demand=demand, floors=floors)
        return decision_focused_loss(market, truth, weights=(1.0, 0.5, 2.0), tol=1e-12)

    solution = solve(joined(), 1e-12, method="newton")
    assert bool(solution.converged)
    binding = np.asarray(solution.prices) > 1e-3
    assert binding.any()
    assert not binding.all()
    exact = loss(start)[1]
    assert np.abs(exact[: U * N]).max() > 0.01
    central_differences.assert_close(exact, central_differences.jacobian(lambda x: loss(x)[0], start, 1e-3), 1e-5)


def test_no_prediction_decides_better_than_the_truth():
    truth = joined(TRUE)
    run = jax.jit(lambda scores: decision_focused_loss(joined(scores), truth, weights=(1.0, 0.0, 1.0), tol=1e-12))
    best = float(run(TRUE))
    for seed in range(5):
        other = TRUE + np.random.default_rng(seed).normal(size=(U, N))
        assert float(run(other)) > best - 1e-8


def test_refusals():
    drawn, steering = parties()
    slates = join(
        *(jnp.asarray(SCORES), MADE, drawn, steering._replace(slot_weights=jnp.array([1.0, 0.5]))), budgets=jnp.ones(U)
    )
    with pytest.raises(UserError, match="seen_losses: expected a market without slates, got one with 2 slots"):
        seen_losses(slates, drawn, steering, Seen(jnp.ones((U, N)), jnp.ones(C)))
    fewer = dataclasses.replace(joined(), scores=jnp.asarray(SCORES[:2]), budgets=jnp.ones(2))
    with pytest.raises(UserError, match=r"decision_focused_loss: expected .*\(3, 4\), got \(2, 4\)"):
        decision_focused_loss(fewer, joined())
