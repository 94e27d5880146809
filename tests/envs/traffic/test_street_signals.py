"""Green windows from shares: hand-made cases, what a zero share pays, and the limit of relaxed windows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_streets import crossing, crossroads

from attnjax.envs.traffic import make_plan, network_plan
from attnjax.envs.traffic.signals import Plan, active, cyclic_windows, openings, rolling_windows, weigh
from attnjax.errors import UserError


def plan_of(shares, cycle=60.0, change=3.0):
    shares = jnp.asarray([shares], jnp.float32)
    return Plan(shares, jnp.full(1, cycle), jnp.zeros(1), jnp.full(shares.shape, change))


def seconds_of(windows, seconds, temperature=None, lost=0.0):
    """The weights of each second: three arrays (seconds, phases) of the only signal."""
    clock = jnp.arange(seconds, dtype=jnp.float32)
    if windows.period is not None:
        clock = clock[:, None]
    weights = jax.vmap(lambda time: weigh(windows, time, jnp.float32(lost), temperature))(clock)
    return [np.asarray(one)[:, 0] for one in weights]


def test_a_cycle_is_filled_by_changes_and_greens_in_order():
    change, lost, green = seconds_of(cyclic_windows(plan_of([0.5, 0.25, 0.25], change=4.0)), 120, lost=2.0)
    # 60 - 3 x 4 = 48 seconds of green: 24, 12 and 12, of which the first two are lost.
    np.testing.assert_allclose(change[:60].sum(0), [4, 4, 4], atol=1e-5)
    np.testing.assert_allclose(lost[:60].sum(0), [2, 2, 2], atol=1e-5)
    np.testing.assert_allclose(green[:60].sum(0), [22, 10, 10], atol=1e-5)
    np.testing.assert_allclose((change + lost + green).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(green[60:], green[:60], atol=1e-5)
    assert change[:4, 0].tolist() == [1, 1, 1, 1]
    assert np.flatnonzero(green[:60, 1])[[0, -1]].tolist() == [34, 43]


def test_a_phase_without_a_share_is_skipped_and_pays_nothing():
    some = cyclic_windows(plan_of([0.5, 0.0, 0.5]))
    change, _, green = seconds_of(some, 60)
    assert change.sum(0).tolist() == [3, 0, 3]
    assert green.sum(0).tolist() == [27, 0, 27]
    # The third phase comes after the first, and the first after the third.
    np.testing.assert_array_equal(some.previous[0, [0, 2]], [[0, 0, 1], [1, 0, 0]])
    change, _, green = seconds_of(cyclic_windows(plan_of([0.0, 1.0, 0.0])), 60)
    assert change.sum() == 0
    assert green[:, 1].tolist() == [1] * 60


def test_the_budget_ahead_begins_with_the_phase_that_is_green():
    three = jnp.full((1, 3), 3.0)

    def budget(shares, current):
        windows = rolling_windows(jnp.asarray([shares], jnp.float32), jnp.array([current]), 10.0, three)
        return windows, seconds_of(windows, 10)

    _, (change, _, green) = budget([0.0, 1.0, 0.0], 1)
    assert (change.sum(), green[:, 1].sum()) == (0, 10)
    windows, (change, _, green) = budget([1.0, 0.0, 0.0], 1)
    # Three seconds of yellow for the phase that ends, then seven of green, as in RESCO's protocol.
    assert change[:, 0].tolist() == [1] * 3 + [0] * 7
    assert green[:, 0].tolist() == [0] * 3 + [1] * 7
    np.testing.assert_array_equal(windows.previous[0, 0], [0, 1, 0])
    windows, (change, _, green) = budget([0.5, 0.0, 0.5], 2)
    np.testing.assert_allclose(green.sum(0), [3.5, 0, 3.5], atol=1e-6)
    assert np.flatnonzero(green[:, 2]).tolist() == [0, 1, 2, 3]
    assert change.sum(0).tolist() == [3, 0, 0]
    np.testing.assert_array_equal(windows.previous[0, 0], [0, 0, 1])
    # Three phases: two changes, four seconds of green.
    _, (change, _, green) = budget([0.5, 0.25, 0.25], 1)
    np.testing.assert_allclose(green.sum(0), [2, 1, 1], atol=1e-6)
    assert change.sum(0).tolist() == [3, 0, 3]
    # More changes than the budget holds: no green at all, and nothing after the budget.
    _, (change, _, green) = budget([0.4, 0.3, 0.3], 1)
    windows = rolling_windows(jnp.full((1, 3), 1 / 3), jnp.array([0]), 5.0, three)
    change, _, green = seconds_of(windows, 5)
    assert (change.sum(), green.sum()) == (5, 0)


def test_relaxed_windows_become_hard_ones_and_keep_their_area(x64):
    for shares in ([0.6, 0.1, 0.3], [0.5, 0.0, 0.5]):
        plan = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), plan_of(shares))
        windows = cyclic_windows(plan)
        hard = np.stack(seconds_of(windows, 60, lost=1.5))
        distances = []
        for temperature in (1.0, 0.1, 0.01):
            soft = np.stack(seconds_of(cyclic_windows(plan, temperature), 60, temperature, lost=1.5))
            distances.append(np.abs(soft - hard).max())
            # Edges are smeared out, and nothing is lost or won by it.
            relaxed = cyclic_windows(plan, temperature)
            np.testing.assert_allclose(soft[2].sum(0), (relaxed.end - jnp.minimum(relaxed.start + 1.5, relaxed.end))[0])
        assert distances[0] > 5 * distances[1] > 25 * distances[2]
        assert distances[2] < 0.01


def test_what_is_open_before_and_after_a_change_stays_open():
    streets = crossing()
    b = streets.junctions.index("B")
    names = [(streets.lanes[lane], streets.edges[end]) for lane, end in zip(streets.lane, streets.end, strict=True)]
    windows = cyclic_windows(network_plan(streets))
    opened = openings(streets, windows, jnp.float32(0.25))
    major, minor = (np.asarray(one).reshape(len(names), 3, -1) for one in opened)

    def movement(lane, end):
        return names.index((lane, end))

    through, left, opposite = movement("AB_0", "BE"), movement("AB_1", "BM"), movement("EB_0", "BA")
    assert streets.junction[through] == b
    # The second phase of B goes on with the straight and the left of the first; the opposite stops.
    change, lost, green = 0, 1, 2
    assert major[through, [change, lost, green], 1].tolist() == [1, 1, 1]
    assert major[opposite, [change, lost, green], 1].tolist() == [0.25, 0, 0]
    assert minor[left, [change, lost, green], 0].tolist() == [0, 0, 1]
    assert (minor[left, change, 1], major[left, change, 1]) == (1, 0)
    assert major[left, [lost, green], 1].tolist() == [1, 1]
    # In a plan that skips the second phase, the change after it ends the first.
    skipped = cyclic_windows(make_plan(streets, np.array([[0.5, 0.5, 0], [0.5, 0, 0.5]]), 60.0))
    major = np.asarray(openings(streets, skipped, jnp.float32(0.25)).major).reshape(len(names), 3, -1)
    assert major[opposite, change, 2] == 0.25


def test_a_change_belongs_to_the_phase_that_it_ends():
    windows = cyclic_windows(plan_of([0.5, 0.0, 0.5]))
    share = active(weigh(windows, jnp.zeros(1), jnp.float32(0)), windows)
    assert share.tolist() == [[0, 0, 1]]


def test_the_plan_of_the_network_is_that_of_the_file():
    streets = crossing()
    plan = network_plan(streets)
    assert plan.cycle.tolist() == [60, 60]
    np.testing.assert_allclose(plan.shares, [[31 / 54, 23 / 54, 0], [25 / 51, 10 / 51, 16 / 51]], rtol=1e-6)
    assert streets.phases.tolist() == [[True, True, False], [True, True, True]]
    # The cycle begins with the change into its first phase, three seconds before the file's.
    assert plan.offset.tolist() == [-3, 5]
    clock = (jnp.arange(60.0)[:, None] - plan.offset[None, :]).astype(jnp.float32)
    weights = jax.vmap(lambda time: weigh(cyclic_windows(plan), time, jnp.float32(0)))(clock)
    assert np.flatnonzero(np.round(weights.green[:, 0, 0])).tolist() == list(range(31))
    assert np.flatnonzero(np.round(weights.green[:, 1, 0])).tolist() == list(range(8, 33))
    # A plan whose file begins in the middle of a change.
    late = network_plan(crossroads(10, states=("ry", "Gr", "yr", "rG")))
    weights = jax.vmap(lambda time: weigh(cyclic_windows(late), time - late.offset, jnp.float32(0)))(jnp.arange(60.0))
    assert np.flatnonzero(np.round(weights.green[:, 0, 0])).tolist() == list(range(3, 30))


def test_shares_of_another_shape_are_refused():
    with pytest.raises(UserError, match=r"make_plan: expected shares of shape \[2, 3\], got \[3\]"):
        make_plan(crossing(), jnp.ones(3), 60.0)
