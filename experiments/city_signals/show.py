"""How `city_signals` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table
from attnjax.reproduction.figures import PALETTE, canvas

NAMES = {
    "net_plan": "plan of the net file",
    "uniform": "uniform plan",
    "webster": "Webster's plan",
    "actuated": "SUMO actuated",
    "greedy": "greedy",
    "max_pressure": "max-pressure",
    "cyclic_shares": "cyclic shares",
    "sparse_shares": "sparse shares",
}


def _cell(numbers: list[float], digits: int = 1) -> str:
    """The median, and the worst seed where there are several."""
    median = f"{np.median(numbers):.{digits}f}"
    return median if len(numbers) == 1 else f"{median} [{max(numbers):.{digits}f}]"


def tables(record: Record) -> list[Table]:
    """Both delays, and what else was measured."""
    maps = list(record.values["maps"])
    found = record.values["measures"]
    seeds = record.config["seeds"]
    over = f"Median [worst] over {seeds} seeds of SUMO's drivers" if seeds > 1 else "One seed of SUMO's drivers"
    heads = [f"{name} ({record.values['maps'][name]['vehicles']})" for name in maps]

    def of(measure: str) -> list[tuple[str, ...]]:
        return [
            (label, *(_cell(found[name][controller][measure]) for name in maps)) for controller, label in NAMES.items()
        ]

    note = f"{over}, {record.values['sumo']}; vehicles in brackets beside the map. "
    return [
        Table(
            "Strict delay of a vehicle, seconds",
            ("controller", *heads),
            of("strict_delay"),
            f"{note}Every vehicle that was to set out counts, also one that never gets in.",
        ),
        Table(
            "RESCO's delay of a vehicle, seconds",
            ("controller", *heads),
            of("delay"),
            f"{note}Vehicles that never get in don't count where others did later. RESCO's published table is of SUMO "
            "1.9, whose drivers lose more time under the same controllers.",
        ),
        Table(
            "What else was measured",
            ("map", "controller", "mean speed, m/s", "arrived", "stood, s", "queue, vehicles"),
            [
                (
                    name,
                    label,
                    *(
                        round(float(np.median(found[name][controller][measure])), digits)
                        for measure, digits in (("mean_speed", 2), ("throughput", 0), ("waiting", 1), ("queue", 1))
                    ),
                )
                for name in maps
                for controller, label in NAMES.items()
            ],
            "Medians. Arrived: vehicles that reached the end of their trip within the hour. Queue: vehicles standing "
            "on the lanes before signals, the mean over the hour.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """Strict delay of every run."""
    return [
        Figure(
            "Delay by controller",
            "Strict delay of every seed (dots) and their median (bar), on each map; the scale is logarithmic.",
            lambda: _delays(record),
        )
    ]


def _delays(record: Record) -> Any:
    maps = list(record.values["maps"])
    figure, axes = canvas(width=max(6.4, 1.7 * len(maps) + 1.5), height=4.2)
    width = 0.8 / len(NAMES)
    for place, (controller, label) in enumerate(NAMES.items()):
        colour = PALETTE[place % len(PALETTE)] if place < len(PALETTE) else "#8a8f98"
        for spot, name in enumerate(maps):
            numbers = record.values["measures"][name][controller]["strict_delay"]
            x = spot + (place - (len(NAMES) - 1) / 2) * width
            axes.plot([x] * len(numbers), numbers, "o", ms=3, color=colour, label=label if spot == 0 else None)
            axes.plot([x - width / 2, x + width / 2], [np.median(numbers)] * 2, color=colour, lw=2)
    axes.set_yscale("log")
    axes.set_xticks(range(len(maps)), maps)
    axes.set_ylabel("strict delay, seconds per vehicle")
    axes.legend(ncols=2)
    return figure
