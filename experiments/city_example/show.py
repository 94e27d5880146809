"""How `city_example` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import PALETTE, canvas

ARMS = {
    "linear": "as written: linear outputs, squared error",
    "share": "shares, squared error",
    "effect": "shares, trained on F",
}
RULES = {
    "even": "an even split",
    "webster": "Webster's rule on the flows just seen",
    "persistence": "exact optimum for the flows just seen",
}
PAIRS = {"linear_less_share": "as written less shares", "share_less_effect": "squared error less F"}


def tables(record: Record) -> list[Table]:
    """Loss, validity and regret of each network and rule, and the paired differences."""
    config, summary, values = record.config, record.summary, record.values
    over = f"Mean [95 % bootstrap interval] over {config['seeds']} seeds"
    rows = values["rows"]
    return [
        Table(
            "Shares of green for the next window",
            ("", "training loss (1e-3)", "test loss (1e-3)", "outputs that are no split (%)", "regret (vehicles)"),
            [
                (
                    label,
                    with_interval(summary[f"{arm}_train_loss"], 2, 1e3),
                    with_interval(summary[f"{arm}_test_loss"], 2, 1e3),
                    with_interval(summary[f"{arm}_no_split"], 1, 100),
                    with_interval(summary[f"{arm}_regret"], 3),
                )
                for arm, label in ARMS.items()
            ]
            + [
                (
                    label,
                    "",
                    f"{1e3 * values['rules'][name]['test_loss']:.2f}",
                    "0",
                    f"{values['rules'][name]['regret']:.3f}",
                )
                for name, label in RULES.items()
            ],
            f"{over}; {values['signals']} signals, {rows['training']} windows to learn from and {rows['test']} of the "
            f"time after, each {config['window']} s. Losses are squared errors of shares, also where F was trained on. "
            "No split: a negative share, or a sum off by more than 1 %; such outputs are judged after moving them to "
            f"the nearest split. Regret: vehicles waiting at a signal on average, beyond the {values['waiting']:.2f} "
            "of the best split for the flows that came.",
        ),
        Table(
            "Differences in regret (vehicles)",
            ("", "difference", "of each seed"),
            [
                (
                    label,
                    with_interval(summary[f"{pair}_regret"], 3),
                    ", ".join(f"{value:+.3f}" for value in record.per_seed[f"{pair}_regret"]),
                )
                for pair, label in PAIRS.items()
            ],
            f"{over}, paired: the same windows and the same start.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """How the document's two losses go."""
    return [
        Figure(
            "Training and test loss",
            "Squared error of shares after each epoch, the mean over seeds: training (dotted) and test (solid). "
            "The network that was trained on F has seen no targets.",
            lambda: _losses(record),
        )
    ]


def _losses(record: Record) -> Any:
    figure, axes = canvas()
    for (arm, label), colour in zip(ARMS.items(), PALETTE, strict=False):
        for part, dash in (("train_loss", ":"), ("test_loss", "-")):
            loss = np.asarray(record.values["curves"][arm][part])
            axes.plot(1 + np.arange(len(loss)), loss, dash, color=colour, label=label if dash == "-" else None)
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error of shares")
    axes.legend(frameon=False, fontsize=8)
    return figure
