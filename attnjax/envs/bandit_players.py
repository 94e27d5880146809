"""Classical players of Bernoulli bandits, as policies on a `Trial`: they see what a recurrent learner sees.

Each remembers, per arm, successes s and pulls n, and knows that arms were drawn uniformly: it starts from one success
and one failure, so an arm's mean is (1 + s) / (2 + n). In Duan et al. (2016) all of them do. Ties go to the first arm,
which no expectation feels, since arms are exchangeable.

    trial = Trial(BernoulliBandit(arms=5, pulls=100), episodes=1)
    played = jax.vmap(lambda task, key: rollout(trial, thompson(trial), task, key, 100))(tasks, keys)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy
from jaxtyping import Array, Float, Int

from attnjax.envs.bandits import BernoulliBandit
from attnjax.envs.posterior_draws import beta
from attnjax.envs.rollouts import Policy
from attnjax.envs.spaces import check_size, float_dtype
from attnjax.envs.wrappers import Trial
from attnjax.errors import fail


class Counts(NamedTuple):
    """What a player remembers.

    Attributes:
        successes: (k,), rewards of each arm.
        pulls: (k,), how often it was pulled.
    """

    successes: Float[Array, " k"]
    pulls: Float[Array, " k"]

    @property
    def mean(self) -> Float[Array, " k"]:
        """(k,), the posterior mean of each arm."""
        return (1 + self.successes) / (2 + self.pulls)


def _player(trial: Trial, choose: Callable[[Counts, Array], Int[Array, ""]]) -> Policy:
    """A policy that counts, and chooses by the counts and a key."""
    if not isinstance(trial, Trial) or not isinstance(trial.env, BernoulliBandit):
        fail(
            "bandit_players",
            expected="a Trial of a BernoulliBandit",
            got=repr(trial),
            advice="For example Trial(BernoulliBandit(arms=5, pulls=100), episodes=1).",
        )
    zeros = jnp.zeros(trial.env.arms, float_dtype())

    def act(counts: Counts, obs: Array, key: Array) -> tuple[Counts, Array, tuple]:
        seen = trial.parts(obs)
        counts = Counts(counts.successes + seen.reward * seen.action, counts.pulls + seen.action)
        return counts, choose(counts, key), ()

    return Policy(act, Counts(zeros, zeros))


def _posterior(counts: Counts, key: Array) -> Float[Array, " k"]:
    """One draw of all arms from what is known of them."""
    return beta(key, 1 + counts.successes, 1 + counts.pulls - counts.successes)


def random(trial: Trial) -> Policy:
    """Any arm.

    >>> from attnjax.envs.rollouts import rollout
    >>> trial = Trial(BernoulliBandit(arms=2, pulls=5), episodes=1)
    >>> task = trial.sample_task(jax.random.key(0))
    >>> rollout(trial, random(trial), task, jax.random.key(1), trial.max_steps).reward.shape
    (5,)
    """
    return _player(trial, lambda counts, key: trial.action_space.sample(key))


def greedy(trial: Trial) -> Policy:
    """The arm with the largest mean."""
    return _player(trial, lambda counts, key: jnp.argmax(counts.mean))


def epsilon_greedy(trial: Trial, epsilon: float | Array) -> Policy:
    """Any arm with probability epsilon, else the greedy one.

    Args:
        trial: the bandit.
        epsilon: in [0, 1]; may be traced, so a grid is tried by `vmap`.
    """

    def choose(counts: Counts, key: Array) -> Array:
        key_coin, key_arm = jax.random.split(key)
        explore = jax.random.uniform(key_coin) < epsilon
        return jnp.where(explore, trial.action_space.sample(key_arm), jnp.argmax(counts.mean))

    return _player(trial, choose)


def ucb1(trial: Trial, exploration: float | Array = 1.0) -> Policy:
    """The largest upper confidence bound, mean + c sqrt(2 log t / (2 + n)), after t pulls in all.

    Args:
        trial: the bandit.
        exploration: c; 1 in Auer et al. (2002), tuned in Duan et al. (2016); may be traced.

    Source: Auer, Cesa-Bianchi and Fischer (2002), with the prior's two pulls counted, as in Duan et al. (2016), §3.1.
    """

    def choose(counts: Counts, key: Array) -> Array:
        log_time = jnp.log(jnp.maximum(jnp.sum(counts.pulls), 1))
        return jnp.argmax(counts.mean + exploration * jnp.sqrt(2 * log_time / (2 + counts.pulls)))

    return _player(trial, choose)


def thompson(trial: Trial) -> Policy:
    """The best arm of one draw from the posterior.

    Source: Thompson (1933); Chapelle and Li (2011).
    """
    return _player(trial, lambda counts, key: jnp.argmax(_posterior(counts, key)))


def optimistic_thompson(trial: Trial) -> Policy:
    """The best arm of a posterior draw that is raised to the posterior mean where it fell below.

    Source: May, Korda, Lee and Leslie (2012), Optimistic Bayesian sampling in contextual-bandit problems.
    """
    return _player(trial, lambda counts, key: jnp.argmax(jnp.maximum(_posterior(counts, key), counts.mean)))


def likeliest_thompson(trial: Trial, samples: int) -> Policy:
    """The best arm of the likeliest of several posterior draws: what Duan et al. (2016) ran as optimistic Thompson.

    Args:
        trial: the bandit.
        samples: draws of all arms, compared by their joint density; 1 is Thompson sampling, and they tuned it.

    Raises:
        UserError: for less than one sample.
    """
    check_size("likeliest_thompson", "samples", samples)

    def choose(counts: Counts, key: Array) -> Array:
        draws = jax.vmap(lambda key: _posterior(counts, key))(jax.random.split(key, samples))
        failures = counts.pulls - counts.successes

        def density(draw: Array) -> Array:
            return jnp.sum(xlogy(counts.successes, draw) + xlogy(failures, 1 - draw))

        return jnp.argmax(draws[jnp.argmax(jax.vmap(density)(draws))])

    return _player(trial, choose)


def by_index(trial: Trial, indices: np.ndarray | Array) -> Policy:
    """The arm with the largest index of a table.

    Args:
        trial: the bandit.
        indices: (m + 1, m + 1), at [successes, failures], where m is at least the pulls of a trial:
            `gittins_indices(1 - 1 / m, m)` or `whittle_indices(m)`.

    Raises:
        UserError: for a table that is too small.
    """
    need = trial.max_steps if isinstance(trial, Trial) else 0
    if np.shape(indices)[0] != np.shape(indices)[-1] or np.shape(indices)[0] < need:
        fail(
            "by_index",
            expected=f"a square table of at least {need} rows, for the pulls of a trial",
            got=f"shape {np.shape(indices)}",
            advice="Compute it with gittins_indices(discount, pulls).",
        )
    table = jnp.asarray(indices)

    def choose(counts: Counts, key: Array) -> Array:
        successes, pulls = counts.successes.astype(jnp.int32), counts.pulls.astype(jnp.int32)
        return jnp.argmax(table[successes, pulls - successes])

    return _player(trial, choose)
