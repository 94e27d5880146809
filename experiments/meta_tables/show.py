"""How `meta_tables` is shown: from its record only."""

import math
from typing import Any

import numpy as np

from attnjax.reproduction import Figure, Record, Table
from experiments.meta_tables.published import BANDITS, PROCESSES, RL2_TASKS, SINUSOID, SINUSOID_SHOTS

METHODS = {
    "multi_task": "multi-task (mean of networks), fine-tuned",
    "pretraining": "pretraining, fine-tuned",
    "first_order": "first-order MAML",
    "maml": "MAML, exact",
}
INITS = {"he": "He", "paper": "normal 0.01, as the paper's code"}
SHOTS, STEPS = (5, 10, 20), (1, 5, 10)
COLOURS = {"multi_task": "#888888", "pretraining": "#D55E00", "first_order": "#0072B2", "maml": "#009E73"}

BANDIT_PLAYERS = {
    "random": "random",
    "whittle": "Gittins, Whittle's approximation (the published row)",
    "gittins": "Gittins, exact index for 1 - 1/n",
    "thompson": "TS",
    "likeliest_thompson": "OTS, likeliest of several draws (the published row)",
    "optimistic_thompson": "OTS, as May et al. (2012)",
    "ucb1": "UCB1",
    "epsilon_greedy": "epsilon-greedy",
    "greedy": "greedy",
}
PROCESS_PLAYERS = {
    "random": "random",
    "psrl": "PSRL, prior mean 0 (the published row)",
    "psrl_true_prior": "PSRL, the tasks' prior",
    "opsrl": "OPSRL, prior mean 0 (the published row)",
    "ucrl2": "UCRL2",
    "beb": "BEB, prior mean 0",
    "beb_true_prior": "BEB, the tasks' prior",
    "epsilon_greedy": "epsilon-greedy",
    "greedy": "greedy",
}


def _mean(record: Record, name: str, digits: int = 3) -> str:
    """A mean with its interval over seeds."""
    found = record.summary[name]
    return f"{found['mean']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def tables(record: Record) -> list[Table]:
    """Sinusoids, bandits and processes, each beside what is published, and what was tuned."""
    return [
        *_sinusoid_tables(record),
        *(_bandit_table(record, pulls) for pulls in record.config["pulls"]),
        *_optimum_tables(record),
        _process_table(record),
        _settings_table(record),
    ]


def _over(record: Record) -> str:
    return f"Mean [95 % bootstrap interval] over {record.config['seeds']} seeds, too narrow where they are few."


def _sinusoid_tables(record: Record) -> list[Table]:
    """Errors with 5 shots beside the published ones, with 10 and 20 shots, and what lies behind the means."""
    about = record.values["sinusoid"]
    rows = [(method, how) for method in METHODS for how in INITS]

    def errors(method: str, how: str, shots: int) -> list[str]:
        return [_mean(record, f"sinusoid_{method}_{how}_{shots}_{steps}") for steps in STEPS]

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
                    _mean(record, f"sinusoid_{method}_{how}_start", 2),
                    *errors(method, how, SINUSOID_SHOTS),
                    *printed(method),
                )
                for method, how in rows
            ],
            f"{_over(record)} Tested on {tested}. As in the paper, both kinds of MAML trained with 10 shots and one "
            "step of 0.01, and are tested with the same step at every number of shots and steps. The paper's numbers "
            "start from truncated normals of 0.01, so its 0.67 is to be compared with those rows, not with He's. The "
            "two baselines choose their step size on other curves, anew for each number of shots and steps; the "
            f"paper's is tuned, too. Multi-task is the mean of {record.config['networks']} networks (500 in the "
            f"paper), each trained on one curve, to an error of at most {worst:.3f} on average. Published: Finn et al. "
            "(2017), one run; no number is printed for first-order.",
        ),
        Table(
            "Sinusoids: mean squared error with 10 and 20 shots",
            ("start", "initialisation", *(f"{shots} shots, {steps}" for shots in SHOTS[1:] for steps in STEPS)),
            [
                (METHODS[method], INITS[how], *(cell for shots in SHOTS[1:] for cell in errors(method, how, shots)))
                for method, how in rows
            ],
            f"{_over(record)} The heads give shots, then steps. The same starts, trained with 10 shots; the points of "
            "fewer shots are among those of more. The paper shows these as curves, without numbers.",
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


def _far(record: Record, name: str, deviations: list[float], printed: float) -> float:
    """How many standard errors lie between a mean and a published one, both being means of samples of tasks."""
    count = record.config["play_tasks"] * record.config["seeds"]
    error = math.sqrt(np.mean(np.square(deviations)) * (1 / RL2_TASKS + 1 / count) + 0.05**2 / 3)
    return (record.summary[name]["mean"] - printed) / error


def _cells(record: Record, size: str, player: str, about: Any, printed: dict[str, float], digits: int) -> list[Any]:
    """A mean, the published one, and how far apart they are."""
    name = f"{size}_{player}"
    if player not in printed:
        return [_mean(record, name, digits), "-", "-"]
    far = _far(record, name, about[size][player]["deviation"], printed[player])
    return [_mean(record, name, digits), printed[player], f"{far:+.1f}"]


def _bandit_table(record: Record, pulls: int) -> Table:
    about, arms = record.values["bandits"]["players"], record.config["arms"]
    heads = [head for k in arms for head in (f"{k} arms", "published", "apart")]
    rows = [
        (
            label,
            *(
                cell
                for k in arms
                for cell in _cells(record, f"bandit_{pulls}_{k}", player, about, BANDITS.get((pulls, k), {}), 2)
            ),
        )
        for player, label in BANDIT_PLAYERS.items()
    ]
    optimum = record.values["bandits"]["optimum"]
    if f"bandit_{pulls}_{arms[0]}" in optimum:
        rows.append(
            (
                "the Bayes optimum",
                *(c for k in arms for c in (f"{optimum[f'bandit_{pulls}_{k}']:.3f}", "", "")),
            )
        )
    rows.append(("RL^2, published", *(c for k in arms for c in ("", BANDITS.get((pulls, k), {}).get("rl2", "-"), ""))))
    return Table(
        f"Bernoulli bandits: total reward of {pulls} pulls",
        ("player", *heads),
        rows,
        f"{_over(record)} {record.config['play_tasks']:,} tasks per seed, the same for all players of a size. "
        "Published: Duan et al. (2016), over 1,000 tasks; apart: the difference in standard errors of both samples "
        "and of rounding. Everyone starts from one success and one failure per arm; ties go to the first arm, which "
        "the mean does not feel since arms are exchangeable. Settings were tuned on other tasks, theirs on tasks and "
        "among settings that are not said.",
    )


def _optimum_tables(record: Record) -> list[Table]:
    """Percent of the optimum, for the sizes where it is known."""
    optimum = record.values["bandits"]["optimum"]
    if not optimum:
        return []
    sizes = [size.split("_")[1:] for size in optimum]
    return [
        Table(
            "Bernoulli bandits: percent of the Bayes optimum",
            ("player", *(f"{pulls} pulls, {arms} arms" for pulls, arms in sizes)),
            [
                (label, *(_mean(record, f"{size}_{player}_percent", 1) for size in optimum))
                for player, label in BANDIT_PLAYERS.items()
            ],
            "The expected return of the Bayes-optimal player, by exact dynamic programming: "
            + ", ".join(
                f"{worth:.3f} with {arms} arms" for (_, arms), worth in zip(sizes, optimum.values(), strict=True)
            )
            + ". A sample may lie above it by luck. So does the published 6.8 of RL^2 at 50 arms, and the 6.7 at 5: "
            "means of 1,000 tasks have a standard error of about 0.07, and are rounded to 0.1.",
        )
    ]


def _process_table(record: Record) -> Table:
    about, counts = record.values["processes"]["players"], record.config["episodes"]
    heads = [head for n in counts for head in (f"{n} episodes", "published", "apart")]
    rows = [
        (label, *(c for n in counts for c in _cells(record, f"process_{n}", player, about, _printed(n, player), 1)))
        for player, label in PROCESS_PLAYERS.items()
    ]
    rows.append(("RL^2, published", *(c for n in counts for c in ("", PROCESSES.get(n, {}).get("rl2", "-"), ""))))
    return Table(
        "Tabular decision processes: total reward",
        ("player", *heads),
        rows,
        f"{_over(record)} 10 states, 5 actions, episodes of 10 steps; {record.config['play_tasks']:,} tasks per seed, "
        "the same for all players. Published and apart as above. All plan once per episode, by backward induction; "
        "ties between actions are broken at random. UCRL2 and BEB were made for other criteria (average reward; a "
        "discount) and are here planned over the horizon. The published rows of posterior sampling are those of a "
        "prior mean of 0, where rewards have a mean of 1: what was never tried looks worse than it is, which pays over "
        "few episodes.",
    )


def _printed(episodes: int, player: str) -> dict[str, float]:
    """The published row, for the player that is closest to what was run for it."""
    printed = PROCESSES.get(episodes, {})
    return {player: printed[player]} if player in printed else {}


def _settings_table(record: Record) -> Table:
    """What was chosen on other tasks."""
    bandits, processes = (record.values[part]["players"] for part in ("bandits", "processes"))
    labels = {"ucb1": "exploration", "epsilon_greedy": "epsilon", "likeliest_thompson": "draws", "opsrl": "draws"}
    labels |= {"ucrl2": "scale", "beb": "bonus", "beb_true_prior": "bonus"}
    rows = [
        (_size(size), {**PROCESS_PLAYERS, **BANDIT_PLAYERS}[player], labels[player], found["setting"])
        for size, players in {**bandits, **processes}.items()
        for player, found in players.items()
        if found["setting"] is not None
    ]
    rates = record.values["sinusoid"]["rate"]
    rows += [
        (
            f"sinusoids, {shots} shots, {steps} steps",
            METHODS[method],
            "step size",
            rates[f"{method}_he_{shots}_{steps}"],
        )
        for method in ("multi_task", "pretraining")
        for shots in SHOTS
        for steps in STEPS
    ]
    return Table(
        "Settings, as tuned on other tasks",
        ("table", "player or start", "setting", "chosen"),
        rows,
        f"Players: best of a grid on {record.config['block']} tasks per seed, all seeds together. Step sizes: He's "
        f"initialisation, on {record.config['tuning_tasks']} curves per seed.",
    )


def _size(size: str) -> str:
    kind, *numbers = size.split("_")
    return (
        f"bandits, {numbers[0]} pulls, {numbers[1]} arms" if kind == "bandit" else f"processes, {numbers[0]} episodes"
    )


def figures(record: Record) -> list[Figure]:
    """Fine-tuning on five shots, and how close to the optimum players come."""
    shown = [
        Figure(
            "Fine-tuning on five points of a new sinusoid",
            "Mean squared error against steps, from He's initialisation; lines: mean over seeds, bands: 95 % "
            "intervals; crosses: published, from smaller starts. Lower is better.",
            lambda: _fine_tuning(record),
        )
    ]
    if record.values["bandits"]["optimum"]:
        shown.append(
            Figure(
                "Short bandits: how close to the optimum",
                "Percent of the most that anyone can earn, by exact dynamic programming; bars: 95 % intervals over "
                "seeds.",
                lambda: _closeness(record),
            )
        )
    return shown


def _canvas() -> tuple[Any, Any]:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.4, 4.0), layout="constrained")
    axes = canvas.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes


def _fine_tuning(record: Record) -> Any:
    canvas, axes = _canvas()
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
    return canvas


def _closeness(record: Record) -> Any:
    canvas, axes = _canvas()
    sizes = list(record.values["bandits"]["optimum"])
    players = [name for name in BANDIT_PLAYERS if name != "random"]
    width = 0.8 / len(sizes)
    for k, size in enumerate(sizes):
        found = [record.summary[f"{size}_{name}_percent"] for name in players]
        mean = np.array([one["mean"] for one in found])
        error = [mean - [one["low"] for one in found], [one["high"] for one in found] - mean]
        _, pulls, arms = size.split("_")
        axes.barh(np.arange(len(players)) + k * width, mean, width, xerr=error, label=f"{pulls} pulls, {arms} arms")
    axes.set_yticks(
        np.arange(len(players)) + (len(sizes) - 1) * width / 2,
        [BANDIT_PLAYERS[name].split(" (")[0] for name in players],
    )
    axes.axvline(100, color="black", lw=0.6, ls="--")
    axes.set_xlim(left=70)
    axes.set_xlabel("percent of the Bayes optimum")
    canvas.legend(loc="outside lower center", ncols=len(sizes), frameon=False, fontsize=8)
    return canvas
