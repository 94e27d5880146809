"""How `pareto_fronts` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table

NAMES = {
    "exact": "weighted markets, certified",
    "linear_programs": "linear programs (HiGHS)",
    "network": "one network told the weights",
    "nsga2": "NSGA-II (pymoo)",
    "uniform": "uniform attention",
}
PARTIES = ("users: mean relevance", "creators: least exposure (equal shares)", "platform: income")


def _mean(record: Record, name: str, digits: int = 3) -> str:
    if name not in record.summary:
        return "-"
    found = record.summary[name]
    if found["size"] == 1:
        return f"{found['mean']:.{digits}f}"
    return f"{found['mean']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def tables(record: Record) -> list[Table]:
    """What each optimiser finds, and the certificate."""
    rows = [
        (
            NAMES.get(name, f"aggregator {name}"),
            len(record.values["points"][name]),
            _mean(record, f"{name}_hypervolume"),
            _mean(record, f"{name}_distance"),
            _mean(record, f"{name}_seconds", 2),
        )
        for name in record.values["points"]
    ]
    sizes = record.values["sizes"]
    return [
        Table(
            "What each optimiser finds",
            ("optimiser", "points", "hypervolume", "IGD+ to the exact front", "seconds"),
            rows,
            f"{sizes['users']} users, {sizes['films']} films, {sizes['directors']} directors. Gains are scaled to the "
            "range of the exact front; hypervolume is relative to the box from the best of each party to a tenth below "
            "the worst. Seconds without compiling, but for NSGA-II. An aggregator gives one point per start.",
        ),
        Table(
            "Certificates",
            ("largest relative gap", "all converged", "most any point is above a certificate"),
            [tuple(record.certificates["exact"].values())],
            "Every weighting's upper bound is a plane above all that can be reached: a point above one would be wrong.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """The points of all optimisers, seen from two sides."""
    return [
        Figure(
            "What three parties can get together",
            "Every point is an allocation. Grey: the exact front. First seed.",
            lambda: _points(record.values["points"]),
        )
    ]


def _points(points: dict[str, Any]) -> Any:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9.0, 4.0), layout="constrained")
    axes = canvas.subplots(1, 2)
    for side, (x, y) in zip(axes, ((0, 1), (0, 2)), strict=True):
        for name, found in points.items():
            rows = np.asarray(found)
            grey = {"color": "#999999", "marker": "s", "s": 40} if name == "exact" else {"s": 14}
            side.scatter(rows[:, x], rows[:, y], label=NAMES.get(name, name), **grey)
        side.spines[["top", "right"]].set_visible(False)
        side.set_xlabel(PARTIES[x])
        side.set_ylabel(PARTIES[y])
    axes[1].legend(frameon=False, fontsize=7)
    return canvas
