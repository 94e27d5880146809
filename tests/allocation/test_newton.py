"""Newton's method on the smoothed dual: linear programmes, Fisher markets, edges, refusals, the program."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from attnjax.allocation import (
    Box,
    Creators,
    Floors,
    Market,
    Nash,
    Power,
    exposure_of,
    tiles,
)
from attnjax.allocation.creator_sides import side_of
from attnjax.allocation.feasibility import bounds_of
from attnjax.allocation.newton import newton
from attnjax.allocation.solvers import _newton
from attnjax.allocation.solvers import solve as solve_by
from attnjax.errors import UserError

U, N = 9, 5
ONE = Creators.one_per_item(N)
solve = functools.partial(solve_by, method="newton")
double = pytest.mark.usefixtures("x64")


def programme(kind, seed):
    """A random market without preference for variety: scores, budgets, floors, caps, and whether to meet budgets."""
    random = np.random.default_rng(seed)
    scores, budgets = random.normal(size=(U, N)), random.uniform(0.5, 2.0, U)
    share = random.dirichlet(np.full(N, 3.0)) * budgets.sum()
    if kind == "tight":
        return scores, budgets, share, share, False
    return scores, budgets, 0.5 * share, 1.3 * share, kind == "at_most"


def market_of(scores, budgets, floors, caps, at_most, creators=ONE):
    value = Box(jnp.asarray(floors), jnp.asarray(caps))
    return Market.of(scores, creators, value, budgets=budgets, temperature=0.0, at_most=at_most)


def best_vertex(scores, budgets, floors, caps, at_most, incidence=None):
    """The optimum by HiGHS."""
    users, items = scores.shape
    rows = np.kron(np.eye(users), np.ones(items))
    columns = np.kron(np.ones((1, users)), (np.eye(items) if incidence is None else incidence).T)
    limits = [columns, -columns, *([rows] if at_most else [])]
    right = [caps, -floors, *([budgets] if at_most else [])]
    found = linprog(
        -scores.ravel(),
        A_ub=np.concatenate(limits),
        b_ub=np.concatenate(right),
        A_eq=None if at_most else rows,
        b_eq=None if at_most else budgets,
        method="highs",
    )
    assert found.status == 0
    return -found.fun


def assert_feasible(found, budgets, floors, caps, at_most, tolerance):
    attention = np.asarray(found.attention, np.float64)
    exposure = attention.sum(axis=0)
    assert (attention >= 0).all()
    assert (attention.sum(axis=1) <= budgets * (1 + tolerance)).all()
    assert at_most or (attention.sum(axis=1) >= budgets * (1 - tolerance)).all()
    assert (exposure >= floors * (1 - tolerance)).all()
    assert (exposure <= caps * (1 + tolerance)).all()


# --- linear programmes ---------------------------------------------------------------------------------------------

KINDS = ("tight", "met", "at_most")


@pytest.mark.parametrize("kind", KINDS)
@double
def test_the_optimum_of_a_linear_programme_lies_between_lower_and_upper(kind):
    for seed in range(8):
        numbers = programme(kind, seed)
        found = solve(market_of(*numbers), 1e-6, method="newton")
        optimum = best_vertex(*numbers)
        assert bool(found.converged)
        assert float(found.gap) <= 1e-6 * abs(optimum) * 1.01
        assert float(found.lower) - 1e-9 <= optimum <= float(found.upper) + 1e-9
        assert_feasible(found, *numbers[1:], 1e-9)


@pytest.mark.compiled_in_full
@pytest.mark.parametrize("kind", KINDS)
def test_in_single_precision_it_is_feasible_and_its_gap_the_true_one(kind):
    """The same attention and prices, judged in float64: primal and dual value from the formulas."""
    for seed in range(4):
        numbers = scores, budgets, floors, caps, at_most = programme(kind, seed)
        found = solve(market_of(*numbers), 1e-4)
        assert found.attention.dtype == jnp.float32
        assert bool(found.converged)
        assert_feasible(found, *numbers[1:], 1e-6)
        prices, attention = np.asarray(found.prices, np.float64), np.asarray(found.attention, np.float64)
        best = (scores + prices).max(axis=1)
        dual = budgets @ (np.maximum(best, 0) if at_most else best) + np.maximum(-prices * floors, -prices * caps).sum()
        assert float(found.gap) == pytest.approx(dual - (scores * attention).sum(), abs=1e-5 * abs(dual))


@double
def test_items_with_several_creators_and_without_any():
    incidence = np.array([[0.6, 0.4, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0.5], [0, 0, 0]])
    items, owners = np.nonzero(incidence)
    creators = Creators.of(items, owners, incidence[items, owners], num_items=N, num_creators=3)
    scores, budgets = programme("met", 3)[:2]
    total = budgets.sum()
    floors, caps = np.array([0.1, 0.2, 0.15]) * total, np.array([0.3, 0.35, 0.4]) * total
    found = solve(market_of(scores, budgets, floors, caps, False, creators), 1e-6)
    optimum = best_vertex(scores, budgets, floors, caps, False, incidence)
    assert bool(found.converged)
    assert float(found.lower) - 1e-9 <= optimum <= float(found.upper) + 1e-9
    np.testing.assert_allclose(found.exposure, np.asarray(found.attention).sum(axis=0) @ incidence, rtol=1e-12)
    assert (np.asarray(found.exposure) >= floors * (1 - 1e-9)).all()
    assert (np.asarray(found.exposure) <= caps * (1 + 1e-9)).all()


# --- Fisher markets ------------------------------------------------------------------------------------------------


@double
def test_a_fisher_market_of_two_and_two_is_solved_as_by_hand():
    """Creator 0, of weight 3, gets user 0 wholly and a quarter of user 1: 3 log(2 + x) + log(2 - 2x) is best there."""
    impact = np.array([[2.0, 1.0], [1.0, 2.0]])
    two = Creators.one_per_item(2)
    market = Market.of(np.zeros((2, 2)), two, Nash(jnp.array([3.0, 1.0])), impact=impact, temperature=0.0)
    found = solve(market, 1e-6)
    assert bool(found.converged)
    np.testing.assert_allclose(found.exposure, [2.25, 1.5], rtol=1e-3)
    np.testing.assert_allclose(found.prices, [4 / 3, 2 / 3], rtol=1e-3)
    assert float(found.lower) <= 3 * np.log(2.25) + np.log(1.5) <= float(found.upper)
    np.testing.assert_allclose(found.attention, [[1, 0], [0.25, 0.75]], atol=1e-3)


@double
def test_a_fisher_market_agrees_with_proportional_response():
    """Zhang (2011): creators bid their weight, each user's attention in proportion to what it brought last time."""
    random = np.random.default_rng(4)
    impact, weights = random.random((U, N)), random.uniform(0.5, 2, N)
    budgets = random.uniform(0.5, 2, U)
    bids = np.full((U, N), 1 / U) * weights
    for _ in range(20000):
        attention = budgets[:, None] * bids / bids.sum(axis=1, keepdims=True)
        worth = attention * impact
        bids = weights * worth / worth.sum(axis=0)
    reference = weights @ np.log((attention * impact).sum(axis=0))
    value = Nash(jnp.asarray(weights))
    market = Market.of(np.zeros((U, N)), ONE, value, impact=impact, budgets=budgets, temperature=0.0)
    found = solve(market, 1e-7)
    assert bool(found.converged)
    assert float(found.lower) - 1e-5 <= reference <= float(found.upper) + 1e-12
    np.testing.assert_allclose(found.exposure, (attention * impact).sum(axis=0), rtol=1e-3)


# --- edges ---------------------------------------------------------------------------------------------------------


def _edge(**change):
    scores, budgets, floors, caps, at_most = programme("met", 1)
    scores = np.asarray(change.pop("scores", scores))
    terms = {"budgets": budgets, "floors": floors, "caps": caps, "at_most": at_most} | change
    return lambda: market_of(scores, terms["budgets"], terms["floors"], terms["caps"], terms["at_most"])


def _owner_of_all():
    return Market.of(programme("met", 1)[0], Creators.of(range(N), [0] * N, num_items=N, num_creators=1), Floors(3.0))


_scores, _budgets, _floors, _caps, _ = programme("met", 1)
_idle = np.where(np.arange(U)[:, None] == 2, -np.inf, _scores)
_without = np.where(np.arange(U) == 2, 0.0, _budgets)
_lean = 0.5 * _floors, _caps
EDGES = {
    "five-level ratings": _edge(scores=np.clip(np.round(_scores * 1.5), -2, 2) + 3),
    "all scores equal": _edge(scores=np.ones((U, N))),
    "tight caps without Slater point": _edge(floors=_budgets.sum() / N, caps=_budgets.sum() / N),
    "relevances mostly zero": _edge(scores=np.maximum(_scores - 0.5, 0)),
    "a user with nothing to see and no budget": _edge(scores=_idle, budgets=_without, floors=_lean[0], caps=_lean[1]),
    "budgets of 1e-6": _edge(budgets=1e-6 * _budgets, floors=1e-6 * _floors, caps=1e-6 * _caps),
    "budgets of 1e6": _edge(budgets=1e6 * _budgets, floors=1e6 * _floors, caps=1e6 * _caps),
    "scores of 1e-6": _edge(scores=1e-6 * _scores),
    "scores of 1e6": _edge(scores=1e6 * _scores),
    "a cap of inf": _edge(caps=np.where(np.arange(N) == 1, np.inf, _caps)),
    "no budget at all": _edge(budgets=0.0, floors=0.0, caps=1.0),
}


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("make", EDGES.values(), ids=EDGES)
def test_at_the_edges_it_converges_to_its_certificate(make, precision):
    with jax.enable_x64(precision == 64):
        market = make()
        found = solve(market, 1e-4)
        assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))
        assert bool(found.converged)
        budgets = np.asarray(market.budgets, float)
        bounds = (np.asarray(b, float) for b in (market.creator_value.floors, market.creator_value.caps))
        assert_feasible(found, budgets, *bounds, False, 1e-6 if precision == 32 else 1e-9)


@pytest.mark.parametrize("precision", [32, 64])
def test_one_creator_may_own_everything(precision):
    with jax.enable_x64(precision == 64):
        found = solve(_owner_of_all(), 1e-4)
        assert bool(found.converged)
        assert float(found.exposure[0]) == pytest.approx(U, rel=1e-6)
        assert float(found.prices[0]) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("precision", [32, 64])
def test_scores_spread_over_eight_decades_are_certified_or_reported(precision):
    with jax.enable_x64(precision == 64):
        scores = np.sign(_scores) * 10 ** np.random.default_rng(0).uniform(-4, 4, (U, N))
        found = solve(_edge(scores=scores)(), 1e-4)
        assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))
        assert float(found.gap) >= 0
        if bool(found.converged):
            optimum = best_vertex(scores, _budgets, _floors, _caps, False)
            assert float(found.lower) <= optimum * (1 + 1e-5)
            assert float(found.upper) >= optimum * (1 - 1e-5)


@pytest.mark.parametrize("floor", [0.1, 0.5])
def test_users_who_are_almost_alike_are_certified(floor):
    # What the platform earns hides what users like: where prices are off by a little, all users jump together.
    users, items, creators, likes = 60, 80, 21, 0.02
    for seed in range(3):
        random = np.random.default_rng(seed)
        creator = np.sort(random.integers(0, creators, items))
        creator[:creators] = np.arange(creators)
        budgets = random.gamma(1.0, 1.0, users) + 0.2
        even = np.bincount(creator, minlength=creators) / items * budgets.sum()
        market = Market.of(
            jnp.asarray(likes * random.gamma(1.0, 0.5, (users, items)), jnp.float32),
            Creators.of(np.arange(items), creator, num_items=items, num_creators=creators),
            Floors(jnp.asarray(floor * even, jnp.float32)),
            budgets=jnp.asarray(budgets, jnp.float32),
            platform_rates=jnp.asarray((1 - likes) * random.uniform(-0.6, 1.0, creators), jnp.float32),
            temperature=0.0,
        )
        found = solve(market, 1e-3)
        assert found.converged, (seed, int(found.iterations), float(found.gap))
        assert found.iterations < 120


def test_without_any_relevance_welfare_is_zero_and_so_is_the_bound():
    """A gap relative to nothing is never met, so `converged` says False; the bound closes in all the same."""
    found = solve(_edge(scores=np.zeros((U, N)))(), 1e-4, max_iterations=200)
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))
    assert float(found.lower) == 0
    assert 0 <= float(found.upper) < 1e-3


def test_ties_under_nash_and_users_of_unlike_scale():
    scores = np.where(np.arange(U)[:, None] % 2 == 0, 1e4, 1e-4) * np.clip(np.round(_scores), 0, 2)
    found = solve(Market.of(scores, ONE, Nash(1.0), temperature=0.0), 1e-3)
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))
    assert bool(found.converged)


# --- what it refuses -----------------------------------------------------------------------------------------------

REFUSALS = {
    "another regulariser": (
        lambda: solve(Market.of(_scores, ONE, regularizer=Power(3)), method="newton"),
        r"that newton can solve, got Power as regularizer",
    ),
    "floors with impact": (
        lambda: solve(Market.of(_scores, ONE, Floors(0.1), impact=np.ones((U, N)))),
        r"floors or caps on exposure that is weighted by impact",
    ),
    "upper bounds elsewhere": (
        lambda: solve(Market.of(_scores, ONE, at_most=True), method="dual_gradient"),
        r"that dual_gradient can solve, got budgets as upper bounds",
    ),
    "temperature 0 elsewhere": (
        lambda: solve(Market.of(_scores, ONE, temperature=0.0), method="frank_wolfe"),
        r"that frank_wolfe can solve, got temperature 0",
    ),
    "caps elsewhere": (
        lambda: solve(Market.of(_scores, ONE, Box(0.0, 5.0)), method="dual_gradient"),
        r"that dual_gradient can solve, got caps on exposure",
    ),
    "a floor above its cap": (
        lambda: solve(Market.of(_scores, ONE, Box(3.0, 2.0))),
        r"0 <= floor <= cap for every creator, got floor 3 and cap 2 for creator 0",
    ),
    "a negative floor": (lambda: solve(Market.of(_scores, ONE, Box(-1.0, 2.0))), r"got floor -1 and cap 2"),
    "floors beyond the budgets": (
        lambda: solve(Market.of(_scores, ONE, Box(2.0, 9.0))),
        r"floors and caps that the budgets can meet, got floors missed by (0.99|1).* because of 5 creators",
    ),
    "caps below the budgets": (
        lambda: solve(Market.of(_scores, ONE, Box(0.0, 1.0))),
        r"floors and caps that the budgets can meet, got .* of attention without a place under the caps, because of 5",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_it_cannot_solve_is_refused(call, message):
    with pytest.raises(UserError, match="solve: expected .*" + message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_upper_bounds_are_certified_whatever_the_temperature_traced_or_not():
    market = market_of(*programme("at_most", 0))
    run = jax.jit(lambda t: solve(dataclasses.replace(market, temperature=t), max_iterations=300))
    found = run(jnp.float32(0.5))
    assert bool(found.converged)
    assert float(found.attention.sum()) < float(market.budgets.sum())
    assert bool(run(jnp.float32(0.0)).converged)


@double
def test_traced_bounds_that_cannot_be_met_are_reported():
    scores, budgets, floors, caps, _ = programme("met", 0)
    run = jax.jit(lambda f: solve(dataclasses.replace(market, creator_value=Box(f, jnp.asarray(caps))), 1e-4))
    market = market_of(scores, budgets, floors, caps, False)
    assert bool(run(jnp.asarray(floors)).converged)
    found = run(jnp.asarray(np.minimum(3 * floors, caps)))
    assert not bool(found.converged)
    assert float(found.gap) == np.inf
    assert float(found.lower) == -np.inf


# --- the program ---------------------------------------------------------------------------------------------------


@double
def test_a_warm_start_takes_fewer_passes():
    numbers = programme("met", 0)
    cold = solve(market_of(*numbers), 1e-5)
    near = market_of(numbers[0] * 1.001, *numbers[1:])
    warm = solve(near, 1e-5, prices=cold.prices)
    assert bool(warm.converged)
    assert int(warm.iterations) < int(solve(near, 1e-5).iterations)


def test_new_values_compile_nothing_and_batches_agree():
    markets = [market_of(*programme("met", seed)) for seed in range(3)]
    alone = [solve(markets[0])]
    before = _newton._cache_size()
    alone += [solve(market, 1e-3 if seed else 1e-4) for seed, market in enumerate(markets[1:])]
    assert _newton._cache_size() == before
    found = jax.vmap(lambda m: solve(m, 1e-4))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *markets))
    assert found.converged.all()
    for row, one in enumerate(alone):
        assert float(found.lower[row]) <= float(one.upper) + 1e-4
        assert float(found.upper[row]) >= float(one.lower) - 1e-4


@double
def test_tiles_of_users_change_nothing(setting):
    """Nine users in tiles of 2 or 5: the last tile overlaps the one before."""
    market = market_of(*programme("met", 2))
    start, numbers = jnp.zeros(N), (jnp.asarray(1e-5), jnp.asarray(200), jnp.asarray(0.3))

    def run():
        return jax.jit(lambda m: newton(m, start, *numbers))(market)

    whole = run()
    for rows in (1, 2, 5):
        setting(tiles, "TILE_BYTES", rows * N * 8)
        assert tiles.tile_rows(market) == rows
        assert_same(run(), whole, market)


def assert_same(tiled, whole, market):
    np.testing.assert_allclose(tiled.attention, whole.attention, atol=1e-9)
    np.testing.assert_allclose(tiled.prices, whole.prices, atol=1e-9)
    assert int(tiled.iterations) == int(whole.iterations)
    np.testing.assert_allclose(exposure_of(market, tiled.attention), exposure_of(market, whole.attention), rtol=1e-9)


def test_how_far_a_smoothing_is_solved_counts_in_what_a_creator_can_have():
    """An error of an even share is no small one, though a creator without cap could have all attention there is."""
    users, count = 1000, 50
    scores = np.zeros((users, count), np.float32)
    error = jnp.zeros(count).at[3].set(users / count)
    for value in (Floors(0.25 * users / count), Box(0.0, np.inf), Box(0.0, 1e9)):
        bounded = Market.of(scores, Creators.one_per_item(count), value)
        side = side_of(bounded, bounds_of(bounded))
        assert float(side.violation(jnp.zeros(count), error)) >= 0.9
        assert float(side.violation(jnp.zeros(count), 0.001 * error)) < 0.01
