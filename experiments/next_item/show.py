"""How `next_item` is shown: from its record only."""

from typing import Any

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import PALETTE
from experiments.next_item import VARIANTS

NAMES = {
    "popularity": "popularity",
    "item_knn": "item neighbours",
    "als": "implicit ALS",
    "ease": "EASE",
    "no_links": "allocation, no item links",
    "softmax": "softmax Transformer",
    "allocation": "allocation Transformer",
}
SPLITS = {"time": "the last item", "random": "a random item"}


def _methods(record: Record) -> dict[str, str]:
    left_out = set(VARIANTS) - set(record.config["variants"])
    return {name: label for name, label in NAMES.items() if name not in left_out}


def _splits(record: Record) -> dict[str, str]:
    return {split: what for split, what in SPLITS.items() if split in record.config["splits"]}


def tables(record: Record) -> list[Table]:
    """Each split, the differences, what validation chose, and how training went."""
    at, seeds, names, splits = record.config["at"], record.config["seeds"], _methods(record), _splits(record)
    over = (
        f"Mean [95 % interval] over {record.values['users']} users and {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}, both resampled. "
    )
    return [
        *(
            Table(
                f"Finding {what} of each user among all not seen",
                ("method", f"nDCG@{at}", f"hit rate@{at}", "MRR", f"coverage@{at}"),
                [
                    (
                        label,
                        *(
                            with_interval(record.values[split]["measures"][name][measure], 4)
                            for measure in ("ndcg", "hit_rate", "mrr")
                        ),
                        f"{record.summary[f'{split}_{name}_coverage']['mean']:.2f}",
                    )
                    for name, label in names.items()
                ],
                f"{over}Coverage: the share of all films that are among the first {at} of anybody."
                + (
                    f" {100 * record.values['share_of_users_with_ties']:.0f} % of users have several last items, of "
                    "which one is drawn."
                    if split == "time"
                    else ""
                ),
            )
            for split, what in splits.items()
        ),
        Table(
            f"What the allocation Transformer gains in nDCG@{at}, paired by user",
            ("over", *splits.values()),
            [
                (
                    NAMES[name],
                    *(with_interval(record.values[split]["gain"][name], 4) for split in splits),
                )
                for name in names
                if name != "allocation"
            ],
            over,
        ),
        Table(
            "Settings tried for the baselines",
            ("method", "settings", *(f"validation nDCG, {what}" for what in splits.values()), "seeds that chose them"),
            [
                (
                    NAMES[name],
                    ", ".join(f"{option} {value:g}" for option, value in options.items()) or "none",
                    *(round(record.values[split]["validation"][name][k], 4) for split in splits),
                    " + ".join(str(record.values[split]["chosen"][name].count(k)) for split in splits),
                )
                for name, space in record.values["search_space"].items()
                for k, options in enumerate(space)
            ],
            "Each seed chooses by its own validation items, which are not judged on.",
        ),
        Table(
            "How training went",
            ("model", "split", "validation nDCG before", "after", "share kept", "epochs"),
            [
                (
                    NAMES[name],
                    what,
                    round(record.values[split]["training"][name]["start"], 4),
                    round(record.values[split]["training"][name]["best"], 4),
                    ", ".join(f"{share:g}" for share in record.values[split]["training"][name]["shares"]),
                    f"{min(epochs)} to {max(epochs)}",
                )
                for split, what in splits.items()
                for name in record.config["variants"]
                for epochs in [record.values[split]["training"][name]["epochs"]]
            ],
            "Before training the model with links ranks as EASE does, without them by popularity. Share kept: how much "
            "of what training changed is kept, by validation; one number per seed.",
        ),
    ]


def figures(record: Record) -> list[Figure]:
    """Each method's nDCG, and the first seed's training."""
    return [
        Figure(
            "Who finds the next item",
            f"nDCG@{record.config['at']} of each method, by time and at random, with 95 % intervals over users and "
            "seeds.",
            lambda: _bars(record),
        ),
        Figure(
            "What training adds",
            "Validation nDCG before training (epoch 0) and after each epoch, first seed.",
            lambda: _curves(record),
        ),
    ]


def _canvas(record: Record) -> tuple[Any, Any]:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(7.6, 3.8), layout="constrained")
    return canvas, canvas.subplots(1, len(_splits(record)), squeeze=False)[0]


def _bars(record: Record) -> Any:
    canvas, panels = _canvas(record)
    names = _methods(record)
    for axes, (split, what) in zip(panels, _splits(record).items(), strict=True):
        for k, name in enumerate(names):
            found = record.values[split]["measures"][name]["ndcg"]
            ends = [[found["mean"] - found["low"]], [found["high"] - found["mean"]]]
            axes.barh(k, found["mean"], xerr=ends, color=PALETTE[1 if name == "allocation" else 0], height=0.7)
        axes.set_yticks(range(len(names)), list(names.values()) if axes is panels[0] else [""] * len(names), fontsize=8)
        axes.set_xlabel(f"nDCG@{record.config['at']}")
        axes.set_title(what, fontsize=9)
    return canvas


def _curves(record: Record) -> Any:
    canvas, panels = _canvas(record)
    for axes, (split, what) in zip(panels, _splits(record).items(), strict=True):
        for colour, name in zip(PALETTE, record.config["variants"], strict=False):
            measured = record.values[split]["training"][name]["first_seed"]["validation"]
            axes.plot(range(len(measured)), measured, color=colour, label=NAMES[name])
        axes.set_xlabel("epoch")
        axes.set_title(what, fontsize=9)
    panels[0].set_ylabel("validation nDCG")
    panels[0].legend(frameon=False, fontsize=8)
    return canvas
