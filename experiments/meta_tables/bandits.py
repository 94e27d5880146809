"""The bandit part: classical players of Bernoulli bandits, beside the most that any player can earn."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.envs import (
    BernoulliBandit,
    Policy,
    Trial,
    bandit_players,
    bayes_optimal_return,
    gittins_indices,
    rollout,
    whittle_indices,
)
from attnjax.reproduction import Context, Outcome
from experiments.meta_tables.players import Row, measure

EXACT_PULLS = 10
"""Up to so many pulls the Bayes optimum is computed."""


@functools.cache
def _gittins(pulls: int) -> np.ndarray:
    """Exact indices for the discount of the same horizon; seconds of work at 100 pulls."""
    return gittins_indices(1 - 1 / pulls, pulls)


def rows(trial: Trial) -> dict[str, Row]:
    """The players, by the names of the record."""
    players, pulls = bandit_players, trial.max_steps
    return {
        "random": Row(lambda _: players.random(trial)),
        "greedy": Row(lambda _: players.greedy(trial)),
        "epsilon_greedy": Row(
            lambda epsilon: players.epsilon_greedy(trial, epsilon), (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
        ),
        "ucb1": Row(lambda c: players.ucb1(trial, c), (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)),
        "thompson": Row(lambda _: players.thompson(trial)),
        "optimistic_thompson": Row(lambda _: players.optimistic_thompson(trial)),
        "likeliest_thompson": Row(lambda samples: players.likeliest_thompson(trial, samples), (2, 5, 10), static=True),
        "whittle": Row(lambda _: players.by_index(trial, whittle_indices(pulls))),
        "gittins": Row(lambda _: players.by_index(trial, _gittins(pulls))),
    }


def run(config: Any, keys: jax.Array, context: Context) -> Outcome:
    """Every player at every size; the same tasks for all players of a size."""
    optimum: dict[str, float] = {}
    about: dict[str, Any] = {}
    per_seed: dict[str, Any] = {}
    for pulls in config.pulls:
        for arms in config.arms:
            size = f"bandit_{pulls}_{arms}"
            if pulls <= EXACT_PULLS:
                optimum[size] = bayes_optimal_return(arms, pulls)
            trial = Trial(BernoulliBandit(arms, pulls), episodes=1)
            earn = functools.partial(_earn, trial)
            means, about[size] = measure(config, keys, context, size, rows(trial), earn)
            per_seed |= means
            if size in optimum:
                per_seed |= {f"{name}_percent": 100 * mean / optimum[size] for name, mean in means.items()}
    return Outcome({"bandits": {"optimum": optimum, "players": about}}, per_seed)


def _earn(trial: Trial, players: list[Policy], which: Any, key: Any) -> jax.Array:
    def act(memory: Any, obs: jax.Array, key: Any) -> Any:
        return jax.lax.switch(which, [player.act for player in players], memory, obs, key)

    key_task, key_play = jax.random.split(key)
    policy = Policy(act, players[0].memory)  # all remember the same counts
    return jnp.sum(rollout(trial, policy, trial.sample_task(key_task), key_play, trial.max_steps).reward)
