"""How the sinusoid part of `meta_tables` is shown."""

from typing import Any

import numpy as np

from attnjax.reproduction import Record, Table, with_interval
from attnjax.reproduction.figures import canvas
from experiments.meta_tables.cells import over_seeds
from experiments.meta_tables.published import SINUSOID, SINUSOID_SHOTS

METHODS = {
    "multi_task": "multi-task (mean of networks), fine-tuned",
    "pretraining": "pretraining, fine-tuned",
    "first_order": "first-order MAML",
    "maml": "MAML, exact",
    "maml_bounded": "MAML, exact, inner gradients bounded",
}
INITS = {"he": "He", "paper": "normal 0.01, as the paper's code"}
SHOTS, STEPS = (5, 10, 20), (1, 5, 10)
COLOURS = {
    "multi_task": "#888888",
    "pretraining": "#D55E00",
    "first_order": "#0072B2",
    "maml": "#009E73",
    "maml_bounded": "#CC79A7",
}


def sinusoid_tables(record: Record) -> list[Table]:
    """Errors with 5 shots beside the published ones, with 10 and 20 shots, and what lies behind the means."""
    about = record.values["sinusoid"]
    rows = [(method, how) for method in METHODS for how in INITS]

    def errors(method: str, how: str, shots: int) -> list[str]:
        return [with_interval(record.summary[f"sinusoid_{method}_{how}_{shots}_{steps}"]) for steps in STEPS]

    def printed(method: str) -> list[Any]:
        return [SINUSOID.get(method, {}).get(steps, "-") for steps in STEPS]

    def tails(method: str, how: str, shots: int) -> list[str]:
        names = [f"{method}_{how}_{shots}_{steps}" for steps in STEPS]
        return [
            f"{record.summary[f'sinusoid_{name}_median']['mean']:.3f}; "
            f"{record.summary[f'sinusoid_{name}_trimmed']['mean']:.3f}; {sum(about['diverged'][name])}"
            for name in names
        ]

    worst = max(np.mean(errors) for errors in about["network_error"].values())
    tested = f"{record.config['tasks']:,} new curves per seed, 100 query points each"
    return [
        Table(
            f"Sinusoids: mean squared error with {SINUSOID_SHOTS} shots",
            (
                "start",
                "initialisation",
                "before",
                *(f"{n} step{'s' * (n > 1)}" for n in STEPS),
                *(f"published, {n}" for n in STEPS),
            ),
            [
                (
                    METHODS[method],
                    INITS[how],
                    with_interval(record.summary[f"sinusoid_{method}_{how}_start"], 2),
                    *errors(method, how, SINUSOID_SHOTS),
                    *printed(method),
                )
                for method, how in rows
            ],
            f"{over_seeds(record)} Tested on {tested}. As in the paper, both kinds of MAML trained with 10 shots and "
            "one step of 0.01, and are tested with the same step at every number of shots and steps. The paper's "
            "numbers start from truncated normals of 0.01, so its 0.67 is to be compared with those rows, not with "
            "He's. The two baselines choose their step size on other curves, anew for each number of shots and steps; "
            f"the paper's is tuned, too. Multi-task is the mean of {record.config['networks']} networks (500 in the "
            f"paper), each trained on one curve, to an error of at most {worst:.3f} on average. Published: Finn et al. "
            "(2017), one run; no number is printed for first-order. The last row's inner gradients are bounded "
            f"to a norm of {about['bound']:g}, in training and in the test: curves that overshoot then can't run away.",
        ),
        Table(
            "Sinusoids: mean squared error with 10 and 20 shots",
            ("start", "initialisation", *(f"{shots} shots, {steps}" for shots in SHOTS[1:] for steps in STEPS)),
            [
                (METHODS[method], INITS[how], *(cell for shots in SHOTS[1:] for cell in errors(method, how, shots)))
                for method, how in rows
            ],
            f"{over_seeds(record)} The heads give shots, then steps. The same starts, trained with 10 shots; the "
            "points of fewer shots are among those of more. The paper shows these as curves, without numbers.",
        ),
        Table(
            "Sinusoids: median error, mean without the worst 1 %, and how many curves diverged",
            ("start", "initialisation", *(f"{shots} shots, {steps}" for shots in SHOTS for steps in STEPS)),
            [
                (METHODS[method], INITS[how], *(cell for shots in SHOTS for cell in tails(method, how, shots)))
                for method, how in rows
            ],
            "Median over curves, and mean without the worst 1 % of them, both averaged over seeds; then the curves "
            f"that diverged, of {record.config['tasks'] * record.config['seeds']:,}. Means have heavy tails: a few "
            "curves where gradient descent overshoots weigh more than hundreds of good ones, and an error above 10^6 "
            "counts as 10^6.",
        ),
    ]


def fine_tuning(record: Record) -> Any:
    """Error against steps, of each start."""
    figure, axes = canvas(height=4.0)
    for method, label in METHODS.items():
        names = [f"sinusoid_{method}_he_{SINUSOID_SHOTS}_{steps}" for steps in STEPS]
        found = [record.summary[name] for name in (f"sinusoid_{method}_he_start", *names)]
        x = (0, *STEPS)
        axes.plot(x, [one["mean"] for one in found], "-o", ms=4, color=COLOURS[method], label=label)
        axes.fill_between(
            x, [one["low"] for one in found], [one["high"] for one in found], color=COLOURS[method], alpha=0.2, lw=0
        )
        if method in SINUSOID:
            axes.plot(STEPS, [SINUSOID[method][steps] for steps in STEPS], "x", color=COLOURS[method])
    axes.set_yscale("log")
    axes.set_ylim(top=min(axes.get_ylim()[1], 30))
    axes.set_xlabel("steps of gradient descent")
    axes.set_ylabel("mean squared error")
    axes.legend(frameon=False, fontsize=8)
    return figure
