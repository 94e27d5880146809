"""Processes of their own, their limits, and going on after a kill."""

import json
import signal
import subprocess
import sys
import time

import pytest

from attnjax.errors import UserError
from experiments.benchmarks.allocation import runner
from experiments.benchmarks.allocation.measurements import path_of, read_measurement, write_measurement
from experiments.benchmarks.allocation.peers import OURS, SOLVERS
from experiments.benchmarks.allocation.runner import NAME, Limits, measure, select
from experiments.benchmarks.allocation.runner import _solvers as jobs_of
from experiments.benchmarks.allocation.tasks import tasks
from experiments.benchmarks.records import machine

BENCH = [sys.executable, "-m", "experiments.benchmarks.allocation", "--preset", "smoke", "--only", "cube"]


@pytest.fixture
def said():
    return []


@pytest.fixture
def run(project, toy, said):
    """Measures the toy without us: a process that imports no JAX."""

    def go(**fields):
        return measure(
            project, "smoke", ["numpy-bisection"], known={"toy": toy}, say=said.append, limits=Limits(**fields)
        )["toy"]["numpy-bisection"]

    return go


def test_a_peer_is_measured_in_its_own_process_and_reused(project, run, said):
    found = run()
    assert (found.status, found.precision) == ("solved", "float64")
    assert found.worst_gap <= 1e-6
    assert len(found.times) == 25  # since it takes no time
    assert [attempt["gap"] <= 1e-6 for attempt in found.attempts] == [False] * (len(found.attempts) - 1) + [True]
    assert read_measurement(project.run_folder(NAME, "smoke"), "toy", "numpy-bisection") == found
    assert run() == found
    assert "measured already" in said[-1]
    (project.root / "experiments/benchmarks/allocation/peers/numpy_bisection.py").touch()
    assert run() == found


def test_a_measurement_that_is_half_there_is_made_again(project, run):
    found = run()
    path = path_of(project.run_folder(NAME, "smoke"), "toy", "numpy-bisection")
    path.write_text(path.read_text()[:100])
    assert run().worst_gap == found.worst_gap
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "of another code"}))
    assert run().fingerprint == found.fingerprint


def peer(project, text):
    """Replaces the peer's module by another in the copy that the child runs."""
    file = project.root / "experiments/benchmarks/allocation/peers/numpy_bisection.py"
    file.write_text(f"from experiments.benchmarks.allocation.peers import Answer, Prepared\n{text}")


FROZEN = """
import time
PRECISION = "float64"
settings = lambda task: [{"sleep": 0}, {"sleep": 60}]
def prepare(task, problem, setting, threads):
    return Prepared(lambda: time.sleep(setting["sleep"]), lambda raw: Answer(problem.scores, None, {}))
"""


def test_a_timed_out_peer_is_recorded_with_what_it_had(project, run):
    peer(project, FROZEN)
    found = run(seconds=5.0)
    assert found.status == "timed out"
    assert found.seconds > 0  # of the second setting, which was not to end
    assert len(found.attempts) == 1
    assert found.worst_gap > 1e-6


def test_memory_is_limited(project, run):
    peer(
        project,
        """
import numpy as np, time
PRECISION = "float64"
settings = lambda task: [{}]
def prepare(task, problem, setting, threads):
    return Prepared(lambda: (np.ones(50_000_000), time.sleep(60)), lambda raw: Answer(None, None, {}))
""",
    )
    found = run(memory_gb=0.3)
    assert (found.status, found.seconds) == ("out of memory", None)


def test_a_peer_that_was_measured_before_ours_is_measured_again(project, run, toy, said):
    found = run()
    fingerprint = runner._fingerprint(project, toy, OURS, machine(), Limits())
    ours = found._replace(solver=OURS, fingerprint=fingerprint, finished=found.finished)
    write_measurement(project.run_folder(NAME, "smoke"), ours)
    assert run() == found
    write_measurement(project.run_folder(NAME, "smoke"), ours._replace(finished="2999-01-01T00:00:00Z"))
    said.clear()
    run()
    assert "measured already" not in "".join(said)


def test_a_peer_that_fails_says_why_and_is_tried_again(project, run, said):
    peer(project, "raise RuntimeError('no licence')")
    found = run()
    assert (found.status, found.seconds, found.value) == ("failed", None, None)
    assert "no licence" in found.message
    run()
    assert "measured already" not in "".join(said)


def test_killed_and_started_again_it_goes_on(project):
    folder = project.run_folder(NAME, "smoke")
    victim = subprocess.Popen(BENCH, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = path_of(folder, "cube", OURS)
    for _ in range(600):
        if first.exists():
            break
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    written = first.read_bytes()
    done = subprocess.run(BENCH, cwd=project.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cube: attnjax: measured already" in done.stderr
    assert first.read_bytes() == written
    record = json.loads((folder / "record.json").read_text())
    assert record["values"]["tasks"]["cube"]["solvers"][OURS]["reached"]
    assert "numpy-bisection" in record["values"]["tasks"]["cube"]["solvers"]
    assert record["values"]["missing"]
    assert "NumPy bisection" in (folder / "tables.md").read_text()
    assert (folder / "times-faster-than-each-peer.svg").is_file()
    kept = subprocess.run([*BENCH, "--keep"], cwd=project.root, capture_output=True, text=True)
    assert kept.returncode == 2
    assert "expected every measurement of ours" in kept.stderr


def test_a_missing_environment_is_explained(project):
    with pytest.raises(UserError, match=r"make bench-environment.*--only ours"):
        measure(project, "smoke")


def test_only_ours_needs_no_environment(project, monkeypatch):
    monkeypatch.setattr(runner, "_measure", lambda *arguments: pytest.fail("far enough"))
    with pytest.raises(pytest.fail.Exception, match="far enough"):
        measure(project, "smoke", ["ours"], say=lambda message: None)


def test_what_only_selects():
    known = tasks("smoke")
    assert select(known, []) == ([*known], [*SOLVERS])
    assert select(known, ["ours"]) == ([*known], [OURS])
    assert select(known, ["cube", "nash"]).tasks == ["nash", "cube"]
    assert select(known, ["nash", "scs"]) == (["nash"], ["scs"])
    with pytest.raises(UserError, match=r"got 'hihgs-ipm'. Did you mean 'highs-ipm'\?"):
        select(known, ["hihgs-ipm"])


def test_a_peer_brings_us_along_for_the_dual_bound():
    known = tasks("paper")
    assert jobs_of(known["nash"], ["scs"]) == [OURS, "scs"]
    assert jobs_of(known["nash"], ["kdd22"]) == []
    assert jobs_of(known["cube"], ["numpy-bisection"]) == ["numpy-bisection"]
    assert jobs_of(known["cube"], [OURS]) == [OURS]
