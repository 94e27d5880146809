"""The controllers' table in small: one seed each on the project's own crossing, which stands in for a map."""

import numpy as np
import pytest

from attnjax.reproduction import Context, find_project, read_record


@pytest.fixture(scope="module")
def record(clone):
    """A whole run by the command line; nothing is fetched, the project's own network comes under a map's name."""
    from attnjax.cli import main
    from attnjax.data.resco import RescoMap
    from attnjax.envs.sumo import scenario

    files = clone / "tests" / "data" / "road_networks"
    own = RescoMap("cologne1", files / "crossing.net.xml", files / "crossing.rou.xml", 0, 600, 10, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        patch.setattr(scenario, "load_resco_map", lambda name: own)
        assert main(["run", "city_signals", "--preset", "smoke"]) == 0
        (path,) = find_project().runs.glob("city_signals/*/record.json")
        return read_record(path, path.name)


def test_the_record_holds_every_run(record):
    from experiments.city_signals.compute import CONTROLLERS

    assert record.certificates["runs"] == 2 * len(CONTROLLERS)
    assert len(set(record.values["sumo_seeds"])) == 2
    assert record.values["sumo"].split()[0] in ("libsumo", "traci")
    assert record.values["maps"]["cologne1"]["signals"] == 2
    for controller in CONTROLLERS:
        found = record.values["measures"]["cologne1"][controller]
        assert record.per_seed[f"cologne1_{controller}_strict_delay"] == found["strict_delay"]
        assert max(found["throughput"]) <= record.values["maps"]["cologne1"]["vehicles"]


def test_green_that_follows_the_queue_beats_every_plan_on_every_seed(record):
    from experiments.city_signals.compute import PLANS

    delay = {name: np.array(found["strict_delay"]) for name, found in record.values["measures"]["cologne1"].items()}
    for adaptive in ("greedy", "max_pressure", "sparse_shares"):
        for plan in PLANS:
            assert (delay[adaptive] < delay[plan]).all()
    assert record.certificates["longest_wait_under_the_cap"] <= record.config["cap"] + 2 * 13


def test_tables_and_figures_come_from_the_record(record):
    from experiments.city_signals.show import figures, tables

    strict, resco, others = tables(record)
    assert len(strict.rows) == len(resco.rows) == len(others.rows) == 8
    assert all(len(row) == len(table.columns) for table in (strict, resco, others) for row in table.rows)
    greedy = record.values["measures"]["cologne1"]["greedy"]["strict_delay"]
    assert f"{np.median(greedy):.1f} [{max(greedy):.1f}]" in dict(strict.rows)["greedy"]
    for figure in figures(record):
        figure.build().draw_without_rendering()


def test_a_run_that_fails_is_named_with_its_seed(monkeypatch):
    from attnjax.envs.sumo import Failure, SimulationError
    from experiments.city_signals import Config, compute

    monkeypatch.setattr(compute, "resco_scenario", lambda name: type("S", (), {"name": name}))
    monkeypatch.setattr(compute, "controllers", lambda config, scenario: dict.fromkeys(compute.CONTROLLERS))
    monkeypatch.setattr(compute, "run_episodes", lambda jobs, *rest, **more: [Failure(job, "died") for job in jobs])
    with pytest.raises(SimulationError, match=r"cologne1: 8 of 8 runs failed \(.* on seed \d+: died"):
        compute.run(Config(seeds=1, maps=("cologne1",)), None, Context())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--maps paris", "maps of cologne1, cologne3"),
        ("--maps cologne1 cologne1", "at least one map, each once"),
        ("--shares-budget 9", "a rolling budget >= 12 s"),
        ("--seeds 0", "seeds and processes >= 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run city_signals --preset smoke -- {option}")
    assert code == 2
    assert message in err
