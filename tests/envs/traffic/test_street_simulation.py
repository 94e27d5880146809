"""A plan's delay: Webster's formula, derivatives, compilation, random departures."""

import dataclasses

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_streets import crossing, crossroads

from attnjax.envs.traffic import Plan, departures, make_plan, network_plan, simulate, street_parameters
from attnjax.envs.traffic.simulation import random_counts

SECONDS = 120


@pytest.fixture(scope="module")
def delay():
    """Delay as a function of parameters, shares and temperature, compiled once per precision."""
    streets = crossing(0, SECONDS)

    def function(parameters, shares, temperature):
        plan = dataclasses.replace(network_plan(streets), shares=shares)
        return simulate(streets, parameters, plan, temperature=temperature).delay

    return streets, jax.jit(function), jax.jit(jax.grad(function, (0, 1)))


@pytest.mark.parametrize(("green", "flow"), [(0.5, 0.1), (0.5, 0.2), (0.3, 0.1), (0.7, 0.25)])
def test_an_isolated_lane_waits_as_webster_says(green, flow):
    """Uniform delay (C - g)^2 / (2 C (1 - y)), y = flow / saturation, with g seconds of effective green."""
    streets, cycle = crossroads(1200), 60.0
    plan = make_plan(streets, np.array([[green, 1 - green]]), cycle)
    parameters = street_parameters(
        streets,
        saturation=0.5,
        front=1.0,
        lost=2.0,
        yellow_use=0.0,
        stop=0.0,
        speed_factor=1.0,
        demand=jnp.array([flow, 0.0]),
    )
    summary = jax.jit(simulate, static_argnums=0)(streets, parameters, plan)
    effective = green * (cycle - 6) - 2
    webster = (cycle - effective) ** 2 / (2 * cycle * (1 - flow / 0.5))
    assert flow < 0.5 * effective / cycle
    # Whole seconds, and the last vehicles still under way at the end, cost a little.
    assert float(summary.delay) == pytest.approx(webster, rel=0.04)
    assert float(summary.discharged[0, 1]) == 0


def test_an_oversaturated_lane_discharges_its_saturation_flow():
    streets = crossroads(1200)
    parameters = street_parameters(streets, saturation=0.5, lost=2.0, yellow_use=1 / 3, demand=1.0)
    plan = make_plan(streets, np.array([[0.5, 0.5]]), 60.0)
    summary = jax.jit(simulate, static_argnums=0)(streets, parameters, plan)
    # 20 cycles of 27 - 2 seconds and a third of three yellow ones, less the first vehicles' way.
    np.testing.assert_allclose(summary.discharged, 20 * 0.5 * 26, rtol=0.05)
    assert float(summary.queue.sum()) > 10


def test_derivatives_are_those_of_central_differences(x64, delay):
    """Of relaxed windows in all numbers and shares; of hard ones in the numbers and in shares that are not zero."""
    streets, value, gradient = delay
    parameters = street_parameters(streets, demand=1.3)
    shares = jnp.array([[0.55, 0.45, 0.0], [0.5, 0.2, 0.3]])
    names = ("lost", "yellow_use", "gap", "stop", "speed_factor", "spacing", "front", "choice")
    start = np.array([*(float(getattr(parameters, name)) for name in names), 1.0, 1.0, *shares.ravel()])
    start[:8] += 0.0123

    def unpack(x):
        changed = {name: x[place] for place, name in enumerate(names)}
        one = dataclasses.replace(
            parameters, **changed, saturation=x[8] * parameters.saturation, demand=x[9] * parameters.demand
        )
        return one, x[10:].reshape(2, 3)

    for temperature in (jnp.float64(0.8), None):
        slope, share_slope = gradient(*unpack(jnp.asarray(start)), temperature)
        exact = [getattr(slope, name) for name in names]
        exact += [slope.saturation @ parameters.saturation, slope.demand @ parameters.demand, *share_slope.ravel()]
        known = [place for place in range(len(start)) if temperature is not None or start[place] != 0]
        numerical = central_differences.jacobian(
            lambda x, t=temperature: value(*unpack(jnp.asarray(x)), t), start, 1e-6
        )
        central_differences.assert_close(np.array(exact)[known], numerical[known], 1e-5)
        assert np.count_nonzero(np.abs(numerical) > 1e-4) >= 12


def test_relaxed_delay_becomes_the_hard_one(x64, delay):
    streets, value, _ = delay
    parameters = street_parameters(streets)
    for shares in ([[0.55, 0.45, 0.0], [0.5, 0.2, 0.3]], [[1.0, 0.0, 0.0], [0.6, 0.0, 0.4]]):
        hard = float(value(parameters, jnp.array(shares), None))
        gaps = [abs(float(value(parameters, jnp.array(shares), jnp.float64(t))) - hard) for t in (1.0, 0.1, 0.01)]
        assert gaps[2] < min(0.1, gaps[1]) < max(0.2, gaps[0])


def test_eager_compiled_batched_and_float32_agree(delay):
    streets, value, _ = delay
    plan = network_plan(streets)
    scales = jnp.array([0.5, 1.0, 2.0])
    many = jax.vmap(lambda scale: street_parameters(streets, demand=scale, lost=scale))(scales)
    rows = jax.jit(jax.vmap(lambda one: simulate(streets, one, plan).delay))(many)
    for row, scale in zip(rows, scales, strict=True):
        alone = value(street_parameters(streets, demand=scale, lost=scale), plan.shares, None)
        np.testing.assert_allclose(row, alone, rtol=1e-5)
    one = street_parameters(streets)
    eager = simulate(streets, one, plan)
    np.testing.assert_allclose(eager.delay, value(one, plan.shares, None), rtol=1e-5)
    assert eager.delays.shape == (SECONDS,)
    with jax.enable_x64(True):
        double = value(street_parameters(streets), network_plan(streets).shares, None)
    np.testing.assert_allclose(eager.delay, double, rtol=1e-4)


def test_nothing_recompiles_for_other_numbers_plans_keys_or_temperatures():
    streets = crossing(0, 60)
    traces = 0

    @jax.jit
    def run(parameters, plan, key, temperature):
        nonlocal traces
        traces += 1
        return simulate(streets, parameters, plan, key, temperature=temperature).delay

    seen = set()
    for number in range(3):
        scale = 1 + number / 4
        shares = np.array([[1.0, 0.0, 0.0], [0.5, number / 10, 0.5 - number / 10]])
        plan = make_plan(streets, shares, 50.0 + number, number)
        seen.add(float(run(street_parameters(streets, demand=scale), plan, jax.random.key(number), 0.1 * scale)))
    assert traces == 1
    assert len(seen) == 3


def test_random_departures_are_poisson_and_scheduled_ones_are_the_files():
    for rate in (0.05, 0.5, 1.5):
        counts = np.asarray(random_counts(jax.random.key(1), jnp.full(20000, rate)))
        assert set(counts) <= set(range(9))
        assert counts.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate / 20000))
        assert counts.var() == pytest.approx(rate, rel=4 * np.sqrt((1 / rate + 2) / 20000))
        assert (counts == 0).mean() == pytest.approx(np.exp(-rate), abs=0.015)
    streets = crossing()
    np.testing.assert_array_equal(departures(streets, street_parameters(streets)), streets.schedule)
    halved = street_parameters(streets, demand=0.5)
    drawn = jax.vmap(lambda key: departures(streets, halved, key).sum())(jax.random.split(jax.random.key(0), 200))
    assert drawn.mean() == pytest.approx(115, abs=4 * np.sqrt(115 / 200))
    same = [departures(streets, halved, jax.random.key(seed)) for seed in (5, 5, 6)]
    assert (same[0] == same[1]).all()
    assert not (same[0] == same[2]).all()


def test_an_empty_street_delays_nobody_and_more_green_helps_the_one_who_gets_it():
    streets = crossing()
    plan = network_plan(streets)
    run = jax.jit(lambda parameters, plan: simulate(streets, parameters, plan))
    nobody = run(street_parameters(streets, demand=0.0), plan)
    assert (float(nobody.delay), float(nobody.throughput)) == (0, 0)
    queues = []
    for share in (0.4, 0.6, 0.8):
        shares = jnp.array([[share, 1 - share, 0.0], [0.5, 0.2, 0.3]])
        queues.append(run(street_parameters(streets), Plan(shares, plan.cycle, plan.offset, plan.change)).queue)
    main, side = (streets.lanes.index(name) for name in ("BA_0", "NA_0"))
    queues = np.asarray(queues)
    assert (np.diff(queues[:, main]) < 0).all()
    assert (np.diff(queues[:, side]) > 0).all()
