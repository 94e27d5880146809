"""From measurements to a record, its targets and its tables."""

from typing import Any

from attnjax.reproduction.experiment import Table
from attnjax.reproduction.project import Project
from attnjax.reproduction.records import Record
from experiments.benchmarks.meta.measure import Config
from experiments.benchmarks.records import record_of

NAME = "benchmarks/meta"
"""The folder of runs and records."""

FACTORS = {
    ("learn2learn", "higher"): {"1": 50.0, "5": 50.0},
    ("torch_func",): {"1": 8.0, "5": 8.0},
    ("torch_func_compiled",): {"1": 2.0, "5": 1.5},
}
"""How many times faster ours must be, by inner steps; of several peers the first that was measured."""

OVERHEAD = {"flops": 1.01, "temporary_bytes": 1.01, "time": 1.05}
"""At most, ours over by hand."""

MEMORY_STEPS, MEMORY = "100", 1 / 3
"""Temporary memory of an exact meta-gradient over that of a plain scan, at most."""


def build(project: Project, preset: str, config: Config, values: dict[str, Any], seconds: float) -> Record:
    """The record of what was measured.

    Args:
        project: where it lives.
        preset: which.
        config: its settings.
        values: `learners`, `environments`, `overhead` and `memory`.
        seconds: wall time.
    """
    entries = [*values["learners"].values(), *values["environments"].values()]
    packages = {name: number for entry in entries for name, number in entry["versions"].items()}
    values = values | {"targets": targets(values)}
    return record_of(project, NAME, preset, config=config, seed=0, packages=packages, values=values, seconds=seconds)


def targets(values: dict[str, Any]) -> list[dict[str, Any]]:
    """What must hold, what came, and whether it holds; what was not measured has no entry."""
    learners, judged = values["learners"], []
    for peers, factors in FACTORS.items():
        peer = next((learners[name] for name in peers if name in learners and learners[name]["tasks"]), None)
        if peer is None:
            continue
        for steps, factor in factors.items():
            got = learners["ours"]["tasks"][steps]["median"] / peer["tasks"][steps]["median"]
            judged.append(_target(f"times faster than {peer['title']}, at least", steps, factor, got, got >= factor))
    for steps, found in values["overhead"].items():
        for what, most in OVERHEAD.items():
            label = f"{what.replace('_', ' ')} over JAX by hand, at most"
            judged.append(_target(label, steps, most, found[what], found[what] <= most))
    memory = values["memory"]
    if MEMORY_STEPS in memory["exact"]:
        got = memory["exact"][MEMORY_STEPS] / memory["plain scan"][MEMORY_STEPS]
        judged.append(_target("memory over a plain scan's, at most", MEMORY_STEPS, MEMORY, got, got <= MEMORY))
    return judged


def tables(record: Record) -> list[Table]:
    """Rates, targets, memory and environments."""
    values = record.values
    ours = values["learners"]["ours"]["tasks"]

    def cells(entry: dict[str, Any], steps: str) -> tuple[Any, ...]:
        if steps not in entry["tasks"]:
            return None, None
        median = entry["tasks"][steps]["median"]
        return median, ours[steps]["median"] / median

    shown = [
        Table(
            "MAML on sinusoids: meta-iterations per second on one core",
            ("", *(head for steps in ours for head in (f"{steps} inner steps", "ours is faster by")), "remark"),
            [
                (entry["title"], *(cell for steps in ours for cell in cells(entry, steps)), entry["problem"])
                for entry in values["learners"].values()
            ],
            f"Medians over {record.config['rounds']} turns. Network 1-40-40-1, 25 tasks of 10 shots and 10 query "
            "points, Adam outside; all take the same meta-gradient of the same tasks. Compilation is not timed. "
            "Ours, by which the factors are, does 50 meta-iterations per call.",
        ),
        Table(
            "What must hold",
            ("what", "inner steps", "target", "measured", "holds"),
            [
                (one["what"], one["steps"], one["target"], one["got"], "yes" if one["holds"] else "no")
                for one in values["targets"]
            ],
            "Operations and temporary bytes are the compiler's count; time is the median of "
            f"{record.config['overhead_rounds']} interleaved rounds in one process, ours with all that it reports of "
            "each task.",
        ),
        Table(
            "Temporary memory of a meta-gradient, in MB, against inner steps",
            ("gradient", *(f"{steps}" for steps in next(iter(values["memory"].values())))),
            [(way, *(size / 1e6 for size in sizes.values())) for way, sizes in values["memory"].items()],
            "25 tasks, as the compiler lays it out. Exact keeps the parameters of each step and computes the rest "
            "again; a plain scan keeps all.",
        ),
        Table(
            "Environments: steps per second on one core, acting at random",
            ("", "environment", "steps per second", "remark"),
            [
                row
                for entry in values["environments"].values()
                for row in (
                    [(entry["title"], task, one["median"], "") for task, one in entry["tasks"].items()]
                    or [(entry["title"], "", None, entry["problem"])]
                )
            ],
            "Ours in batches of 256, as they are learned from. The work of a step differs: RecSim draws documents and "
            "lets a user choose from a slate, RecoGym plays a user's own sessions between recommendations.",
        ),
    ]
    return shown


def _target(what: str, steps: str, target: float, got: float, holds: bool) -> dict[str, Any]:
    return {"what": what, "steps": steps, "target": target, "got": got, "holds": holds}
