"""SUMO on the project's own network: what is read, seen and done, from processes that may fail."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from crossing import NET, ROUTES, Dies, KeepsWhatIsShown, Stumbles, crossing

from attnjax.data.road_networks import read_road_network
from attnjax.envs.sumo import (
    Actuated,
    CyclicShares,
    Episode,
    Failure,
    FixedPlan,
    Greedy,
    Job,
    MaxPressure,
    NetPlan,
    RemoteSimulation,
    Scenario,
    SparseShares,
    run_episodes,
)
from attnjax.envs.sumo import backend as backends
from attnjax.errors import UserError

PLAYERS = {
    "net": NetPlan(),
    "actuated": Actuated(),
    "uneven": FixedPlan(((50, 10, 0), (50, 10, 10))),
    "cyclic": CyclicShares(),
    "greedy": Greedy(),
    "pressure": MaxPressure(),
    "sparse": SparseShares(),
    "capped": Greedy(cap=40.0),
}


@pytest.fixture(scope="module")
def played():
    """One run of each player, some in two ways, and some that fail: all in one round of two processes."""
    scenario = crossing()
    jobs = {name: Job(scenario, player, 1) for name, player in PLAYERS.items()}
    jobs |= {
        "greedy again": Job(scenario, Greedy(), 1),
        "greedy elsewhere": Job(scenario, Greedy(), 2),
        "stumbles": Job(scenario, Stumbles(), 1),
        "dies": Job(scenario, Dies(), 7),
        "kept by windows": Job(scenario, KeepsWhatIsShown(False), 1),
        "kept by program": Job(scenario, KeepsWhatIsShown(True), 1),
        "to the last vehicle": Job(crossing(1500), Greedy(), 1),
    }
    counted = []
    results = run_episodes(list(jobs.values()), processes=2, done=counted.append)
    assert sorted(counted) == list(range(1, len(jobs) + 1))
    return dict(zip(jobs, results, strict=True))


@pytest.fixture(scope="module")
def remote():
    with RemoteSimulation() as simulation:
        yield simulation


def test_the_layout_is_that_of_the_files(remote):
    layout, _ = remote.begin(crossing(), 1)
    network = read_road_network(NET.read_bytes())
    ways = network.connections
    assert layout.junctions == tuple(signal.name for signal in network.signals)
    for junction, signal in enumerate(network.signals):
        own = [way for way in range(len(ways.link)) if ways.signal[way] == junction]
        lanes = layout.lanes[junction]
        assert set(lanes) == {network.lanes.names[ways.from_lane[way]] for way in own}
        assert layout.states[junction] == tuple(signal.states[phase] for phase in signal.green)
        np.testing.assert_array_equal(
            layout.plan[junction, : len(signal.green)], [signal.durations[phase] for phase in signal.green]
        )
        for place, lane in enumerate(lanes):
            mine = [way for way in own if network.lanes.names[ways.from_lane[way]] == lane]
            for phase, number in enumerate(signal.green):
                letters = {signal.states[number][ways.link[way]] for way in mine}
                assert layout.green[junction, phase, place] == bool(letters & set("Gg"))
                assert layout.protected[junction, phase, place] == ("G" in letters)
            assert set(layout.behind[junction][place]) == {network.lanes.names[ways.to_lane[way]] for way in mine}
            assert layout.length[junction, place] == network.lanes.length[network.lanes.names.index(lane)]
    assert layout.lane_mask.sum(axis=1).tolist() == [len(lanes) for lanes in layout.lanes]
    assert layout.phase_mask.sum(axis=1).tolist() == [2, 3]
    assert not layout.green[~layout.phase_mask].any()
    assert layout.links[0, :, 1].any()
    assert layout.links[1, :, 0].any()  # the two junctions are neighbours
    assert not layout.links[0, :, 0].any()


def test_what_is_seen_is_consistent_and_the_clock_runs_with_the_windows(remote):
    layout, seen = remote.begin(crossing(), 1)
    assert seen.time == 0
    assert not seen.far.any()
    rng = np.random.default_rng(0)
    red, done = np.zeros(seen.red.shape), False
    while not done:
        phase = np.array([rng.integers(count) for count in layout.phase_mask.sum(axis=1)])
        before, age = seen.phase, seen.age
        seen, done = remote.act(10 * np.eye(3, dtype=int)[phase])
        np.testing.assert_array_equal(seen.phase, phase)
        np.testing.assert_array_equal(seen.age, np.where(phase == before, age + 10, 7))
        served = layout.green[np.arange(2), phase]
        assert (seen.red[served] == 0).all()
        # A lane that the phase before let go is red from the yellow on; the others have 10 s more.
        just = layout.green[np.arange(2), before] & ~served
        red = np.where(just, 10, red + 10)
        np.testing.assert_array_equal(seen.red[~served & layout.lane_mask], red[~served & layout.lane_mask])
        red[served] = 0
        assert (seen.near <= seen.far).all()
        assert (seen.halting <= seen.far).all()
        assert (seen.queue >= (seen.waiting > 0)).all()
        assert (seen.queue <= seen.far).all()
        assert (seen.longest <= seen.waiting).all()
        assert ((seen.waiting > 0) <= (seen.far > 0)).all()
        for values in seen[1:7]:
            assert not values[~layout.lane_mask].any()
    assert seen.time == 600
    with pytest.raises(UserError, match="before the end, zero where no phase is, got shape"):
        remote.act(10 * np.eye(3, dtype=int)[phase])


def test_a_controller_here_and_one_in_the_child_do_the_same(remote, played):
    layout, seen = remote.begin(crossing(), 1)
    done = False
    while not done:
        seen, done = remote.act(Greedy().windows(layout, seen))
    here, there = remote.finish(), played["greedy"]
    assert here.measures == there.measures
    np.testing.assert_array_equal(here.flows, there.flows)
    np.testing.assert_array_equal(here.queues, there.queues)


def test_a_seed_decides_a_run(played):
    assert played["greedy"].measures == played["greedy again"].measures
    assert played["greedy"].measures != played["greedy elsewhere"].measures


def test_a_phase_held_by_windows_is_a_phase_held_by_a_program(played):
    one, other = played["kept by windows"], played["kept by program"]
    assert one.measures == other.measures
    np.testing.assert_array_equal(one.flows, other.flows)


def test_blocked_streets_cost_more_in_the_strict_delay(played):
    held = played["kept by windows"].measures
    assert held.strict_delay > 2 * played["net"].measures.strict_delay
    assert held.throughput < played["net"].measures.throughput
    for name in PLAYERS:
        found = played[name].measures
        assert found.throughput <= found.inserted <= found.scheduled
        assert 0 < found.mean_speed < 20


def test_green_where_the_traffic_is_beats_plans(played):
    delay = {name: played[name].measures.strict_delay for name in PLAYERS}
    for adaptive in ("greedy", "pressure", "sparse"):
        assert delay[adaptive] < delay["net"] < delay["uneven"]


def test_every_vehicle_crosses_the_lines_on_its_way(played):
    """Vehicles that set out at W all pass a lane of junction A that comes from there."""
    everyone = played["to the last vehicle"]
    assert everyone.measures.throughput == everyone.measures.scheduled
    text = ROUTES.read_text()
    through = text.count('route="through"') + text.count('from="WA"') + text.count('edges="WA') - 1
    network = read_road_network(NET.read_bytes())
    lanes = [network.lanes.names[k] for k in dict.fromkeys(network.connections.from_lane.tolist())]
    assert {lane for lane in lanes if lane.startswith("WA_")}
    with RemoteSimulation() as simulation:
        layout, _ = simulation.begin(crossing(), 1)
    mine = [place for place, lane in enumerate(layout.lanes[0]) if lane.startswith("WA_")]
    assert everyone.flows[0, mine].sum() * 1500 / 3600 == pytest.approx(through)


def test_nobody_stands_much_longer_than_the_cap(played):
    assert played["capped"].longest_wait <= 40 + 2 * 10
    assert played["sparse"].longest_wait <= SparseShares().cap + 2 * SparseShares().budget


def test_failures_are_told_and_stop_nothing(played):
    assert isinstance(played["stumbles"], Failure)
    assert "KeyError: 'no such junction'" in played["stumbles"].error
    assert isinstance(played["dies"], Failure)
    assert played["dies"].job.seed == 7
    assert "process ended (exit code 3)" in played["dies"].error
    assert all(isinstance(played[name], Episode) for name in played if name not in ("stumbles", "dies"))


def test_no_child_outlives_its_parent():
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), *filter(None, sys.path)])
    parent = subprocess.Popen(
        [sys.executable, str(here / "orphan.py")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with parent:
        child = int(parent.stdout.readline())
        os.kill(child, 0)  # it lives
        parent.kill()
    deadline = time.monotonic() + 20
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(child)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_windows_that_cannot_be_are_refused(remote):
    remote.begin(crossing(), 1)
    remote.finish()
    with pytest.raises(UserError, match="a run that has begun, got none"):
        remote.finish()
    remote.begin(crossing(), 1)
    for windows, message in (
        ([[10, 0, 0]], r"windows of shape \(2, 3\) before the end"),
        ([[0, 0, 10], [10, 0, 0]], "zero where no phase is"),
        ([[10, 0, 0], [9, 0, 0]], r"with the same sum for every junction, got sums \[9.0, 10.0\]"),
        ([[9.5, 0.5, 0], [10, 0, 0]], "whole seconds"),
        ([[11, -1, 0], [10, 0, 0]], "none below 0"),
        ([[0, 0, 0], [0, 0, 0]], "no phase has a second"),
        ([[8, 2, 0], [10, 0, 0]], "phase 1 has 2 s, and 3 s of them are yellow"),
    ):
        with pytest.raises(UserError, match=message):
            remote.act(windows)
    remote.finish()


def test_a_scenario_that_sumo_cannot_load_is_refused_with_its_words(remote, tmp_path):
    routes = tmp_path / "bad.rou.xml"
    routes.write_text('<routes><vehicle id="0" depart="0"><route edges="nowhere WA"/></vehicle></routes>')
    with pytest.raises(UserError, match=r"expected a road network and trips that it can load, got .*nowhere"):
        remote.begin(Scenario("bad", str(NET), str(routes), 0, 60), 1)
    remote.begin(crossing(), 1)  # and the child is fit for the next


def test_scenarios_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"0 <= begin < end and 0 <= yellow < decision, got .*yellow=10"):
        crossing(yellow=10)
    with pytest.raises(UserError, match="0 <= begin < end"):
        crossing(end=0)
    with pytest.raises(UserError, match="run_episodes: expected processes >= 1, got 0"):
        run_episodes([], processes=0)


def test_without_sumo_the_extra_is_named(monkeypatch):
    def nothing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(backends.importlib, "import_module", nothing)
    with pytest.raises(UserError, match=r"libsumo.*pip install 'attnjax\[city\]'"):
        backends.connect()
    with pytest.raises(UserError, match="expected libsumo or traci, got 'sumo'"):
        backends.connect("sumo")


@pytest.mark.skipif(shutil.which("sumo") is None, reason="TraCI needs the program sumo")
def test_traci_gives_the_numbers_of_libsumo(played):
    names = ("net", "actuated", "greedy", "sparse")
    talked = run_episodes([Job(crossing(), PLAYERS[name], 1) for name in names], processes=2, backend="traci")
    for name, one in zip(names, talked, strict=True):
        assert one.measures == played[name].measures
        np.testing.assert_array_equal(one.flows, played[name].flows)


def test_a_missing_program_is_told_by_the_child(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SUMO_HOME", raising=False)
    with pytest.raises(UserError, match=r"attnjax\[city\]"):
        run_episodes([Job(crossing(), NetPlan(), 1)], processes=1, backend="traci")
