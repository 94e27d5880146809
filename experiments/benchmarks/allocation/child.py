"""One solver on one task, in this process and in no other: `python -m experiments.benchmarks.allocation.child ...`.

The folder given holds `request.json`; what is found is left there, attempt by attempt, so that a process that is killed
at its limit leaves what it had. Only this module imports solvers, and only the one that is asked for.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from attnjax.atomic import write_text
from experiments.benchmarks.allocation.judge import judge, relative_gap
from experiments.benchmarks.allocation.peers import OURS, SOLVERS, Answer, Prepared
from experiments.benchmarks.allocation.tasks import Problem, Task, make_problem

ENOUGH_SECONDS = 20.0
"""A peer whose runs have taken this long in all is not repeated further."""

STEADY_SECONDS, STEADY_REPEATS = 3.0, 25
"""A solve of milliseconds is repeated for so long, or so often, that what else the machine does for a moment can't
move its median."""


def main(folder: Path) -> None:
    """Solves what `request.json` asks for.

    Args:
        folder: with the request. Written there are `running.json` when a solve begins, `attempt-N.npz` and then
            `attempt-N.json` for each setting tried, and `done.json` at the end.
    """
    _die_with_parent()
    request = json.loads((folder / "request.json").read_text())
    name, task = request["solver"], Task.from_plain(request["task"])
    write_text(folder / "versions.json", json.dumps(_versions(name)))
    solver = importlib.import_module(f"experiments.benchmarks.allocation.peers.{SOLVERS[name].module}")
    problem = make_problem(task)
    repeats = task.repeats if name == OURS else request["repeats"]
    extra: dict[str, Any] = {}
    for number, setting in enumerate(solver.settings(task)):
        begin = time.perf_counter()
        prepared = solver.prepare(task, problem, setting, request["threads"])
        setup = time.perf_counter() - begin
        write_text(folder / "running.json", json.dumps({"since": time.time()}))
        compilation = _compilation(prepared)
        raw, seconds = _timed(prepared.run)
        peak, answer = _peak_gb(), prepared.read(raw)
        raw = None
        attempt = {
            "setting": setting,
            "precision": solver.PRECISION,
            "setup": setup,
            "compilation": compilation,
            "times": [seconds],
            "seconds": seconds,
            "gap": None,
            "info": answer.info,
            "peak_memory_gb": peak,
        }
        reached = _write(folder, number, problem, task, answer, attempt, request["bound"])
        answer = answer._replace(attention=None)
        if reached or name == OURS:
            _repeat(prepared, repeats, attempt["times"], patient=name == OURS)
            attempt["seconds"] = statistics.median(attempt["times"])
            _write_attempt(folder, number, attempt)
        if hasattr(solver, "after") and (reached or not extra):
            extra = solver.after(problem, attempt["seconds"], answer.info, request["threads"])
        if reached:
            break
    write_text(folder / "done.json", json.dumps(extra))


def _compilation(prepared: Prepared) -> float | None:
    """Seconds by which the first brief call is longer than the next; none where nothing is compiled."""
    if prepared.briefly is None:
        return None
    _, first = _timed(prepared.briefly)
    return max(0.0, first - _timed(prepared.briefly)[1])


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Calls once; what came and the seconds it took."""
    begin = time.perf_counter()
    found = run()
    return found, time.perf_counter() - begin


def _repeat(prepared: Prepared, repeats: int, times: list[float], *, patient: bool) -> None:
    """Runs again until there are enough times for a median: ours always, a peer until it has taken long enough."""

    def enough() -> bool:
        total = sum(times)
        if len(times) < repeats:
            return not patient and total >= ENOUGH_SECONDS
        return len(times) >= STEADY_REPEATS or total >= STEADY_SECONDS or repeats == 1

    while not enough():
        times.append(_timed(prepared.run)[1])


def _write(
    folder: Path,
    number: int,
    problem: Problem,
    task: Task,
    answer: Answer,
    attempt: dict[str, Any],
    best: float | None,
) -> bool:
    """Leaves an attempt behind; says whether it reached the task's gap to the best bound known here."""
    reached = False
    if answer.attention is not None:
        arrays = {"attention": answer.attention}
        if answer.prices is not None:
            arrays["prices"] = answer.prices
        partial = folder / ".answer.npz"
        np.savez(partial, **arrays)  # type: ignore[arg-type]
        judged = judge(problem, answer.attention, answer.prices)
        if judged.worst_gap is not None:
            gap = judged.worst_gap
        else:
            bounds = [bound for bound in (best, judged.bound) if bound is not None]
            gap = relative_gap(task.kind, task.items, judged.value, min(bounds)) if bounds else np.inf
        attempt["gap"] = gap if np.isfinite(gap) else None
        reached = gap <= task.tolerance
        os.replace(partial, folder / f"attempt-{number}.npz")
    _write_attempt(folder, number, attempt)
    return bool(reached)


def _write_attempt(folder: Path, number: int, attempt: dict[str, Any]) -> None:
    """Writes what is known of an attempt, in one step."""
    write_text(folder / f"attempt-{number}.json", json.dumps(attempt))


def _peak_gb() -> float:
    """This process's peak resident memory so far, in gigabytes (10^9 bytes), the making of the problem included."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _versions(name: str) -> dict[str, str]:
    """Versions of what the solver is made of."""
    found = {}
    for package in SOLVERS[name].packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _die_with_parent() -> None:
    """Has this process killed when the one that started it ends, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
