"""Starts the contestants, lets them take turns, and compares what they compute."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from attnjax.errors import fail
from attnjax.reproduction.project import Project
from attnjax.reproduction.runner import Say
from experiments.benchmarks.command import interpreter_with
from experiments.benchmarks.meta.contestants import CONTESTANTS, SIMULATORS, TORCH
from experiments.benchmarks.turns import Contestant

REFERENCE = "by_hand"
"""Whose meta-gradient the others' are compared with."""

CHILD = "experiments.benchmarks.meta.child"

CLOSE = 1e-3
"""How far a contestant's meta-gradient may be from that, relative to its norm."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        rounds: turns of each contestant.
        seconds: how long it is timed in each, at least.
        overhead_rounds: turns of ours and by hand in one process, for the overhead.
        overhead_seconds: of each.
        memory_steps: inner steps whose temporary memory is asked for.
        tasks: how many of its tasks each contestant does, from the first; `None` for all.
        peers: whether peers take part.
    """

    rounds: int = 7
    seconds: float = 1.0
    overhead_rounds: int = 21
    overhead_seconds: float = 0.3
    memory_steps: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)
    tasks: int | None = None
    peers: bool = True


PRESETS = {
    "smoke": Config(
        rounds=2, seconds=0.05, overhead_rounds=3, overhead_seconds=0.02, memory_steps=(10,), tasks=1, peers=False
    ),
    "paper": Config(),
}


def contestant(project: Project, name: str, python: Path, config: Config) -> Contestant:
    """A contestant in a process of its own."""
    return Contestant(project.root, python, CHILD, [name, json.dumps(dataclasses.asdict(config))])


def rate(name: str, process: Contestant, task: str, seconds: float) -> float:
    """A contestant's units per second over one turn.

    Raises:
        UserError: if it fails on the way.
    """
    answer = process.ask(task=task, seconds=seconds)
    if "problem" in answer:
        fail(
            "attnjax bench meta",
            expected=f"{CONTESTANTS[name].title} to go on",
            got=answer["problem"],
            advice="Run it again, or look at its module under experiments/benchmarks/meta/.",
        )
    return answer["units"] / answer["seconds"]


def contests(project: Project, names: Mapping[str, Path | None], config: Config, say: Say) -> dict[str, Any]:
    """Rates of contestants that take turns.

    Args:
        project: where it lives.
        names: contestants, each with its interpreter; without one it is reported as not measured.
        config: rounds and seconds.
        say: prints a line of progress.

    Returns:
        Per contestant `title`, `problem` (empty if all went well), `versions`, `seconds_to_prepare` and `tasks`: per
        task the `rates` of all turns, their `median`, and `gradient_error` against `REFERENCE` (`None` for
        environments).
    """
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        playing: dict[str, Contestant] = {}
        for name, python in names.items():
            title = CONTESTANTS[name].title
            found[name] = {"title": title, "problem": "", "versions": {}, "seconds_to_prepare": None, "tasks": {}}
            if python is None:
                found[name]["problem"] = "not measured: no interpreter with its packages was given"
                continue
            say(f"{title}: getting ready")
            process = stack.enter_context(contestant(project, name, python, config))
            problem, errors = _checked(process.ready, playing.get(REFERENCE, process).ready)
            if problem:
                say(f"{title}: {problem}")
                found[name]["problem"] = problem
                continue
            playing[name] = process
            found[name] |= {
                "versions": process.ready["versions"],
                "seconds_to_prepare": process.ready["seconds"],
                "tasks": {task: {"rates": [], "gradient_error": error} for task, error in errors.items()},
            }
        for number in range(config.rounds):
            say(f"round {number + 1} of {config.rounds}")
            for name, process in playing.items():
                for task, one in found[name]["tasks"].items():
                    one["rates"].append(rate(name, process, task, config.seconds))
    for entry in found.values():
        for one in entry["tasks"].values():
            one["median"] = float(np.median(one["rates"]))
    return found


def programs(project: Project, config: Config) -> dict[str, Any]:
    """What `programs.py` finds, in a process of its own."""
    words = [sys.executable, "-m", CHILD, "programs", json.dumps(dataclasses.asdict(config))]
    done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"experiments.benchmarks.meta.programs failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def interpreters(project: Project, config: Config, given: Mapping[str, Path | None]) -> dict[str, Path | None]:
    """The interpreter of each environment, our own under "".

    Args:
        project: where it lives.
        config: whether peers take part.
        given: by environment, what the command line names.

    Returns:
        `None` for simulators that are not given, and for all peers where none take part.

    Raises:
        UserError: if peers take part and PyTorch can't be imported in their interpreter.
    """
    found: dict[str, Path | None] = {"": Path(sys.executable), TORCH: None, SIMULATORS: given.get(SIMULATORS)}
    if not config.peers:
        return {**found, SIMULATORS: None}
    return {**found, TORCH: interpreter_with(project, "meta", "torch", given.get(TORCH))}


def _checked(ready: Mapping[str, Any], reference: Mapping[str, Any]) -> tuple[str, dict[str, float | None]]:
    """What is wrong with a contestant, and per task how far its meta-gradient is from the reference, if it has one."""
    if "problem" in ready:
        return ready["problem"], {}
    errors: dict[str, float | None] = dict.fromkeys(ready["tasks"])
    for task, gradient in ready["gradients"].items():
        wanted = np.array(reference["gradients"][task])
        errors[task] = error = float(np.linalg.norm(np.array(gradient) - wanted) / np.linalg.norm(wanted))
        if not error <= CLOSE:
            return f"its meta-gradient is another: {error:.2g} from the one by hand", errors
    return "", errors
