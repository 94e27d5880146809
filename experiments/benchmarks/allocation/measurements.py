"""One measurement: one solver, one task, one process; one JSON file, written in one indivisible step.

A file is reused while what it depends on is the same: the task, the code of the solver, of the judge and of the child
process, the environment, and the machine.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from attnjax.atomic import write_text
from attnjax.errors import fail
from attnjax.reproduction.values import bits, dumps, plain
from experiments.benchmarks.allocation.peers import OURS, SOLVERS
from experiments.benchmarks.allocation.tasks import Task

SOLVED, SHORT, TIMED_OUT, OUT_OF_MEMORY, FAILED = "solved", "short", "timed out", "out of memory", "failed"
"""How a solver ended: at the gap; with an answer short of it; killed at the limit of time or memory; with nothing."""


class Measurement(NamedTuple):
    """What one solver did on one task.

    Attributes:
        fingerprint: what must be the same for this to be reused.
        task: the task's name.
        solver: the solver's name.
        status: one of those above.
        seconds: median time of the solve; if timed out, what the unfinished solve had taken; None where there is none.
        times: of each repeat.
        setup: seconds for building the problem, canonicalisation included.
        compilation: seconds of compiling, where it compiles.
        setting: the tolerances that were used.
        precision: of the solver's arithmetic.
        value: welfare after repair.
        violation: largest relative breach before it.
        bound: the best dual bound from its prices.
        worst_gap: of the worst user, for the cube.
        fairness: envy and dominance of slates.
        attempts: setting, seconds and gap of each setting tried.
        info: what the solver tells.
        extra: bandwidth and passes, for ours.
        peak_memory_gb: of its process when the solve was done.
        versions: of its packages.
        message: the end of what it printed on failure.
        finished: when, in UTC.
    """

    fingerprint: str
    task: str
    solver: str
    status: str
    seconds: float | None
    times: list[float]
    setup: float | None
    compilation: float | None
    setting: dict[str, Any]
    precision: str
    value: float | None
    violation: float | None
    bound: float | None
    worst_gap: float | None
    fairness: dict[str, float] | None
    attempts: list[dict[str, Any]]
    info: dict[str, Any]
    extra: dict[str, Any]
    peak_memory_gb: float | None
    versions: dict[str, str]
    message: str
    finished: str


def path_of(folder: Path, task: str, solver: str) -> Path:
    """Where a measurement lies in a preset's folder."""
    return folder / "measurements" / f"{task}.{solver}.json"


def write_measurement(folder: Path, measurement: Measurement) -> Path:
    """Writes a measurement.

    Args:
        folder: the preset's.
        measurement: what.

    Returns:
        Where it was written.
    """
    path = path_of(folder, measurement.task, measurement.solver)
    write_text(path, dumps(plain(measurement._asdict(), "measurement")))
    return path


def read_measurement(folder: Path, task: str, solver: str) -> Measurement | None:
    """Reads a measurement.

    Args:
        folder: the preset's.
        task: its name.
        solver: its name.

    Returns:
        The measurement, or None if there is none of this form.
    """
    try:
        found = json.loads(path_of(folder, task, solver).read_text(encoding="utf-8"))
        return Measurement(**found)
    except (OSError, ValueError, TypeError):
        return None


def fingerprint_of(root: Path, task: Task, solver: str, machine: dict[str, Any], limits: dict[str, Any]) -> str:
    """Returns 16 hexadecimal digits for all that a measurement depends on.

    Args:
        root: the project's folder.
        task: what is solved.
        solver: by whom.
        machine: what computes.
        limits: of time and memory, threads, repeats.

    Raises:
        UserError: if the solver is unknown.
    """
    if solver not in SOLVERS:
        fail(
            "attnjax bench allocation",
            expected=f"a solver out of {', '.join(SOLVERS)}",
            got=repr(solver),
            advice="Mend the task's list of peers.",
        )
    here = Path(__file__).parent
    files = [here / "tasks.py", here / "judge.py", here / "fairness.py", here / "child.py"]
    if solver == OURS:
        files += [here / "peers" / "ours.py", *sorted((root / "attnjax" / "allocation").rglob("*.py"))]
        lock = "requirements.lock"
    else:
        shared = ("highs.py", "linear_rows.py", "programs.py", "numpy_bisection.py")
        files += [here / "peers" / name for name in (*shared, f"{SOLVERS[solver].module}.py")]
        lock = "requirements-bench.lock" if SOLVERS[solver].own_environment else "requirements.lock"
    digest = hashlib.sha256()
    for path in (*files, root / "reproducibility" / lock):
        digest.update(f"{path.name}\0".encode() + (path.read_bytes() if path.is_file() else b""))
    settled = dataclasses.asdict(task)
    for name in ("title", "peers", "targets", "growth"):  # these don't change what is measured
        del settled[name]
    digest.update(bits(plain({"task": settled, "machine": machine, "limits": limits})).encode())
    return digest.hexdigest()[:16]
