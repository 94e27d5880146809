"""The benchmark of aggregators and fronts: its smoke preset end to end, peers that can't take part, and its targets."""

import dataclasses
import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import welfare_of
from attnjax.errors import UserError
from attnjax.pareto import AGGREGATORS
from experiments.benchmarks.aggregation import config, contest, ours, report
from experiments.benchmarks.aggregation.__main__ import PEERS
from experiments.benchmarks.command import interpreter_with

CONTEST = "aggregation"
SMOKE = config.PRESETS["smoke"]


def test_the_smoke_preset_measures_all_of_ours(smoke):
    record, text = smoke
    values = record["values"]
    assert [(row["objectives"], row["parameters"], row["method"]) for row in values["directions"]] == [
        (*size, method) for size in SMOKE.sizes for method in SMOKE.methods
    ]
    for row in values["directions"]:
        assert row["ours"]["problem"] == ""
        assert row["ours"]["seconds"] > 0
        assert row["ours"]["calls"] >= SMOKE.rounds
    assert set(values["steps"]["aggregators"]) == set(SMOKE.aggregators)
    assert all(one["ratio"] > 0 for one in values["steps"]["aggregators"].values())
    assert "| 3 | 64 | upgrad |" in text
    assert "NSGA-II" not in text


def test_the_three_ways_give_one_front_and_vmap_makes_the_passes_of_the_slowest(smoke):
    found = smoke[0]["values"]["ways"]
    assert found["points"] == SMOKE.points
    for one in found["ways"].values():
        assert one["converged"] == SMOKE.points
        assert 0 < one["slowest"] <= one["iterations"] <= SMOKE.points * one["slowest"]


def test_targets_are_judged_by_what_was_measured():
    row = {"objectives": 128, "parameters": 4096, "method": "upgrad", "ours": {"error": 2e-5}, "ratio": 50.0}
    ways = {name: {"seconds": seconds} for name, seconds in (("in sequence", 5.0), ("vmapped", 1.0))}
    steps = {"aggregators": {"mean": {"ratio": 1.1}, "graddrop": {"ratio": 1.2}}}
    judged = report.targets({"directions": [row], "steps": steps, "ways": {"ways": ways}})
    assert [target["holds"] for target in judged] == [True, False, True, False, False]
    del row["ratio"], row["ours"]["error"]  # without peers
    assert len(report.targets({"directions": [row], "steps": steps, "ways": {"ways": ways}})) == 3


def test_every_method_is_an_aggregator_and_the_peer_has_all_of_them():
    assert set(config.METHODS) <= set(config.Config().aggregators) == set(AGGREGATORS)
    assert set(config.METHODS) >= config.DRAWN
    source = (Path(contest.__file__).parent / "peers" / "torchjd_directions.py").read_text()
    assert all(f'    "{method}": lambda count: tj.' in source for method in config.METHODS)


def test_the_gains_of_the_peers_market_are_those_of_ours():
    scores, rates = config.small_market(7, 4)
    attention = np.asarray(jax.nn.softmax(jax.random.normal(jax.random.key(0), scores.shape)))
    parts = welfare_of(ours._market(scores, rates), jnp.asarray(attention))
    mine = np.array([parts.satisfaction + parts.variety, parts.creators, parts.platform]) / 7
    mine[1] -= np.log(7 / 4)
    np.testing.assert_allclose(config.small_gains(attention[None], scores, rates)[0], mine, rtol=1e-5)


def test_the_gradients_are_the_same_each_time_and_in_conflict():
    for parameters in (100, 20_000):
        rows = config.gradients(16, parameters)
        np.testing.assert_array_equal(rows, config.gradients(16, parameters))
        assert rows.dtype == np.float32
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        assert (unit @ unit.T).min() < -0.1


def test_nsga2_is_waited_for_and_its_hypervolume_is_a_share(tmp_path):
    front = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.5, 0.5, 1.0], [0.4, 0.4, 0.0]])
    np.save(tmp_path / "front.npy", front)
    looks = np.stack([front - 0.5, front - 0.01, front])
    np.savez(tmp_path / "nsga2.npz", seconds=np.array([1.0, 2.0, 3.0]), gains=looks)
    found = contest._compared(tmp_path, 1.5)
    assert found["share_at_the_end"] == pytest.approx(1.0)
    assert 0 < found["course"][0][1] < 0.8 < found["course"][1][1] < 1
    assert found["seconds_to_share"]["0.9"] == 2.0
    assert found["seconds_to_share"]["0.99"] == 3.0
    assert found["share_after_our_seconds"] == pytest.approx(found["course"][1][1])


def test_a_contestant_that_fails_says_so_and_goes_on(project_of_its_own, tmp_path):
    with contest.contestant(project_of_its_own, "nobody", Path(sys.executable)) as nobody:
        assert nobody.ready["problem"].startswith("ModuleNotFoundError")
        assert "ended" in nobody.ask(seconds=1)["problem"]
    with contest.contestant(project_of_its_own, contest.OURS, Path(sys.executable)) as player:
        save = os.fspath(tmp_path / "direction.npy")
        assert player.ask(method="nothing", size=[2, 8], save=save)["problem"].startswith("KeyError")
        assert player.ask(method="mean", size=[2, 8], save=save)["first"] > 0
        np.testing.assert_allclose(np.load(save), config.gradients(2, 8).mean(axis=0), rtol=1e-6)
        assert len(player.ask(seconds=1e-9)["times"]) == 1


def test_an_interpreter_without_the_peers_is_refused(project_of_its_own, tmp_path):
    with pytest.raises(UserError, match="expected an interpreter that imports torchjd, pymoo, got no "):
        interpreter_with(project_of_its_own, "aggregation", PEERS, tmp_path / "python")
    with pytest.raises(UserError, match=r"python\S* without"):
        interpreter_with(project_of_its_own, "aggregation", PEERS, Path(sys.executable))


def test_the_paper_preset_is_what_the_claim_is_about():
    paper = dataclasses.asdict(config.PRESETS["paper"])
    assert paper["sizes"] == tuple((m, n) for n in (4096, 1_000_000) for m in (3, 16, 128))
    assert (paper["users"], paper["items"], paper["points"], paper["peers"]) == (1000, 200, 64, True)
