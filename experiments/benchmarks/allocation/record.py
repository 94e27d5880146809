"""From measurements to one record: gaps to the best bound, ratios to each peer, and whether each target holds."""

import hashlib
import itertools
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attnjax.reproduction.project import Project
from attnjax.reproduction.provenance import commit, versions
from attnjax.reproduction.records import SCHEMA, Record
from attnjax.reproduction.values import plain
from experiments.benchmarks.allocation.judge import relative_gap
from experiments.benchmarks.allocation.measurements import SHORT, SOLVED, Measurement
from experiments.benchmarks.allocation.peers import OURS, SOLVERS
from experiments.benchmarks.allocation.tasks import COMPILE_SECONDS, GROWTH_PER_DECADE, Task

Found = Mapping[str, Mapping[str, Measurement]]


def build(
    project: Project,
    preset: str,
    known: dict[str, Task],
    found: Found,
    here: dict[str, Any],
    limits: dict[str, Any],
) -> Record:
    """Makes the record of all measurements that stand.

    Args:
        project: where it lives.
        preset: which.
        known: the preset's tasks.
        found: measurements by task and solver; some may be missing.
        here: the machine.
        limits: of time and memory.

    Returns:
        A record: `values.tasks.TASK.solvers.SOLVER`, `values.targets`, `values.growth`, and ours' certificates.
    """
    rows = {name: _task(task, found[name]) for name, task in known.items() if found[name]}
    everything = [m for solvers in found.values() for m in solvers.values()]
    state = commit(project)
    devices = [m.extra["device"] for m in everything if "device" in m.extra]
    missing = [f"{name}.{s}" for name, t in known.items() for s in (OURS, *t.peers) if s not in found[name]]
    packages: dict[str, str] = {}
    for measurement in everything:
        packages |= measurement.versions
    ours = {name: solvers[OURS] for name, solvers in found.items() if OURS in solvers}
    values = {
        "dtype": "float32",
        "cores": here["cores"],
        "tasks": rows,
        "targets": _targets(known, rows),
        "growth": _growth(known, rows),
        "missing": missing,
    }
    return Record(
        schema=SCHEMA,
        experiment="benchmarks/allocation",
        preset=preset,
        config={"limits": limits, "tasks": {name: plain(task) for name, task in known.items()}},
        seed=0,
        versions={**versions(), **packages},
        device={**here, **(devices[-1] if devices else {})},
        x64=False,
        commit=state.sha,
        dirty=state.dirty,
        code=hashlib.sha256("".join(sorted(m.fingerprint for m in everything)).encode()).hexdigest(),
        data={},
        values=plain(values, "values"),
        per_seed={},
        summary={},
        certificates={
            name: {
                "gap": rows[name]["solvers"][OURS]["gap"],
                "tolerance": known[name].tolerance,
                "iterations": m.info.get("iterations"),
                "reached": rows[name]["solvers"][OURS]["reached"],
            }
            for name, m in ours.items()
        },
        seconds=round(sum(sum(m.times) for m in everything), 3),
        stages={f"{m.task}.{m.solver}": round(sum(m.times), 3) for m in everything},
        resumed=[],
        peak_memory_mb=round(max((m.peak_memory_gb or 0.0 for m in ours.values()), default=0.0) * 1000, 1),
        finished=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def gap_of(task: Task, measurement: Measurement, bound: float | None) -> float | None:
    """The gap of a repaired answer to the best bound known, in the task's unit; None without an answer or a bound.

    Args:
        task: what was solved.
        measurement: by whom.
        bound: the least dual bound of all solvers.
    """
    if task.kind == "cube":
        return measurement.worst_gap
    if measurement.value is None or bound is None:
        return None
    return relative_gap(task.kind, task.items, measurement.value, bound)


def ratio_of(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> tuple[float | None, bool]:
    """A peer's time over ours at equal gap, and whether it is only a lower bound.

    Args:
        ours: our row.
        peer: the peer's row.

    Returns:
        None where there is nothing to compare: we did not reach the gap, or the peer has no time. A peer that was
        stopped at its limit, or ended short of the gap, would have needed longer than it took: a lower bound.
    """
    if not ours["reached"] or not ours["seconds"] or peer["seconds"] is None:
        return None, False
    return peer["seconds"] / ours["seconds"], not peer["reached"]


def _task(task: Task, solvers: Mapping[str, Measurement]) -> dict[str, Any]:
    """One task: its sizes, the best bound, and a row per solver."""
    bounds = [m.bound for m in solvers.values() if m.bound is not None]
    bound = min(bounds) if bounds and task.kind != "cube" else None
    rows: dict[str, Any] = {}
    for name in (OURS, *task.peers):
        if name not in solvers:
            continue
        m = solvers[name]
        gap = gap_of(task, m, bound)
        reached = m.status in (SOLVED, SHORT) and gap is not None and gap <= task.tolerance
        tried = sum(attempt["seconds"] or 0.0 for attempt in m.attempts)
        rows[name] = {
            "title": SOLVERS[name].title,
            "status": SOLVED if reached else m.status,
            "reached": reached,
            "seconds": m.seconds,
            "repeats": len(m.times),
            "spread": [min(m.times), max(m.times)] if m.times else None,
            "setup_seconds": m.setup,
            "compile_seconds": m.compilation,
            "all_settings_seconds": tried,
            "setting": m.setting,
            "precision": m.precision,
            "gap": gap,
            "violation": m.violation if m.violation is None or math.isfinite(m.violation) else None,
            "fairness": m.fairness,
            "info": m.info,
            "extra": {key: value for key, value in m.extra.items() if key != "device"},
            "peak_memory_gb": m.peak_memory_gb,
            "versions": m.versions,
            "message": m.message,
            "finished": m.finished,
        }
    if OURS in rows:
        for name, row in rows.items():
            if name != OURS:
                row["ratio"], row["ratio_is_bound"] = ratio_of(rows[OURS], row)
    sizes = {name: getattr(task, name) for name in ("users", "items", "candidates", "positions")}
    return {
        "title": task.title,
        "kind": task.kind,
        **sizes,
        "tolerance": task.tolerance,
        "bound": bound,
        "solvers": rows,
    }


def _targets(known: dict[str, Task], rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What must hold, what came, and whether it holds (None: it can't be said)."""
    judged = []
    for name, task in known.items():
        solvers = rows[name]["solvers"] if name in rows else {}
        if task.targets and OURS in solvers:
            row = solvers[OURS]
            judged.append(_entry(name, "gap", "", task.tolerance, row["gap"], row["reached"]))
            taken = row["compile_seconds"]
            holds = None if taken is None else taken <= COMPILE_SECONDS
            judged.append(_entry(name, "compile_seconds", "", COMPILE_SECONDS, taken, holds))
        for target in task.targets:
            got, holds = _judge(target.what, target.bound, solvers.get(OURS), solvers.get(target.peer))
            judged.append(_entry(name, target.what, target.peer, target.bound, got, holds))
    if any(task.targets for task in known.values()):
        for family, growth in _growth(known, rows).items():
            for step in growth["steps"]:
                holds = step["per_decade"] <= GROWTH_PER_DECADE
                label = f"{family}, {step['from']} to {step['to']} users"
                judged.append(_entry(label, "growth", "", GROWTH_PER_DECADE, step["per_decade"], holds))
    return judged


def _entry(task: str, what: str, peer: str, bound: float, got: float | None, holds: bool | None) -> dict[str, Any]:
    return {"task": task, "what": what, "peer": peer, "target": bound, "got": got, "holds": holds}


def _judge(
    what: str, bound: float, ours: dict[str, Any] | None, peer: dict[str, Any] | None
) -> tuple[float | None, bool | None]:
    """What came of one target, and whether it holds."""
    if ours is None:
        return None, None
    if not ours["reached"]:
        return None, False
    if what == "seconds":
        return ours["seconds"], ours["seconds"] <= bound
    if what == "memory_gb":  # the target speaks of GiB
        used = ours["peak_memory_gb"] * 1e9 / 2**30
        return used, used <= bound
    if peer is None:
        return None, None
    if what == "ratio":
        ratio, at_least = peer.get("ratio"), peer.get("ratio_is_bound")
        if ratio is None:
            return None, None
        return ratio, True if ratio >= bound else (None if at_least else False)
    measure = {"envy": "envy", "dominance": "worse_off"}[what]
    if ours["fairness"] is None or peer["fairness"] is None:
        return None, None
    got = ours["fairness"][measure] - peer["fairness"][measure]
    return got, got <= bound


def _growth(known: dict[str, Task], rows: Mapping[str, Any]) -> dict[str, Any]:
    """Per family of tasks that differ in users: our time from step to step, over the growth of users, per decade."""
    families: dict[str, list[Task]] = {}
    for name, task in known.items():
        if task.growth and name in rows and rows[name]["solvers"].get(OURS, {}).get("reached"):
            families.setdefault(task.growth, []).append(task)
    growth = {}
    for family, members in families.items():
        steps = []
        for small, large in itertools.pairwise(sorted(members, key=lambda task: task.users)):
            seconds = [rows[task.name]["solvers"][OURS]["seconds"] for task in (small, large)]
            decades = math.log10(large.users / small.users)
            excess = (seconds[1] / seconds[0]) / (large.users / small.users)
            steps.append({"from": small.users, "to": large.users, "per_decade": excess ** (1 / decades)})
        growth[family] = {"tasks": [task.name for task in members], "steps": steps}
    return growth
