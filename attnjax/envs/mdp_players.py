"""Classical players of random tabular processes: each plans once per episode, then acts by its table.

What is known is how often each action was taken in each state, what it paid in sum, and where it led. The prior is the
distribution of the tasks: expected rewards N(1, 1) seen through noise of variance 1, and flat Dirichlet transitions,
so after n visits with rewards of sum r and moves m(s')

    R | known ~ N( (mu + r) / (1 + n), 1 / (1 + n) ),   mu = 1,      P | known ~ Dirichlet(1 + m).

Players with a prior take mu as `prior_mean`. The rows that Duan et al. (2016) publish for posterior sampling are those
of mu = 0, the default of the library they ran: pairs never tried look worse than they are, so fewer are tried, and
over few episodes that pays.

A player turns that into Q-values (h, s, a) of the coming episode by backward induction on a model of its making. Where
an episode ends, the next state is not shown (the next episode begins), so the last move of each is not counted.

Source: Duan et al. (2016), RL^2, §3.2, for the comparison; each function for its own.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.envs.posterior_draws import dirichlet
from attnjax.envs.spaces import check_size, float_dtype
from attnjax.envs.tabular import MEAN_REWARD, TabularMDP, TabularTask
from attnjax.errors import fail

QValues = Float[Array, "h s a"]


class Known(NamedTuple):
    """What a player has seen of a process.

    Attributes:
        visits: (s, a), rewards seen.
        paid: (s, a), their sum.
        moves: (s, a, s), transitions seen.
    """

    visits: Float[Array, "s a"]
    paid: Float[Array, "s a"]
    moves: Float[Array, "s a s"]


class Player(NamedTuple):
    """How to play a tabular process.

    Attributes:
        plan: `plan(known, key, episode) -> q`, the Q-values (h, s, a) of the coming episode, numbered from 0.
        epsilon: the probability of any action instead of the best one.
    """

    plan: Callable[[Known, Array, Array], QValues]
    epsilon: float | Array = 0.0


def q_values(rewards: Float[Array, "s a"], transitions: Float[Array, "s a s"], horizon: int) -> QValues:
    """The optimal Q-values of a known process, by backward induction.

        Q_h(s, a) = R(s, a) + sum_s' P(s' | s, a) max_a' Q_{h+1}(s', a'),   Q_{H+1} = 0

    Args:
        rewards: (s, a), expected.
        transitions: (s, a, s).
        horizon: H.

    Returns:
        (h, s, a).

    >>> q_values(jnp.array([[1.0, 2.0]]), jnp.ones((1, 2, 1)), horizon=2).tolist()
    [[[3.0, 4.0]], [[1.0, 2.0]]]
    """
    return _backward(rewards, lambda worth: transitions @ worth, horizon)


def _backward(rewards: Array, expect: Callable[[Array], Array], horizon: int) -> QValues:
    """Backward induction where `expect` gives what the next step's worth (s,) is worth now, (s, a)."""

    def one(worth: Array, _: None) -> tuple[Array, Array]:
        q = rewards + expect(worth)
        return jnp.max(q, axis=-1), q

    return jax.lax.scan(one, jnp.zeros(rewards.shape[0], rewards.dtype), None, length=horizon, reverse=True)[1]


def _posterior_mean(known: Known, prior_mean: float | Array) -> tuple[Array, Array]:
    moves = 1 + known.moves
    rewards = (prior_mean + known.paid) / (1 + known.visits)
    return rewards, moves / jnp.sum(moves, axis=-1, keepdims=True)


def _posterior_draw(known: Known, key: Array, prior_mean: float | Array) -> tuple[Array, Array]:
    key_rewards, key_moves = jax.random.split(key)
    mean, _ = _posterior_mean(known, prior_mean)
    noise = jax.random.normal(key_rewards, mean.shape, mean.dtype)
    return mean + noise / jnp.sqrt(1 + known.visits), dirichlet(key_moves, 1 + known.moves)


def _frequencies(known: Known) -> tuple[Array, Array]:
    """Averages without a prior: 0 and uniform where nothing was seen."""
    seen = jnp.sum(known.moves, axis=-1, keepdims=True)
    uniform = jnp.full_like(known.moves, 1 / known.moves.shape[-1])
    moves = jnp.where(seen > 0, known.moves / jnp.maximum(seen, 1), uniform)
    return known.paid / jnp.maximum(known.visits, 1), moves


def random(env: TabularMDP) -> Player:
    """Any action.

    >>> env = TabularMDP(states=3, actions=2, horizon=4)
    >>> task = env.sample_task(jax.random.key(0))
    >>> play(env, random(env), task, jax.random.key(1), episodes=5).shape
    (5, 4)
    """
    shape = (env.horizon, env.states, env.actions)
    return Player(lambda known, key, episode: jnp.zeros(shape, known.paid.dtype))


def greedy(env: TabularMDP, *, prior_mean: float | None = None) -> Player:
    """Certainty equivalence: plans on what was seen as if it were the truth.

    Args:
        env: the process.
        prior_mean: mu, to plan on the posterior mean; or None for averages, which are 0 for what was never tried, as
            in the published row.

    Source: Duan et al. (2016), §3.2, epsilon-greedy with epsilon = 0.
    """
    return epsilon_greedy(env, 0.0, prior_mean=prior_mean)


def epsilon_greedy(env: TabularMDP, epsilon: float | Array, *, prior_mean: float | None = None) -> Player:
    """The greedy player, with any action with probability epsilon in each step; epsilon may be traced."""

    def plan(known: Known, key: Array, episode: Array) -> QValues:
        model = _frequencies(known) if prior_mean is None else _posterior_mean(known, prior_mean)
        return q_values(*model, env.horizon)

    return Player(plan, epsilon)


def psrl(env: TabularMDP, *, prior_mean: float = MEAN_REWARD) -> Player:
    """Posterior sampling: plays an episode as if one draw from the posterior were the truth.

    Source: Strens (2000); Osband, Russo and Van Roy (2013), (More) efficient reinforcement learning via posterior
    sampling.
    """
    return opsrl(env, samples=1, prior_mean=prior_mean)


def opsrl(env: TabularMDP, samples: int, *, prior_mean: float = MEAN_REWARD) -> Player:
    """Optimistic posterior sampling: the largest Q-value of several draws, entry by entry.

    Args:
        env: the process.
        samples: draws; 1 is `psrl`. Tuned over 1 to 20 in Duan et al. (2016).
        prior_mean: mu.

    Raises:
        UserError: for less than one sample.

    Source: Osband and Van Roy (2017), Why is posterior sampling better than optimism; Duan et al. (2016).
    """
    check_size("opsrl", "samples", samples)

    def plan(known: Known, key: Array, episode: Array) -> QValues:
        def more(best: Array, key: Array) -> tuple[Array, None]:
            return jnp.maximum(best, q_values(*_posterior_draw(known, key, prior_mean), env.horizon)), None

        none = jnp.full((env.horizon, env.states, env.actions), -jnp.inf, known.paid.dtype)
        return jax.lax.scan(more, none, jax.random.split(key, samples))[0]

    return Player(plan)


def beb(env: TabularMDP, bonus: float | Array, *, prior_mean: float = MEAN_REWARD) -> Player:
    """The Bayesian exploration bonus: plans on the posterior mean with beta / (1 + n_0) added to each reward.

    Args:
        env: the process.
        bonus: beta; may be traced. n_0 counts the prior's moves too, one per next state.
        prior_mean: mu.

    Source: Kolter and Ng (2009), Near-Bayesian exploration in polynomial time; planned per episode here.
    """

    def plan(known: Known, key: Array, episode: Array) -> QValues:
        rewards, transitions = _posterior_mean(known, prior_mean)
        seen = jnp.sum(1 + known.moves, axis=-1)
        return q_values(rewards + bonus / (1 + seen), transitions, env.horizon)

    return Player(plan)


def ucrl2(env: TabularMDP, scale: float | Array = 1.0, *, failure: float = 0.05) -> Player:
    """Optimism over a confidence set: the best reward and the best transitions that are plausible.

        |R - R_hat|    <= scale sqrt( 7 log(2 S A t / delta) / (2 max(1, n)) )
        |P - P_hat|_1  <= scale sqrt( 14 S log(2 A t / delta) / max(1, n) )

    with averages R_hat and P_hat, and t the steps so far (at least 1). Backward induction over `horizon` steps
    replaces the average-reward criterion of the source, and every episode is planned anew.

    Args:
        env: the process.
        scale: of both radii, 1 in the source, where rewards lie in [0, 1]; tuned in Duan et al. (2016); may be traced.
        failure: delta.

    Raises:
        UserError: for a failure probability outside (0, 1).

    Source: Jaksch, Ortner and Auer (2010), Near-optimal regret bounds for reinforcement learning, figures 1 and 2.
    """
    if not 0 < failure < 1:
        fail("ucrl2", expected="failure in (0, 1)", got=str(failure), advice="It is a probability; 0.05 is usual.")
    states, actions = env.states, env.actions

    def plan(known: Known, key: Array, episode: Array) -> QValues:
        rewards, transitions = _frequencies(known)
        time = jnp.maximum(jnp.sum(known.visits), 1)
        visits = jnp.maximum(known.visits, 1)
        slack = scale * jnp.sqrt(3.5 * jnp.log(2 * states * actions * time / failure) / visits)
        radius = scale * jnp.sqrt(14 * states * jnp.log(2 * actions * time / failure) / visits)
        return _backward(rewards + slack, lambda worth: optimistic_worth(transitions, radius, worth), env.horizon)

    return Player(plan)


def optimistic_worth(
    transitions: Float[Array, "s a s"], radius: Float[Array, "s a"], worth: Float[Array, " s"]
) -> Float[Array, "s a"]:
    """The largest expected worth over distributions within an L1 distance: max { p . v : |p - p_hat|_1 <= r }.

    The best next state gains half the radius, and the worst lose as much, worst first.

    Args:
        transitions: (s, a, s), p_hat.
        radius: (s, a), r.
        worth: (s,), v.

    Returns:
        (s, a).

    Source: Jaksch, Ortner and Auer (2010), figure 2.

    >>> p, v = jnp.array([[[0.5, 0.5]]]), jnp.array([0.0, 1.0])
    >>> round(float(optimistic_worth(p, jnp.array([[0.4]]), v)[0, 0]), 3)
    0.7
    """
    order = jnp.argsort(worth)
    sorted_p, sorted_v = transitions[..., order], worth[order]
    gain = jnp.minimum(radius / 2, 1 - sorted_p[..., -1])
    others = sorted_p[..., :-1]
    before = jnp.cumsum(others, axis=-1) - others
    lost = jnp.clip(gain[..., None] - before, 0, others)
    return (others - lost) @ sorted_v[:-1] + (sorted_p[..., -1] + gain) * sorted_v[-1]


def play(env: TabularMDP, player: Player, params: TabularTask, key: Array, episodes: int) -> Float[Array, "e h"]:
    """Plays a task for some episodes; `vmap` over tasks and keys is the caller's.

    Args:
        env: the process.
        player: who plays.
        params: the task.
        key: all that is random.
        episodes: how many.

    Returns:
        (episodes, horizon), the rewards; their sum is what Duan et al. (2016) tabulate.

    Raises:
        UserError: for less than one episode, or a task of other sizes.
    """
    check_size("play", "episodes", episodes)
    pairs = (env.states, env.actions)
    nothing = Known(*(jnp.zeros(shape, float_dtype()) for shape in (pairs, pairs, (*pairs, env.states))))

    def episode(known: Known, number: Array) -> tuple[Known, Array]:
        key_plan, key_reset, key_steps = jax.random.split(jax.random.fold_in(key, number), 3)
        q = player.plan(known, key_plan, number)

        def one(carry: tuple, now: tuple[Array, Array]) -> tuple[tuple, Array]:
            place, state, known = carry
            table, key_now = now
            key_tie, key_coin, key_any, key_env = jax.random.split(key_now, 4)
            values = table[place]
            ties = jnp.where(values == jnp.max(values), jax.random.uniform(key_tie, values.shape), -1)
            explore = jax.random.uniform(key_coin) < player.epsilon
            action = jnp.where(explore, env.action_space.sample(key_any), jnp.argmax(ties))
            step = env.step(key_env, state, action, params)
            goes_on = (~(step.terminated | step.truncated)).astype(known.moves.dtype)
            known = Known(
                known.visits.at[place, action].add(1),
                known.paid.at[place, action].add(step.reward),
                known.moves.at[place, action, step.obs].add(goes_on),
            )
            return (step.obs, step.state, known), step.reward

        place, state = env.reset(key_reset, params)
        (_, _, known), rewards = jax.lax.scan(one, (place, state, known), (q, jax.random.split(key_steps, env.horizon)))
        return known, rewards

    return jax.lax.scan(episode, nothing, jnp.arange(episodes))[1]
