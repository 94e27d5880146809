"""The part of RL^2: a network with a memory that is trained to explore, beside players that were made to.

A GRU sees what it did and what it got in the trial so far. PPO trains it over many tasks; within a trial nothing
changes but its memory. It is tested by drawing its actions, on the very tasks that the other players of a table play.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attnjax.envs import BernoulliBandit, Policy, Trial, bayes_optimal_return, rollout
from attnjax.meta.rl import PPO, Agent, acting, rl2_start, rl2_updates
from attnjax.models.policies import GRUPolicy
from attnjax.reproduction import Context, Outcome
from experiments.meta_tables.agents import remembering
from experiments.meta_tables.bandits import EXACT_PULLS
from experiments.meta_tables.players import PLAY, block_keys
from experiments.meta_tables.processes import ENV
from experiments.meta_tables.stages import train_in_stages

INIT, LEARN = 21, 22
"""Streams of a seed's key."""

RATE, LAST_RATE, NORM, ENTROPY = 2e-3, 0.05, 0.5, 0.005
"""The step size of Adam and the share of it that is left at the end, the bound on a gradient, the entropy's weight."""

CALL, STAGE = 20, 100
"""Updates of one compiled call, and between two saved states."""

LONGER = 3
"""So many times more updates where a trial has more steps than `EXACT_PULLS`."""

FEW_ARMS = 10
"""Trials that long are learned for bandits of at most so many arms."""


class Training(NamedTuple):
    """How much is learned from.

    Attributes:
        rows: trials of each update, a multiple of the minibatches.
        updates: how many.
    """

    rows: int
    updates: int


def training(config: Any, steps: int) -> Training:
    """That of trials of so many steps: fewer of them the longer they are, and yet more steps per update.

    >>> import types
    >>> config = types.SimpleNamespace(rl2_rows=1024, rl2_updates=200)
    >>> training(config, 10), training(config, 100)
    (Training(rows=1024, updates=200), Training(rows=324, updates=600))
    """
    rows = 4 * max(1, round(config.rl2_rows / np.sqrt(steps / EXACT_PULLS) / 4))
    return Training(rows, config.rl2_updates * (LONGER if steps > EXACT_PULLS else 1))


def trials(config: Any) -> dict[str, Trial]:
    """What is learned, by the names of the record."""
    bandits = {
        f"bandit_{pulls}_{arms}": Trial(BernoulliBandit(arms, pulls=1), pulls)
        for pulls in config.pulls
        for arms in config.arms
        if pulls <= EXACT_PULLS or arms <= FEW_ARMS
    }
    processes = {f"process_{episodes}": Trial(ENV, episodes) for episodes in config.episodes}
    return {size: trial for size, trial in {**bandits, **processes}.items() if trial.max_steps <= config.rl2_longest}


def run(config: Any, keys: jax.Array, context: Context) -> Outcome:
    """Trains and tests a network of its own for each size and seed."""
    about: dict[str, Any] = {}
    per_seed: dict[str, Any] = {}
    finite = True
    for size, trial in trials(config).items():
        learner = _Learner(config, trial)
        found = [learner(key, context, f"rl2_{size}_{config.seed + number}") for number, key in enumerate(keys)]
        per_seed[f"{size}_rl2"] = np.array([np.mean(one["earned"]) for one in found])
        if size.startswith("bandit") and trial.max_steps <= EXACT_PULLS:
            optimum = bayes_optimal_return(trial.action_space.num_features, trial.max_steps)
            per_seed[f"{size}_rl2_percent"] = 100 * per_seed[f"{size}_rl2"] / optimum
        about[size] = {
            "deviation": [np.std(one["earned"]) for one in found],
            "reward": [one["reward"] for one in found],
            **training(config, trial.max_steps)._asdict(),
        }
        finite &= all(one["finite"] for one in found)
    return Outcome({"rl2": about}, per_seed, {"rl2": {"parameters_finite": finite}})


class _Learner:
    """Learns one size: one compiled program for all seeds."""

    def __init__(self, config: Any, trial: Trial) -> None:
        self._config, self._trial, self._training = config, trial, training(config, trial.max_steps)
        self._net = GRUPolicy(trial.action_space.num_features, config.rl2_features)
        self._agent: Agent = remembering(self._net)
        settings = PPO(
            discount=0.99,
            decay=0.3,
            clip=0.1,
            epochs=4,
            minibatches=4,
            entropy_weight=lambda done: ENTROPY * (1 - done / self._training.updates),
        )
        steps = self._training.updates * settings.epochs * settings.minibatches
        rate = optax.linear_schedule(RATE, LAST_RATE * RATE, steps)
        self._optimizer = optax.chain(optax.clip_by_global_norm(NORM), optax.adam(rate))
        self._advance = rl2_updates(
            self._agent,
            self._optimizer,
            settings,
            play=self._play,
            sample_task=trial.sample_task,
            rows=self._training.rows,
            updates=CALL,
        )
        self._test = jax.jit(jax.vmap(self._earn, in_axes=(None, 0)))

    def __call__(self, key: Any, context: Context, label: str) -> dict[str, Any]:
        """Trains with the key of a seed and tests: what was earned on each task, and the rewards of each update."""
        memory = self._net.initial()
        seen = jnp.zeros(self._trial.observation_space.shape)
        params = self._net.init(jax.random.fold_in(key, INIT), memory, seen)
        found = train_in_stages(
            lambda state: self._advance(state, jax.random.fold_in(key, LEARN)),
            rl2_start(self._optimizer, params),
            context,
            label,
            total=self._training.updates,
            call=CALL,
            stage=STAGE,
            report=lambda progress: float(progress.reward.mean()),
        )
        earned = context.stage(f"{label}_test", functools.partial(self._tested, found.state.params, key))
        return {"earned": earned, "reward": found.reports, "finite": found.finite}

    def _play(self, act: Any, memory: Any, task: Any, key: Any) -> Any:
        return rollout(self._trial, Policy(act, memory), task, key, self._trial.max_steps)

    def _earn(self, params: Any, key: Any) -> jax.Array:
        key_task, key_play = jax.random.split(key)
        task = self._trial.sample_task(key_task)
        return jnp.sum(self._play(acting(self._agent, params), self._agent.memory, task, key_play).reward)

    def _tested(self, params: Any, key: Any) -> np.ndarray:
        blocks = range(self._config.play_tasks // self._config.block)
        parts = [self._test(params, block_keys(key[None], PLAY, number, self._config.block)[0]) for number in blocks]
        return np.concatenate([np.asarray(part, np.float64) for part in parts])
