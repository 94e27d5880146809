"""How `creator_promotion` is shown: from its record only."""

from typing import Any

from attnjax.reproduction import Figure, Record, Table, with_interval
from attnjax.reproduction.figures import PALETTE, canvas

LEVELS = {
    "none": "none",
    "quarter": "a quarter of an equal share",
    "half": "half of an equal share",
    "equal": "an equal share",
}
TRAINED = ("two_stage", "decision_focused")
WAYS = {"floors": "floors in the market", "set_aside": "a share set aside"}
CASES = {
    "partial": "synthetic, the model sees 3 of 8 numbers",
    "complete": "synthetic, the model sees all",
    "movielens": "MovieLens, who users are and what films are",
}


def _rows(record: Record) -> list[tuple[str, str]]:
    return [(level, way) for level in LEVELS for way in WAYS if f"{level}_{way}_ndcg" in record.summary]


def tables(record: Record) -> list[Table]:
    """What newcomers get and users lose, the two ways of training, and the certificates."""
    config, summary = record.config, record.summary
    over = f"Mean [95 % bootstrap interval] over {config['seeds']} seeds. "
    return [
        Table(
            "What newcomers get, and what users lose",
            ("floor", "by", "newcomers' share", "least newcomer (equal shares)", "users lose (nats)", "nDCG@10"),
            [
                (
                    LEVELS[level],
                    WAYS[way] if level != "none" else "-",
                    with_interval(summary[f"{level}_{way}_new_share"], 4),
                    with_interval(summary[f"{level}_{way}_least_new"], 3),
                    with_interval(summary[f"{level}_{way}_users_lose"], 4),
                    with_interval(summary[f"{level}_{way}_ndcg"], 4),
                )
                for level, way in _rows(record)
            ],
            f"{over}{summary['newcomers']['mean']:.0f} of {summary['directors']['mean']:.0f} directors are new: their "
            f"first interaction lies in the last {100 * config['recent']:.0f} % of the log's time. Users' attention "
            "and welfare are what the model learned from their histories; nDCG ranks what each watched next by the "
            "attention it is given. The share set aside is the smallest that grants the same floors.",
        ),
        Table(
            "What floors save over a share set aside, paired by seed",
            ("floor", "users' welfare saved (nats per user)"),
            [
                (LEVELS[level], with_interval(summary[f"{level}_saved"], 4))
                for level in LEVELS
                if f"{level}_saved" in summary
            ],
            over,
        ),
        Table(
            "Training for the prediction, or for the decision",
            ("market", "regret: two-stage", "regret: decision-focused", "gain, paired", "error: two-stage", "error"),
            [
                (
                    label,
                    *(with_interval(summary[f"{case}_{name}_regret"], 4) for name in ("two_stage", "decision_focused")),
                    with_interval(summary[f"{case}_gain"], 5),
                    *(with_interval(summary[f"{case}_{name}_error"], 4) for name in ("two_stage", "decision_focused")),
                )
                for case, label in CASES.items()
            ],
            f"{over}Regret: true welfare per user below the optimum, under the same floors, for users not trained on. "
            "Error: the Fenchel-Young loss of the prediction for them, which two-stage training minimises. On "
            f"MovieLens the truth is what was learned from histories. {_verdict(record)}",
        ),
        Table(
            "Certificates: the worst over all seeds",
            ("market", "relative gap", "all solved"),
            [
                (LEVELS.get(name, CASES.get(name.removeprefix("decisions_"), name)), *found.values())
                for name, found in record.certificates.items()
            ],
            f"Gap: upper bound on welfare less the welfare reached, relative to it; asked for: {config['tol']:g}.",
        ),
    ]


def _verdict(record: Record) -> str:
    """Who wins, by the intervals of the paired gain."""
    said = []
    for case, label in CASES.items():
        gain = record.summary[f"{case}_gain"]
        if gain["size"] == 1:
            return "One seed: no verdict."
        if gain["low"] > 0:
            said.append(f"{label}: training for the decision wins.")
        elif gain["high"] < 0:
            said.append(f"{label}: two-stage training wins.")
        else:
            said.append(f"{label}: neither wins.")
    return " ".join(said)


def figures(record: Record) -> list[Figure]:
    """What floors cost, and the gain of training for the decision."""
    return [
        Figure(
            "What newcomers' exposure costs users",
            "Users' welfare lost against the floor of each newcomer, by the market and by a share set aside. Bars: "
            "95 % intervals over seeds.",
            lambda: _cost(record),
        )
    ]


def _cost(record: Record) -> Any:
    figure, axes = canvas()
    for colour, (way, label) in zip(PALETTE, WAYS.items(), strict=False):
        levels = [level for level in record.values["levels"] if f"{level}_{way}_ndcg" in record.summary]
        lost = [record.summary[f"{level}_{way}_users_lose"] for level in levels]
        axes.errorbar(
            [record.values["levels"][level] for level in levels],
            [one["mean"] for one in lost],
            yerr=[[one["mean"] - one["low"] for one in lost], [one["high"] - one["mean"] for one in lost]],
            marker="o",
            color=colour,
            label=label,
        )
    axes.set_xlabel("floor of each newcomer (equal shares)")
    axes.set_ylabel("users lose (nats)")
    axes.legend(frameon=False, fontsize=8)
    return figure
