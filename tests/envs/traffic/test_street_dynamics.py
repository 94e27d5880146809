"""What holds in every second: vehicles are conserved, red is red, edges don't overflow, order is kept."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_streets import crossing, crossing_records, crossroads

from attnjax.envs.traffic import departures, make_plan, make_streets, network_plan, street_parameters
from attnjax.envs.traffic.dynamics import count_vehicles, empty_streets, on_edges, step_second, storage, travel_times
from attnjax.envs.traffic.signals import Openings, Weights, cyclic_windows, openings, weigh
from attnjax.errors import UserError


@functools.partial(jax.jit, static_argnums=0)
def watched(streets, parameters, plan, due):
    """Every second of a plan: the states after, what happened, and all vehicles."""
    windows = cyclic_windows(plan)
    opened = openings(streets, windows, parameters.yellow_use)

    def second(state, now):
        time, due_now = now
        weights = weigh(windows, streets.begin + time - plan.offset, parameters.lost)
        state, happened = step_second(streets, parameters, state, weights, opened, due_now)
        return state, (state, happened, count_vehicles(state))

    clock = jnp.arange(len(due), dtype=due.dtype)
    return jax.lax.scan(second, empty_streets(streets), (clock, due))[1]


def plans(streets):
    """The network's plan, one that leaves out phases, and one that never opens the main street of B."""
    return [
        network_plan(streets),
        make_plan(streets, np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]), 45.5, 7.25),
        make_plan(streets, np.array([[0.7, 0.3, 0.0], [0.0, 0.0, 1.0]]), 60.0),
    ]


def movement(streets, lane, edge):
    return next(
        m
        for m, (a, b) in enumerate(zip(streets.lane, streets.end, strict=True))
        if (streets.lanes[a], streets.edges[b]) == (lane, edge)
    )


@pytest.mark.parametrize("demand", [1.0, 4.0])
def test_vehicles_are_conserved_and_edges_hold_what_they_can(x64, demand):
    streets = crossing()
    parameters = street_parameters(streets, demand=demand)
    due = departures(streets, parameters, jax.random.key(3) if demand > 1 else None)
    room = np.asarray(storage(streets, parameters))
    for plan in plans(streets):
        state, happened, vehicles = watched(streets, parameters, plan, due)
        np.testing.assert_allclose(vehicles, np.cumsum(due.sum(1)), rtol=1e-12)
        held = np.asarray(jax.vmap(functools.partial(on_edges, streets))(state))
        assert (held <= room + 1e-9).all()
        for leaf in (state.head, state.queue, state.entries, state.moving, state.waiting, happened.out):
            assert np.asarray(leaf).min() > -1e-9
        assert (np.diff(state.arrived) >= 0).all()
        assert (np.asarray(happened.out) <= np.asarray(parameters.saturation)[streets.lane] + 1e-9).all()
        heads = np.stack([np.asarray(state.head)[:, streets.lane == lane].sum(1) for lane in range(len(streets.lanes))])
        assert heads.max() <= parameters.front + 1e-9


def test_nothing_passes_where_the_file_says_red(x64):
    """Against the letters of the network's plan, second by second."""
    network, _ = crossing_records()
    streets = crossing()
    parameters = street_parameters(streets, demand=2.0, lost=0.0)
    _, happened, _ = watched(streets, parameters, network_plan(streets), departures(streets, parameters))
    ways, open_seconds = network.connections, 0
    for number, (lane, end) in enumerate(zip(streets.lane, streets.end, strict=True)):
        names = streets.lanes[lane], streets.edges[end]
        way = next(
            way
            for way, (a, b) in enumerate(zip(ways.from_lane, ways.to_edge, strict=True))
            if (network.lanes.names[a], network.edges.names[b]) == names
        )
        signal = network.signals[ways.signal[way]]
        letters = np.repeat([state[ways.link[way]] for state in signal.states], signal.durations.astype(int))
        shown = letters[(np.arange(len(streets.schedule)) - int(signal.offset)) % len(letters)]
        out = np.asarray(happened.out[:, number])
        assert out[shown == "r"].max() < 1e-12
        assert out[np.isin(shown, ["g", "G"])].max() > 0
        open_seconds += (shown != "r").sum()
        np.testing.assert_array_equal(np.asarray(happened.opening[:, number]) > 1e-9, shown != "r")
    assert open_seconds > 1000


def test_a_full_edge_holds_up_the_street_before_it():
    streets = crossing()
    parameters = street_parameters(streets, demand=3.0)
    shut = plans(streets)[2]
    state, happened, _ = watched(streets, parameters, shut, departures(streets, parameters))
    held = np.asarray(jax.vmap(functools.partial(on_edges, streets))(state))
    ab, wa = streets.edges.index("AB"), streets.edges.index("WA")
    room = np.asarray(storage(streets, parameters))
    assert held[-1, ab] == pytest.approx(room[ab], rel=1e-5)
    assert held[-1, wa] == pytest.approx(room[wa], rel=1e-5)
    into = np.asarray(happened.out)[:, movement(streets, "WA_0", "AB")]
    assert into[:120].max() > 0.3
    assert into[-120:].max() < 1e-4
    # What can't enter waits outside, and is still counted.
    assert state.waiting[-1].sum() > 10


def steps(streets, parameters, state, opened, seconds):
    """Seconds without arrivals in which every signal shows its first window."""
    signals, phases = streets.phases.shape
    green = jnp.zeros((signals, phases)).at[:, 0].set(1)
    weights = Weights(green, jnp.zeros_like(green), jnp.zeros_like(green))
    nobody = jnp.zeros(len(streets.source_edge))

    def second(state, _):
        return step_second(streets, parameters, state, weights, opened, nobody)

    return jax.lax.scan(second, state, None, seconds)


def opened_by(streets, major, minor=()):
    """The openings of a first window that lets these movements go."""
    size = (len(streets.lane), 3 * streets.phases.shape[1])
    return Openings(*(jnp.zeros(size).at[np.array(which, int), 0].set(1) for which in (major, minor)))


@pytest.mark.parametrize("front", [1.0, 2.0])
def test_a_vehicle_at_red_holds_up_those_behind_it(front):
    """Of a queue with a part p that can't go, (1 - p) / p x front others pass: the mean of a random order."""
    streets = crossing()
    parameters = street_parameters(streets, front=front)
    blocked, *others = (movement(streets, "NA_0", edge) for edge in ("AB", "AS", "AW"))
    queue = jnp.zeros(len(streets.lane)).at[np.array([blocked, *others])].set(jnp.array([4.0, 24.0, 12.0]))
    state = empty_streets(streets)._replace(queue=queue)
    after, happened = steps(streets, parameters, state, opened_by(streets, others), 300)
    passed = np.asarray(happened.out.sum(0))
    assert passed.sum() == pytest.approx(0.9 / 0.1 * front, rel=1e-3)
    assert passed[others[0]] == pytest.approx(2 * passed[others[1]], rel=1e-4)
    assert after.head[blocked] == pytest.approx(front, rel=1e-3)
    # With all of them open, saturation flow until the lane is empty; turns are slower.
    _, happened = steps(streets, parameters, state, opened_by(streets, [blocked, *others]), 300)
    flow = np.asarray(happened.out.sum(1))
    assert flow.sum() == pytest.approx(40, rel=1e-4)
    assert flow[:20].min() >= parameters.saturation[0] * streets.ease[[blocked, *others]].min() - 1e-5
    assert flow.max() <= parameters.saturation[0] + 1e-5


def test_a_permissive_left_takes_the_gaps():
    streets = crossing()
    parameters = street_parameters(streets, gap=2.5)
    left, straight = movement(streets, "WA_1", "AN"), movement(streets, "BA_0", "AW")
    assert straight in streets.foes[left]
    assert left not in streets.foes[straight]
    some = jnp.zeros(len(streets.lane)).at[left].set(20.0)
    opened = opened_by(streets, [straight], [left])

    def flow(towards):
        state = empty_streets(streets)._replace(queue=some.at[straight].set(towards))
        return np.asarray(steps(streets, parameters, state, opened, 40)[1].out)

    alone, against = flow(0.0), flow(10.0)
    most = float(parameters.saturation[0] * streets.ease[left])
    assert alone[0, left] == pytest.approx(most, rel=1e-5)
    ahead = against[0, straight]
    assert ahead == pytest.approx(float(parameters.saturation[0] * streets.ease[straight]), rel=1e-5)
    assert against[0, left] == pytest.approx(most * np.exp(-2.5 * ahead), rel=1e-5)
    # Once those ahead have gone, the left goes at its full rate.
    assert against[30, left] == pytest.approx(most, rel=1e-4)


def test_vehicles_take_their_time_along_an_edge(x64):
    """One second's departures on an empty street arrive after its travel time, split between two seconds."""
    streets = crossroads(90)
    parameters = street_parameters(streets, speed_factor=0.8, demand=0.1, lost=0.0)
    plan = make_plan(streets, np.array([[1.0, 0.0]]), 60.0)
    due = jnp.zeros((90, 2)).at[0, 0].set(0.1)
    state, happened, _ = watched(streets, parameters, plan, due)
    first, second = (streets.edges.index(name) for name in "AB")
    times = np.asarray(travel_times(streets, parameters))
    # 100 m at 8 m/s; behind the crossing 110 m.
    assert times[[first, second]] == pytest.approx([12.5, 13.75])
    out = np.asarray(happened.out)[:, movement(streets, "A_0", "B")]
    assert {second: out[second] for second in np.flatnonzero(out > 1e-12)} == pytest.approx({12: 0.05, 13: 0.05})
    came = np.diff(np.asarray(state.arrived))
    assert np.sum(came * np.arange(1, 90)) / 0.1 == pytest.approx(12.5 + 13.75)
    assert state.arrived[-1] == pytest.approx(0.1)
    # On its way it loses a fifth of its time. At a red light it also stops, and stands from its arrival on.
    assert happened.delay.sum() == pytest.approx(0.1 * 0.2 * (12.5 + 13.75))
    red = make_plan(streets, np.array([[0.0, 1.0]]), 60.0)
    _, stopped, _ = watched(streets, parameters, red, due)
    standing = 90 - 12.5
    assert stopped.delay.sum() == pytest.approx(0.1 * (0.2 * 12.5 + standing + parameters.stop))


def test_the_order_of_signals_does_not_matter(x64):
    network, demand = crossing_records()
    one = crossing()
    ways = network.connections
    flipped = network._replace(
        signals=network.signals[::-1], connections=ways._replace(signal=(len(network.signals) - 1 - ways.signal))
    )
    two = make_streets(flipped, demand, 0, 600)
    assert two.junctions == one.junctions[::-1]
    parameters = street_parameters(one, demand=2.0)
    _, seen, _ = watched(one, parameters, network_plan(one), departures(one, parameters))
    _, other, _ = watched(two, parameters, network_plan(two), departures(two, parameters))
    np.testing.assert_allclose(seen.out, other.out, atol=1e-12)


def test_without_a_light_the_minor_street_gives_way_at_all_times(x64):
    network, demand = crossing_records()
    ways = network.connections
    dark = network._replace(signals=network.signals[1:], connections=ways._replace(signal=ways.signal - 1))
    streets = make_streets(dark, demand, 0, 600)
    assert streets.lit.tolist() == np.flatnonzero(streets.junction == 0).tolist()
    assert len(streets.lit) < len(streets.lane)
    parameters = street_parameters(streets)
    due = departures(streets, parameters)
    _, happened, vehicles = watched(streets, parameters, network_plan(streets), due)
    np.testing.assert_allclose(vehicles, np.cumsum(due.sum(1)), rtol=1e-12)
    main, side = movement(streets, "BA_0", "AW"), movement(streets, "NA_0", "AS")
    assert (streets.free_major[main], streets.free_minor[main]) == (1, 0)
    assert (streets.free_major[side], streets.free_minor[side]) == (0, 1)
    np.testing.assert_array_equal(happened.opening[:, main], 1)
    _, bold, _ = watched(streets, street_parameters(streets, gap=0.0), network_plan(streets), due)
    waits, waits_not = (np.asarray(one.lane_queue).sum(0) for one in (happened, bold))
    lane = streets.lane[side]
    assert waits[lane] > 1.2 * waits_not[lane] > 0
    # The light of B is as it was.
    beside = crossing()
    _, lit, _ = watched(beside, street_parameters(beside), network_plan(beside), departures(beside, parameters))
    at_b = np.flatnonzero(beside.junction == 1)
    np.testing.assert_allclose(happened.opening[:, streets.lit], lit.opening[:, at_b], atol=1e-12)


def test_streets_hold_only_what_routes_use():
    network, demand = crossing_records()
    only = demand._replace(route=np.zeros_like(demand.route))
    streets = make_streets(network, only, 0, 600)
    assert len(streets.edges) == len(demand.routes[0])
    assert len(streets.lane) == len(demand.routes[0]) - 1
    assert (streets.ratio == 1).all()
    whole = crossing()
    np.testing.assert_allclose(
        whole.leaves + np.bincount(whole.start, whole.ratio / (whole.siblings < len(whole.lane)).sum(1), 12), 1
    )
    assert whole.schedule.sum() == 230
    np.testing.assert_allclose(whole.rate.sum(0), whole.schedule.sum(0))
    assert whole == make_streets(network, demand, 0, 600)
    assert hash(whole) == hash(make_streets(network, demand, 0, 600))
    assert whole != crossing(0, 60)
    assert repr(whole) == "Streets(2 signals, 10 lanes, 12 edges)"


def test_bad_windows_and_routes_are_refused():
    network, demand = crossing_records()
    with pytest.raises(UserError, match="a window in which a vehicle departs"):
        make_streets(network, demand, 5000, 6000)
    broken = demand._replace(routes=((0, 0), *demand.routes[1:]))
    with pytest.raises(UserError, match="from edge WA to edge WA"):
        make_streets(network, broken, 0, 600)
