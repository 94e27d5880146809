"""How `attention_vector` is shown: from its record only."""

from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import PALETTE, canvas

NAMES = {
    "learned": "learned, as in the document",
    "frozen": "frozen at its random start",
    "removed": "removed (all ones)",
}
COLOURS = dict(zip(NAMES, PALETTE, strict=False))
IMAGES = {"mnist": "MNIST on CIFAR-10's canvas", "cifar-10": "CIFAR-10"}


def tables(record: Record) -> list[Table]:
    """Accuracy, and what the vector contributes."""
    config = record.config
    over = f"Mean [95 % bootstrap interval] over {config['seeds']} seeds"
    trained = (
        f"{IMAGES[config['images']]}: {config['training']:,} training images, {config['epochs']} epochs, the best of "
        f"them by {config['validation']:,} validation images; {config['test']:,} test images."
    )
    return [
        Table(
            "Accuracy of the document's network (%)",
            ("attention vector", "test", "of each seed", "validation, first epoch", "validation, last epoch"),
            [
                (
                    label,
                    with_interval(record.summary[f"{arm}_accuracy"], 2, 100),
                    ", ".join(f"{100 * value:.2f}" for value in record.per_seed[f"{arm}_accuracy"]),
                    with_interval(record.summary[f"{arm}_first_epoch"], 2, 100),
                    with_interval(record.summary[f"{arm}_last_epoch"], 2, 100),
                )
                for arm, label in NAMES.items()
            ],
            f"{over}. {trained}",
        ),
        Table(
            "What the attention vector contributes (percentage points)",
            ("", "test accuracy", "validation accuracy, first epoch"),
            [
                (
                    label,
                    with_interval(record.summary[f"{pair}_accuracy"], 2, 100),
                    with_interval(record.summary[f"{pair}_first_epoch"], 2, 100),
                )
                for pair, label in (
                    ("learned_less_removed", "learned less removed"),
                    ("frozen_less_removed", "frozen less removed"),
                    ("learned_less_frozen", "learned less frozen"),
                )
            ],
            f"{over}, paired: the same start and the same batches but for the vector. With few seeds such intervals "
            "are too narrow.",
        ),
        Table(
            "The learned vector",
            ("", "mean over seeds"),
            [
                (
                    "predictions that stay when the last layer absorbs it (%)",
                    100 * record.summary["agreement_when_absorbed"]["mean"],
                ),
                ("how far an entry moves from its start", record.summary["vector_moved"]["mean"]),
            ],
            "p * (W h + c) = (p * W) h + p * c: what the vector does, the last layer does without it.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """How training goes, and what a small entry of the vector costs its class."""
    return [
        Figure(
            "Training with and without the vector",
            "Validation error after each epoch: the mean over seeds, and the range over them.",
            lambda: _training(record),
        ),
        Figure(
            "Entries of the vector and their classes",
            "Each class of each seed: the size of its entry at the start, and the share of its test images that are "
            "recognised. Where the vector is removed every entry is 1.",
            lambda: _classes(record),
        ),
    ]


def _training(record: Record) -> Any:
    figure, axes = canvas()
    for arm, label in NAMES.items():
        wrong = 100 * (1 - np.array(record.values["validation"][arm]))  # (seeds, epochs)
        epochs = np.arange(1, wrong.shape[1] + 1)
        axes.plot(epochs, wrong.mean(0), "o-", ms=3, color=COLOURS[arm], label=label)
        axes.fill_between(epochs, wrong.min(0), wrong.max(0), color=COLOURS[arm], alpha=0.15, lw=0)
    axes.set_yscale("log")
    axes.set_xticks(epochs)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation error (%)")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _classes(record: Record) -> Any:
    figure, axes = canvas()
    for arm in ("learned", "frozen"):
        size, recall = (np.array(record.values[what][arm]).ravel() for what in ("start", "recall"))
        axes.plot(np.abs(size), 100 * recall, "o", ms=4, alpha=0.7, color=COLOURS[arm], label=NAMES[arm])
    level = 100 * float(np.mean(record.values["recall"]["removed"]))
    axes.axhline(level, color=COLOURS["removed"], lw=1, label=f"{NAMES['removed']}, mean")
    axes.set_xlabel("size of the class's entry at the start")
    axes.set_ylabel("test images recognised (%)")
    axes.legend(frameon=False, fontsize=8)
    return figure
