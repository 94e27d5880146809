"""Running the benchmark: a process per solver and task, watched for time and memory; resumes where it stopped."""

import dataclasses
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attnjax.atomic import only_writer
from attnjax.errors import fail
from attnjax.reproduction.project import Project, suggest
from attnjax.reproduction.runner import Say, say_on_stderr
from experiments.benchmarks.allocation.fairness import slate_fairness
from experiments.benchmarks.allocation.judge import judge, repair
from experiments.benchmarks.allocation.measurements import (
    FAILED,
    OUT_OF_MEMORY,
    SHORT,
    SOLVED,
    TIMED_OUT,
    Measurement,
    fingerprint_of,
    read_measurement,
    write_measurement,
)
from experiments.benchmarks.allocation.peers import OURS, SOLVERS
from experiments.benchmarks.allocation.tasks import Problem, Task, make_problem, tasks
from experiments.benchmarks.records import cores, machine

NAME = "benchmarks/allocation"
"""The folder of runs and records."""

WORK = "work"
"""Where processes leave what they found until it is judged; inside a preset's folder of runs."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a solver's process may take.

    Attributes:
        seconds: wall time of a peer's process, all its settings included.
        memory_gb: resident memory of a peer's process, in gigabytes (10^9 bytes).
        our_seconds: wall time of ours, all its repeats included.
        our_memory_gb: resident memory of ours.
        repeats: of a fast peer, at least; one whose runs have taken 20 s in all is not repeated further.
    """

    seconds: float = 400.0
    memory_gb: float = 6.4
    our_seconds: float = 1800.0
    our_memory_gb: float = 8.6
    repeats: int = 5

    def of(self, solver: str) -> tuple[float, float]:
        """Seconds and gigabytes for one solver."""
        return (self.our_seconds, self.our_memory_gb) if solver == OURS else (self.seconds, self.memory_gb)


class Selection(NamedTuple):
    """What is to be measured.

    Attributes:
        tasks: their names.
        solvers: their names.
    """

    tasks: list[str]
    solvers: list[str]


def select(known: dict[str, Task], only: Sequence[str]) -> Selection:
    """Reads what `--only` names: tasks, solvers, or `ours`; a kind that is not named is taken whole.

    Args:
        known: the preset's tasks.
        only: the words.

    Returns:
        The selection.

    Raises:
        UserError: if a word is neither a task nor a solver.
    """
    words = [OURS if word == "ours" else word for word in only]
    for word in words:
        if word not in known and word not in SOLVERS:
            names = [*known, "ours", *SOLVERS]
            fail(
                "attnjax bench allocation --only",
                expected="names of tasks or solvers",
                got=repr(word),
                advice=suggest(word, names, f"There are: {', '.join(names)}."),
            )
    chosen = [name for name in known if name in words] or list(known)
    solvers = [name for name in SOLVERS if name in words] or list(SOLVERS)
    return Selection(chosen, solvers)


def peers_python(project: Project) -> Path:
    """The interpreter of the peers' environment."""
    return project.root / ".venv-bench" / "bin" / "python"


def measure(
    project: Project,
    preset: str,
    only: Sequence[str] = (),
    *,
    limits: Limits | None = None,
    known: dict[str, Task] | None = None,
    say: Say = say_on_stderr,
) -> dict[str, dict[str, Measurement]]:
    """Measures what is not measured yet.

    Ours runs first on each task: its dual bound tells the peers when their answer is good enough.

    Args:
        project: where it lives.
        preset: `smoke` or `paper`.
        only: tasks and solvers to restrict to.
        limits: of time and memory.
        known: the tasks, if not the preset's.
        say: prints a line of progress.

    Returns:
        All measurements that stand, by task and solver; those outside of the selection too.

    Raises:
        UserError: if a word of `only` is unknown, or the peers' environment is needed and missing.
    """
    known = tasks(preset) if known is None else known
    chosen, limits = select(known, only), limits or Limits()
    jobs = [(known[name], solver) for name in chosen.tasks for solver in _solvers(known[name], chosen.solvers)]
    _check_environment(project, [solver for _, solver in jobs])
    folder, here = project.run_folder(NAME, preset), machine()
    found: dict[str, dict[str, Measurement]] = {name: {} for name in known}
    for task in known.values():
        for solver in (OURS, *task.peers):
            there = read_measurement(folder, task.name, solver)
            ours = found[task.name].get(OURS)
            stands = there is not None and there.fingerprint == _fingerprint(project, task, solver, here, limits)
            # A machine is not as fast today as yesterday: a peer counts beside ours only if measured after it.
            if there is not None and stands and (ours is None or solver == OURS or there.finished >= ours.finished):
                found[task.name][solver] = there
    with only_writer(folder):
        shutil.rmtree(folder / WORK, ignore_errors=True)  # what a killed run left
        kept: tuple[str, Problem] | None = None
        for number, (task, solver) in enumerate(jobs, 1):
            label = f"[{number}/{len(jobs)}] {task.name}: {SOLVERS[solver].title}"
            if solver in found[task.name] and found[task.name][solver].status != FAILED:
                say(f"{label}: measured already")
                continue
            say(f"{label} ...")
            if kept is None or kept[0] != task.name:
                kept = None  # one problem in memory at a time
                kept = (task.name, make_problem(task))
            bounds = [m.bound for m in found[task.name].values() if m.bound is not None]
            place = folder / WORK / f"{task.name}.{solver}"
            place.mkdir(parents=True)
            fingerprint = _fingerprint(project, task, solver, here, limits)
            measurement = _measure(project, task, kept[1], solver, limits, min(bounds, default=None), place)
            measurement = measurement._replace(fingerprint=fingerprint)
            shutil.rmtree(folder / WORK)
            write_measurement(folder, measurement)
            if solver == OURS:
                found[task.name].clear()  # peers of another run
            found[task.name][solver] = measurement
            say(f"{label}: {_told(measurement)}")
    return found


def _solvers(task: Task, chosen: Sequence[str]) -> list[str]:
    """Ours, then the task's peers, as far as they are chosen; peers need our dual bound, but for the cube."""
    peers = [name for name in task.peers if name in chosen]
    return [OURS, *peers] if OURS in chosen or (peers and task.kind != "cube") else peers


def _fingerprint(project: Project, task: Task, solver: str, here: dict[str, Any], limits: Limits) -> str:
    """See `fingerprint_of`; the limits that apply to this solver."""
    return fingerprint_of(project.root, task, solver, here, {"limits": limits.of(solver), "repeats": limits.repeats})


def _check_environment(project: Project, solvers: Sequence[str]) -> None:
    """Refuses to start without the peers' environment where it is needed."""
    needed = [SOLVERS[name].title for name in solvers if SOLVERS[name].own_environment]
    if needed and not peers_python(project).is_file():
        fail(
            "attnjax bench allocation",
            expected="the peers' environment .venv-bench",
            got="none",
            advice="Make it with 'make bench-environment' (about 1.5 GB), or measure without peers: --only ours.",
        )


def _measure(
    project: Project,
    task: Task,
    problem: Problem,
    solver: str,
    limits: Limits,
    bound: float | None,
    folder: Path,
) -> Measurement:
    """Runs one process to its end or its limit, and judges what it left."""
    python = str(peers_python(project)) if SOLVERS[solver].own_environment else sys.executable
    limit, memory = limits.of(solver)
    request = {
        "solver": solver,
        "task": dataclasses.asdict(task),
        "threads": cores(),
        "repeats": limits.repeats,
        "bound": bound,
    }
    (folder / "request.json").write_text(json.dumps(request))
    ended = _watch(python, project.root, folder, limit, memory * 1e9)
    return _read(task, problem, solver, folder, ended)


class _Ended(NamedTuple):
    """How a process ended.

    Attributes:
        killed: why it was killed, or nothing.
        code: its exit code.
        message: the end of what it printed.
        when: seconds since the epoch.
    """

    killed: str
    code: int
    message: str
    when: float


def _watch(python: str, root: Path, folder: Path, seconds: float, memory: float) -> _Ended:
    """Starts the child in a session of its own and kills that session at the limit of time or memory."""
    command = [python, "-m", "experiments.benchmarks.allocation.child", str(folder)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with (folder / "log.txt").open("w") as log:
        child = subprocess.Popen(
            command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        killed, begin = "", time.monotonic()
        try:
            while child.poll() is None:
                if time.monotonic() - begin > seconds:
                    killed = TIMED_OUT
                elif _resident(child.pid) > memory:
                    killed = OUT_OF_MEMORY
                if killed:
                    break
                time.sleep(0.1)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
    return _Ended(killed, child.returncode, " / ".join(lines[-3:])[-600:], time.time())


def _resident(pid: int) -> float:
    """A process's resident memory in bytes; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0.0


def _read(task: Task, problem: Problem, solver: str, folder: Path, ended: _Ended) -> Measurement:
    """Makes the measurement of what the process left: its last attempt if it finished, else its best."""
    attempts = [json.loads(path.read_text()) | {"file": path} for path in sorted(folder.glob("attempt-*.json"))]
    extra, versions, running = (_json(folder / name) for name in ("done.json", "versions.json", "running.json"))
    answered = [attempt for attempt in attempts if attempt.get("gap") is not None]
    best = min(answered, key=lambda attempt: attempt["gap"]) if answered else None
    reached = best is not None and best["gap"] <= task.tolerance
    status = SOLVED if reached else ended.killed or (FAILED if ended.code or best is None else SHORT)
    unfinished = ended.when - running["since"] if status == TIMED_OUT and running else None
    empty = Measurement(
        fingerprint="",
        task=task.name,
        solver=solver,
        status=status,
        seconds=unfinished,
        times=[],
        setup=None,
        compilation=None,
        setting={},
        precision=attempts[0]["precision"] if attempts else "",
        value=None,
        violation=None,
        bound=None,
        worst_gap=None,
        fairness=None,
        attempts=[{name: attempt.get(name) for name in ("setting", "seconds", "gap", "info")} for attempt in attempts],
        info=attempts[-1]["info"] if attempts else {},
        extra=extra,
        peak_memory_gb=attempts[-1]["peak_memory_gb"] if attempts else None,
        versions=versions,
        message="" if status in (SOLVED, SHORT, TIMED_OUT) else ended.message,
        finished=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    if best is None:
        return empty
    with np.load(best["file"].with_suffix(".npz"), allow_pickle=False) as file:
        attention, prices = file["attention"], file["prices"] if "prices" in file.files else None
    judged = judge(problem, attention, prices)
    fairness = None
    if problem.kind == "slates":
        fairness = slate_fairness(problem, repair(problem, np.asarray(attention, np.float64)))._asdict()
    return empty._replace(
        seconds=unfinished if status == TIMED_OUT else statistics.median(best["times"]),
        times=best["times"],
        setup=best["setup"],
        compilation=attempts[0]["compilation"],
        setting=best["setting"],
        precision=best["precision"],
        value=judged.value,
        violation=judged.violation,
        bound=judged.bound,
        worst_gap=judged.worst_gap,
        fairness=fairness,
        info=best["info"],
        peak_memory_gb=best["peak_memory_gb"],
    )


def _json(path: Path) -> dict[str, Any]:
    """A JSON file's table, empty if there is none."""
    return json.loads(path.read_text()) if path.is_file() else {}


def _told(measurement: Measurement) -> str:
    """How it went, for the line of progress."""
    seconds = "" if measurement.seconds is None else f", {measurement.seconds:.3g} s"
    gaps = [attempt["gap"] for attempt in measurement.attempts if attempt["gap"] is not None]
    gap = f", gap {min(gaps):.1e}" if gaps else ""
    return f"{measurement.status}{seconds}{gap}{': ' + measurement.message[-200:] if measurement.message else ''}"
