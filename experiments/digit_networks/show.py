"""How `digit_networks` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import PALETTE, canvas

CLAIMED = {"user": 90, "item": 85, "policy": 78}
"""Per cent, in *MetaRL* §5.4."""
COLOURS = dict(zip(CLAIMED, PALETTE, strict=False))
OUTPUTS = {"logits": ("ten logits", "-"), "sigmoid": ("ten sigmoids", ":")}
GAPS = {"user_less_item": 5, "item_less_policy": 7, "policy_less_user": -12}


def tables(record: Record) -> list[Table]:
    """Accuracies beside the document's, and what differs between networks and between outputs."""
    config, summary = record.config, record.summary
    over = f"Mean [95 % bootstrap interval] over {config['seeds']} seeds"
    trained = (
        f"MNIST: {config['training']:,} training images, {config['epochs']} epochs, the best of them by "
        f"{config['validation']:,} validation images; {config['test']:,} test images."
    )
    return [
        Table(
            "Test accuracy of the document's networks (%)",
            ("network", "the document", "corrected", "of each seed", "sigmoid kept", "one output, as written"),
            [
                (
                    name,
                    f"about {claimed}",
                    with_interval(summary[f"logits_{name}_accuracy"], 2, 100),
                    ", ".join(f"{100 * value:.2f}" for value in record.per_seed[f"logits_{name}_accuracy"]),
                    with_interval(summary[f"sigmoid_{name}_accuracy"], 2, 100),
                    f"{100 * summary['one_accuracy']['mean']:.2f}",
                )
                for name, claimed in CLAIMED.items()
            ],
            f"{over}. {trained} One output can't be trained by the document's loss, and always says 0: its accuracy is "
            "the share of zeros.",
        ),
        Table(
            "Differences in test accuracy (percentage points)",
            ("", "the document", "ten logits", "of each seed", "ten sigmoids"),
            [
                (
                    gap.replace("_", " "),
                    f"{claimed:+d}",
                    with_interval(summary[f"logits_{gap}"], 2, 100),
                    ", ".join(f"{100 * value:+.2f}" for value in record.per_seed[f"logits_{gap}"]),
                    with_interval(summary[f"sigmoid_{gap}"], 2, 100),
                )
                for gap, claimed in GAPS.items()
            ],
            f"{over}. The user network and the item network differ in their draws only. With few seeds such intervals "
            "are too narrow.",
        ),
        Table(
            "What a sigmoid before the cross-entropy costs (percentage points)",
            ("network", "logits less sigmoids, test", "validation, first epoch: logits (%)", "sigmoids (%)"),
            [
                (
                    name,
                    with_interval(summary[f"logits_less_sigmoid_{name}"], 2, 100),
                    with_interval(summary[f"logits_{name}_first_epoch"], 2, 100),
                    with_interval(summary[f"sigmoid_{name}_first_epoch"], 2, 100),
                )
                for name in CLAIMED
            ],
            f"{over}, the first column paired: the same start and, for the user and item networks, the same batches of "
            "the same images. Behind a sigmoid the loss can't fall below 1.46.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """Accuracies of each seed beside the claims, and how training goes."""
    return [
        Figure(
            "Measured and claimed accuracy",
            "Test accuracy of each seed's corrected networks (points), and what the document claims (bars).",
            lambda: _claims(record),
        ),
        Figure(
            "Training the three networks",
            "Validation error after each epoch: the mean over seeds, with ten logits (solid) and with the document's "
            "sigmoid kept (dotted).",
            lambda: _training(record),
        ),
    ]


def _claims(record: Record) -> Any:
    figure, axes = canvas(6.0, 3.6)
    for place, (name, claimed) in enumerate(CLAIMED.items()):
        found = 100 * np.array(record.per_seed[f"logits_{name}_accuracy"])
        shift = np.linspace(-0.15, 0.15, len(found)) if len(found) > 1 else np.zeros(1)
        axes.plot(place + shift, found, "o", ms=5, color=COLOURS[name])
        axes.hlines(claimed, place - 0.3, place + 0.3, colors="black", lw=2, label="claimed" if place == 0 else None)
    axes.axhline(
        100 * record.summary["one_accuracy"]["mean"], color="grey", lw=1, ls="--", label="one output: always 0"
    )
    axes.set_xticks(range(len(CLAIMED)), list(CLAIMED))
    axes.set_ylim(0, 102)
    axes.set_ylabel("test accuracy (%)")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _training(record: Record) -> Any:
    figure, axes = canvas()
    for arm, (label, dash) in OUTPUTS.items():
        for name in CLAIMED:
            wrong = 100 * (1 - np.array(record.values["validation"][arm][name]))  # (seeds, epochs)
            epochs = np.arange(1, wrong.shape[1] + 1)
            axes.plot(epochs, wrong.mean(0), f"o{dash}", ms=3, color=COLOURS[name], label=f"{name}, {label}")
    axes.set_yscale("log")
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks("{x:g}")
    axes.set_xticks(epochs)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation error (%)")
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure
