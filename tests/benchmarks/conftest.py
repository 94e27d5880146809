import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attnjax.reproduction.project import Project
from experiments.benchmarks.allocation.measurements import Measurement
from experiments.benchmarks.allocation.tasks import Task

ROOT = Path(__file__).parents[2]


def copied(folder):
    """A project with the benchmarks alone, so that nothing is written into the clone."""
    shutil.copytree(
        ROOT / "experiments" / "benchmarks",
        folder / "experiments" / "benchmarks",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(ROOT / "experiments" / "__init__.py", folder / "experiments")
    (folder / "reproducibility").mkdir()
    (folder / "reproducibility" / "claims.toml").touch()
    return Project(folder)


@pytest.fixture
def project(tmp_path):
    return copied(tmp_path)


@pytest.fixture(scope="module")
def project_of_its_own(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def smoke(request, project_of_its_own):
    """The record and the tables' text of the benchmark that the file names by CONTEST, run as its command does."""
    contest, project = request.module.CONTEST, project_of_its_own
    command = [sys.executable, "-m", f"experiments.benchmarks.{contest}"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = project.run_folder(f"benchmarks/{contest}", "smoke")
    return json.loads((folder / "record.json").read_text()), (folder / "tables.md").read_text()


@pytest.fixture
def toy():
    """A task that takes no time, with one peer that needs no environment of its own."""
    return Task("toy", "Toy", "cube", users=20, items=4, tolerance=1e-6, peers=("numpy-bisection",))


@pytest.fixture
def measured():
    """Makes a measurement from the fields that matter."""

    def make(task, solver, **fields):
        empty = dict.fromkeys(Measurement._fields)
        empty |= {"fingerprint": "", "task": task, "solver": solver, "status": "solved", "precision": "float64"}
        empty |= {"times": [], "attempts": [], "setting": {}, "info": {}, "extra": {}, "versions": {}}
        empty |= {"message": "", "finished": "2026-01-01T00:00:00Z"}
        made = Measurement(**{**empty, **fields})
        json.dumps(made._asdict())
        return made

    return make
