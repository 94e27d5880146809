"""The two markets: MovieLens-100k's users, films and directors, and Open Bandit's user segments and items.

Both have the same shapes where the settings say so, and then share what is compiled.

MovieLens holds no money: the platform's rate from a director is the logarithm of one plus the training ratings of the
director's films (an assumption). Open Bandit has neither names nor money. Its users are segments of like hashed
features, its creators item groups; relevance is the share of a segment who clicked an item before, income is clicks.
What the two logged policies showed is read off their propensities.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from numpy.typing import NDArray

from attnjax.allocation import Creators
from attnjax.data import Incidence, MovieLens, OpenBandit, creators, holdout_split
from attnjax.errors import fail
from attnjax.models import BiasedFactors, rating_error, rating_loss, relevance
from attnjax.training import fit
from experiments.pareto_fronts.problem import Sides

INIT, TRAIN = 1, 2
"""Streams of a seed's key."""

HELD_OUT = 0.2
"""The share of each user's ratings, and of each segment's rounds, that a seed does not see."""

ALIKE = 50
"""So many rounds of the average segment are added to those of each."""

CLICKLESS = 400
"""So many random rounds of the average item are added to those of each group: clicks are few."""

HASHES = [f"user_feature_{index}" for index in range(4)]


def movielens_sides(config: Any, seed: int, key: Any, data: MovieLens) -> Sides:
    """Draws users, fits relevance to 80 % of all ratings, and takes the films of those who directed most."""
    incidence, films = films_of(creators(data, "directed_by"), np.bincount(data.item), config.directors, config.films)
    users = np.sort(np.random.default_rng(seed).choice(data.num_users, config.users, replace=False))
    made = Creators.of(
        incidence.item,
        incidence.creator,
        incidence.weight,
        num_items=incidence.num_items,
        num_creators=incidence.num_creators,
    )
    model, params, train = _fit(config, seed, key, data)
    seen = np.bincount(data.item[train], minlength=data.num_items)[films].astype(np.float32)
    income = jnp.log1p(made.exposure(jnp.asarray(seen)))
    about_films = [params["item_factors"][films], params["item_bias"][films][:, None]]
    about_users = [params["user_factors"][users], params["user_bias"][users][:, None]]
    return Sides(
        relevance(model, params)[users][:, films],
        jnp.ones(users.size),
        made,
        income,
        jnp.concatenate(about_users, 1),
        jnp.concatenate([*about_films, *_about_creators(made, income)], 1),
        {},
    )


def open_bandit_sides(config: Any, seed: int, key: Any, logs: dict[str, OpenBandit]) -> Sides:
    """Reads relevance, clicks and logged exposure off 80 % of the rounds of the largest segments; the key is unused."""
    segment = np.split(segments_of(list(logs.values()), config.segments), [len(logs["random"].item)])
    rows = [_seen(within, seed) for within in segment]
    count = logs["random"].num_items
    at = np.concatenate([within[kept] for within, kept in zip(segment, rows, strict=True)])
    past, item, click, propensity = (
        np.concatenate([getattr(log, name)[kept] for log, kept in zip(logs.values(), rows, strict=True)])
        for name in ("affinity", "item", "click", "propensity")
    )
    rounds = np.bincount(at, minlength=config.segments)
    clicked = np.stack([np.bincount(at, past[:, i] > 0, minlength=config.segments) for i in range(count)], axis=1)
    scores = (clicked + ALIKE * clicked.sum(axis=0) / rounds.sum()) / (rounds + ALIKE)[:, None]
    group = logs["random"].item_features[:, 1]
    made = Creators.of(np.arange(count), group, num_items=count, num_creators=int(group.max()) + 1)
    income = jnp.asarray(click_rates(group[item], click, propensity, count), jnp.float32)
    left, _, right = np.linalg.svd(scores - scores.mean(axis=0), full_matrices=False)
    return Sides(
        jnp.asarray(scores, jnp.float32),
        jnp.asarray(rounds, jnp.float32),
        made,
        income,
        jnp.asarray(left[:, : config.factors + 1], jnp.float32),
        jnp.concatenate([jnp.asarray(right[: config.factors + 1].T, jnp.float32), *_about_creators(made, income)], 1),
        {
            policy: jnp.asarray(mean_propensity(log.item[kept], log.position[kept], log.propensity[kept], count))
            for (policy, log), kept in zip(logs.items(), rows, strict=True)
        },
    )


def films_of(incidence: Incidence, watched: NDArray, directors: int, films: int) -> tuple[Incidence, NDArray[np.int64]]:
    """The films with one known director, by those who have most of them: one of each, then the most watched.

    Args:
        incidence: who made what.
        watched: (items,), how often.
        directors: how many creators.
        films: how many items.

    Returns:
        Who made these, and their numbers.

    Raises:
        UserError: if these directors have fewer films, or one is to go without.
    """
    alone = incidence.item[incidence.weight == 1]
    maker = incidence.creator[incidence.weight == 1]
    most = np.argsort(-np.bincount(maker), kind="stable")[:directors]
    own = np.isin(maker, most)
    order = np.argsort(-watched[alone[own]], kind="stable")
    alone, maker = alone[own][order], maker[own][order]
    first = np.zeros(alone.size, bool)
    first[np.unique(maker, return_index=True)[1]] = True
    if not directors <= films <= alone.size:
        fail(
            "pareto_fronts",
            expected=f"{directors} to {alone.size} films: {directors} directors have no more",
            got=str(films),
            advice="Change the number of films or of directors.",
        )
    chosen = np.sort(np.concatenate([alone[first], alone[~first][: films - first.sum()]]))
    return incidence.select(chosen), chosen


def segments_of(logs: list[OpenBandit], count: int) -> NDArray[np.int64]:
    """Numbers the combinations of users' hashes by how many rounds they have, the largest first.

    Args:
        logs: whose rounds are numbered, one log after the other.
        count: how many combinations get a number.

    Returns:
        (all rounds,), from 0; -1 for the smaller ones.

    Raises:
        UserError: if there are fewer.
    """
    hashes = pd.concat([log.rounds[HASHES] for log in logs], ignore_index=True)
    segment = hashes.groupby(HASHES).ngroup().to_numpy()
    sizes = np.bincount(segment)
    if count > sizes.size:
        fail(
            "pareto_fronts",
            expected=f"at most {sizes.size} segments, as many as these logs have",
            got=str(count),
            advice="Ask for fewer.",
        )
    place = np.full(sizes.size, -1)
    place[np.argsort(-sizes, kind="stable")[:count]] = np.arange(count)
    return place[segment]


def click_rates(group: NDArray, click: NDArray, propensity: NDArray, items: int) -> NDArray[np.float64]:
    """Clicks per show of each group under uniformly random shows: (groups,).

    Each round counts 1 / propensity, as if the policy had been random, though no more than it counts where the policy
    was. Groups are drawn to the rate of all by `CLICKLESS` rounds.
    """
    weight = np.minimum(1 / propensity, items)
    rounds, clicks = np.bincount(group, weight), np.bincount(group, weight * click)
    prior = CLICKLESS * items
    return (clicks + prior * clicks.sum() / rounds.sum()) / (rounds + prior)


def mean_propensity(item: NDArray, position: NDArray, propensity: NDArray, items: int) -> NDArray[np.float32]:
    """A policy's propensity for each item, in the mean over rounds and slots, from those it logged: (items,), sum 1.

    The propensity p is on record only for what was shown, and so the oftener the larger it was. Over the rounds that
    show an item the mean of 1 / p is 1 over the mean of p in all rounds: in each slot

        exposure of i = n_i / sum over rounds that show i of 1 / p,     which sums to 1, but for chance

    and is divided by its sum. 0 for an item that is never in the slot.
    """
    slots = []
    for slot in np.unique(position):
        inside = position == slot
        shown = np.bincount(item[inside], minlength=items)
        inverse = np.bincount(item[inside], 1 / propensity[inside], minlength=items)
        exposure = np.divide(shown, inverse, out=np.zeros(items), where=shown > 0)
        slots.append(exposure / exposure.sum())
    return np.mean(slots, axis=0).astype(np.float32)


def _seen(segment: NDArray, seed: int) -> NDArray[np.int64]:
    """The rounds of one log that a seed sees: of each segment, but for those too small."""
    inside = np.flatnonzero(segment >= 0)
    return inside[holdout_split(segment[inside], HELD_OUT, seed).train]


def _about_creators(made: Creators, income: jax.Array) -> list[jax.Array]:
    """What an item brings the platform, and how much its creators have made: each (n, 1)."""
    works = made.exposure(jnp.ones(made.num_items))
    return [made.on_items(income)[:, None], made.on_items(jnp.log(works))[:, None]]


def _fit(config: Any, seed: int, key: Any, data: MovieLens) -> tuple[BiasedFactors, Any, np.ndarray]:
    """The relevance model of all users and films, its parameters, and the rows it was trained on."""
    outer = holdout_split(data.user, HELD_OUT, seed)

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
