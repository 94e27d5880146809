"""The rules of thumb by what defines them; guarantees on random shares; Webster by hand and by its inequality."""

import jax
import numpy as np
import pytest

from attnjax.envs.signal_controllers import (
    best_phase,
    even_plan,
    greedy_phase,
    max_pressure_phase,
    phase_scores,
    proportional_shares,
    sparse_shares,
    starved,
    webster_plan,
    windows_of,
)
from attnjax.errors import UserError


def street(seed: int, junctions: int = 6, phases: int = 4, lanes: int = 7):
    rng = np.random.default_rng(seed)
    green = rng.random((junctions, phases, lanes)) < 0.4
    green[:, 0] |= ~green.any(axis=1)
    mask = np.ones((junctions, phases), bool)
    mask[0, 3] = False
    green[~mask] = False
    return rng, green, mask


def test_greedy_and_max_pressure_take_the_best_of_all_phases():
    rng, green, mask = street(0)
    near, queue, behind = (rng.integers(0, 9, green.shape[::2]).astype(float) for _ in range(3))
    chosen, pressed = greedy_phase(near, green, mask), max_pressure_phase(queue, behind, green, mask)
    for junction in range(len(mask)):
        freed = [near[junction][green[junction, p]].sum() if mask[junction, p] else -1 for p in range(4)]
        assert chosen[junction] == np.argmax(freed)
        relief = (queue - behind)[junction]
        pressure = [relief[green[junction, p]].sum() if mask[junction, p] else -np.inf for p in range(4)]
        assert pressed[junction] == np.argmax(pressure)
    # Without anyone downstream, pressure is the queue.
    np.testing.assert_array_equal(max_pressure_phase(near, 0 * near, green, mask), greedy_phase(near, green, mask))


def test_an_empty_junction_rests_on_its_first_phase():
    _, green, mask = street(1)
    assert not greedy_phase(np.zeros(green.shape[::2]), green, mask).any()
    assert best_phase([[5.0, 9.0]], [[True, False]]).tolist() == [0]


def test_shares_are_shares_and_follow_the_scores():
    rng, green, mask = street(2)
    scores = phase_scores(green, rng.random(green.shape[::2]) * 9)
    for shares in (proportional_shares(scores, mask), np.asarray(sparse_shares(scores, mask, 3.0))):
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
        assert (shares >= 0).all()
        assert not shares[~mask].any()
        for junction in range(len(mask)):
            order = np.argsort(np.where(mask, scores, -1)[junction])
            assert (np.diff(shares[junction][order]) >= -1e-6).all()
    assert (proportional_shares(0 * scores, mask)[mask] > 0).all()  # none is left out


def test_sparse_shares_go_from_greedy_to_even():
    rng, green, mask = street(3)
    scores = phase_scores(green, rng.random(green.shape[::2]) * 9)
    cold = np.asarray(sparse_shares(scores, mask, 1e-3))
    np.testing.assert_array_equal(cold.argmax(axis=1), best_phase(scores, mask))
    np.testing.assert_allclose(cold.max(axis=1), 1, atol=1e-5)
    hot = np.asarray(sparse_shares(scores, mask, 1e6))
    np.testing.assert_allclose(hot, mask / mask.sum(axis=1, keepdims=True), atol=1e-4)


def test_sparse_shares_are_the_projection_onto_the_simplex_and_differentiable(x64):
    scores, mask = np.array([[3.0, 2.0, -4.0]]), np.ones((1, 3), bool)
    shares = np.asarray(sparse_shares(scores, mask, 2.0))[0]
    np.testing.assert_allclose(shares, [0.75, 0.25, 0])
    rng = np.random.default_rng(0)
    for other in rng.dirichlet(np.ones(3), 50):  # nothing on the simplex is nearer to scores / temperature
        assert np.sum((other - scores / 2) ** 2) >= np.sum((shares - scores / 2) ** 2)
    slope = jax.jacobian(lambda s: sparse_shares(s, mask, 2.0)[0, 0])(scores)
    np.testing.assert_allclose(slope, [[0.25, -0.25, 0]])


def test_windows_keep_every_guarantee_whatever_the_shares():
    rng = np.random.default_rng(4)
    for _ in range(300):
        phases, budget, least = int(rng.integers(2, 6)), int(rng.integers(14, 70)), int(rng.integers(3, 6))
        shares = rng.dirichlet(np.full(phases, 0.4), 3)
        phase, age = rng.integers(phases, size=3), rng.integers(0, 20, 3)
        must = rng.random(shares.shape) < 0.2
        windows = windows_of(shares, budget, phase, age, 3, least=least, must=must)
        assert (windows.sum(axis=1) == budget).all()
        for row, now, since, forced in zip(windows, phase, age, must, strict=True):
            switched = np.delete(row, now)
            assert ((switched == 0) | (switched >= 3 + least)).all()
            assert row[now] >= least - since
            if (first := np.flatnonzero(forced)).size:
                assert row[first].any()
            if need(forced, now, since, least) <= budget:
                assert (row[forced] > 0).all()


def need(forced: np.ndarray, now: int, since: int, least: int) -> int:
    """Seconds for all that must be served and for the rest of what is green."""
    others = sum(3 + least for phase in np.flatnonzero(forced) if phase != now)
    return others + max(least - since, 1 if forced[now] else 0)


def test_shares_that_ask_for_enough_are_met_to_the_second():
    rng = np.random.default_rng(5)
    for _ in range(100):
        shares = 0.25 * rng.dirichlet(np.ones(3), 1) + 0.25
        windows = windows_of(shares, 60, [0], [9], 3)
        assert np.abs(windows - 60 * shares).max() < 1
    np.testing.assert_array_equal(windows_of(np.eye(3)[[1]], 14, [0], [9], 3), [[0, 14, 0]])


def test_a_lane_is_starved_by_red_or_by_a_stream_without_gaps():
    green = np.array([[[True, True], [False, True]]])
    protected = np.array([[[True, False], [False, True]]])
    for red, longest, far, wanted in (
        ([0, 0], [0, 130], [4, 1], [False, True]),  # green, but nobody lets them turn: their own phase
        ([130, 0], [0, 0], [4, 1], [True, False]),
        ([130, 0], [0, 0], [0, 1], [False, False]),  # empty
        ([119, 119], [119, 119], [1, 1], [False, False]),
    ):
        assert starved([red], [longest], [far], green, protected, 120.0).tolist() == [wanted]
    assert not starved([[9999, 9999]], [[9999, 9999]], [[1, 1]], green, protected, np.inf).any()


def test_webster_splits_by_critical_ratios_and_clears_every_lane():
    own = np.zeros((1, 2, 4), bool)
    own[0, 0, :2] = own[0, 1, 2:] = True
    flows = np.array([[600.0, 450.0, 300.0, 100.0]])
    mask = np.ones((1, 2), bool)
    plan = webster_plan(flows, own, mask, yellow=3)[0]
    # y = 1/3 and 1/6, L = 10: C = 20 / (1/2) = 40, of which 34 s are green, two to one.
    assert plan.sum() == 40
    assert (plan - 3).tolist() == [23, 11]
    rng = np.random.default_rng(6)
    for seed in range(20):
        _, green, mask = street(seed)
        flows = rng.random(green.shape[::2]) * 250
        plan = webster_plan(flows, green, mask, yellow=3)
        cycle = plan.sum(axis=1)
        assert (plan[mask] >= 8).all()
        assert not plan[~mask].any()
        assert (cycle <= np.maximum(120, 8 * mask.sum(axis=1))).all()
        seconds = np.einsum("jpl,jp->jl", green, np.maximum(plan - 3 + 0.5, 0) * mask)  # half a second of rounding
        slack = seconds / cycle[:, None] - flows / 1800 * green.any(axis=1)
        free = cycle < 115
        assert (slack[free] > -0.02).all()


def test_even_plans_are_even():
    plan = even_plan(np.array([[True, True, False], [True, True, True]]), 50)
    assert plan.tolist() == [[25, 25, 0], [17, 17, 16]]


def test_wrong_calls_are_answered():
    with pytest.raises(UserError, match=r"a budget of at least 12 s.*got 11 s"):
        windows_of([[1.0, 0.0]], 11, [0], [9], 3)
    with pytest.raises(UserError, match=r"each row of sum 1, got shape \(1, 2\), sums \[0.9\]"):
        windows_of([[0.5, 0.4]], 20, [0], [9], 3)
