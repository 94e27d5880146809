"""How `meta_tables` is shown: from its record only."""

import numpy as np

from attnjax.reproduction import Figure, Record, Table, with_interval
from experiments.meta_tables.cells import over_seeds
from experiments.meta_tables.published import POINT
from experiments.meta_tables.show_play import (
    BANDIT_PLAYERS,
    PROCESS_PLAYERS,
    bandit_table,
    closeness,
    optimum_tables,
    process_table,
    rl2_table,
    size_label,
)
from experiments.meta_tables.show_sinusoid import METHODS, SHOTS, STEPS, fine_tuning, sinusoid_tables

POINTS = {"untrained": "untrained, with the same first rates", "maml": "MAML with policy gradients"}
PRINTED = {"maml": "MAML", "context": "context vector"}


def tables(record: Record) -> list[Table]:
    """Sinusoids, the point mass, bandits and processes, each beside what is published; and what was tuned."""
    return [
        *sinusoid_tables(record),
        _point_table(record),
        *(bandit_table(record, pulls) for pulls in record.config["pulls"]),
        *optimum_tables(record),
        process_table(record),
        rl2_table(record),
        _settings_table(record),
    ]


def _point_table(record: Record) -> Table:
    """Returns before adaptation and after each step, beside the published ones."""
    steps, config = range(4), record.config
    scale = np.mean(record.values["point"]["scale"])
    return Table(
        "The point mass: total reward of an episode",
        ("start", *("before" if n == 0 else f"{n} step{'s' * (n > 1)}" for n in steps)),
        [
            *(
                (label, *(with_interval(record.summary[f"point_{name}_{n}"], 2) for n in steps))
                for name, label in POINTS.items()
            ),
            *((f"{label}, published", *(f"{POINT[name][n]:.2f}" for n in steps)) for name, label in PRINTED.items()),
        ],
        f"{over_seeds(record)} {config['point_goals']:,} new goals per seed, 40 episodes before each step and after "
        "the last. Reward is minus the distance, which the published returns fit; standing still earns -38.3. "
        f"{config['point_iterations']:,} meta-iterations of {config['point_tasks']} goals and "
        f"{config['point_episodes']} episodes each, through all three steps, with learned rates; standard deviation of "
        f"actions after training {scale:.3f}. The paper trains one step, by TRPO. "
        "Published: Finn et al. (2017), one run.",
    )


def _settings_table(record: Record) -> Table:
    """What was chosen on other tasks."""
    bandits, processes = (record.values[part]["players"] for part in ("bandits", "processes"))
    labels = {"ucb1": "exploration", "epsilon_greedy": "epsilon", "likeliest_thompson": "draws", "opsrl": "draws"}
    labels |= {"ucrl2": "scale", "beb": "bonus", "beb_true_prior": "bonus"}
    rows = [
        (size_label(size), {**PROCESS_PLAYERS, **BANDIT_PLAYERS}[player], labels[player], found["setting"])
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


def figures(record: Record) -> list[Figure]:
    """Fine-tuning on five shots, and how close to the optimum players come."""
    shown = [
        Figure(
            "Fine-tuning on five points of a new sinusoid",
            "Mean squared error against steps, from He's initialisation; lines: mean over seeds, bands: 95 % "
            "intervals; crosses: published, from smaller starts. Lower is better.",
            lambda: fine_tuning(record),
        )
    ]
    if record.values["bandits"]["optimum"]:
        shown.append(
            Figure(
                "Short bandits: how close to the optimum",
                "Percent of the most that anyone can earn, by exact dynamic programming; bars: 95 % intervals over "
                "seeds.",
                lambda: closeness(record),
            )
        )
    return shown
