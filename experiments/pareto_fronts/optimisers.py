"""The ways to the front of one problem. Each gives points (k, 3): what users, creators and the platform get.

A point that is not found (a market or a program that is not solved, parameters that are not finite) is NaN.
"""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from attnjax.allocation import CreatorValue, Floors, Market, Nash, solve
from attnjax.extras import need
from attnjax.models import PreferenceScores
from attnjax.pareto import (
    AGGREGATORS,
    DRAWING,
    draw_weightings,
    market_front,
    preference_loss,
    simplex_lattice,
    stacked_gradients,
    weighted_market,
)
from experiments.pareto_fronts.problem import Problem, gains_of

MODEL = PreferenceScores(features=32)
RATE = 3e-3
"""At 1e-2 the network told the weights may settle on one item for all before it has learned what weights are for."""

TOLD = 8
"""How many weightings the network is told per step."""

GENES = 5.0
"""Genes lie between minus and plus this: the likeliest item of a user gets up to e^10 times the unlikeliest's share."""


class Solved(NamedTuple):
    """Points of the exact solver.

    Attributes:
        points: (k, 3).
        exposure: (k, c).
        weights: (k, 3).
        upper: (k,): no allocation that the market admits has <weights, gains> above it.
        gap: (k,), of <weights, gains>.
        solved: (k,), whether the gap is within the tolerance.
    """

    points: Float[Array, "k 3"]
    exposure: Float[Array, "k c"]
    weights: Float[Array, "k 3"]
    upper: Float[Array, " k"]
    gap: Float[Array, " k"]
    solved: Bool[Array, " k"]


def by_creators(config: Any) -> Float[Array, "k 3"]:
    """The weightings of the fairness table: so much for creators, the rest to equal parts."""
    creators = jnp.asarray(config.weights)
    return jnp.stack([(1 - creators) / 2, creators, (1 - creators) / 2], axis=1)


def weightings(config: Any) -> Float[Array, "k 3"]:
    """Those of the exact front, of the linear programs, and at which the network is asked."""
    return jnp.concatenate([simplex_lattice(3, config.divisions, least=config.least), by_creators(config)])


def few_weightings(config: Any) -> Float[Array, "k 3"]:
    """Those by which an aggregator's losses are multiplied, each in a run of its own."""
    return jnp.concatenate([simplex_lattice(3, config.few, least=config.least), by_creators(config)])


def by_weights(config: Any, problem: Problem) -> Solved:
    """The best for each weighting, in one compiled call."""
    front = market_front(problem.market, weightings(config), config.tol)
    total = jnp.sum(problem.market.budgets)
    solved = front.gap <= config.tol * total
    return Solved(
        jnp.where(solved[:, None], front.gains / total + jnp.array([[0.0, 1.0, 0.0]]), jnp.nan),
        front.exposure,
        front.weights,
        front.upper / total + front.weights[:, 1],
        front.gap / total,
        solved,
    )


def by_floors(config: Any, problem: Problem) -> Solved:
    """The best for users and platform, at some weightings of these two, where every creator has a floor."""
    return _stacked(
        by_value(config, problem, Floors(floor * problem.claims), jnp.array([users, 0.0, 1 - users]))
        for floor in config.floors
        for users in config.mixtures
    )


def by_nash(config: Any, problem: Problem) -> Solved:
    """The best for the fairness table's weightings where Nash welfare counts, sum_j claim_j log e_j."""
    return _stacked(by_value(config, problem, Nash(problem.claims), weight) for weight in by_creators(config))


def by_value(config: Any, problem: Problem, value: CreatorValue, weight: Array) -> Solved:
    """The best where exposure is worth something else to creators; what they get is what is granted all the same."""
    market = weighted_market(dataclasses.replace(problem.market, creator_value=value), weight)
    found = solve(market, config.tol, method="newton")
    total = jnp.sum(market.budgets)
    solved = found.gap <= config.tol * total
    assert found.attention is not None
    gains = gains_each(problem.market, (found.attention / market.budgets[:, None])[None])[0]
    return Solved(
        jnp.where(solved, gains, jnp.nan),
        found.exposure,
        weight,
        found.upper / total,
        found.gap / total,
        solved,
    )


def _stacked(parts: Iterable[Solved]) -> Solved:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)


def by_linear_programs(config: Any, problem: Problem) -> Float[Array, "k 3"]:
    """One linear program per weighting, solved by HiGHS: attention, and what each creator misses of its share."""
    purpose = "the linear programs of pareto_fronts"
    sparse, optimize = need("scipy.sparse", purpose), need("scipy.optimize", purpose)
    market = problem.market
    scores, budgets = np.asarray(market.scores, float), np.asarray(market.budgets, float)
    users, items = scores.shape
    share = np.asarray(jax.vmap(market.creators.exposure)(jnp.eye(items)), float)  # (n, c)
    income = share @ np.asarray(market.platform_rates, float)
    claims = np.asarray(problem.claims, float)
    each_user = sparse.kron(sparse.eye(users), np.ones((1, items)))
    spent = sparse.hstack([each_user, sparse.csr_matrix((users, claims.size))]).tocsr()
    exposure = sparse.kron(np.ones((1, users)), share.T)
    granted = -sparse.hstack([exposure, sparse.eye(claims.size)]).tocsr()  # e_j + missing_j >= claim_j
    found = []
    for weight in np.asarray(weightings(config), float):
        gain = weight[0] * scores + (weight[2] * income)[None]
        program = optimize.linprog(
            np.append(-gain.ravel(), np.full(claims.size, weight[1])),
            A_ub=granted,
            b_ub=-claims,
            A_eq=spent,
            b_eq=budgets,
            method="highs",
        )
        attention = program.x[: users * items] if program.status == 0 else np.full(users * items, np.nan)
        found.append(attention.reshape(users, items) / budgets[:, None])
    return gains_each(market, jnp.asarray(np.stack(found), market.scores.dtype))


def by_network(config: Any, problem: Problem, key: Array) -> Float[Array, "k 3"]:
    """One run of the network that is told the weights, then asked for every weighting."""
    return _ask(problem, _train_told(config, problem, key), weightings(config))


def by_aggregator(config: Any, name: str, problem: Problem, key: Array) -> Float[Array, "k u n"]:
    """The same network, told nothing, trained by one aggregator of three gradients; users' shares of attention.

    One run per weighting, all at once, each from parameters of its own: the parties' losses are multiplied by their
    weights before their gradients are aggregated.
    """
    weights = few_weightings(config)
    return _train_each(config, name, problem, weights, jax.random.split(key, weights.shape[0]))


def by_genetic_algorithm(config: Any, problem: Problem, seed: int) -> Float[Array, "k 3"]:
    """NSGA-II with pymoo's operators: a gene per user and item, attention the softmax of a user's genes."""
    purpose = "the genetic algorithm of pareto_fronts"
    problems = need("pymoo.core.problem", purpose)
    nsga2 = need("pymoo.algorithms.moo.nsga2", purpose)
    optimize = need("pymoo.optimize", purpose)
    market, shape = problem.market, problem.market.scores.shape

    def evaluate(_: Any, genes: NDArray, out: dict, *__: Any, **___: Any) -> None:
        shares = jax.nn.softmax(jnp.asarray(genes.reshape(-1, *shape), market.scores.dtype))
        out["F"] = -np.asarray(gains_each(market, shares), float)

    attention = type("Attention", (problems.Problem,), {"_evaluate": evaluate})
    found = optimize.minimize(
        attention(n_var=shape[0] * shape[1], n_obj=3, xl=-GENES, xu=GENES),
        nsga2.NSGA2(pop_size=config.population),
        ("n_gen", config.generations),
        seed=seed,
        verbose=False,
    )
    return -jnp.asarray(found.F, market.scores.dtype)


@jax.jit
def gains_each(market: Market, shares: Float[Array, "k u n"]) -> Float[Array, "k 3"]:
    """The gains of k allocations."""
    return jax.vmap(functools.partial(gains_of, market))(shares)


def _attention(problem: Problem, params: Any, weights: Array) -> Float[Array, "u n"]:
    scores: Any = MODEL.apply(params, problem.users, problem.items, weights)
    return jax.nn.softmax(scores)


def _optimizer(config: Any) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(RATE, config.steps))


def _fresh(problem: Problem, key: Array) -> Any:
    return MODEL.init(key, problem.users, problem.items, jnp.full(3, 1 / 3))


@functools.partial(jax.jit, static_argnums=0)
def _train_told(config: Any, problem: Problem, key: Array) -> Any:
    optimizer = _optimizer(config)

    def step(carry: Any, key: Array) -> Any:
        params, memory = carry
        weights = draw_weightings(key, TOLD, 3)

        def loss(params: Any) -> Array:
            return preference_loss(lambda w: -gains_of(problem.market, _attention(problem, params, w)), weights)

        updates, memory = optimizer.update(jax.grad(loss)(params), memory)
        return (optax.apply_updates(params, updates), memory), None

    key_init, key_steps = jax.random.split(key)
    params = _fresh(problem, key_init)
    steps = jax.random.split(key_steps, config.steps)
    return jax.lax.scan(step, (params, optimizer.init(params)), steps)[0][0]


@jax.jit
def _ask(problem: Problem, params: Any, weights: Array) -> Array:
    return jax.vmap(lambda w: gains_of(problem.market, _attention(problem, params, w)))(weights)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _train_each(config: Any, name: str, problem: Problem, weights: Array, keys: Array) -> Array:
    optimizer, equal = _optimizer(config), jnp.full(3, 1 / 3)

    def train(weight: Array, key: Array) -> Array:
        key_init, key_draws = jax.random.split(key)
        aggregator = AGGREGATORS[name](key_draws) if name in DRAWING else AGGREGATORS[name]()

        def losses(params: Any) -> Array:
            return -weight * gains_of(problem.market, _attention(problem, params, equal))

        def step(carry: Any, _: None) -> Any:
            params, memory, state = carry
            combined, state = aggregator.combine(stacked_gradients(losses, params)[1], state)
            updates, memory = optimizer.update(combined.direction, memory)
            return (optax.apply_updates(params, updates), memory, state), None

        params = _fresh(problem, key_init)
        start = (params, optimizer.init(params), aggregator.init(3))
        params = jax.lax.scan(step, start, None, length=config.steps)[0][0]
        return _attention(problem, params, equal)

    return jax.vmap(train)(weights, keys)
