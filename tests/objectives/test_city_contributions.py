"""What a share brings: concave, with the response that each price buys, against the formulas they come from."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from central_differences import jacobian
from hypothesis import given
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree
from scipy.optimize import linprog

import attnjax.allocation
import attnjax.objectives
from attnjax.allocation import Concave, Entropy, allocate, split, split_or_skip
from attnjax.allocation.contributions import Contribution, slope
from attnjax.errors import UserError
from attnjax.objectives import Charging, Coverage, Delay, Discharge, webster_split

# Compiled quickly, what its contributions share is computed anew at every use: minutes instead of seconds.
pytestmark = pytest.mark.compiled_in_full

FLOW = np.array([0.06, 0.15, 0.02, 0.22])


def _logarithm(w, scale):
    return scale * jnp.log1p(3 * w)


CONTRIBUTIONS = {
    "delay": lambda: Delay(jnp.asarray(FLOW), 0.5, 90.0, 0.85),
    "discharge": lambda: Discharge(jnp.array([3.0, 8.0, 0.0, 5.0]), jnp.asarray(FLOW), 0.5, 40.0, 0.0, 1 + FLOW),
    "coverage": lambda: Coverage(jnp.array([3.0, 8.0, 0.0, 5.0]), 0.4, 6.0),
    "charging": lambda: Charging(jnp.array([3.0, 18.0, 0.0, 5.0]), 20.0, 0.7),
    "concave": lambda: Concave(_logarithm, (jnp.array([3.0, 8.0, 1.0, 5.0]),)),
}
GRID = np.linspace(0.02, 0.98, 97)


def test_every_contribution_is_under_this_contract():
    made = {type(make()) for make in CONTRIBUTIONS.values()}
    exported = [getattr(module, name) for module in (attnjax.allocation, attnjax.objectives) for name in module.__all__]
    found = {one for one in exported if inspect.isclass(one) and hasattr(one, "response") and one is not Contribution}
    assert found == made


@pytest.mark.parametrize("name", CONTRIBUTIONS)
def test_it_is_concave_and_rises(x64, name):
    contribution = CONTRIBUTIONS[name]()
    assert isinstance(contribution, Contribution)
    values = np.asarray(jax.vmap(contribution.value)(jnp.asarray(np.tile(GRID[:, None], 4))))
    steps = np.diff(values, axis=0)
    assert (steps >= -1e-12).all()
    assert (np.diff(steps, axis=0) <= 1e-12).all()


@pytest.mark.parametrize("name", CONTRIBUTIONS)
def test_its_response_is_the_best_share_at_a_price(x64, name):
    contribution = CONTRIBUTIONS[name]()
    lower, upper = jnp.full(4, GRID[0]), jnp.full(4, GRID[-1])
    steepest = float(jnp.max(slope(contribution, lower)))
    respond = jax.jit(lambda price: contribution.response(jnp.full(4, price), lower, upper))
    values = np.asarray(jax.vmap(contribution.value)(jnp.asarray(np.tile(GRID[:, None], 4))))
    before = np.full(4, np.inf)
    for price in np.linspace(-0.1, 1.1, 13) * steepest:
        found = np.asarray(respond(price))
        assert (found >= GRID[0]).all()
        assert (found <= GRID[-1]).all()
        assert (found <= before + 1e-12).all()
        before = found
        others = values - price * GRID[:, None]
        own = np.asarray(contribution.value(jnp.asarray(found))) - price * found
        assert (own >= others.max(0) - 1e-9 * abs(others).max()).all()


@pytest.mark.parametrize("name", CONTRIBUTIONS)
def test_its_optimum_is_certified(x64, name):
    found = split(CONTRIBUTIONS[name](), lower=0.05)
    assert found.feasible
    assert float(found.shares.sum()) == pytest.approx(1, abs=1e-12)
    assert 0 <= float(found.gap) <= 1e-9 * max(1.0, abs(float(found.value)))


def test_delay_has_websters_terms_and_the_manuals(x64):
    """At a long period and below saturation: half the red squared, and the queue of M/D/1."""
    flow, saturation, cycle, g = 0.2, 0.5, 80.0, 0.55
    found = -float(Delay(jnp.array([flow]), saturation, cycle, period=1e9).value(jnp.array([g]))[0])
    x = flow / (saturation * g)
    uniform = cycle * (1 - g) ** 2 / (2 * (1 - flow / saturation))
    assert found == pytest.approx(flow * uniform + x**2 / (2 * (1 - x)), rel=1e-6)
    # Eq. 16-11 in its own units: vehicles per hour, a quarter of an hour, k I = 0.5.
    g, hour = 0.35, 0.25
    x, capacity = flow / (saturation * g), 3600 * saturation * g
    overflow = 900 * hour * (x - 1 + np.sqrt((x - 1) ** 2 + 8 * 0.5 * x / (capacity * hour)))
    uniform = cycle * (1 - g) ** 2 / (2 * (1 - flow / saturation))
    found = -float(Delay(jnp.array([flow]), saturation, cycle, period=900.0).value(jnp.array([g]))[0])
    assert x > 1
    assert found == pytest.approx(flow * (uniform + overflow), rel=1e-9)


def test_the_manuals_uniform_term_is_not_convex():
    """Its slope in g falls where x reaches 1, so that a price could stop at the wrong split."""
    y, cycle = 0.3, 60.0

    def manual(g):
        return 0.5 * cycle * (1 - g) ** 2 / (1 - min(1, y / g) * g)

    left, right = ((manual(y + h) - manual(y)) / h for h in (-1e-6, 1e-6))
    assert left == pytest.approx(-cycle / 2, rel=1e-4)
    assert right == pytest.approx(-cycle, rel=1e-4)


def test_websters_split_is_proportional_equally_saturated_and_a_softmax(x64):
    ratio = FLOW / 0.5
    found = np.asarray(webster_split(ratio, 0.9))
    np.testing.assert_allclose(found, 0.9 * ratio / ratio.sum())
    np.testing.assert_allclose(ratio / found, ratio.sum() / 0.9)
    np.testing.assert_allclose(allocate(jnp.log(ratio), 0.9, regularizer=Entropy()).weights, found, atol=1e-14)
    # The largest saturation can't be made smaller: another split gives some phase less.
    other = np.random.default_rng(0).dirichlet(np.ones(4), 100) * 0.9
    assert ((ratio / other).max(1) >= (ratio / found).max() - 1e-12).all()


def test_equal_phases_make_websters_split_the_one_of_least_delay_and_unequal_ones_do_not(x64):
    equal = split(Delay(jnp.full(3, 0.1), 0.5, 90.0, 0.85), lower=0.05)
    np.testing.assert_allclose(equal.shares, webster_split(jnp.full(3, 0.2)), atol=1e-9)
    delay = Delay(jnp.array([0.02, 0.2]), 0.5, 90.0, 0.9)
    least, rule = split(delay, lower=0.01), webster_split(jnp.array([0.02, 0.2]))
    assert least.shares[0] > 1.1 * rule[0]
    assert float(least.value) > float(jnp.sum(delay.value(rule)))


def test_least_delay_agrees_with_a_search_on_a_grid(x64):
    delay = Delay(jnp.array([0.08, 0.2]), 0.5, 90.0, 0.9)
    grid = np.linspace(0.01, 0.99, 9801)
    values = jax.vmap(lambda w: jnp.sum(delay.value(jnp.stack([w, 1 - w]))))(jnp.asarray(grid))
    best = int(jnp.argmax(values))
    found = split(delay, lower=0.01)
    assert found.shares[0] == pytest.approx(grid[best], abs=2e-4)
    assert float(values[best]) <= float(found.bound)


@given(st.integers(0, 10**6))
def test_least_queue_agrees_with_linear_programming(seed):
    """max sum z over z <= q_i, z <= s (w T - lost), w >= start: HiGHS knows it."""
    rng = np.random.default_rng(seed)
    queue, saturation, lost, horizon = rng.uniform(0, 12, 4), rng.uniform(0.3, 0.9, 4), 3.0, 60.0
    served = Discharge(*(jnp.asarray(x, jnp.float32) for x in (queue, np.zeros(4), saturation)), horizon, lost)
    found = split(served, lower=served.start)
    reference = linprog(
        np.concatenate([np.zeros(4), -np.ones(4)]),
        A_ub=np.hstack([-np.diag(saturation * horizon), np.eye(4)]),
        b_ub=-saturation * lost,
        A_eq=[[1] * 4 + [0] * 4],
        b_eq=[1],
        bounds=[(lost / horizon, 1)] * 4 + [(0, q) for q in queue],
    )
    assert float(found.value) == pytest.approx(-reference.fun, abs=2e-4)
    assert float(found.gap) < 1e-3


def test_a_short_budget_skips_phases_that_a_price_would_split(x64):
    """Three queues of four vehicles, half a vehicle a second, 3 s lost each: in 14 s one is emptied and one begun."""
    queues = Discharge(jnp.full(3, 4.0), 0.0, 0.5, horizon=14.0, lost=3.0)
    found = split_or_skip(queues, lower=queues.start)
    assert sorted(np.round(np.asarray(found.shares) * 14, 6)) == [0, 3, 11] or float(found.value) == 4
    assert float(found.value) == pytest.approx(4)
    assert float(found.price_bound) > float(found.value) + 0.5
    # A cycle that serves all of them wastes nine seconds of fourteen.
    assert float(split(queues, lower=queues.start).value) == pytest.approx(2.5)


@pytest.mark.parametrize("name", CONTRIBUTIONS)
def test_derivatives_in_the_parameters(x64, name):
    contribution = CONTRIBUTIONS[name]()
    # Away from 0, where a use is about to vanish.
    inner = jax.tree.map(lambda x: jnp.where(jnp.asarray(x, jnp.float64) == 0, 1.0, x), contribution)
    at, rebuild = ravel_pytree(inner)

    def flat(x):
        found = split(rebuild(x), lower=0.03)
        return jnp.concatenate([found.shares, jnp.stack([found.price, found.value])])

    numerical = jacobian(jax.jit(flat), np.asarray(at), 1e-6)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(flat))(at), numerical, atol=2e-5 * max(1, np.abs(numerical).max()))


def test_the_gradient_of_delay_is_finite_wherever_some_green_is_left():
    delay = Delay(jnp.array([0.0, 0.2, 0.45]), 0.5, 60.0, randomness=0.0)
    for share in (1e-3, 0.4, 0.9, 1.0):
        assert np.isfinite(slope(delay, jnp.full(3, share))).all()
    assert delay.value(jnp.zeros(3)).tolist() == [0, -np.inf, -np.inf]


def test_flows_that_no_green_can_carry_are_refused():
    with pytest.raises(UserError, match=r"Delay: expected flows from 0 to below the saturation flow.*up to 0.6"):
        Delay(jnp.array([0.1, 0.6]), 0.5, 60.0)
    for wrong in (jnp.zeros(2), jnp.array([-0.1, 0.2])):
        with pytest.raises(UserError, match="webster_split: expected flow ratios of at least 0"):
            webster_split(wrong)
