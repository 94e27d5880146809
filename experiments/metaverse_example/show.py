"""How `metaverse_example` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table


def tables(record: Record) -> list[Table]:
    """The agreement of the three ways, and the fixed-point iteration's rate."""
    ways = record.values["ways"]
    points = record.values["fixed_point"]
    return [
        Table(
            "Largest difference from the closed form",
            ("budget", "projected descent (attention)", "allocation operator (attention)", "descent (loss)"),
            [(name, row["descent"], row["operator"], row["descent_loss"]) for name, row in ways.items()],
            "Over all random price vectors and goods, float64. Descent stops when no entry moves by 1e-13.",
        ),
        Table(
            "The iteration b <- p / (1 + b) contracts by b / (1 + b)",
            ("income p", "contraction, predicted", "contraction, measured"),
            list(zip(points["income"], points["rate"], points["measured_rate"], strict=True)),
            "The closed form is exact at once (ERRATA, Metaverse-3).",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """Water-filling, and the iteration that the document's definition suggests."""
    return [
        Figure(
            "Attention against the budget",
            "Each good's attention as the budget grows. Goods enter one by one, the best paid first; once every good "
            "has what it would get without a budget (dashed) further attention stays unspent. Below: the price of "
            "attention, which falls to zero there.",
            lambda: _water_filling(record.values["example"]),
        ),
        Figure(
            "The fixed-point iteration slows down",
            "Relative error of b <- p / (1 + b) from b = 0. For large income the error shrinks by b / (1 + b) a step, "
            "close to 1.",
            lambda: _iteration(record.values["fixed_point"]),
        ),
    ]


def _water_filling(example: dict[str, Any]) -> Any:
    from matplotlib import colormaps
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.4, 5.0), layout="constrained")
    top, bottom = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    budgets, attention = np.asarray(example["budgets"]), np.asarray(example["attention"])
    colours = colormaps["viridis"](np.linspace(0.05, 0.85, attention.shape[1]))
    for k, colour in enumerate(colours):
        top.plot(budgets, attention[:, k], color=colour)
        top.axhline(example["unbounded"][k], color=colour, lw=0.6, ls="--")
        top.annotate(f"p = {example['income'][k]:g}", (budgets[-1], attention[-1, k]), xytext=(4, 0), fontsize=8,
                     textcoords="offset points", va="center", color=colour)  # fmt: skip
    bottom.plot(budgets, example["price_of_attention"], color="black")
    top.set_ylabel("attention $a_i$")
    bottom.set_ylabel("price $\\tau$")
    bottom.set_xlabel("budget $R$ (an upper bound)")
    for axes in (top, bottom):
        axes.spines[["top", "right"]].set_visible(False)
    return canvas


def _iteration(points: dict[str, Any]) -> Any:
    from matplotlib import colormaps
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.4, 3.4), layout="constrained")
    axes = canvas.subplots()
    error = np.asarray(points["relative_error"])
    colours = colormaps["viridis"](np.linspace(0.05, 0.85, error.shape[1]))
    for k, colour in enumerate(colours):
        seen = error[:, k] > 1e-15
        steps = np.arange(1, len(error) + 1)[seen]
        axes.semilogy(steps, error[seen, k], color=colour, label=f"p = {points['income'][k]:g}")
    axes.set_xlabel("step")
    axes.set_ylabel("relative error of $b$")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return canvas
