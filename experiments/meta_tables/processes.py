"""The part of tabular processes: classical players over some episodes."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from attnjax.envs import TabularMDP, mdp_players
from attnjax.envs.mdp_players import Player, play
from attnjax.envs.tabular import MEAN_REWARD
from attnjax.reproduction import Context, Outcome
from experiments.meta_tables.players import Row, measure

ENV = TabularMDP()
PAPER_MEAN = 0.0
"""The prior mean of rewards in the published rows of posterior sampling; that of the tasks is `MEAN_REWARD`."""


def rows() -> dict[str, Row]:
    """The players, by the names of the record."""
    players, bonuses = mdp_players, (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)

    def sampler(prior_mean: Any) -> Player:
        return players.psrl(ENV, prior_mean=prior_mean)

    return {
        "random": Row(lambda _: players.random(ENV)),
        "greedy": Row(lambda _: players.greedy(ENV)),
        "epsilon_greedy": Row(lambda epsilon: players.epsilon_greedy(ENV, epsilon), (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)),
        "psrl": Row(sampler, (PAPER_MEAN,)),
        "psrl_true_prior": Row(sampler, (MEAN_REWARD,)),
        "opsrl": Row(lambda samples: players.opsrl(ENV, samples, prior_mean=PAPER_MEAN), (2, 5, 10), static=True),
        "ucrl2": Row(lambda scale: players.ucrl2(ENV, scale), (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)),
        "beb": Row(lambda bonus: players.beb(ENV, bonus, prior_mean=PAPER_MEAN), bonuses),
        "beb_true_prior": Row(lambda bonus: players.beb(ENV, bonus), bonuses),
    }


def run(config: Any, keys: jax.Array, context: Context) -> Outcome:
    """Every player for every number of episodes; the same tasks for all of them."""
    about: dict[str, Any] = {}
    per_seed: dict[str, Any] = {}
    for episodes in config.episodes:
        size = f"process_{episodes}"
        means, about[size] = measure(config, keys, context, size, rows(), functools.partial(_earn, episodes))
        per_seed |= means
    return Outcome({"processes": {"players": about}}, per_seed)


def _earn(episodes: int, players: list[Player], which: Any, key: Any) -> jax.Array:
    def plan(known: Any, key: Any, episode: jax.Array) -> jax.Array:
        return jax.lax.switch(which, [player.plan for player in players], known, key, episode)

    key_task, key_play = jax.random.split(key)
    player = Player(plan, jnp.stack([jnp.asarray(one.epsilon, jnp.float32) for one in players])[which])
    return jnp.sum(play(ENV, player, ENV.sample_task(key_task), key_play, episodes))
