"""How the parts of `meta_tables` that play are shown: bandits, processes and RL^2."""

import math
from typing import Any

import numpy as np

from attnjax.reproduction import Record, Table, with_interval
from attnjax.reproduction.figures import canvas
from experiments.meta_tables.cells import over_seeds
from experiments.meta_tables.published import BANDITS, PROCESSES, RL2_TASKS

PROCESS_HORIZON = 10
"""Steps of an episode."""

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
    "rl2": "RL^2",
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
    "rl2": "RL^2",
}


def _about(record: Record) -> dict[str, Any]:
    """What is kept of each player of each size, by size and player."""
    values = record.values
    classical = {**values["bandits"]["players"], **values["processes"]["players"]}
    return {
        size: {**players, **({"rl2": values["rl2"][size]} if size in values["rl2"] else {})}
        for size, players in classical.items()
    }


def _far(record: Record, name: str, deviations: list[float], printed: float) -> float:
    """How many standard errors lie between a mean and a published one, both being means of samples of tasks."""
    count = record.config["play_tasks"] * record.config["seeds"]
    error = math.sqrt(np.mean(np.square(deviations)) * (1 / RL2_TASKS + 1 / count) + 0.05**2 / 3)
    return (record.summary[name]["mean"] - printed) / error


def _cells(record: Record, size: str, player: str, printed: dict[str, float], digits: int) -> list[Any]:
    """A mean, the published one, and how far apart they are."""
    name, players = f"{size}_{player}", _about(record)[size]
    measured = with_interval(record.summary[name], digits) if player in players else "not run"
    if player not in printed:
        return [measured, "-", "-"]
    if player not in players:
        return [measured, printed[player], "-"]
    far = _far(record, name, players[player]["deviation"], printed[player])
    return [measured, printed[player], f"{far:+.1f}"]


def bandit_table(record: Record, pulls: int) -> Table:
    """What every player earned with so many pulls, beside the published numbers."""
    arms, optimum = record.config["arms"], record.values["bandits"]["optimum"]
    rows = [
        (
            label,
            *(c for k in arms for c in _cells(record, f"bandit_{pulls}_{k}", player, BANDITS.get((pulls, k), {}), 2)),
        )
        for player, label in BANDIT_PLAYERS.items()
    ]
    if f"bandit_{pulls}_{arms[0]}" in optimum:
        best = (c for k in arms for c in (f"{optimum[f'bandit_{pulls}_{k}']:.3f}", "", ""))
        rows.append(("the Bayes optimum", *best))
    return Table(
        f"Bernoulli bandits: total reward of {pulls} pulls",
        ("player", *(head for k in arms for head in (f"{k} arms", "published", "apart"))),
        rows,
        f"{over_seeds(record)} {record.config['play_tasks']:,} tasks per seed, the same for all players of a size. "
        "Published: Duan et al. (2016), over 1,000 tasks; apart: the difference in standard errors of both samples "
        "and of rounding. All but RL^2 start from one success and one failure per arm; ties go to the first arm, which "
        "the mean does not feel since arms are exchangeable. Settings were tuned on other tasks, theirs on tasks and "
        "among settings that are not said. RL^2 is trained anew for each seed.",
    )


def optimum_tables(record: Record) -> list[Table]:
    """Percent of the optimum, for the sizes where it is known."""
    optimum = record.values["bandits"]["optimum"]
    if not optimum:
        return []
    sizes = [size.split("_")[1:] for size in optimum]

    def percents(player: str) -> list[str]:
        names = [f"{size}_{player}_percent" for size in optimum]
        return [with_interval(record.summary[name], 1) if name in record.summary else "not run" for name in names]

    return [
        Table(
            "Bernoulli bandits: percent of the Bayes optimum",
            ("player", *(f"{pulls} pulls, {arms} arms" for pulls, arms in sizes)),
            [(label, *percents(player)) for player, label in BANDIT_PLAYERS.items()],
            "The expected return of the Bayes-optimal player, by exact dynamic programming: "
            + ", ".join(
                f"{worth:.3f} with {arms} arms" for (_, arms), worth in zip(sizes, optimum.values(), strict=True)
            )
            + ". A sample may lie above it by luck. So does the published 6.8 of RL^2 at 50 arms, and the 6.7 at 5: "
            "means of 1,000 tasks have a standard error of about 0.07, and are rounded to 0.1.",
        )
    ]


def process_table(record: Record) -> Table:
    """What every player earned in tabular processes."""
    counts = record.config["episodes"]
    rows = [
        (label, *(c for n in counts for c in _cells(record, f"process_{n}", player, PROCESSES.get(n, {}), 1)))
        for player, label in PROCESS_PLAYERS.items()
    ]
    return Table(
        "Tabular decision processes: total reward",
        ("player", *(head for n in counts for head in (f"{n} episodes", "published", "apart"))),
        rows,
        f"{over_seeds(record)} 10 states, 5 actions, episodes of 10 steps; {record.config['play_tasks']:,} tasks per "
        "seed, the same for all players. Published and apart as above. All but RL^2 plan once per episode, by backward "
        "induction; ties between actions are broken at random. UCRL2 and BEB were made for other criteria (average "
        "reward; a discount) and are here planned over the horizon. The published rows of posterior sampling are those "
        "of a prior mean of 0, where rewards have a mean of 1: what was never tried looks worse than it is, which pays "
        "over few episodes. RL^2 is trained anew for each seed.",
    )


def rl2_table(record: Record) -> Table:
    """How much RL^2 learned from."""
    learned = record.values["rl2"]
    return Table(
        "RL^2: what it was trained on",
        ("size", "updates", "trials per update", "steps in all", "mean reward, first updates", "last updates"),
        [
            (
                size_label(size),
                found["updates"],
                found["rows"],
                f"{found['updates'] * found['rows'] * _steps(size):,}",
                *(round(float(np.mean([row[k] for row in found["reward"]])), 2) for k in (0, -1)),
            )
            for size, found in learned.items()
        ],
        f"A GRU of {record.config['rl2_features']} units and PPO, a network per size and seed. Rewards are means over "
        "20 updates and all seeds, of tasks drawn anew.",
    )


def _steps(size: str) -> int:
    kind, count = size.split("_")[:2]
    return int(count) * (PROCESS_HORIZON if kind == "process" else 1)


def size_label(size: str) -> str:
    """A size in words."""
    kind, *numbers = size.split("_")
    return (
        f"bandits, {numbers[0]} pulls, {numbers[1]} arms" if kind == "bandit" else f"processes, {numbers[0]} episodes"
    )


def closeness(record: Record) -> Any:
    """Percent of the optimum, of each player."""
    figure, axes = canvas(height=4.0)
    sizes = list(record.values["bandits"]["optimum"])
    measured = [name for name in BANDIT_PLAYERS if f"{sizes[0]}_{name}_percent" in record.summary]
    players = [name for name in measured if name != "random"]
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
    figure.legend(loc="outside lower center", ncols=len(sizes), frameon=False, fontsize=8)
    return figure
