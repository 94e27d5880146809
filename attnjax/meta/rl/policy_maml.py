"""MAML with policy gradients: a policy that a few steps of REINFORCE adapt to a new task.

    phi_0 = theta,   tau_j ~ pi(phi_j; task),   phi_{j+1} = phi_j - rate grad inner(phi_j; tau_j),   tau ~ pi(phi_k)

and theta is learned from tau by PPO's clipped surrogate at phi_k(theta), with the gradient of a `Learner` through the
steps. One pass over what was played is the plain policy gradient; the paper takes TRPO for this outer step.

There are two things that theta can be meant to make large, and each has its own unbiased gradient:

*Expected adaptation*, J(theta + rate grad J(theta)): the step is an estimate of an exact one, whose derivative is the
Hessian of J. `surrogate="dice"` estimates it without bias.

*Sampled adaptation*, E over tau_0 of J(phi(tau_0, theta)): what is really done at test time, with few episodes. A step
on given episodes has the naive derivative, and theta also decides which episodes are drawn: `surrogate="naive"` with
`sampling=True` adds grad log P(tau_j) times the return after adaptation (the term of E-MAML). It is right for any
number of episodes and any step, and of large variance.

`surrogate="naive"` without it, as in most released code, estimates neither. On long episodes the unbiased ones are also
the noisiest: `surrogate="lvc"` gives up a little of the first for much less variance.

Source: Finn, Abbeel and Levine (2017), §4.2; Al-Shedivat et al. (2018) and Stadie et al. (2018), E-MAML, for sampling;
Foerster et al. (2018) for DiCE.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from attnjax.errors import fail
from attnjax.meta.inner_loop import Adaptation, inner_loop
from attnjax.meta.iterations import MetaState
from attnjax.meta.learners import Learner, Meta, learner
from attnjax.meta.rl.agents import Agent, Play, acting, starts
from attnjax.meta.rl.ppo import PPO, Rows, clipped_surrogate, normalised
from attnjax.meta.rl.returns import discounted_returns
from attnjax.meta.rl.surrogates import Surrogate, box, linear_baseline, policy_gradient_loss
from attnjax.meta.tasks import Tasks

Tree = Any
Baseline = Callable[[Any, Float[Array, "n t"]], Float[Array, "n t"]]
"""`baseline(played, returns)` -> (n, t): what a return is compared with, of the episodes of one task."""


class Collected(NamedTuple):
    """What was played on one task, or on a batch of them.

    Attributes:
        tasks: support, rows (steps, n, t, ...), one slice per step of adaptation; query, rows (n, t, ...) after all.
        returns: (steps + 1, n), the undiscounted return of each episode before the first step, and after each.
    """

    tasks: Tasks
    returns: Float[Array, "steps_1 n"]


class PolicyMAML(NamedTuple):
    """MAML for policies.

    Attributes:
        collect: `(meta, task, key) -> Collected`: adapts to one task, playing n episodes before each step and after
            the last. This is also adaptation at test time: read `returns`.
        learner: the `Learner` on what was collected: `learner.gradient(meta, tasks)` for a batch.
        passes: gradient steps that the settings make on each collection.
    """

    collect: Callable[[Meta, Tree, Array], Collected]
    learner: Learner
    passes: int


class Adapted(NamedTuple):
    """What adaptation gives: parameters, and log P of the episodes that it was given."""

    phi: Tree
    log_prob: Float[Array, ""]


class Progress(NamedTuple):
    """What happened in each iteration.

    Attributes:
        returns: (iterations, steps + 1), the mean return before adaptation and after each step, before the update.
        finite: (iterations,), whether what is learned is, after it.
    """

    returns: Float[Array, "iterations steps_1"]
    finite: Bool[Array, " iterations"]


def fitted_linearly(played: Any, returns: Float[Array, "n t"]) -> Float[Array, "n t"]:
    """The paper's baseline, `linear_baseline` of the episodes themselves."""
    return linear_baseline(played.observation, returns, played.alive)


def no_baseline(played: Any, returns: Float[Array, "n t"]) -> Float[Array, "n t"]:
    """Zeros."""
    return jnp.zeros_like(returns)


def policy_maml(
    agent: Agent,
    optimizer: optax.GradientTransformation | Callable[[Tree], optax.GradientTransformation],
    steps: int,
    *,
    play: Play,
    episodes: int,
    settings: PPO,
    surrogate: Surrogate = "dice",
    sampling: bool = False,
    baseline: Baseline = fitted_linearly,
    init: Callable[[Tree], Meta] = Meta,
    chunk: int | None = None,
    **options: Any,
) -> PolicyMAML:
    """MAML for policies, as above.

    Args:
        agent: whose parameters adapt.
        optimizer: of the inner steps, without a memory (it would start anew in each): `optax.sgd(rate)`, or
            `learned_rates`, with `init` to make their logarithms.
        steps: of adaptation.
        play: plays one episode, see `Play`. Its last step is the objective's end, so nothing is bootstrapped there.
        episodes: n, of each step and of the query.
        settings: of the outer step: `clip`, `epochs` (passes over a collection); and of both: `discount`, and
            `normalise` (advantages, among the episodes of one task and step). Rows of a task are not split, values not
            fitted and entropy not rewarded: the other settings are not used.
        surrogate: of the inner steps.
        sampling: adds the term for which episodes are drawn.
        baseline: of the advantages, `returns - baseline`.
        init: makes a `Meta` from theta.
        chunk: as in `over_tasks`.
        **options: of `inner_loop`, e.g. `adapt`, `clip`, `grad="first_order"`.

    Raises:
        UserError: for less than one step or episode, and as `inner_loop` does.

    >>> from attnjax.envs import BernoulliBandit, BernoulliTask, Policy, rollout
    >>> from attnjax.meta.rl import Categorical, Decision, feed_forward
    >>> env = BernoulliBandit(arms=2, pulls=1)
    >>> agent = feed_forward(lambda theta, seen: Decision(Categorical(theta), jnp.zeros(())))
    >>> def play(act, memory, task, key):
    ...     return rollout(env, Policy(act, memory), task, key, 1)
    >>> maml = policy_maml(agent, optax.sgd(5.0), 2, play=play, episodes=50, settings=PPO(normalise=False),
    ...                    baseline=no_baseline)
    >>> task = BernoulliTask(jnp.array([0.0, 1.0]))
    >>> returns = maml.collect(Meta(jnp.zeros(2)), task, jax.random.key(0)).returns.mean(1)
    >>> returns.shape, bool(returns[0] < 0.7), bool(returns[2] > 0.9)
    ((3,), True, True)
    """
    if steps < 1 or episodes < 1:
        fail(
            "policy_maml",
            expected="at least one step and one episode",
            got=f"steps = {steps}, episodes = {episodes}",
            advice="Finn et al. take one step on 20 episodes.",
        )

    def inner_loss(params: Tree, rows: Rows) -> Array:
        return policy_gradient_loss(_log_prob(agent, params, rows), rows.advantage, rows.alive, surrogate)

    one_step = inner_loop(inner_loss, optimizer, 1, **options)

    def inner(theta: Tree, eta: Tree, support: Rows) -> tuple[Adapted, Adaptation]:
        def one(carry: Adapted, rows: Rows) -> tuple[Adapted, Adaptation]:
            log_prob = carry.log_prob
            if sampling:
                log_prob = log_prob + jnp.sum(jnp.where(rows.alive, _log_prob(agent, carry.phi, rows), 0))
            phi, report = one_step(carry.phi, eta, rows)
            return Adapted(phi, log_prob), report

        start = Adapted(theta, jnp.zeros((), support.advantage.dtype))
        adapted, reports = jax.lax.scan(one, start, support)
        report = Adaptation(reports.losses[:, 0], reports.ceiling[0], jnp.any(reports.diverged), None)
        return adapted, report

    def query_loss(adapted: Adapted, query: Rows) -> Array:
        log_ratio = jnp.where(query.alive, _log_prob(agent, adapted.phi, query) - query.log_prob, 0)
        gained = jnp.where(query.alive, clipped_surrogate(log_ratio, query.advantage, settings.clip), 0)
        loss = -jnp.sum(gained) / query.alive.shape[0]
        if sampling:
            loss = loss - (box(adapted.log_prob) - 1) * jnp.mean(query.target[:, 0])
        return loss

    def rows_played(params: Tree, task: Tree, key: Array) -> tuple[Rows, Array]:
        act = acting(agent, params)
        played = jax.vmap(lambda key: play(act, agent.memory, task, key))(jax.random.split(key, episodes))
        return jax.lax.stop_gradient((_as_rows(played, settings, baseline), jnp.sum(played.reward, axis=1)))

    def collect(meta: Meta, task: Tree, key: Array) -> Collected:
        key_support, key_query = jax.random.split(key)

        def one(phi: Tree, time: Array) -> tuple[Tree, tuple[Rows, Array]]:
            rows, returns = rows_played(phi, task, jax.random.fold_in(key_support, time))
            return one_step(phi, meta.eta, rows)[0], (rows, returns)

        phi, (support, before) = jax.lax.scan(one, meta.theta, jnp.arange(steps))
        query, after = rows_played(phi, task, key_query)
        return Collected(Tasks(support, query), jnp.concatenate([before, after[None]]))

    return PolicyMAML(collect, learner(inner, query_loss, init, chunk=chunk), settings.epochs)


def _log_prob(agent: Agent, params: Tree, rows: Rows) -> Float[Array, "n t"]:
    """Of what was done, by these parameters."""
    decision = jax.vmap(agent.replay, in_axes=(None, 0, 0))(params, rows.observation, rows.start)
    return decision.distribution.log_prob(rows.action)


def _as_rows(played: Any, settings: PPO, baseline: Baseline) -> Rows:
    """Episodes of one task, with returns as targets and their distance from the baseline as advantages."""

    def returns_of(row: Any) -> Array:
        return discounted_returns(
            row.reward, row.terminated, row.truncated, discount=settings.discount, alive=row.alive
        )

    returns = jax.vmap(returns_of)(played)
    value = baseline(played, returns)
    advantage = jnp.where(played.alive, returns - value, 0)
    return Rows(
        observation=played.observation,
        action=played.action,
        log_prob=played.extras.log_prob,
        value=value,
        advantage=normalised(advantage, played.alive) if settings.normalise else advantage,
        target=returns,
        start=jax.vmap(starts)(played),
        alive=played.alive,
    )


def policy_iterations(
    maml: PolicyMAML,
    optimizer: optax.GradientTransformation,
    sample_task: Callable[[Array], Tree],
    *,
    tasks: int,
    iterations: int,
) -> Callable[[MetaState, Array], tuple[MetaState, Progress]]:
    """A compiled function that does so many iterations: draw tasks, collect on each, and descend the meta-loss.

    Args:
        maml: what is learned.
        optimizer: of theta and eta, one step for each pass over a collection.
        sample_task: `sample_task(key) -> task`.
        tasks: of each iteration.
        iterations: in one call.

    Returns:
        `run(state, key) -> (state, Progress)`; the state is `meta_start`'s. Iteration i draws with `fold_in(key, i)`,
        counted over calls.

    Raises:
        UserError: for less than one task or iteration.
    """
    if tasks < 1 or iterations < 1:
        fail(
            "policy_iterations",
            expected="at least one task and one iteration",
            got=f"tasks = {tasks}, iterations = {iterations}",
            advice="Finn et al. take 20 tasks.",
        )

    def iterate(state: MetaState, key: Array) -> tuple[MetaState, Progress]:
        key_tasks, key_play = jax.random.split(jax.random.fold_in(key, state.iteration))
        drawn = jax.vmap(sample_task)(jax.random.split(key_tasks, tasks))
        keys = jax.random.split(key_play, tasks)
        collected = jax.vmap(maml.collect, in_axes=(None, 0, 0))(state.meta, drawn, keys)

        def descend(carry: tuple[Meta, Tree], _: None) -> tuple[tuple[Meta, Tree], None]:
            meta, memory = carry
            gradient = maml.learner.gradient(meta, collected.tasks)[1]
            update, memory = optimizer.update(gradient, memory, meta)
            return (optax.apply_updates(meta, update), memory), None

        (meta, memory), _ = jax.lax.scan(descend, (state.meta, state.memory), None, length=maml.passes)
        finite = jnp.isfinite(optax.tree.sum(meta))
        progress = Progress(jnp.mean(collected.returns, axis=(0, 2)), finite)
        return MetaState(meta, memory, state.iteration + 1), progress

    @jax.jit
    def run(state: MetaState, key: Array) -> tuple[MetaState, Progress]:
        return jax.lax.scan(lambda state, _: iterate(state, key), state, None, length=iterations)

    return run
