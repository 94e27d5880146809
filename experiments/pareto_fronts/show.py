"""How `pareto_fronts` is shown: from its record only."""

import functools
from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import PALETTE, canvas

MARKETS = {"movielens": "MovieLens-100k", "open_bandit": "Open Bandit"}
NAMES = {
    "weights": "solver, by weights",
    "floors": "solver, by floors",
    "linear_programs": "linear programs (HiGHS)",
    "network": "one network told the weights",
    "nsga2": "NSGA-II (pymoo)",
    "logged_random": "logged: random",
    "logged_bts": "logged: Thompson sampling",
}
WAYS = {
    "revenue": "weight of their revenue (the document's sum)",
    "trained": "weight of what is granted, in training",
    "granted": "weight of what is granted, solved",
    "nash": "weight of Nash welfare, solved",
    "floors": "floor (parts of a fair share), solved",
}
UNITS = (
    "Users and platform: 0 as under uniform attention, 1 the best for that party alone. Creators: the part of their "
    "fair shares (of the catalogue) that is granted."
)


def _name(way: str) -> str:
    return NAMES.get(way, f"attention model, {way}")


def tables(record: Record) -> list[Table]:
    """What each optimiser finds, what makes exposure fair, and the certificates."""
    seeds = record.config["seeds"]
    over = f"Mean [95 % bootstrap interval] over {seeds} seeds. " if seeds > 1 else "One seed. "
    shown = []
    for market, title in MARKETS.items():
        shown += [_found(record, market, title, over), _fair(record, market, title, over)]
    return [
        *shown,
        Table(
            "Certificates: the worst over all seeds",
            ("market", "points", "markets", "not solved", "gap", "from HiGHS", "above a bound"),
            [
                (
                    title,
                    NAMES[way],
                    *(f"{found[count]:.0f}" for count in ("markets", "unsolved")),
                    f"{found['largest_gap']:.1e}",
                    *(
                        f"{max(record.per_seed[f'{market}_{most}']):.1e}" if way == "weights" else "-"
                        for most in ("programs_apart", "most_above")
                    ),
                )
                for market, title in MARKETS.items()
                for way in ("weights", "floors")
                for found in [record.certificates[f"{market}_{way}"]]
            ],
            f"Gap asked for: {record.config['tol']:g} of the weighted gains; the largest of those solved. From HiGHS: "
            "the largest difference in weighted gains between the two. Above a bound: a weighting's certificate is a "
            "plane above all that can be reached; a point of any optimiser above one would mean that it is wrong.",
        ),
    ]


def _found(record: Record, market: str, title: str, over: str) -> Table:
    sizes, summary = record.values[market]["sizes"], record.summary
    rows = []
    for way in record.values[market]["points"]:
        seconds = summary.get(f"{market}_{way}_seconds")
        rows.append(
            (
                _name(way),
                f"{summary[f'{market}_{way}_found']['mean']:.3g}",
                f"{sum(record.per_seed[f'{market}_{way}_failed']):.0f}",
                *(
                    with_interval(summary[f"{market}_{way}_{what}"])
                    for what in ("hypervolume", "distance", "room", "spread")
                ),
                "-" if seconds is None else with_interval(seconds, 2),
            )
        )
    most = with_interval(summary[f"{market}_ceiling_hypervolume"])
    rows.append(("any, by the certificates", "-", "-", f"at most {most}", "-", "-", "-", "-"))
    return Table(
        f"{title}: what each optimiser finds",
        ("optimiser", "points", "failures", "hypervolume", "IGD+", "room", "spread", "seconds"),
        rows,
        f"{over}{sizes['users']} users, {sizes['items']} items, {sizes['creators']} creators. {UNITS} Hypervolume: "
        "the part of the cube from (0, 0, 0) to (1, 1, 1) that the points dominate (the ceiling is counted in cubes of "
        "1/48). IGD+: to the solver's points. Room: how much more all three could have at once, by the certificates, "
        "at most; mean over the points. Spread: the largest distance between two points. Failures: not solved or not "
        "finite, over all seeds. Seconds for all points, without compiling but for NSGA-II."
        + (
            ""
            if f"{market}_logged_bts_hypervolume" not in summary
            else " Logged policies showed the same to all users; their exposure is the mean of logged propensities."
        ),
    )


def _fair(record: Record, market: str, title: str, over: str) -> Table:
    rows: list[tuple[str, ...]] = []
    for way, label in WAYS.items():
        knobs = record.config["floors" if way == "floors" else "weights"]
        for knob, found in zip(knobs, record.values[market]["fairness"][way], strict=True):
            if "worst" not in found:
                rows.append((label, f"{knob:g}", *["-"] * 7, str(found["failed"])))
                continue
            rows.append(
                (
                    label,
                    f"{knob:g}",
                    with_interval(found["granted"]),
                    with_interval(found["least"]),
                    f"{found['worst']:.3f}",
                    with_interval(found["gini"]),
                    f"{100 * found['forgotten']['mean']:.0f} %",
                    with_interval(found["users"]),
                    with_interval(found["platform"]),
                    str(found["failed"]),
                )
            )
    return Table(
        f"{title}: what makes exposure fair",
        (
            "by",
            "how much",
            "granted",
            "least exposure",
            "in the worst seed",
            "Gini",
            "forgotten",
            "users",
            "platform",
            "failures",
        ),
        rows,
        f"{over}{UNITS} Users and platform share the rest of the weight to equal parts. Gini: of exposure over fair "
        "shares. Least exposure: of who has least of a fair share. Forgotten: creators with less than 1 % of one. The "
        "document's answer (Metaverse §9, Q4) is to set weights in training.",
    )


def figures(record: Record) -> list[Figure]:
    """The points of all optimisers, and least exposure against the weight or floor that was set."""
    drawn = []
    for market, title in MARKETS.items():
        drawn += [
            Figure(
                f"{title}: what three parties can get together",
                "Every point is an allocation. Left: creators against users. Right: platform against users. Grey: the "
                "solver's points. First seed.",
                functools.partial(_points, record.values[market]["points"], record.config["aggregators"]),
            ),
            Figure(
                f"{title}: what is asked for and what creators get",
                "Least exposure (parts of a fair share) against the weight or the floor that was set. Bars: 95 % "
                "intervals over seeds.",
                functools.partial(_asked, record, market),
            ),
        ]
    return drawn


def _points(points: dict[str, Any], aggregators: list[str]) -> Any:
    figure, axes = canvas(9.0, 4.2)
    axes.remove()
    together = [np.asarray(points[name]).reshape(-1, 3) for name in aggregators]
    groups = {
        "solver, by weights": (points["weights"], {"color": "#999999", "marker": "s", "s": 40}),
        "solver, by floors": (points["floors"], {"color": "#cccccc", "marker": "D", "s": 24}),
        "linear programs": (points["linear_programs"], {"color": PALETTE[6], "marker": "+", "s": 30}),
        "network told the weights": (points["network"], {"color": PALETTE[0], "s": 14}),
        "aggregators": (np.concatenate(together), {"color": PALETTE[2], "marker": "^", "s": 12}),
        "NSGA-II": (points["nsga2"], {"color": PALETTE[1], "marker": "v", "s": 12}),
    }
    logged = [points[name] for name in points if name.startswith("logged_")]
    if logged:
        groups["logged policies"] = (np.concatenate(logged), {"color": PALETTE[3], "marker": "*", "s": 90})
    for side, other, label in zip(figure.subplots(1, 2), (1, 2), ("creators", "platform"), strict=True):
        for name, (found, look) in groups.items():
            rows = np.asarray(found).reshape(-1, 3)
            side.scatter(rows[:, 0], rows[:, other], label=name, **look)
        side.spines[["top", "right"]].set_visible(False)
        side.set_xlabel("users")
        side.set_ylabel(label)
    figure.legend(*side.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower center", ncols=4)
    return figure


def _asked(record: Record, market: str) -> Any:
    figure, axes = canvas()
    for colour, (way, label) in zip(PALETTE, WAYS.items(), strict=False):
        knobs = record.config["floors" if way == "floors" else "weights"]
        pairs = zip(knobs, record.values[market]["fairness"][way], strict=True)
        found = [(knob, row["least"]) for knob, row in pairs if "worst" in row]
        axes.errorbar(
            [knob for knob, _ in found],
            [one["mean"] for _, one in found],
            yerr=[[one["mean"] - one["low"] for _, one in found], [one["high"] - one["mean"] for _, one in found]],
            marker="o",
            color=colour,
            label=label,
        )
    axes.set_xlabel("weight, or floor")
    axes.set_ylabel("least exposure (parts of a fair share)")
    axes.legend(frameon=False, fontsize=7)
    return figure
