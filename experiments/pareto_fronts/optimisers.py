"""Five ways to the front of one problem; each gives points (k, 3), what users, creators and platform get."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from attnjax.extras import need
from attnjax.models import PreferenceScores
from attnjax.pareto import AGGREGATORS, draw_weightings, preference_loss, simplex_lattice, stacked_gradients
from experiments.pareto_fronts.problem import Problem, gains_of

MODEL = PreferenceScores(features=32)
RATE = 1e-2
WEIGHTINGS = 8
"""How many weightings the network is told per step."""


def lattice(config: Any) -> Float[Array, "k 3"]:
    """The weightings of the exact front, of the linear programs, and at which the network is asked."""
    return simplex_lattice(3, config.divisions, least=config.least)


def _attention(problem: Problem, params: Any, weights: Array) -> Float[Array, "u n"]:
    scores: Any = MODEL.apply(params, problem.users, problem.films, weights)
    return jax.nn.softmax(scores)


def _optimizer(config: Any) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(RATE, config.steps))


def _fresh(problem: Problem, key: Array) -> Any:
    return MODEL.init(key, problem.users, problem.films, jnp.full(3, 1 / 3))


@functools.partial(jax.jit, static_argnums=0)
def _train_network(config: Any, problem: Problem, key: Array) -> Any:
    optimizer = _optimizer(config)

    def step(carry: Any, key: Array) -> Any:
        params, memory = carry
        weights = draw_weightings(key, WEIGHTINGS, 3)

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


def by_network(config: Any, problem: Problem, key: Array) -> Float[Array, "k 3"]:
    """One run of the network that is told the weights, then asked for every weighting of the lattice."""
    return _ask(problem, _train_network(config, problem, key), lattice(config))


@functools.partial(jax.jit, static_argnums=(0, 1))
def by_aggregator(config: Any, name: str, problem: Problem, keys: Array) -> Float[Array, "starts 3"]:
    """The same network trained by one aggregator of the three parties' gradients, from several starts at once."""
    aggregator, optimizer, equal = AGGREGATORS[name](), _optimizer(config), jnp.full(3, 1 / 3)

    def gains(params: Any) -> Array:
        return gains_of(problem.market, _attention(problem, params, equal))

    def train(key: Array) -> Array:
        def step(carry: Any, _: None) -> Any:
            params, memory, state = carry
            combined, state = aggregator.combine(stacked_gradients(lambda p: -gains(p), params)[1], state)
            updates, memory = optimizer.update(combined.direction, memory)
            return (optax.apply_updates(params, updates), memory, state), None

        params = _fresh(problem, key)
        start = (params, optimizer.init(params), aggregator.init(3))
        return gains(jax.lax.scan(step, start, None, length=config.steps)[0][0])

    return jax.vmap(train)(keys)


def by_linear_programs(config: Any, problem: Problem) -> Float[Array, "k 3"]:
    """One linear program per weighting, solved by HiGHS: attention, and the least exposure as one variable more."""
    sparse = need("scipy.sparse", "the linear programs of pareto_fronts")
    optimize = need("scipy.optimize", "the linear programs of pareto_fronts")
    market = problem.market
    scores, rates = np.asarray(market.scores, float), np.asarray(market.platform_rates, float)
    users, films = scores.shape
    share = np.asarray(jax.vmap(market.creators.exposure)(jnp.eye(films)), float)  # (n, c)
    spends = sparse.hstack([sparse.kron(sparse.eye(users), np.ones((1, films))), sparse.csr_matrix((users, 1))])
    exposure = sparse.kron(np.ones((1, users)), share.T)
    worst = sparse.hstack([-exposure, np.ones((share.shape[1], 1))])  # t - e_j <= 0
    points = []
    for weight in np.asarray(lattice(config), float):
        gain = weight[0] * scores + (weight[2] * share @ rates)[None]
        cost = -np.append(gain.ravel(), weight[1] * share.shape[1])
        found = optimize.linprog(
            cost,
            A_ub=worst.tocsr(),
            b_ub=np.zeros(share.shape[1]),
            A_eq=spends.tocsr(),
            b_eq=np.ones(users),
            method="highs",
        )
        points.append(gains_of(market, jnp.asarray(found.x[:-1].reshape(users, films), market.scores.dtype)))
    return jnp.stack(points)


def by_genetic_algorithm(config: Any, problem: Problem, seed: int) -> Float[Array, "k 3"]:
    """NSGA-II with pymoo's operators: a gene per user and film, attention the softmax of a user's genes."""
    purpose = "the genetic algorithm of pareto_fronts"
    problems = need("pymoo.core.problem", purpose)
    nsga2 = need("pymoo.algorithms.moo.nsga2", purpose)
    optimize = need("pymoo.optimize", purpose)
    shape = problem.market.scores.shape

    @jax.jit
    def losses(genes: Array) -> Array:
        return jax.vmap(lambda g: -gains_of(problem.market, jax.nn.softmax(g.reshape(shape))))(genes)

    class Attention(problems.Problem):
        def __init__(self) -> None:
            super().__init__(n_var=shape[0] * shape[1], n_obj=3, xl=-5.0, xu=5.0)

        def _evaluate(self, genes: np.ndarray, out: dict, *_: Any, **__: Any) -> None:
            out["F"] = np.asarray(losses(jnp.asarray(genes, jnp.float32)), float)

    algorithm = nsga2.NSGA2(pop_size=config.population)
    found = optimize.minimize(Attention(), algorithm, ("n_gen", config.generations), seed=seed, verbose=False)
    return -jnp.asarray(found.F, jnp.float32)
