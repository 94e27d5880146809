"""From measurements to a record, its targets and its tables."""

from typing import Any

from attnjax.reproduction.experiment import Table
from attnjax.reproduction.project import Project
from attnjax.reproduction.records import Record
from experiments.benchmarks.aggregation.config import EXACT, SEED, Config
from experiments.benchmarks.records import record_of

NAME = "benchmarks/aggregation"
"""The folder of runs and records."""

FASTER, ERROR, WHERE = 40.0, 1e-5, (128, 4096)
"""UPGrad: times as fast as TorchJD, how far from exact, and at which size."""

STEP = 1.15
"""A training step over three separate gradients, at most."""

VMAPPED = 10.0
"""The vmapped front: times as fast as solve by solve."""


def build(project: Project, preset: str, config: Config, values: dict[str, Any], seconds: float) -> Record:
    """The record of what was measured.

    Args:
        project: where it lives.
        preset: which.
        config: its settings.
        values: from `contest.measure`.
        seconds: wall time.
    """
    packages = values.pop("versions")
    values = values | {"targets": targets(values)}
    return record_of(project, NAME, preset, config=config, seed=SEED, packages=packages, values=values, seconds=seconds)


def targets(values: dict[str, Any]) -> list[dict[str, Any]]:
    """What must hold, what came, and whether it holds; what was not measured has no entry."""
    judged = []

    def judge(what: str, target: float, got: float, holds: bool) -> None:
        judged.append({"what": what, "target": target, "got": got, "holds": holds})

    for row in values["directions"]:
        if row["method"] == EXACT and (row["objectives"], row["parameters"]) == WHERE:
            label = f"{EXACT}, {WHERE[0]} x {WHERE[1]}"
            if "ratio" in row:
                judge(f"{label}: times as fast as TorchJD, at least", FASTER, row["ratio"], row["ratio"] >= FASTER)
            if "error" in row["ours"]:
                error = row["ours"]["error"]
                judge(f"{label}: relative distance from exact, at most", ERROR, error, error <= ERROR)
    for name, one in values["steps"]["aggregators"].items():
        ratio = one["ratio"]
        judge(f"{name}: a step over three separate gradients, at most", STEP, ratio, ratio <= STEP)
    ways = values["ways"]["ways"]
    got = ways["in sequence"]["seconds"] / ways["vmapped"]["seconds"]
    judge("vmapped front: times as fast as solve by solve, at least", VMAPPED, got, got >= VMAPPED)
    return judged


def tables(record: Record) -> list[Table]:
    """Directions, targets, steps, ways to a front, and NSGA-II."""
    values, config = record.values, record.config
    return [
        Table(
            "Seconds of one direction, ours and TorchJD's",
            ("objectives", "parameters", "method", "ours", "TorchJD", "times as fast", "apart", "remark"),
            [_direction(row) for row in values["directions"]],
            "Medians after a warm-up; both use all cores and take turns. Apart: the largest difference of the two "
            "directions over the largest entry; TorchJD regularises Gramians at its defaults, so it is not our error. "
            "Rules that draw lots are not compared.",
        ),
        Table(
            f"{EXACT}: relative distance from the exact direction",
            ("objectives", "parameters", "ours, float32", "TorchJD, at its defaults"),
            [
                (row["objectives"], row["parameters"], row["ours"].get("error"), row["torchjd"].get("error"))
                for row in values["directions"]
                if "error" in row["ours"]
            ],
            "Exact: TorchJD's projection in float64 without regularisation.",
        ),
        Table(
            "A training step at three objectives",
            ("aggregator", "milliseconds", "over three separate gradients"),
            [("none: three separate gradients", 1e3 * values["steps"]["gradients"], 1.0)]
            + [(name, 1e3 * one["seconds"], one["ratio"]) for name, one in values["steps"]["aggregators"].items()],
            f"{values['steps']['parameters']:,} parameters, a batch of {config['batch']}. The step has the gradients, "
            "the aggregator and the update; the three gradients are three compiled calls and nothing else.",
        ),
        Table(
            f"A front of {values['ways']['points']} points, {config['users']} users and {config['items']} items",
            ("way", "seconds", "passes in all", "of the slowest point", "converged"),
            [
                (name, one["seconds"], one["iterations"], one["slowest"], one["converged"])
                for name, one in values["ways"]["ways"].items()
            ],
            "Under vmap every point makes the passes of the slowest, so that the whole costs points times these; the "
            "others make only their own.",
        ),
        *_fronts(values["fronts"], config),
        Table(
            "What must hold",
            ("what", "target", "measured", "holds"),
            [(t["what"], t["target"], t["got"], "yes" if t["holds"] else "no") for t in values["targets"]],
            "",
        ),
    ]


def _direction(row: dict[str, Any]) -> tuple[Any, ...]:
    peer = row.get("torchjd", {"seconds": None, "problem": "not measured"})
    remark = row["ours"]["problem"] or peer["problem"]
    size = row["objectives"], row["parameters"], row["method"]
    return *size, row["ours"]["seconds"], peer["seconds"], row.get("ratio"), row.get("apart"), remark


def _fronts(found: dict[str, Any], config: dict[str, Any]) -> list[Table]:
    """NSGA-II against the certified front; nothing where it was not measured."""
    peer = found.get("nsga2")
    if peer is None or "problem" in peer:
        return []
    users, items = config["small"]
    rows: list[tuple[Any, ...]] = [("certified front, all of it", found["seconds"], 1.0)]
    for share, seconds in peer["seconds_to_share"].items():
        got = f"> {peer['seconds']:.0f}" if seconds is None else seconds
        ratio = (peer["seconds"] if seconds is None else seconds) / found["seconds"]
        rows.append(
            (f"NSGA-II to {float(share):.0%} of its hypervolume", got, f"{'≥ ' * (seconds is None)}{ratio:.3g}")
        )
    return [
        Table(
            f"A certified front and NSGA-II, {users} users and {items} items",
            ("what", "seconds", "over the certified front's"),
            rows,
            f"After the seconds of the certified front NSGA-II has {peer['share_after_our_seconds']:.1%} of its "
            f"hypervolume, after {peer['seconds']:.0f} s and {peer['generations']} generations "
            f"{peer['share_at_the_end']:.1%}.",
        )
    ]
