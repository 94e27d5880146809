"""What `movielens_market` computes: relevances from ratings, then five allocations of the same attention.

The data hold no money. The platform's income rate p_j from director j is therefore an assumption, stated here: the
logarithm of one plus the director's number of training ratings, scaled to mean 1 (who is watched more can pay more).
The director's revenue rate b_j follows from it as in *Metaverse* §4.3, b = p / (1 + b).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attnjax.allocation import (
    Creators,
    Entropy,
    Floors,
    Linear,
    Market,
    Nash,
    exposure_of,
    solve,
    uniform_attention,
    welfare_of,
)
from attnjax.data import MovieLens, creators, holdout_split, load_movielens_100k
from attnjax.models import BiasedFactors, rating_error, rating_loss, relevance
from attnjax.objectives import gini, lorenz_curve, revenue_rate
from attnjax.reproduction import Context, Outcome
from attnjax.training import fit

INIT, TRAIN = 1, 2
"""Streams of a seed's key."""

REGIMES = ("uniform", "user_optimal", "linear", "nash", "floors")
GROUPS = 5
"""Directors are grouped by popularity into this many equal parts."""

CANDIDATES, SHOWN = 20, 5
"""How many of those who gain or lose most are looked at, and how many are shown."""


class Parts(NamedTuple):
    """Rows of the ratings: 80 % to learn from, 10 % to stop by, 10 % to judge by, per user."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Fits relevances and solves the markets, once per seed."""
    movielens = load_movielens_100k()
    everything = creators(movielens, "directed_by")
    films = np.flatnonzero(everything.covered())
    incidence = everything.select(films)
    directors = Creators.of(
        incidence.item,
        incidence.creator,
        incidence.weight,
        num_items=incidence.num_items,
        num_creators=incidence.num_creators,
    )
    results = [
        context.stage(f"seed_{seed}", functools.partial(_one_seed, config, seed, key, movielens, films, directors))
        for seed in context.progress(range(config.seed, config.seed + config.seeds), "seeds")
    ]
    first = results[0]
    per_seed = {name: [float(result["scalars"][name]) for result in results] for name in first["scalars"]}
    return Outcome(
        values={
            "users": movielens.num_users,
            "films": movielens.num_items,
            "films_with_director": films.size,
            "directors": incidence.num_creators,
            "lorenz": first["lorenz"],
            "group_exposure": {
                regime: np.mean([result["group_exposure"][regime] for result in results], axis=0) for regime in REGIMES
            },
            "moved_most": _name_directors(first["moved_most"], movielens, films, incidence),
        },
        per_seed=per_seed,
        certificates={
            regime: {
                "largest_relative_gap": max(float(result["certificates"][regime]["gap"]) for result in results),
                "most_iterations": max(int(result["certificates"][regime]["iterations"]) for result in results),
                "all_converged": all(bool(result["certificates"][regime]["converged"]) for result in results),
            }
            for regime in first["certificates"]
        },
    )


def _one_seed(
    config: Any, seed: int, key: Any, data: MovieLens, films: np.ndarray, directors: Creators
) -> dict[str, Any]:
    """One split, one fit, five allocations; plain numbers and arrays."""
    parts = _split(data, seed)
    key = jax.random.fold_in(key, seed)
    model, params, errors = _fit_relevance(config, key, data, parts)
    scores = relevance(model, params)[:, films]
    watched = _watched(data, parts, films, directors)
    income = _income_rates(watched)
    markets = _markets(config, scores, directors, income)
    solutions = {name: solve(market, config.tol) for name, market in markets.items()}
    plain = markets["user_optimal"]
    attention = {"uniform": uniform_attention(plain)}
    for name, solution in solutions.items():
        assert solution.attention is not None
        attention[name] = solution.attention
    test = _test_pairs(data, parts, films)
    measured = {name: _measure(plain, a, income, test) for name, a in attention.items()}
    exposure = {name: np.asarray(exposure_of(plain, a), np.float64) for name, a in attention.items()}
    scalars = dict(errors)
    for name, measures in measured.items():
        scalars |= {f"{name}_{what}": float(number) for what, number in measures.items()}
        gained = exposure[name] > exposure["user_optimal"]
        scalars[f"{name}_directors_gaining"] = float(gained.mean())
    for name in REGIMES:
        scalars[f"{name}_user_welfare_kept"] = measured[name]["user_welfare"] / measured["user_optimal"]["user_welfare"]
        scalars[f"{name}_income_kept"] = measured[name]["platform_income"] / measured["user_optimal"]["platform_income"]
    group = np.argsort(np.argsort(watched, kind="stable")) * GROUPS // directors.num_creators  # 0 the least watched
    equal = data.num_users / directors.num_creators  # one unit of attention per user
    order = np.argsort(exposure["user_optimal"] - exposure["nash"])
    extremes = np.concatenate([order[:CANDIDATES], order[-CANDIDATES:][::-1]])
    return {
        "scalars": scalars,
        "lorenz": {name: np.asarray(lorenz_curve(jnp.asarray(e))) for name, e in exposure.items()},
        "group_exposure": {
            name: np.array([e[group == g].mean() / equal for g in range(GROUPS)]) for name, e in exposure.items()
        },
        "moved_most": {
            "creator": extremes,
            "before": exposure["user_optimal"][extremes] / equal,
            "after": exposure["nash"][extremes] / equal,
        },
        "certificates": {
            name: {
                "gap": float(s.gap / jnp.abs(s.upper)),
                "iterations": int(s.iterations),
                "converged": bool(s.converged),
            }
            for name, s in solutions.items()
        },
    }


def _split(data: MovieLens, seed: int) -> Parts:
    """Per user 80 / 10 / 10, drawn by the seed."""
    outer = holdout_split(data.user, 0.2, seed)
    inner = holdout_split(data.user[outer.test], 0.5, seed)
    return Parts(outer.train, outer.test[inner.train], outer.test[inner.test])


def _fit_relevance(config: Any, key: Any, data: MovieLens, parts: Parts) -> tuple[BiasedFactors, Any, dict[str, float]]:
    """The relevance model, and its error on test ratings beside the item mean's."""

    def rows(part: np.ndarray) -> dict[str, jax.Array]:
        return {name: jnp.asarray(getattr(data, name)[part]) for name in ("user", "item", "rating")}

    mean = float(data.rating[parts.train].mean())
    model = BiasedFactors(data.num_users, data.num_items, config.factors, mean)
    none = jnp.zeros(1, jnp.int32)
    params = model.init(jax.random.fold_in(key, INIT), none, none)["params"]
    found = fit(
        rating_loss(model, config.l2),
        rating_error(model),
        params,
        optax.adam(config.learning_rate),
        rows(parts.train),
        rows(parts.validation),
        key=jax.random.fold_in(key, TRAIN),
        batch_size=config.batch_size,
        max_epochs=config.max_epochs,
        patience=5,
    )
    model_error = float(rating_error(model)(found.params, rows(parts.test)))
    item_error = _item_mean_error(data, parts)
    errors = {"rmse_model": model_error, "rmse_item_mean": item_error, "rmse_reduction": item_error - model_error}
    return model, found.params, errors


def _item_mean_error(data: MovieLens, parts: Parts) -> float:
    """The baseline: each film's mean training rating (the overall mean where it has none), judged on test ratings."""
    item, rating = data.item[parts.train], data.rating[parts.train].astype(np.float64)
    count = np.bincount(item, minlength=data.num_items)
    total = np.bincount(item, rating, minlength=data.num_items)
    predicted = np.where(count > 0, total / np.maximum(count, 1), rating.mean())
    return float(np.sqrt(np.mean((predicted[data.item[parts.test]] - data.rating[parts.test]) ** 2)))


def _test_pairs(data: MovieLens, parts: Parts, films: np.ndarray) -> tuple[jax.Array, ...]:
    """User, film (as the market counts films) and rating of the test ratings of films with a director."""
    place = np.full(data.num_items, -1)
    place[films] = np.arange(films.size)
    rows = parts.test[place[data.item[parts.test]] >= 0]
    return jnp.asarray(data.user[rows]), jnp.asarray(place[data.item[rows]]), jnp.asarray(data.rating[rows])


def _watched(data: MovieLens, parts: Parts, films: np.ndarray, directors: Creators) -> np.ndarray:
    """Training ratings of each director's films, shared among co-directors: (directors,)."""
    count = np.bincount(data.item[parts.train], minlength=data.num_items)[films].astype(np.float32)
    return np.asarray(directors.exposure(jnp.asarray(count)))


def _income_rates(watched: np.ndarray) -> jax.Array:
    """The platform's income per unit of exposure, p_j; see the head of this module."""
    rate = np.log1p(watched)
    return jnp.asarray(rate / rate.mean())


def _markets(config: Any, scores: jax.Array, directors: Creators, income: jax.Array) -> dict[str, Market]:
    """The same users and films, and four ideas of what exposure is worth."""
    users, count = scores.shape[0], directors.num_creators
    equal = users / count

    def market(value: Any, platform: Any = 0.0) -> Market:
        return Market.of(
            scores, directors, value, platform_rates=platform, temperature=config.temperature, regularizer=Entropy()
        )

    weight = config.linear_weight
    return {
        "user_optimal": market(Linear(jnp.zeros(count))),
        "linear": market(Linear(weight * revenue_rate(income)), weight * income),
        "nash": market(Nash(jnp.full(count, config.nash_weight * equal))),
        "floors": market(Floors(jnp.full(count, config.floor * equal))),
    }


@jax.jit
def _measure(market: Market, attention: jax.Array, income: jax.Array, test: tuple[jax.Array, ...]) -> dict[str, Any]:
    """What each party gets; per unit of attention where it is an amount."""
    user, item, rating = test
    parts = welfare_of(market, attention)
    exposure = exposure_of(market, attention)
    everything = jnp.sum(market.budgets)
    seen = attention[user, item]
    spread = -jnp.sum(market.regularizer.value(attention), axis=1)
    return {
        "user_welfare": (parts.satisfaction + parts.variety) / everything,
        "predicted_stars": 1 + 4 * parts.satisfaction / everything,
        "observed_stars": jnp.sum(seen * rating) / jnp.sum(seen),
        "films_in_effect": jnp.mean(jnp.exp(spread)),
        "gini": gini(exposure),
        "creator_revenue": jnp.sum(revenue_rate(income) * exposure) / everything,
        "platform_income": jnp.sum(income * exposure) / everything,
    }


def _name_directors(moved: dict[str, Any], data: MovieLens, films: np.ndarray, incidence: Any) -> list[dict[str, Any]]:
    """Who gains and who loses most, each named by the film of theirs with the most ratings.

    The knowledge graph gives directors no names. Co-directors of one film would fill the list with it: one of them
    stands for all.
    """
    count = np.bincount(data.item, minlength=data.num_items)
    rows: dict[bool, dict[str, dict[str, Any]]] = {True: {}, False: {}}
    for creator, before, after in zip(moved["creator"], moved["before"], moved["after"], strict=True):
        own = films[incidence.item[incidence.creator == creator]]
        title = str(data.items["title"].iloc[own[np.argmax(count[own])]])
        rows[bool(after > before)].setdefault(title, {"film": title, "before": float(before), "after": float(after)})
    return [row for gains in (True, False) for row in list(rows[gains].values())[:SHOWN]]
