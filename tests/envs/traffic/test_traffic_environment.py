"""The environment of streets: shares, phases, what is seen and what is paid; the contract has its own test."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_streets import crossing

from attnjax.envs import Traffic
from attnjax.envs.traffic import street_parameters
from attnjax.envs.traffic.dynamics import count_vehicles
from attnjax.errors import UserError


@functools.cache
def played(random_departures=False):
    """An environment, its compiled step, and typical parameters."""
    env = Traffic(crossing(0, 300), random_departures=random_departures)
    return env, jax.jit(env.step), street_parameters(env.streets)


def run(env, step, params, actions):
    _, state = env.reset(jax.random.key(0), params)
    out = []
    for number, action in enumerate(actions):
        after = step(jax.random.key(number), state, jnp.asarray(action, jnp.float32), params)
        state = after.state
        out.append(after)
    return out


FIRST, SECOND, THIRD = np.eye(3)
BOTH = np.array([FIRST, FIRST])


def test_a_row_of_zeros_keeps_the_phase_and_masked_phases_do_not_count():
    env, step, params = played()
    keep = run(env, step, params, [np.stack([SECOND, THIRD]), np.zeros((2, 3))])
    assert [after.state.phase.tolist() for after in keep] == [[1, 2], [1, 2]]
    # A has no third phase.
    masked = run(env, step, params, [np.stack([SECOND + THIRD, THIRD]), np.stack([THIRD, FIRST * 0])])
    np.testing.assert_allclose(masked[0].obs, keep[0].obs)
    np.testing.assert_allclose(masked[1].reward, keep[1].reward, rtol=1e-6)
    # Weights count by their proportions only.
    one, two = (run(env, step, params, [scale * np.array([[1, 1, 0], [1, 1, 2.0]]) / 2])[0] for scale in (1.0, 0.5))
    np.testing.assert_allclose(one.obs, two.obs)
    assert one.state.phase.tolist() == [1, 2]


def test_rewards_sum_to_minus_the_mean_delay_and_vehicles_are_conserved():
    env, step, params = played()
    rng = np.random.default_rng(0)
    out = run(env, step, params, rng.random((env.max_steps, 2, 3)))
    vehicles = env.streets.schedule.sum()
    delay = sum(float(after.info["delay"]) for after in out)
    assert sum(float(after.reward) for after in out) == pytest.approx(-delay / vehicles, rel=1e-5)
    assert count_vehicles(out[-1].state.streets) == pytest.approx(vehicles, rel=1e-5)
    assert sum(float(after.info["arrived"]) for after in out) == pytest.approx(float(out[-1].state.streets.arrived))
    assert [bool(after.truncated) for after in out] == [False] * (env.max_steps - 1) + [True]


def test_a_phase_discharges_only_while_it_is_served():
    env, step, params = played()
    out = run(env, step, params, [BOTH] * 12 + [np.array([SECOND, FIRST])] * 2)
    for after in out[:12]:
        assert np.asarray(after.info["discharged"])[:, 1:].max() == 0
    assert out[11].info["discharged"][0, 0] > 0
    assert out[13].info["discharged"][0, 1] > 0
    assert out[13].info["discharged"][0, 0] == 0


def test_what_is_seen_of_a_lane():
    env, step, params = played()
    out = run(env, step, params, [BOTH] * 12)
    seen, streets = np.asarray(out[-1].obs), env.streets
    side, main, left = (streets.lanes.index(name) for name in ("NA_0", "WA_0", "AB_1"))
    queue = np.asarray(out[-1].state.streets.head + out[-1].state.streets.queue)
    np.testing.assert_allclose(seen[:, 0], np.bincount(streets.lane, queue), rtol=1e-5)
    assert seen[side, 0] > seen[main, 0]
    # The side street has been red for two minutes; the main one and B's permissive left are open.
    assert seen[[side, main, left], 2].tolist() == [2, 0, 0]
    assert seen[[side, main, left], 3].tolist() == [0, 1, 1]
    moving = np.asarray(out[-1].state.streets.moving)
    edge = streets.edges.index("WA")
    assert seen[main, 1] == pytest.approx(moving[edge] / 2)
    assert (0 <= seen[:, 4]).all()
    assert (seen[:, 4] <= 1).all()


def test_serving_who_waits_beats_dense_shares():
    """Dense shares pay two changes in every budget of ten seconds."""
    env, step, params = played()
    dense = run(env, step, params, [np.ones((2, 3))] * env.max_steps)
    slow = [np.array([FIRST, FIRST])] * 3 + [np.array([SECOND, FIRST]), np.array([SECOND, THIRD])]
    alternate = run(env, step, params, (slow * 6)[: env.max_steps])
    assert sum(float(after.reward) for after in alternate) > sum(float(after.reward) for after in dense)


def test_the_derivative_in_an_action_is_finite():
    env, _, params = played(random_departures=True)

    @jax.jit
    @jax.grad
    def slope(action):
        _, state = env.reset(jax.random.key(0), params)

        def decide(state, key):
            after = env.step(key, state, action, params)
            return after.state, after.reward

        return jax.lax.scan(decide, state, jax.random.split(jax.random.key(1), 4))[1].sum()

    for action in (np.ones((2, 3)), BOTH, np.zeros((2, 3))):
        assert np.isfinite(slope(jnp.asarray(action, jnp.float32))).all()


def test_budgets_that_do_not_fit_are_refused():
    for settings in ({"budget": 3}, {"budget": 301}, {"budget": 10, "change": 10}):
        with pytest.raises(UserError, match="Traffic: expected change < budget <= 300"):
            Traffic(crossing(0, 300), **settings)
    with pytest.raises(UserError, match="budget to be an integer"):
        Traffic(crossing(0, 300), budget=10.0)
