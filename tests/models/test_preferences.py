"""One network for all weightings: symmetric, and after one run near the exact front at weightings it never saw."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attnjax.allocation import Creators, Market, Nash, allocate
from attnjax.errors import UserError
from attnjax.models import PreferenceScores, stakeholder_losses
from attnjax.pareto import draw_weightings, market_front, preference_loss, simplex_lattice

U, N, TEMPERATURE, STEPS = 6, 4, 0.2, 400
DRAWS = np.random.default_rng(0)
MODEL = PreferenceScores(features=24)
USERS, ITEMS = DRAWS.normal(size=(U, 3)).astype(np.float32), DRAWS.normal(size=(N, 3)).astype(np.float32)
EQUAL = jnp.full(3, 1 / 3)


@pytest.fixture(scope="module")
def fresh():
    return jax.jit(MODEL.init)(jax.random.key(0), USERS, ITEMS, EQUAL)


def test_untrained_it_is_indifferent_to_weights_and_always_to_order(fresh):
    run = jax.jit(MODEL.apply)
    plain = run(fresh, USERS, ITEMS, EQUAL)
    np.testing.assert_array_equal(run(fresh, USERS, ITEMS, jnp.array([1.0, 0.0, 0.0])), plain)
    some = jax.tree.map(lambda leaf: leaf + 0.3 * DRAWS.normal(size=leaf.shape).astype(np.float32), fresh)
    base = run(some, USERS, ITEMS, EQUAL)
    assert np.abs(run(some, USERS, ITEMS, jnp.array([1.0, 0.0, 0.0])) - base).max() > 0.01
    rows, columns = DRAWS.permutation(U), DRAWS.permutation(N)
    np.testing.assert_allclose(run(some, USERS[rows], ITEMS[columns], EQUAL), base[rows][:, columns], atol=1e-5)


def test_one_run_serves_weightings_it_never_saw(fresh):
    """What it loses against the exact front is a small part of what not asking for weights loses."""
    scores = USERS @ ITEMS.T / 3
    income = jnp.asarray(DRAWS.uniform(size=N), jnp.float32)
    market = Market.of(
        scores, Creators.one_per_item(N), Nash(jnp.full(N, U / N)), platform_rates=income, temperature=TEMPERATURE
    )

    def losses(params, weights):
        told = MODEL.apply(params, USERS, ITEMS, weights)
        attention = jax.vmap(lambda row: allocate(row, temperature=TEMPERATURE).weights)(told)
        return jnp.stack(stakeholder_losses(market, attention))

    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, STEPS))

    def step(carry, key):
        params, state = carry
        weights = 0.05 + 0.85 * draw_weightings(key, 8, 3)
        gradient = jax.grad(lambda p: preference_loss(lambda w: losses(p, w), weights))(params)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def train(params):
        return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(jax.random.key(1), STEPS))[0][0]

    params = train(fresh)
    weights = simplex_lattice(3, 4, least=0.05)
    front = market_front(market, weights, 1e-5)
    assert bool(front.converged.all())
    best = np.asarray(front.upper) / U
    reached = -np.sum(weights * jax.jit(jax.vmap(losses, (None, 0)))(params, weights), axis=1)
    middle = np.asarray(weights) @ np.asarray(front.gains)[len(weights) // 2] / U
    assert (reached <= best + 1e-4).all()
    assert np.mean(best - reached) < 0.1 * np.mean(best - middle)


def test_shapes_are_checked(fresh):
    for wrong in ((USERS, ITEMS, EQUAL[None]), (USERS[0], ITEMS, EQUAL), (USERS, ITEMS[0], EQUAL)):
        with pytest.raises(UserError, match=r"users \(u, f\), items \(n, g\) and weights \(m,\)"):
            MODEL.apply(fresh, *wrong)
