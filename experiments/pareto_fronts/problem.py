"""The three parties' problem on MovieLens-100k: a linear market, so that linear programming is at home in it, too.

    users       mean relevance of what they look at, 0 to 1
    creators    the exposure of the director who has least, over an equal share: 0 to 1
    platform    income per unit of attention at rates p_j = log(1 + training ratings), scaled to mean 1 (an assumption)

All are per unit of attention and to be maximised. Without a preference for variety the optimum of a weighting is that
of a linear program with one variable more, the least exposure.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from attnjax.allocation import Creators, Market, MaxMin, welfare_of
from attnjax.data import MovieLens, creators, holdout_split
from attnjax.models import BiasedFactors, rating_error, rating_loss, relevance
from attnjax.training import fit

INIT, TRAIN = 1, 2
"""Streams of a seed's key."""


class Problem(NamedTuple):
    """The market, and what a network may know of its two sides.

    Attributes:
        market: temperature 0, `MaxMin` of directors' exposure.
        users: (u, f), the relevance model's factors and bias of each user.
        films: (n, g), those of each film, its income rate and how many films its director has here.
    """

    market: Market
    users: Float[Array, "u f"]
    films: Float[Array, "n g"]


def make_problem(config: Any, seed: int, key: Array, data: MovieLens) -> Problem:
    """Splits the ratings by the seed, fits relevances to 80 % of them, and sets up the market."""
    directed = creators(data, "directed_by")
    known = np.flatnonzero(directed.covered())
    watched = np.bincount(data.item, minlength=data.num_items)
    films = np.sort(known[np.argsort(-watched[known], kind="stable")[: config.films]])
    users = np.sort(np.argsort(-np.bincount(data.user, minlength=data.num_users), kind="stable")[: config.users])
    incidence = directed.select(films)
    made = Creators.of(
        incidence.item,
        incidence.creator,
        incidence.weight,
        num_items=incidence.num_items,
        num_creators=incidence.num_creators,
    )
    model, params, train = _fit(config, seed, key, data)
    count = np.bincount(data.item[train], minlength=data.num_items)[films].astype(np.float32)
    income = jnp.log1p(made.exposure(jnp.asarray(count)))
    income = income / jnp.mean(income)
    scores = relevance(model, params)[users][:, films]
    least = MaxMin(jnp.full(made.num_creators, float(made.num_creators)))
    market = Market.of(scores, made, least, platform_rates=income, temperature=0.0)
    works = made.exposure(jnp.ones(films.size))
    about_films = [params["item_factors"][films], params["item_bias"][films][:, None]]
    about_films += [made.on_items(income)[:, None], made.on_items(jnp.log(works))[:, None]]
    about_users = [params["user_factors"][users], params["user_bias"][users][:, None]]
    return Problem(market, _standard(jnp.concatenate(about_users, 1)), _standard(jnp.concatenate(about_films, 1)))


def gains_of(market: Market, attention: Float[Array, "u n"]) -> Float[Array, " 3"]:
    """What users, creators and the platform get per unit of attention."""
    parts = welfare_of(market, attention)
    return jnp.stack([parts.satisfaction, parts.creators, parts.platform]) / jnp.sum(market.budgets)


def _standard(columns: Float[Array, "k f"]) -> Float[Array, "k f"]:
    return (columns - jnp.mean(columns, axis=0)[None]) / (jnp.std(columns, axis=0) + 1e-6)[None]


def _fit(config: Any, seed: int, key: Array, data: MovieLens) -> tuple[BiasedFactors, Any, np.ndarray]:
    """The relevance model of all users and films, its parameters, and the rows it was trained on."""
    outer = holdout_split(data.user, 0.2, seed)

    def rows(part: np.ndarray) -> dict[str, jax.Array]:
        return {name: jnp.asarray(getattr(data, name)[part]) for name in ("user", "item", "rating")}

    model = BiasedFactors(data.num_users, data.num_items, config.factors, float(data.rating[outer.train].mean()))
    none = jnp.zeros(1, jnp.int32)
    found = fit(
        rating_loss(model, 0.1),
        rating_error(model),
        model.init(jax.random.fold_in(key, INIT), none, none)["params"],
        optax.adam(0.01),
        rows(outer.train),
        rows(outer.test),
        key=jax.random.fold_in(key, TRAIN),
        batch_size=4000,
        max_epochs=15,
        patience=3,
    )
    return model, found.params, outer.train
