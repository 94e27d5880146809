"""The market at its edges; what every solver owes is in tests/contracts/test_market_solver_contract.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import FISHER

from attnjax.allocation import Creators, Floors, Linear, Market, Nash, Power, SquaredNorm, allocate, solve
from attnjax.allocation.solvers import METHODS
from attnjax.errors import UserError

U, N = 6, 5
SCORES = np.random.default_rng(11).normal(size=(U, N))
ONE = Creators.one_per_item(N)
pytestmark = pytest.mark.usefixtures("x64")
by_method = pytest.mark.parametrize("method", METHODS)
by_general_method = pytest.mark.parametrize("method", [method for method in METHODS if method not in FISHER])


def nash(temperature=1.0, scores=SCORES, creators=ONE, method="auto", **more):
    """A Nash market that the method takes: some take impact instead of scores, and no preference for variety."""
    weights = jnp.linspace(0.5, 1.5, creators.num_creators)
    if method in FISHER:
        flat = np.where(np.isfinite(scores), 0.0, scores)
        return Market.of(flat, creators, Nash(weights), temperature=0.0, impact=np.exp(0.5 * SCORES), **more)
    return Market.of(scores, creators, Nash(weights), temperature=temperature, **more)


def floors(height, scores=SCORES, creators=ONE):
    return Market.of(scores, creators, Floors(jnp.asarray(height, float)))


# --- theorems ------------------------------------------------------------------------------------------------------


@by_method
def test_nash_prices_are_weights_over_exposure(method):
    found = solve(nash(method=method), 1e-9, method=method, max_iterations=20000)
    assert bool(found.converged)
    np.testing.assert_allclose(found.prices, np.linspace(0.5, 1.5, N) / found.exposure, rtol=1e-4)


@by_general_method
def test_a_linear_market_separates_into_its_users_in_one_iteration(method):
    rates, platform = np.linspace(-1, 1, N), np.linspace(0, 0.4, N)
    market = Market.of(SCORES, ONE, Linear(jnp.asarray(rates)), platform_rates=platform, budgets=np.arange(U) / 2)
    found = solve(market, 1e-6, method=method)
    alone = jax.vmap(lambda s, r: allocate(s, r).weights)(jnp.asarray(SCORES + rates + platform), market.budgets)
    np.testing.assert_array_equal(found.prices, rates)
    np.testing.assert_allclose(found.upper, solve(market, 1e-6, method=method, prices=rates + 3.0).upper)
    if method == "dual_gradient":  # Frank-Wolfe starts halfway from uniform
        assert int(found.iterations) == 1
        np.testing.assert_allclose(found.attention, alone, atol=1e-14)
        assert float(found.gap) < 1e-12


def test_prices_of_floors_complement_their_slack():
    """A floor that is exceeded costs nothing; one that binds is met and has a price."""
    height = np.array([0.0, 0.3, 1.5, 2.0, 0.9])
    found = solve(floors(height, SCORES), 1e-8)
    slack = np.asarray(found.exposure) - height
    assert bool(found.converged)
    assert (slack >= -1e-6 * height).all()
    assert (np.asarray(found.prices) >= 0).all()
    np.testing.assert_allclose(found.prices * slack, 0, atol=float(found.gap) + 1e-9)
    assert (np.asarray(found.prices)[slack > 1e-3] < 1e-4).all()
    assert np.asarray(found.prices).max() > 0.1  # some floor does bind


@by_general_method
def test_a_warm_start_takes_fewer_iterations_and_ends_at_the_same(method):
    cold = solve(nash(), 1e-6, method=method)
    warm = solve(nash(), 1e-6, method=method, prices=cold.prices)
    assert int(warm.iterations) < int(cold.iterations)
    np.testing.assert_allclose(warm.exposure, cold.exposure, rtol=1e-2)


@pytest.mark.parametrize("regularizer", [Power(3), SquaredNorm()], ids=str)
def test_items_at_rest_do_not_stall_the_prices(regularizer):
    """With a cube the inverse curvature of an idle item is infinite; prices must move nevertheless."""
    market = Market.of(SCORES * 2, ONE, Nash(jnp.ones(N)), temperature=0.5, regularizer=regularizer)
    found = solve(market, 1e-4)
    assert (np.asarray(found.attention) == 0).any()
    assert bool(found.converged)
    assert int(found.iterations) < 100


@pytest.mark.compiled_in_full
def test_single_precision_reaches_its_tolerance():
    market = Market.of(SCORES.astype(np.float32), ONE, Nash(1.0))
    for tolerance in (1e-3, 1e-5):
        found = solve(market, tolerance)
        assert found.attention.dtype == jnp.float32
        assert bool(found.converged)


# --- edges ---------------------------------------------------------------------------------------------------------


@by_method
def test_excluded_items_get_nothing_and_stall_nothing(method):
    scores = np.where(np.eye(U, N) > 0, -np.inf, SCORES)
    found = solve(nash(scores=scores, method=method), method=method)
    assert bool(found.converged)
    assert int(found.iterations) < (500 if method in FISHER else 100)
    np.testing.assert_array_equal(np.diag(found.attention), np.zeros(N))


@by_method
def test_users_without_budget_change_nothing(method):
    """Not even where they may see nothing at all."""
    budgets = np.array([1.0] * (U - 2) + [0.0, 0.0])
    hidden = np.where(np.arange(U)[:, None] == U - 1, -np.inf, SCORES)
    one, other = (
        solve(nash(scores=scores, method=method, budgets=budgets), 1e-5, method=method, max_iterations=20000)
        for scores in (SCORES, hidden)
    )
    assert bool(other.converged)
    np.testing.assert_array_equal(other.attention[-2:], np.zeros((2, N)))
    np.testing.assert_allclose(other.exposure, one.exposure, rtol=1e-9)


@by_method
def test_several_creators_per_item_and_items_without_creator(method):
    creators = Creators.of([0, 0, 1, 2], [0, 1, 1, 2], num_items=N, num_creators=3)
    market = nash(creators=creators, method=method)
    found = solve(market, method=method, max_iterations=20000)
    assert bool(found.converged)
    spent = np.asarray(found.attention)
    felt = spent if market.impact is None else spent * np.asarray(market.impact)
    assert float(found.exposure.sum()) == pytest.approx(felt[:, :3].sum(), rel=1e-5)
    if method in FISHER:  # where exposure is all that counts, none is given to nobody
        np.testing.assert_array_equal(spent[:, 3:], np.zeros((U, 2)))
    else:
        assert (spent[:, 3:] > 0).all()


def test_an_empty_market_is_solved():
    found = solve(Market.of(SCORES, ONE, budgets=0.0))
    assert bool(found.converged)
    assert float(found.lower) == float(found.upper) == 0


# --- what cannot be solved is said ---------------------------------------------------------------------------------

REFUSALS = {
    "an unknown method": (lambda: solve(nash(), method="simplex"), r"a method out of .*dual_gradient.*got 'simplex'"),
    "a zero tolerance": (lambda: solve(nash(), 0.0), r"a relative gap tol > 0, got 0.0. 1e-4"),
    "a NaN tolerance": (lambda: solve(nash(), float("nan")), r"tol > 0, got nan"),
    "Frank-Wolfe with floors": (
        lambda: solve(floors([0.1] * N), method="frank_wolfe"),
        r"that frank_wolfe can solve.*floors",
    ),
    "prices of another shape": (lambda: solve(nash(), prices=jnp.ones(2)), r"of shape \(5,\), got shape \(2,\)"),
    "zero prices under Nash": (lambda: solve(nash(), prices=jnp.zeros(N)), r"prices that Nash admits.*got 0.0 to 0.0"),
    "negative prices under Nash": (lambda: solve(nash(), prices=-jnp.ones(N)), r"above 0 for Nash"),
    "NaN prices": (lambda: solve(floors([0.1] * N), prices=jnp.full(N, np.nan)), r"prices that Floors admits.*nan"),
    "floors above the budgets": (
        lambda: solve(floors([U / N + 0.1] * N)),
        r"floors and caps that the budgets can meet, got floors missed by 0\.\d+ to 0\.5.*because of 5 creators",
    ),
    "negative floors": (
        lambda: solve(floors([-0.1] * N)),
        r"0 <= floor <= cap for every creator, got floor -0.1 and cap inf",
    ),
    "negative weights": (lambda: solve(Market.of(SCORES, ONE, Nash(-1.0))), r"Nash weights above 0, got -1.0"),
    "zero weights": (lambda: solve(Market.of(SCORES, ONE, Nash(0.0))), r"Nash weights above 0, got 0.0"),
}


@pytest.mark.parametrize(("call", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_solved_is_refused(call, message):
    with pytest.raises(UserError, match="solve: expected .*" + message) as caught:
        call()
    assert "\n" not in str(caught.value)


@by_method
def test_under_nash_a_creator_whom_nobody_can_see_is_refused(method):
    """The logarithm of no exposure is -inf whatever is done: there is no optimum to certify."""
    without = Creators.of([0, 1, 2, 3, 4], [0, 1, 2, 3, 3], num_items=N, num_creators=N)
    with pytest.raises(UserError, match=r"an item that some user can see.*got 1 creators without one, creator 4 first"):
        solve(nash(creators=without, method=method), method=method)
    hidden = np.where(np.arange(N) == 2, -np.inf, SCORES)
    with pytest.raises(UserError, match="creator 2 first"):
        solve(nash(scores=hidden, method=method), method=method)


@by_method
def test_traced_the_same_market_is_reported_unsolved_without_nan_in_its_certificate(method):
    without = Creators.of([0, 1, 2, 3, 4], [0, 1, 2, 3, 3], num_items=N, num_creators=N)
    market = nash(creators=without, method=method)
    found = jax.jit(lambda m: solve(m, method=method, max_iterations=30))(market)
    assert not bool(found.converged)
    assert float(found.lower) == -np.inf
    assert float(found.gap) == np.inf
    assert not np.isnan(found.upper)


def test_traced_infeasible_floors_are_reported():
    markets = [floors([0.2] * N), floors([2.0] * N)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *markets)
    found = jax.vmap(lambda m: solve(m, method="dual_gradient", max_iterations=50))(batch)
    np.testing.assert_array_equal(found.converged, [True, False])
    assert float(found.lower[1]) == -np.inf
    assert float(found.gap[1]) == np.inf
    assert np.isfinite(found.upper[1])  # the dual value, which is a bound all the same
    assert float(found.lower[0]) == pytest.approx(float(solve(markets[0]).lower), rel=1e-5)


def test_traced_prices_that_are_not_admissible_never_count_as_converged():
    market = nash()
    found = jax.jit(lambda p: solve(market, prices=p, max_iterations=20))(jnp.zeros(N))
    assert not bool(found.converged)
    assert float(found.upper) == np.inf


def test_a_floor_that_those_who_may_see_the_creator_cannot_give_is_refused():
    """User 0 may not see creator 2: the other five have 5 to give, so a floor of 4 is met and one of 6 is not."""
    hidden = np.where((np.arange(N) == 2)[None, :] & (np.arange(U) == 0)[:, None], -np.inf, SCORES)
    assert bool(solve(floors([0, 0, 4.0, 0, 0], hidden)).converged)
    with pytest.raises(UserError, match=r"floors missed by (0\.99\d*|1) to 1(\.0\d*)? in all.*1 creators \(2\)"):
        solve(floors([0, 0, 6.0, 0, 0], hidden))


def test_new_values_compile_nothing():
    from attnjax.allocation.reference_solvers import dual_gradient
    from attnjax.allocation.solvers import _newton

    for method, program in (("newton", _newton), ("dual_gradient", dual_gradient)):
        solve(nash(), 1e-3, method=method)
        before = program._cache_size()
        solve(nash(0.5), 1e-4, method=method, max_iterations=77)
        assert program._cache_size() == before


def test_the_default_is_the_reference_where_it_applies_and_newton_elsewhere():
    """The methods end at the same optimum, but not at the same bits."""
    found, reference, fast = (
        solve(nash(), 1e-5, **how) for how in ({}, {"method": METHODS[1]}, {"method": METHODS[0]})
    )
    np.testing.assert_array_equal(found.attention, reference.attention)
    assert (np.asarray(found.attention) != np.asarray(fast.attention)).any()
    assert bool(solve(Market.of(SCORES, ONE, Nash(jnp.ones(N)), temperature=0.0)).converged)
