"""The benchmark of meta-gradients: its smoke preset end to end, contestants that can't take part, and its targets."""

import sys
from pathlib import Path

import numpy as np
import pytest

from attnjax.errors import UserError
from experiments.benchmarks.meta import measure, report
from experiments.benchmarks.meta.contestants import LEARNERS, SIMULATORS, STEPS, TORCH, Contestant
from experiments.benchmarks.meta.measure import PRESETS, Config, contests, interpreters
from experiments.benchmarks.meta.setting import META_BATCH, POOL, SHOTS, parameters, pool

CONTEST = "meta"


def test_the_smoke_preset_measures_ours_and_says_what_it_left_out(smoke):
    record, text = smoke
    for name in ("by_hand", "ours_called", "ours"):
        tasks = record["values"]["learners"][name]["tasks"]
        assert set(tasks) == set(STEPS[:1])
        for one in tasks.values():
            assert one["median"] > 0
            assert len(one["rates"]) == PRESETS["smoke"].rounds
            assert one["gradient_error"] < 1e-5
    assert record["values"]["learners"]["learn2learn"]["problem"].startswith("not measured")
    assert len(record["values"]["environments"]["ours_environments"]["tasks"]) == 1
    assert "| learn2learn | - | - | not measured" in text


def test_the_library_costs_what_it_costs_by_hand(smoke):
    record, _ = smoke
    counted = [t for t in record["values"]["targets"] if "flops" in t["what"] or "bytes" in t["what"]]
    assert len(counted) == 2
    assert all(target["holds"] for target in counted), counted
    memory = record["values"]["memory"]
    assert memory["plain scan"]["10"] > 1.5 * memory["exact"]["10"] > memory["first-order"]["10"]


def test_the_tasks_are_sinusoids_and_the_same_each_time():
    drawn, again = pool(), pool()
    assert drawn.x_support.shape == (POOL, META_BATCH, SHOTS, 1)
    assert drawn.y_query.dtype == np.float32
    assert all(np.array_equal(one, other) for one, other in zip(drawn, again, strict=True))
    # A sin(x - p) = a sin x + b cos x: two numbers explain all points of a task.
    x, y = drawn.x_query[0, 0, :, 0], drawn.y_query[0, 0, :, 0]
    basis = np.stack([np.sin(x), np.cos(x)], axis=1)
    assert np.abs(basis @ np.linalg.lstsq(basis, y, rcond=None)[0] - y).max() < 1e-5
    assert [kernel.shape for kernel, _ in parameters()] == [(1, 40), (40, 40), (40, 1)]


PEER = """
import os, time
import numpy as np
from experiments.benchmarks.meta.setting import Prepared
TASKS = ("1",)
def prepare(task):
    print("what a library says is no answer")
    {trouble}
    return Prepared(lambda count: time.sleep(0.001), 1, lambda: np.full(3, {gradient}))
"""


@pytest.fixture
def toys(project, monkeypatch):
    """Plays one round of small contestants of plain Python."""

    def play(**peers):
        for name, (gradient, trouble) in peers.items():
            file = project.root / "experiments/benchmarks/meta" / f"{name}.py"
            file.write_text(PEER.format(gradient=gradient, trouble=trouble or "pass"))
        made = {name: Contestant(name, name, ("numpy", "no-such-package")) for name in peers}
        table = project.root / "experiments/benchmarks/meta/contestants.py"
        table.write_text(f"{table.read_text()}\nCONTESTANTS = {made!r}\n")
        monkeypatch.setattr(measure, "CONTESTANTS", made)
        names = {name: Path(sys.executable) for name in peers}
        return contests(project, names, Config(rounds=2, seconds=0.01), lambda line: None)

    return play


def test_contestants_that_fail_are_named_and_the_others_go_on(toys):
    found = toys(
        by_hand=(1.0, ""),
        other=(1.1, ""),
        absent=(1.0, "import no_such_package_at_all"),
        gone=(1.0, "os._exit(3)"),
    )
    assert found["by_hand"]["problem"] == ""
    assert 0 < found["by_hand"]["tasks"]["1"]["median"] < 1000  # a millisecond each, and what sleeping costs
    assert len(found["by_hand"]["tasks"]["1"]["rates"]) == 2
    assert found["by_hand"]["versions"] == {"numpy": np.__version__, "no-such-package": "not installed"}
    assert "its meta-gradient is another: 0.1 from" in found["other"]["problem"]
    assert "No module named 'no_such_package_at_all'" in found["absent"]["problem"]
    assert found["gone"]["problem"] == "it ended with exit code 3"
    assert all(found[name]["tasks"] == {} for name in ("other", "absent", "gone"))


def test_peers_need_an_interpreter_that_imports_torch(project):
    config = PRESETS["paper"]
    with pytest.raises(UserError, match=r"expected an interpreter that imports torch, got no .*--no-peers"):
        interpreters(project, config, {})
    with pytest.raises(UserError, match=r"got /.* without"):
        interpreters(project, config, {TORCH: Path("/bin/false")})
    assert interpreters(project, config, {TORCH: Path("/bin/true")})[TORCH] == Path("/bin/true")
    alone = interpreters(project, PRESETS["smoke"], {SIMULATORS: Path("/bin/true")})
    assert alone == {"": Path(sys.executable), TORCH: None, SIMULATORS: None}


def test_targets_are_asked_of_what_was_measured():
    def rates(one, five):
        return {"title": "", "tasks": {"1": {"median": one}, "5": {"median": five}}}

    values = {
        "learners": {"ours": rates(100.0, 50.0), "higher": rates(2.0, 1.5), "torch_func_compiled": rates(60.0, 30.0)},
        "overhead": {"1": {"flops": 1.0, "temporary_bytes": 1.02, "time": 1.0}},
        "memory": {"exact": {"100": 30}, "plain scan": {"100": 100}},
    }
    judged = report.targets(values)
    assert [(t["steps"], round(t["got"], 2)) for t in judged[:4]] == [("1", 50), ("5", 33.33), ("1", 1.67), ("5", 1.67)]
    assert [t["holds"] for t in judged] == [True, False, False, True, True, False, True, True]
    values["learners"]["learn2learn"] = rates(1.0, 1.0)
    assert report.targets(values)[0]["got"] == 100.0  # the first of the two that is there
    assert set(LEARNERS) >= {name for names in report.FACTORS for name in names}
