"""Killed at any moment and started again, the main job finishes, and no file under its final name is half-written."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from toy_project import PAPER, calls, make_project

from attnjax.reproduction.records import read_record

# Imports everything once, then for each moment k forks a child that kills itself at its k-th moment of writing, checks
# nothing itself, and forks another that starts again. A moment is: half of a file written; written but not renamed;
# renamed; before a finished run's stages are removed.
DRIVER = """
import json, os, shutil, signal, sys

import jax, matplotlib, matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, matplotlib.figure, numpy
import attnjax.evaluation.intervals, attnjax.reproduction.main_job
from attnjax.cli import main


def arm(moment):
    count = 0

    def tick():
        nonlocal count
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    fdopen, replace, rmtree = os.fdopen, os.replace, shutil.rmtree

    class Halved:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            self.file.__enter__()
            return self

        def __exit__(self, *error):
            return self.file.__exit__(*error)

        def write(self, content):
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            tick()
            self.file.write(content[len(content) // 2 :])

        def __getattr__(self, name):
            return getattr(self.file, name)

    def replacing(*names):
        tick()
        replace(*names)
        tick()

    def removing(*names, **options):
        tick()
        rmtree(*names, **options)

    os.fdopen = lambda *a, **k: Halved(fdopen(*a, **k))
    os.replace, shutil.rmtree = replacing, removing


def start(folder, moment):
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if moment:
            arm(moment)
        code = 99
        try:
            code = main(["reproduce"])
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for line in sys.stdin:
    print(json.dumps(start(*json.loads(line))), flush=True)
"""

MAGIC = {".png": b"IEND", ".svg": b"</svg>", ".html": b"</html>"}


def check_whole(root: Path) -> None:
    """Reads every file that a run or the report has written under its final name."""
    for path in [*root.glob("runs/**/*"), *root.glob("reports/**/*")]:
        if path.is_dir() or path.suffix == ".partial" or path.name == ".lock":
            continue
        if path.suffix == ".json":
            read_record(path, path.name)
        elif path.suffix == ".npz":
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                assert [file[name] for name in file.files]
        elif path.suffix == ".csv":
            assert path.read_text().endswith("\n")
        else:
            assert MAGIC[path.suffix] in path.read_bytes()[-40:], path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_every_moment_of_writing(tmp_path):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "JAX_PLATFORMS": "cpu"}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )

    def start(folder, moment):
        print(json.dumps([str(folder), moment]), file=driver.stdin, flush=True)
        return json.loads(driver.stdout.readline())

    killed = 0
    try:
        for moment in range(1, 100):
            project = make_project(tmp_path / str(moment), PAPER)
            code = start(project.root, moment)
            check_whole(project.root)
            if code == 0:
                break
            assert code == -signal.SIGKILL, (project.root / "log.txt").read_text()
            killed += 1
            left = {path.stem for path in project.root.glob("runs/toy/paper/stages/*/*.npz")}
            finished = (project.root / "runs/toy/paper/record.json").exists()
            before = calls(project)
            assert start(project.root, 0) == 0, (project.root / "log.txt").read_text()
            check_whole(project.root)
            assert (project.root / "reports" / "index.html").is_file()
            assert not list(project.root.rglob("*.partial"))
            assert not list(project.root.glob("runs/**/*.npz"))
            again = calls(project)[len(before) :]
            assert again == ([] if finished else [s for s in ("solve", "repeat") if s not in left])
            log = (project.root / "log.txt").read_text()
            for stage in () if finished else left:
                assert f"stage {stage}: reused from the interrupted run" in log
            assert ("reusing the finished record" in log) or not finished
    finally:
        driver.stdin.close()
        driver.wait(timeout=60)
    assert killed >= 20


def test_killed_from_outside_while_a_stage_computes(tmp_path):
    """A real SIGKILL, from another process, in the middle of a computation."""
    project = make_project(tmp_path / "clone")
    file = project.root / "experiments" / "toy" / "__init__.py"
    slow = 'note("repeat")\n        time.sleep(60 * (not os.path.exists("go")))'
    file.write_text(file.read_text().replace('note("repeat")', slow))
    command = [sys.executable, "-m", "attnjax.cli", "run", "toy"]
    victim = subprocess.Popen(command, cwd=project.root, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if "repeat" in calls(project):
            break
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    check_whole(project.root)
    (project.root / "go").touch()
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "stage solve: reused from the interrupted run" in done.stderr
    assert calls(project) == ["solve", "repeat", "repeat"]
    assert read_record(project.root / "runs/toy/smoke/record.json", "r").resumed == ["solve"]
