"""Creators and platform: constrained by construction, indifferent to order and padding; and how both reach users."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from attnjax.allocation import Creators, Market, solve
from attnjax.errors import UserError
from attnjax.models import CreatorAttention, Drawn, PlatformAttention, Works, drawn_scores, join, reach

C, W, U, N = 4, 3, 5, 6
RNG = np.random.default_rng(0)
WORKS = Works(
    RNG.normal(size=(C, W, 2)).astype(np.float32),
    RNG.exponential(size=(C, W)).astype(np.float32),
    RNG.exponential(size=(C, W)).astype(np.float32),
    np.array([[True, True, True], [True, True, False], [False, True, False], [False] * 3]),
)
MADE = Creators.of([0, 1, 2, 3, 4, 4], [0, 0, 1, 2, 2, 3], num_items=N, num_creators=C)
CREATORS, PLATFORM = CreatorAttention(8), PlatformAttention(8, guarantee=0.9, num_slots=3)
STATES = RNG.normal(size=(U, 7)).astype(np.float32)


def spoil(params, size=0.5, seed=3):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + size * rng.normal(size=leaf.shape).astype(np.float32), params)


@pytest.fixture(scope="module")
def fresh():
    return jax.jit(CREATORS.init)(jax.random.key(0), WORKS)


@pytest.fixture(scope="module")
def draw(fresh):
    run = jax.jit(CREATORS.apply)
    return lambda works, size=0.5: run(spoil(fresh, size) if size else fresh, works)


def steered(seed, size, drawn, within):
    inputs = (STATES, drawn.state, drawn.demand, within, jnp.asarray(float(U)))
    params = jax.jit(PLATFORM.init)(jax.random.key(seed), *inputs)
    return jax.jit(PLATFORM.apply)(spoil(params, size, seed), *inputs)


# --- creators ----------------------------------------------------------------------------------------------------


def test_untrained_creators_draw_what_they_drew(draw):
    total = np.where(WORKS.valid, WORKS.exposure, 0).sum(1)
    np.testing.assert_allclose(draw(WORKS, 0).demand, np.where(WORKS.valid.any(1), 1 + total, 0), rtol=1e-5)


def test_order_and_padding_of_works_do_not_matter_nor_what_padding_holds(draw):
    base = draw(WORKS)
    assert (np.asarray(base.demand) >= 0).all()
    order = np.array([2, 0, 1])
    moved = draw(jax.tree.map(lambda x: x[:, order], WORKS))
    np.testing.assert_allclose(moved.demand, base.demand, rtol=1e-4)
    np.testing.assert_allclose(moved.weights, base.weights[..., order], rtol=1e-3, atol=1e-6)
    spoilt = Works(
        *(np.where(WORKS.valid.reshape(C, W, *[1] * (x.ndim - 2)), x, np.nan) for x in WORKS[:3]), WORKS.valid
    )
    np.testing.assert_allclose(draw(spoilt).demand, base.demand, rtol=1e-6)


def test_a_creator_without_works_draws_nothing_and_all_missing_is_finite(draw, fresh):
    drawn = draw(WORKS)
    assert float(drawn.demand[3]) == 0
    assert float(drawn.log_demand[3]) == -np.inf
    np.testing.assert_array_equal(drawn.weights[3], 0)
    blank = Works(*(np.full_like(x, np.nan) for x in WORKS[:3]), WORKS.valid)
    assert np.isfinite(draw(blank).demand).all()

    def total(params):
        return jnp.sum(CREATORS.apply(params, blank).demand)

    slopes = jax.jit(jax.grad(total))(spoil(fresh))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


# --- the platform ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "size"), [(0, 0.0), (1, 1.0), (2, 5.0)])
def test_whatever_the_parameters_the_platform_keeps_its_constraints(draw, seed, size):
    """Prices >= 0, slots falling from 1, and floors that an allocation meets: a linear programme finds one."""
    scores = np.where(RNG.random((U, N)) < 0.6, 0.0, -np.inf)
    scores[:, 0] = 0
    budgets = np.full(U, 1.0)
    within = reach(MADE, jnp.asarray(scores, jnp.float32), jnp.asarray(budgets, jnp.float32))
    steering = steered(seed, size, draw(WORKS), within)
    prices, floors, slots = (np.asarray(x) for x in steering)
    assert (prices >= 0).all()
    assert (floors >= 0).all()
    assert slots[0] == 1
    assert (np.diff(slots) <= 0).all()
    assert (slots >= 0).all()
    assert floors.sum() <= 0.9 * U
    passed = np.zeros((N, C))
    np.add.at(passed, (np.asarray(MADE.item), np.asarray(MADE.creator)), np.asarray(MADE.share))
    exposure = -np.kron(np.ones((1, U)), passed.T)  # of attention laid out user by user
    spend = np.kron(np.eye(U), np.ones((1, N)))
    room = np.where(np.isfinite(scores), 1.0, 0.0).ravel()
    found = linprog(np.zeros(U * N), exposure, -floors * (1 - 1e-6), spend, budgets, np.stack([0 * room, room], axis=1))
    assert found.status == 0


def test_permuting_creators_permutes_prices_and_floors(draw):
    drawn, within = draw(WORKS), jnp.array([1.0, 0.8, 0.5, 0.0])
    inputs = (STATES, drawn.state, drawn.demand, within, jnp.asarray(5.0))
    params = spoil(jax.jit(PLATFORM.init)(jax.random.key(0), *inputs))
    order = np.array([2, 3, 0, 1])
    run = jax.jit(PLATFORM.apply)
    base = run(params, *inputs)
    moved = run(params, STATES[::-1], drawn.state[order], drawn.demand[order], within[order], inputs[4])
    np.testing.assert_allclose(moved.prices, base.prices[order], rtol=1e-4)
    np.testing.assert_allclose(moved.floors, base.floors[order], rtol=1e-4)
    np.testing.assert_allclose(moved.slot_weights, base.slot_weights, rtol=1e-4)
    assert float(base.floors[3]) == 0  # out of reach


def test_reach_counts_shares_and_who_may_see():
    scores = jnp.zeros((2, N)).at[0, 2].set(-jnp.inf).at[:, 3].set(-jnp.inf)
    # Creator 2's own item can't be seen; half of item 4 is left. Item 2 is seen by the second user, of 3 units in 4.
    np.testing.assert_allclose(reach(MADE, scores, jnp.array([1.0, 3.0])), [1, 0.75, 0.5, 0.5])


# --- the graph ---------------------------------------------------------------------------------------------------


def test_creators_raise_the_scores_of_their_works_only():
    level = jnp.array([1.0, 3.0, 2.0, -jnp.inf])
    drawn = Drawn(jnp.exp(level), level, jnp.zeros((C, 1)), jnp.zeros((C, 1, 1, 1)))
    raised = drawn_scores(jnp.zeros((2, N)), MADE, drawn, gain=0.5)
    # Above the mean, 2, of those who have works; item 4 is half creator 2's; item 5 its twin.
    by_hand = 0.5 * np.array([-1.0, -1.0, 1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(raised, np.stack([by_hand] * 2), atol=1e-6)


def test_the_joined_market_is_market_ofs_and_prices_move_users(draw):
    """Under jit, and field by field what the checked constructor makes; a price raises its creator's exposure."""
    drawn = draw(WORKS, 0)
    scores = jnp.asarray(RNG.normal(size=(U, N)), jnp.float32)
    steering = steered(0, 0.0, drawn, reach(MADE, scores, jnp.ones(U)))

    @jax.jit
    def joined(scores, drawn, steering):
        return join(scores, MADE, drawn, steering._replace(slot_weights=None), budgets=jnp.ones(U), temperature=0.5)

    market = joined(scores, drawn, steering)
    checked = Market.of(
        market.scores, MADE, market.creator_value, platform_rates=market.platform_rates, temperature=0.5
    )
    assert jax.tree.structure(market) == jax.tree.structure(checked)
    jax.tree.map(np.testing.assert_array_equal, market, checked)
    exposures = []
    for price in (0.0, 1.0):
        paid = steering._replace(prices=jnp.zeros(C).at[1].set(price))
        solution = solve(joined(scores, drawn, paid), 1e-4, method="newton")
        assert bool(solution.converged)
        assert (solution.exposure >= steering.floors * (1 - 1e-4)).all()
        exposures.append(float(solution.exposure[1]))
    assert exposures[1] > exposures[0] + 0.1


def test_slot_weights_make_it_a_market_of_slates(draw):
    drawn = draw(WORKS, 0)
    scores = jnp.asarray(RNG.normal(size=(U, N)), jnp.float32)
    steering = steered(1, 1.0, drawn, reach(MADE, scores, jnp.ones(U)))
    market = join(scores, MADE, drawn, steering, budgets=jnp.ones(U))
    assert float(market.temperature) == 0
    solution = solve(market, 1e-3, method="newton")
    assert bool(solution.converged)
    assert (np.asarray(solution.exposure) >= np.asarray(steering.floors) * (1 - 1e-4)).all()
    np.testing.assert_allclose(solution.attention.sum(1), float(steering.slot_weights.sum()), rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: CREATORS.init(jax.random.key(0), WORKS._replace(exposure=np.ones((C, 2)))),
            "CreatorAttention: expected",
        ),
        (
            lambda: PLATFORM.init(jax.random.key(0), STATES, np.ones((C, 2)), np.ones(3), np.ones(C), np.ones(())),
            r"PlatformAttention: expected demand and reach of shape \(4,\)",
        ),
        (
            lambda: PlatformAttention(guarantee=1.5).init(
                jax.random.key(0), STATES, np.ones((C, 2)), np.ones(C), np.ones(C), np.ones(())
            ),
            r"PlatformAttention: expected a guarantee in \[0, 1\], got 1.5",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(call)
