"""Fairness: hand-made cases, loops as references, and allocations that theory calls fair."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Creators, Market, Nash, solve
from attnjax.errors import UserError
from attnjax.objectives import (
    below_uniform,
    creator_envy,
    demographic_disparity,
    exposure_disparity,
    group_means,
    opportunity_disparity,
    user_envy,
)

pytestmark = pytest.mark.usefixtures("x64")
U, C = 6, 3
DRAWS = np.random.default_rng(4)
VALUE, EXPOSURE = DRAWS.uniform(size=(U, C)), DRAWS.dirichlet(np.ones(C), size=U)
GROUP = np.array([0, 1, 0, 1, 1, 0])


def test_envy_is_the_double_loop_and_users_envy_its_mirror():
    envy = creator_envy(VALUE, EXPOSURE)
    for j in range(C):
        for k in range(C):
            assert float(envy[j, k]) == pytest.approx(
                max(0, VALUE[:, j] @ (EXPOSURE[:, k] - EXPOSURE[:, j])), abs=1e-14
            )
    among_users = user_envy(VALUE, EXPOSURE)
    for u in range(U):
        for v in range(U):
            assert float(among_users[u, v]) == pytest.approx(max(0, VALUE[u] @ (EXPOSURE[v] - EXPOSURE[u])), abs=1e-14)


def test_users_who_choose_for_themselves_envy_no_one():
    own_best = jax.nn.one_hot(jnp.argmax(VALUE, axis=1), C)
    assert float(user_envy(VALUE, own_best).max()) == 0


def test_the_nash_optimum_envies_little_and_dominates_uniform_exposure():
    """Impact r_uj on one item per creator: the Fisher market's optimum gives each creator at least its proportional
    share (sum_u r_uj R_u / c), and creators with equal weights don't envy each other."""
    market = Market.of(0.0, Creators.one_per_item(C), Nash(1.0), temperature=0.0, impact=VALUE)
    attention = solve(market, 1e-8).attention
    assert float(below_uniform(VALUE, attention, jnp.ones(U)).max()) < 1e-4
    assert float(creator_envy(VALUE, attention).max()) < 1e-3
    greedy = jax.nn.one_hot(jnp.argmax(VALUE, axis=1), C)
    worst = jax.nn.one_hot(jnp.zeros(U, int), C)
    assert float(below_uniform(VALUE, worst, jnp.ones(U)).max()) > 0.1
    assert float(creator_envy(VALUE, worst).max()) > float(creator_envy(VALUE, greedy).max())


def test_group_means_and_gaps():
    amounts = np.arange(6.0)
    means = [amounts[GROUP == g].mean() for g in (0, 1)]
    np.testing.assert_allclose(group_means(amounts, GROUP, 2), means)
    assert np.isnan(group_means(amounts, GROUP, 3)[2])
    gap = max(means) - min(means)
    assert float(demographic_disparity(amounts, GROUP, 2)) == pytest.approx(gap)
    # A group without members has no say.
    assert float(demographic_disparity(amounts, GROUP, 5)) == pytest.approx(gap)
    assert np.isfinite(jax.grad(demographic_disparity)(jnp.asarray(amounts), GROUP, 5)).all()


def test_equal_opportunity_looks_at_the_eligible_only():
    amounts, eligible = jnp.arange(6.0), np.array([1, 1, 0, 0, 1, 1], bool)
    means = [np.arange(6.0)[(GROUP == g) & eligible].mean() for g in (0, 1)]
    assert float(opportunity_disparity(amounts, GROUP, 2, eligible)) == pytest.approx(max(means) - min(means))
    everyone = opportunity_disparity(amounts, GROUP, 2, np.ones(6, bool))
    assert float(everyone) == pytest.approx(float(demographic_disparity(amounts, GROUP, 2)))
    gradient = jax.grad(opportunity_disparity)(amounts, GROUP, 2, eligible)
    assert (gradient[~eligible] == 0).all()
    assert float(opportunity_disparity(amounts, GROUP, 2, np.zeros(6, bool))) == 0


def test_exposure_in_proportion_to_merit_is_no_disparity():
    merit = DRAWS.uniform(0.5, 2.0, size=6)
    assert float(exposure_disparity(3 * merit, merit, GROUP, 2)) == pytest.approx(0, abs=1e-12)
    exposure = DRAWS.uniform(size=6)
    ratio = [exposure[GROUP == g].sum() / merit[GROUP == g].sum() for g in (0, 1)]
    wanted = abs(ratio[0] - ratio[1]) / (exposure.sum() / merit.sum())
    assert float(exposure_disparity(exposure, merit, GROUP, 2)) == pytest.approx(wanted)
    nobody = jax.value_and_grad(exposure_disparity)(jnp.asarray(exposure), jnp.zeros(6), GROUP, 2)
    assert float(nobody[0]) == 0
    assert np.isfinite(nobody[1]).all()


def test_gradients_by_central_differences():
    amounts = DRAWS.uniform(size=6)
    for measure in (
        lambda e: creator_envy(VALUE, e.reshape(U, C)).sum(),
        lambda e: below_uniform(VALUE, 0.5 * e.reshape(U, C), jnp.ones(U)).sum(),
    ):
        exact = jax.grad(measure)(jnp.asarray(EXPOSURE.ravel()))
        central_differences.assert_close(exact, central_differences.jacobian(measure, EXPOSURE.ravel()), 1e-8)
    for measure in (
        lambda x: demographic_disparity(x, GROUP, 2),
        lambda x: exposure_disparity(x, jnp.ones(6), GROUP, 2),
    ):
        exact = jax.grad(measure)(jnp.asarray(amounts))
        central_differences.assert_close(exact, central_differences.jacobian(measure, amounts), 1e-8)


def test_shapes_are_checked():
    for call in (
        lambda: creator_envy(jnp.ones((2, 3)), jnp.ones((3, 2))),
        lambda: below_uniform(jnp.ones((2, 3)), jnp.ones((2, 3)), jnp.ones(3)),
        lambda: group_means(jnp.ones(2), jnp.zeros(3, int), 1),
    ):
        with pytest.raises(UserError):
            call()
