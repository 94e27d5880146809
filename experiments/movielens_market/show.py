"""How `movielens_market` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import canvas

NAMES = {
    "uniform": "uniform",
    "user_optimal": "best for users",
    "linear": "linear (three parties summed)",
    "nash": "Nash welfare of directors",
    "floors": "floors for directors",
}
COLOURS = {
    "uniform": "#888888",
    "user_optimal": "#0072B2",
    "linear": "#CC79A7",
    "nash": "#009E73",
    "floors": "#D55E00",
}


def tables(record: Record) -> list[Table]:
    """Each party under each regime, the relevance model, who moved, and the certificates."""
    seeds = record.config["seeds"]
    over = f"Mean [95 % bootstrap interval] over {seeds} seeds (split, fit and solve each time anew)."
    return [
        Table(
            "What each party gets, per unit of attention",
            (
                "allocation",
                "users: welfare kept",
                "users: predicted stars",
                "users: observed stars",
                "films in effect",
                "directors: revenue",
                "directors: Gini",
                "directors who gain",
                "platform: income",
            ),
            [
                (
                    NAMES[name],
                    with_interval(record.summary[f"{name}_user_welfare_kept"]),
                    with_interval(record.summary[f"{name}_predicted_stars"], 2),
                    with_interval(record.summary[f"{name}_observed_stars"], 2),
                    with_interval(record.summary[f"{name}_films_in_effect"], 0),
                    with_interval(record.summary[f"{name}_creator_revenue"]),
                    with_interval(record.summary[f"{name}_gini"]),
                    "-" if name == "user_optimal" else with_interval(record.summary[f"{name}_directors_gaining"], 2),
                    with_interval(record.summary[f"{name}_platform_income"]),
                )
                for name in NAMES
            ],
            f"{over} Welfare kept: satisfaction plus variety, relative to the allocation that is best for users. "
            "Predicted stars: the relevance model's rating of what attention is spent on; observed stars: the held-out "
            "ratings of it, where there are any. Films in effect: exp of the entropy of a user's attention. Directors "
            "who gain: the share with more exposure than under the allocation that is best for users. Revenue and "
            "income follow from assumed rates (the data hold no money): see experiments/movielens_market/compute.py.",
        ),
        Table(
            "The relevance model, on held-out ratings",
            ("", "root mean squared error (stars)"),
            [
                ("item mean", with_interval(record.summary["rmse_item_mean"], 4)),
                ("biased matrix factorisation", with_interval(record.summary["rmse_model"], 4)),
                ("reduction, paired", with_interval(record.summary["rmse_reduction"], 4)),
            ],
            over,
        ),
        Table(
            "Whose exposure Nash welfare moves most",
            ("director of", "before (equal shares)", "after (equal shares)"),
            [(row["film"], round(row["before"], 2), round(row["after"], 2)) for row in record.values["moved_most"]],
            "Before: best for users. One equal share is all attention divided by the number of directors. A director "
            "is named by the most rated film, since the knowledge graph holds no names; co-directors are shown once. "
            "First seed.",
        ),
        Table(
            "Certificates: the worst over all seeds",
            ("allocation", "relative gap", "passes over all users", "all solved"),
            [
                (NAMES[name], found["largest_relative_gap"], found["most_iterations"], found["all_converged"])
                for name, found in record.certificates.items()
            ],
            "Gap: upper bound on welfare less the welfare reached, relative to it; "
            f"asked for: {record.config['tol']:g}.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """The trade, who gains, and inequality."""
    return [
        Figure(
            "What equality among directors costs users",
            "Each allocation by the inequality of directors' exposure and by what users keep of their best welfare. "
            "Bars: 95 % intervals over seeds, where they are wider than the mark.",
            lambda: _trade(record),
        ),
        Figure(
            "Exposure by popularity",
            "Mean exposure of directors in five equal groups, from the least to the most watched; 1 is an equal share.",
            lambda: _groups(record.values["group_exposure"]),
        ),
        Figure(
            "Lorenz curves of directors' exposure",
            "The share of all exposure that goes to the least exposed directors. The diagonal is equality. First seed.",
            lambda: _lorenz(record.values["lorenz"]),
        ),
    ]


def _trade(record: Record) -> Any:
    figure, axes = canvas()
    for name, label in NAMES.items():
        x, y = record.summary[f"{name}_gini"], record.summary[f"{name}_user_welfare_kept"]
        axes.errorbar(
            x["mean"],
            y["mean"],
            xerr=[[x["mean"] - x["low"]], [x["high"] - x["mean"]]],
            yerr=[[y["mean"] - y["low"]], [y["high"] - y["mean"]]],
            fmt="o",
            color=COLOURS[name],
        )
        above = name == "user_optimal"  # its neighbour's name stands below
        axes.annotate(
            label,
            (x["mean"], y["mean"]),
            xytext=(0, 6 if above else -8),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize=8,
        )
    axes.margins(0.15)
    axes.set_xlabel("Gini coefficient of directors' exposure")
    axes.set_ylabel("users' welfare kept")
    return figure


def _groups(exposure: dict[str, Any]) -> Any:
    figure, axes = canvas()
    count = len(exposure["uniform"])
    width = 0.8 / len(NAMES)
    for k, (name, label) in enumerate(NAMES.items()):
        axes.bar(np.arange(count) + (k - 2) * width, exposure[name], width, color=COLOURS[name], label=label)
    axes.axhline(1, color="black", lw=0.6, ls="--")
    axes.set_xticks(range(count), ["least watched", *[""] * (count - 2), "most watched"])
    axes.set_ylabel("exposure (equal shares)")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _lorenz(curves: dict[str, Any]) -> Any:
    figure, axes = canvas(4.8, 4.4)
    axes.plot([0, 1], [0, 1], color="black", lw=0.6)
    for name, label in NAMES.items():
        axes.plot(np.linspace(0, 1, len(curves[name])), curves[name], color=COLOURS[name], label=label)
    axes.set_xlabel("share of directors, least exposed first")
    axes.set_ylabel("share of exposure")
    axes.legend(frameon=False, fontsize=8)
    axes.set_aspect("equal")
    return figure
