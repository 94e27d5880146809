"""How `online_regret` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import canvas

NAMES = {
    "nash": "Nash welfare of creators",
    "floors": "floors",
    "caps": "caps",
    "caps_without_variety": "caps, users take one item",
}
RUNS = {"random": "random order", "warm": "random order, warm start", "sorted": "sorted by taste"}
COLOURS = {"nash": "#009E73", "floors": "#D55E00", "caps": "#0072B2", "caps_without_variety": "#CC79A7"}


def _percent(record: Record, name: str, digits: int = 2) -> str:
    return f"{100 * record.summary[name]['mean']:.{digits}f} %"


def tables(record: Record) -> list[Table]:
    """Exponents, regret at each size, and what the online market says of itself."""
    counts = record.values["sizes"]
    seeds = f"{record.config['seeds']} seeds"
    return [
        Table(
            "How regret grows with the number of users",
            ("market", "order", "exponent", "exponent, last decade", f"regret at {counts[-1]:,}", "of the optimum"),
            [
                (
                    NAMES[name],
                    RUNS[how],
                    with_interval(record.summary[f"{name}_{how}_exponent"], 2),
                    with_interval(record.summary[f"{name}_{how}_last_exponent"], 2),
                    with_interval(record.summary[f"{name}_{how}_regret"], 1),
                    _percent(record, f"{name}_{how}_relative_regret"),
                )
                for name in NAMES
                for how in RUNS
            ],
            f"Mean [95 % bootstrap interval] over {seeds}. The exponent is the slope of log regret in log users, over "
            f"{counts[0]} to {counts[-1]:,} users and over the last decade of them; 0.5 is the square root, 1 "
            "proportion. The warm start has the prices of an earlier sample of "
            f"{record.config['sample']} users: regret is lower throughout, and its exponent higher only because the "
            "advantage is spent as users come. Regret counts from the certified upper bound of the hindsight optimum.",
        ),
        Table(
            "Mean regret",
            ("market", "order", *(f"{count:,} users" for count in counts)),
            [
                (NAMES[name], RUNS[how], *(round(float(np.mean(row)), 2) for row in record.values["regret"][name][how]))
                for name in NAMES
                for how in RUNS
            ],
            "In units of scores times attention; every user has one unit of attention.",
        ),
        Table(
            f"What the online market says of itself at {counts[-1]:,} users, random order",
            ("market", "one-pass bound above hindsight", "two-pass bound above hindsight", "floors missed", "cap used"),
            [
                (
                    NAMES[name],
                    _percent(record, f"{name}_one_pass"),
                    _percent(record, f"{name}_two_pass", 3),
                    _percent(record, f"{name}_shortfall", 3) if name == "floors" else "-",
                    _percent(record, f"{name}_cap_used", 4) if name.startswith("caps") else "-",
                )
                for name in NAMES
            ],
            "Bounds on the hindsight optimum, relative to it: the certificate of one pass, and the dual function of "
            "all users at the mean price. Floors missed: what is lacking of all floors together. Cap used: the most.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """Regret against the number of users."""
    return [
        Figure(
            "Regret of not knowing who comes next",
            "Mean regret over seeds against the number of users. Solid: random order; dashed: sorted by taste; dotted: "
            "random order from the prices of a sample. Grey: the square root, and proportion.",
            lambda: _growth(record),
        )
    ]


def _growth(record: Record) -> Any:
    figure, axes = canvas(height=4.2)
    counts = np.array(record.values["sizes"])
    for name, label in NAMES.items():
        for how, dash in {"random": "-", "sorted": "--", "warm": ":"}.items():
            mean = [float(np.mean(row)) for row in record.values["regret"][name][how]]
            axes.loglog(counts, mean, dash, color=COLOURS[name], label=label if how == "random" else None)
    axes.loglog(counts, 0.5 * counts**0.5, color="#aaaaaa", lw=0.8)
    axes.loglog(counts, 0.2 * counts, color="#aaaaaa", lw=0.8)
    axes.set_xlabel("users")
    axes.set_ylabel("regret (score times attention)")
    axes.legend(frameon=False, fontsize=8)
    return figure
