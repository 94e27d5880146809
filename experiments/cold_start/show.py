"""How `cold_start` is shown: from its record only."""

from typing import Any

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import PALETTE

NAMES = {
    "random": "random",
    "counts": "most rated",
    "popularity": "most liked",
    "item_mean": "item mean",
    "like_rate": "like-rate",
    "biases": "item and user bias",
    "item_knn": "item neighbours, likes",
    "neighbours": "item neighbours, ratings",
    "ease": "EASE",
    "als": "implicit ALS",
    "biased_factors": "biased factors, folded in",
    "linear_bandit": "LinUCB",
    "empirical_bayes": "empirical Bayes, linear",
    "affine": "best affine adaptation",
    "meta_linear": "meta-learned linear",
    "meta_context": "meta-learned context",
    "meta_context_diverse": "the same, diverse genres in the loss",
    "meta_decision": "three networks, decision layers adapt",
    "meta_anil": "three networks, last layer adapts (ANIL)",
    "meta_reptile": "three networks, all adapt (Reptile)",
    "meta_no_inner_loop": "three networks, nothing adapts",
    "fine_tuned": "three networks, fine-tuned without meta",
    "meta_recurrent": "recurrent memory, offline",
    "rl2": "RL^2 in replay",
}
UNSAID = ("after", "iterations", "trial", "protocol", "kind")
"""Settings that a table need not repeat."""
ORDERS = {"random": "random order", "time": "order of time"}


def _named(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, label) for name, label in NAMES.items() if name in found]


def tables(record: Record) -> list[Table]:
    """What each protocol found, what was tried, and what failed."""
    makers = {"curve": _curve_tables, "replay": _replay_tables, "rating": _rating_tables}
    protocols = [protocol for protocol in makers if protocol in record.config["protocols"]]
    return [
        *(table for protocol in protocols for table in makers[protocol](record)),
        *(_settings(record, protocol) for protocol in protocols),
    ]


def _over(record: Record, newcomers: int) -> str:
    folds = record.config["folds"]
    return f"Mean [95 % interval] over {newcomers} newcomers of {folds} {'fold' if folds == 1 else 'folds'}. "


def _curve_tables(record: Record) -> list[Table]:
    found, after = record.values["curve"], record.config["after"]
    heads = tuple(f"n = {n}" for n in after)
    note = (
        f"All films are ranked but the newcomer's first {after[-1]}, at every n; to be found are the likes among the "
        "later ones. "
    )
    rankings = [
        Table(
            f"nDCG@{record.config['at']} after n interactions, {what}",
            ("method", *heads),
            [
                (label, *(with_interval(one, 3) for one in found["measures"][order][name]["ndcg"]))
                for name, label in _named(found["measures"][order])
            ],
            _over(record, found["newcomers"][order]) + note,
        )
        for order, what in ORDERS.items()
    ]

    def won(order: str, name: str, label: str) -> list[tuple[str, ...]]:
        return [
            (f"{label}: gain in nDCG", *(with_interval(one, 3) for one in found["gain"][order][name])),
            (f"{label}: chance to be better", *(with_interval(one, 2) for one in found["better"][order][name])),
        ]

    gains = [
        Table(
            f"What learned adaptation gains over the baseline that is best at each n, {what}",
            ("", *heads),
            [
                ("best baseline", *(NAMES[name] for name in found["best"][order])),
                *(row for name, label in _named(found["gain"][order]) for row in won(order, name, label)),
            ],
            "Paired by user; ties count half. The best baseline is chosen on the same newcomers, in its favour.",
        )
        for order, what in ORDERS.items()
    ]
    last, kinds = len(after) - 1, ("diversity", "novelty", "miscalibration")
    lists = Table(
        f"What the first {record.config['at']} are like after {after[last]} interactions, random order",
        ("method", "diversity", "novelty, bits", "miscalibration", "coverage", "directors", "Gini of directors"),
        [
            (
                label,
                *(with_interval(found["lists"][name][what][last], 2) for what in kinds),
                f"{found['shown'][name]['coverage'][last]:.3f}",
                found["shown"][name]["directors"][last],
                f"{found['shown'][name]['gini'][last]:.3f}",
            )
            for name, label in _named(found["lists"])
        ],
        "Diversity: mean Jaccard distance of genres. Miscalibration: how far the genres are from those of what the "
        "user came to like. Coverage: the share of all films in anybody's list. Directors: how many anybody is shown.",
    )
    return [*rankings, *gains, lists]


def _replay_tables(record: Record) -> list[Table]:
    found = record.values["replay"]
    heads = tuple(f"{step} steps" for step in found["steps"])
    rows = [(label, *(with_interval(one, 2) for one in found["likes"][name])) for name, label in _named(found["likes"])]
    rows.append(("who knows the answers", *(with_interval(one, 2) for one in found["likes"]["oracle"])))
    gains = [
        (label, *(with_interval(one, 2) for one in found["gain"][name]), with_interval(found["better"][name][-1], 2))
        for name, label in _named(found["gain"])
    ]
    best = ", ".join(NAMES[name] for name in found["best"])
    return [
        Table(
            "Cumulative likes in exact replay",
            ("method", *heads),
            rows,
            _over(record, found["newcomers"]) + "Only films that the newcomer rated, at most 100, are played.",
        ),
        Table(
            "What learned adaptation gains in replay over the best baseline",
            ("method", *heads, "chance to be better at the end"),
            gains,
            f"Paired by user; ties count half. Best baselines: {best}.",
        ),
    ]


def _rating_tables(record: Record) -> list[Table]:
    found = record.values["rating"]
    what = ("precision", "ndcg", "mae")
    heads = ("method", "precision@5", "nDCG@5", "MAE, stars")
    return [
        Table(
            "Ten hidden ratings of a newcomer",
            heads,
            [
                (label, *(with_interval(found["measures"][name][one], 3) for one in what))
                for name, label in _named(found["measures"])
            ],
            _over(record, found["newcomers"]) + "To be found: the newcomer's own first five of the ten; ties averaged.",
        ),
        Table(
            "The same, less that of biased factors",
            heads,
            [
                (label, *(with_interval(found["over_biased_factors"][name][one], 3) for one in what))
                for name, label in _named(found["over_biased_factors"])
            ],
            "Paired by user.",
        ),
    ]


def _settings(record: Record, protocol: str) -> Table:
    spaces, found = record.values["search_space"][protocol], record.values[protocol]
    rows = []
    for name, label in _named(spaces):
        for k, options in enumerate(spaces[name]["space"]):
            for j, variant in enumerate(spaces[name]["variants"]):
                both = {**options, **variant}
                told = ", ".join(f"{option} {value}" for option, value in both.items() if option not in UNSAID)
                chosen = sum(one == both for one in found["chosen"][name])
                tried = round(found["tried"][name][k][j], 4)
                rows.append((label, told or "none", tried, chosen, found["failures"][name]))
    value = {"curve": "mean nDCG", "replay": "likes", "rating": "less MAE"}[protocol]
    return Table(
        f"Settings tried for {protocol}",
        ("method", "settings", f"validation, {value}", "folds that chose them", "failures of the chosen"),
        rows,
        "Validation users are the next fold's newcomers, of whom nothing was learned then. A failure is a newcomer "
        "whose scores were not numbers.",
    )


def figures(record: Record) -> list[Figure]:
    """Adaptation curves, and regret."""
    shown = []
    if "curve" in record.config["protocols"]:
        shown.append(
            Figure(
                "How fast newcomers are served",
                f"nDCG@{record.config['at']} after n interactions, in random order and in that of time.",
                lambda: _curves(record),
            )
        )
    if "replay" in record.config["protocols"]:
        shown.append(
            Figure(
                "Regret in replay",
                "Likes missed so far, against who knows the answers.",
                lambda: _regret(record),
            )
        )
    return shown


def _canvas(panels: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(3.9 * panels + 1.6, 3.8), layout="constrained")
    return canvas, canvas.subplots(1, panels, squeeze=False, sharey=True)[0]


def _style(index: int) -> dict[str, Any]:
    lines = ("-", "--", ":")
    return {"color": PALETTE[index % len(PALETTE)], "linestyle": lines[index // len(PALETTE) % len(lines)]}


def _curves(record: Record) -> Any:
    canvas, panels = _canvas(len(ORDERS))
    for axes, (order, what) in zip(panels, ORDERS.items(), strict=True):
        found = record.values["curve"]["measures"][order]
        for index, (name, label) in enumerate(_named(found)):
            axes.plot(
                record.config["after"], [one["mean"] for one in found[name]["ndcg"]], label=label, **_style(index)
            )
        axes.set_xlabel("interactions known")
        axes.set_title(what, fontsize=9)
    panels[0].set_ylabel(f"nDCG@{record.config['at']}")
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=7)
    return canvas


def _regret(record: Record) -> Any:
    canvas, (axes,) = _canvas(1)
    found = record.values["replay"]["regret"]
    for index, (name, label) in enumerate(_named(found)):
        axes.plot(range(1, len(found[name]) + 1), found[name], label=label, **_style(index))
    axes.set_xlabel("step")
    axes.set_ylabel("likes missed")
    canvas.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=7)
    return canvas
