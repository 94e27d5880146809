"""How the benchmark is shown: tables, figures and Markdown, from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction.experiment import Figure, Table
from attnjax.reproduction.figures import PALETTE
from attnjax.reproduction.records import Record
from experiments.benchmarks.allocation.measurements import TIMED_OUT
from experiments.benchmarks.allocation.peers import OURS, SOLVERS

UNITS = {"linear": "relative", "cube": "relative, worst user", "nash": "nats per creator", "slates": "nats per creator"}
WHAT = {
    "gap": "certified gap, at most",
    "ratio": "times faster, at least",
    "seconds": "seconds, at most",
    "memory_gb": "peak memory in GiB, at most",
    "compile_seconds": "compilation in seconds, at most",
    "envy": "mean envy above the peer's, at most",
    "dominance": "share worse off than uniform above the peer's, at most",
    "growth": "time over users per decade, at most",
}


def tables(record: Record) -> list[Table]:
    """All measurements, the targets, passes against bandwidth, and fairness of slates."""
    device = f"{record.device.get('processor', '')}, {record.values['cores']} cores"
    shown = [
        Table(
            "The market solver and its peers, at equal certified gap",
            ("problem", "solver", "seconds", "× ours", "gap after repair", "broken before it", "status"),
            [
                _row(task, name, row)
                for task in record.values["tasks"].values()
                for name, row in task["solvers"].items()
            ],
            f"{device}. Seconds: the solve alone, median of repeats (one where it takes long), without building or "
            "compiling. Each peer with the loosest of its tolerances that reaches the task's gap. Gap: from the answer "
            "made feasible to the best dual bound of all solvers; relative, for the cube of the worst user, for Nash "
            "welfare in nats per creator. ≥ means the peer was stopped, or ended, without reaching the gap.",
        )
    ]
    if record.values["targets"]:
        rows = [
            (t["task"], WHAT[t["what"]], _title(t), t["target"], t["got"], _holds(t["holds"]))
            for t in record.values["targets"]
        ]
        shown.append(
            Table(
                "What must hold",
                ("problem", "what", "peer", "target", "measured", "holds"),
                rows,
                "Decided only where we reached the gap ourselves.",
            )
        )
    passes = [
        (
            _name(task),
            task["solvers"][OURS]["info"].get("iterations"),
            extra["passes_per_s"],
            extra["copy_gb_per_s"],
            extra["pass_over_read"],
            task["solvers"][OURS]["compile_seconds"],
            task["solvers"][OURS]["peak_memory_gb"],
        )
        for task in record.values["tasks"].values()
        if OURS in task["solvers"] and "passes_per_s" in (extra := task["solvers"][OURS]["extra"])
    ]
    if passes:
        shown.append(
            Table(
                "Passes against memory bandwidth, ours",
                ("problem", "passes", "passes/s", "copy GB/s", "pass / read", "compile (s)", "peak (GB)"),
                passes,
                "Pass / read: the time of one pass over the time to read the scores once at the measured bandwidth.",
            )
        )
    fair = [
        (_name(task), row["title"], row["fairness"]["envy"], row["fairness"]["worse_off"], row["fairness"]["least"])
        for task in record.values["tasks"].values()
        for row in task["solvers"].values()
        if row["fairness"]
    ]
    if fair:
        shown.append(
            Table(
                "Slates: envy and dominance over uniform ranking",
                ("problem", "solver", "mean envy", "share below 0.9 of uniform", "least over uniform"),
                fair,
                "Envy: an item's largest, in units of the mean impact under uniform ranking.",
            )
        )
    return shown


def figures(record: Record) -> list[Figure]:
    """Growth with users, and the ratio to each peer."""
    shown = []
    for family, growth in record.values["growth"].items():
        if len(growth["tasks"]) > 1:
            shown.append(
                Figure(
                    "Growth with users",
                    f"{family}: seconds to a certified gap, by the number of users. Dashed: in proportion to users.",
                    lambda growth=growth: _draw_growth(record, growth),  # type: ignore[misc]
                )
            )
    if _bars(record):
        shown.append(
            Figure(
                "Times faster than each peer",
                "The peer's time over ours at equal certified gap. An arrow: the peer did not reach the gap in this "
                "time, so the ratio is at least this. A line across: the target.",
                lambda: _draw_ratios(record),
            )
        )
    return shown


def _name(task: dict[str, Any]) -> str:
    """A task and its size."""
    size = f"{task['users']:,} × {task['items']:,}"
    size += f", {task['candidates']} candidates each" if task["candidates"] else ""
    size += f", K = {task['positions']}" if task["positions"] else ""
    return f"{task['title']}, {size}"


def _row(task: dict[str, Any], name: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """One measurement."""
    ratio: Any = "1" if name == OURS and row["reached"] else None
    if row.get("ratio") is not None:
        ratio = f"{'≥ ' if row['ratio_is_bound'] else ''}{row['ratio']:.3g}"
    seconds = row["seconds"]
    seconds = f"> {seconds:.0f}" if row["status"] == TIMED_OUT and seconds is not None else seconds
    return (_name(task), row["title"], seconds, ratio, row["gap"], row["violation"], row["status"])


def _title(target: dict[str, Any]) -> str:
    """The peer's name for a reader."""
    return SOLVERS[target["peer"]].title if target["peer"] else ""


def _holds(holds: bool | None) -> str:
    """Yes, no, or that it can't be said."""
    return "not decided" if holds is None else "yes" if holds else "no"


def _draw_growth(record: Record, growth: dict[str, Any]) -> Any:
    """Seconds by users, both logarithmic."""
    from matplotlib.figure import Figure as Drawing

    tasks = [record.values["tasks"][name] for name in growth["tasks"]]
    lines: dict[str, list[tuple[int, float]]] = {}
    for task in tasks:
        for name, row in task["solvers"].items():
            if row["reached"]:
                lines.setdefault(name, []).append((task["users"], row["seconds"]))
    figure = Drawing()
    axes = figure.subplots()
    titles = {name: row["title"] for task in tasks for name, row in task["solvers"].items()}
    for colour, (name, points) in zip(PALETTE, lines.items(), strict=False):
        axes.plot(*zip(*points, strict=True), "o-", color=colour, label=titles[name])
    users, seconds = np.array(lines[OURS], float).T
    axes.plot(users, seconds[0] * users / users[0], "--", color="#888888", linewidth=1, label="in proportion to users")
    axes.set(xscale="log", yscale="log", xlabel="users", ylabel="seconds")
    axes.legend()
    return figure


def _bars(record: Record) -> list[tuple[str, float, bool, float | None]]:
    """Label, ratio, whether it is a lower bound, and target, of each peer that has a ratio."""
    goals = {(t["task"], t["peer"]): t["target"] for t in record.values["targets"] if t["what"] == "ratio"}
    return [
        (f"{_name(task)}: {row['title']}", row["ratio"], row["ratio_is_bound"], goals.get((name, solver)))
        for name, task in record.values["tasks"].items()
        for solver, row in task["solvers"].items()
        if row.get("ratio") is not None
    ]


def _draw_ratios(record: Record) -> Any:
    """A bar per task and peer, logarithmic from 1."""
    from matplotlib.figure import Figure as Drawing

    bars = _bars(record)
    figure = Drawing(figsize=(9.5, 0.9 + 0.27 * len(bars)))
    axes = figure.subplots()
    for place, (_, ratio, at_least, target) in enumerate(bars):
        axes.barh(place, ratio - 1, left=1, color=PALETTE[0] if ratio >= 1 else PALETTE[1], height=0.7)
        axes.annotate(
            f"{'≥ ' if at_least else ''}{ratio:.3g}{' →' if at_least else ''}",
            (max(ratio, 1), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
        if target is not None:
            axes.plot([target, target], [place - 0.42, place + 0.42], color=PALETTE[-1], linewidth=2)
    axes.set_yticks(range(len(bars)), [label for label, *_ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="#5b6470", linewidth=1)
    axes.set(xscale="log", xlabel="times faster than the peer, at equal certified gap")
    axes.margins(x=0.12)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    return figure
