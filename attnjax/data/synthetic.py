"""Markets whose truth is known: users' scores, creators' works, and logs drawn from the library's own allocation.

    s_ui = signal <x_u, y_i> / sqrt(factors) - popularity log(rank_i)         x_u, y_i standard normal
    a_u  = allocate(s_u, 1, regularizer, temperature)                         the true attention, sums to 1
    item of an interaction of user u:  i with probability a_ui

Popularity alone at temperature 1 gives Zipf's law, a_i proportional to rank^-popularity. Interactions of a user are
independent, at the moments of a Poisson process. Whoever learns attention from the log can be judged by the truth:
with many interactions the shares of a user's items converge to a_u, and an item's or creator's to its exposure.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from attnjax.allocation import Entropy, Regularizer, allocate
from attnjax.data.incidence import Incidence, make_incidence
from attnjax.errors import fail

TASTES, WORKS, LOG, TIMES = 1, 2, 3, 4
"""Streams of the key."""


@dataclasses.dataclass(frozen=True)
class SyntheticConfig:
    """Settings of a synthetic market.

    Attributes:
        users: how many, at least 1.
        items: how many, at least the creators.
        creators: how many; everyone has a work.
        interactions: how many each user has on average, above 0.
        factors: the length of users' and items' vectors, at least 1.
        signal: how much users differ in what they like, in units of score; 0 for not at all.
        popularity: Zipf's exponent of what all users like alike; 0 for none.
        productivity: Zipf's exponent of the creators' share of works; 0 for even shares.
        temperature: how much users value variety, above 0.
        regularizer: the shape of that preference; `SquaredNorm()` leaves most items without attention.
        days: over how long the log goes.
    """

    users: int = 200
    items: int = 100
    creators: int = 20
    interactions: float = 30.0
    factors: int = 8
    signal: float = 1.0
    popularity: float = 0.5
    productivity: float = 0.8
    temperature: float = 1.0
    regularizer: Regularizer = dataclasses.field(default_factory=Entropy)
    days: float = 365.0

    def __post_init__(self) -> None:
        counts = min(self.users, self.creators, self.factors) >= 1 and self.items >= self.creators
        shape = min(self.signal, self.popularity, self.productivity) >= 0
        if not (counts and shape and self.temperature > 0 and self.interactions > 0 and self.days > 0):
            fail(
                "SyntheticConfig",
                expected="users, creators and factors >= 1, items >= creators, exponents and signal >= 0, and "
                "temperature, interactions and days > 0",
                got=str(self),
                advice="Mend the settings.",
            )


class SyntheticMarket(NamedTuple):
    """The truth, and a log of it.

    Attributes:
        scores: (users, items) float32, s.
        attention: (users, items) float32, a; a row sums to 1.
        user_factors: (users, factors) float32, x.
        item_factors: (items, factors) float32, y.
        rank: (items,) int32, an item's place by popularity, from 1.
        creators: which creator made which item, one each.
        user: (rows,) int32, of each interaction; rows are in the order of time.
        item: (rows,) int32.
        timestamp: (rows,) int64, seconds.
    """

    scores: Array
    attention: Array
    user_factors: Array
    item_factors: Array
    rank: NDArray[np.int32]
    creators: Incidence
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    timestamp: NDArray[np.int64]


def synthetic_market(config: SyntheticConfig, key: Array) -> SyntheticMarket:
    """Draws a market and a log.

    What a user is, what an item is, who made it, and what was clicked come from streams of their own: a longer log is
    of the same market.

    Args:
        config: its settings.
        key: what it is drawn from.

    Returns:
        The market.

    >>> market = synthetic_market(SyntheticConfig(users=3, items=5, creators=2), jax.random.key(0))
    >>> market.attention.shape, bool(jnp.allclose(market.attention.sum(axis=1), 1)), market.creators.num_creators
    ((3, 5), True, 2)
    """
    of_users, of_items, of_ranks = jax.random.split(jax.random.fold_in(key, TASTES), 3)
    x = jax.random.normal(of_users, (config.users, config.factors))
    y = jax.random.normal(of_items, (config.items, config.factors))
    rank = 1 + jax.random.permutation(of_ranks, config.items)
    liking = config.signal / jnp.sqrt(1.0 * config.factors) * (x @ y.T)
    scores = liking - config.popularity * jnp.log(1.0 * rank)[None, :]
    attention = true_attention(scores, config)
    user, item, timestamp = draw_log(attention, config, key)
    return SyntheticMarket(
        scores=scores,
        attention=attention,
        user_factors=x,
        item_factors=y,
        rank=np.asarray(rank, np.int32),
        creators=_works(config, key),
        user=user,
        item=item,
        timestamp=timestamp,
    )


def true_attention(scores: Array, config: SyntheticConfig) -> Array:
    """How users with these scores spend one unit of attention each.

    Args:
        scores: (users, items).
        config: temperature and regulariser.

    Returns:
        (users, items), rows that sum to 1.
    """

    def one(scores: Array) -> Array:
        return allocate(scores, regularizer=config.regularizer, temperature=config.temperature).weights

    return jax.vmap(one)(scores)


def draw_log(
    attention: Array, config: SyntheticConfig, key: Array
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Draws interactions of users who spend their attention so.

    Args:
        attention: (users, items), rows that sum to 1.
        config: `interactions` per user on average, and `days`.
        key: what it is drawn from, by the streams `LOG` and `TIMES`.

    Returns:
        User, item and timestamp of each, in the order of time.
    """
    users, items = attention.shape
    clicks, moments = _generator(key, LOG), _generator(key, TIMES)
    count = moments.poisson(config.interactions, users)
    user = np.repeat(np.arange(users), count)
    share = np.asarray(attention, np.float64)
    upto = np.cumsum(share, axis=1) / share.sum(axis=1, keepdims=True)
    draw = clicks.random(len(user))
    item = np.empty(len(user), np.int64)
    for one, begin, end in zip(range(users), np.cumsum(count) - count, np.cumsum(count), strict=True):
        item[begin:end] = np.searchsorted(upto[one], draw[begin:end], side="right")
    last = items - 1 - np.argmax(share[:, ::-1] > 0, axis=1)  # where rounding leaves the sum below 1
    item = np.minimum(item, last[user])
    timestamp = (moments.random(len(user)) * config.days * 86_400).astype(np.int64)
    order = np.lexsort((item, user, timestamp))
    return user[order].astype(np.int32), item[order].astype(np.int32), timestamp[order]


def _works(config: SyntheticConfig, key: Array) -> Incidence:
    """Who made what: one work for everyone, the rest by Zipf's law, over items in random order."""
    generator = _generator(key, WORKS)
    appeal = np.arange(1.0, config.creators + 1) ** -config.productivity
    drawn = generator.choice(config.creators, config.items - config.creators, p=appeal / appeal.sum())
    creator = np.concatenate([np.arange(config.creators), drawn])
    names = [f"creator {c}" for c in range(config.creators)]
    return make_incidence(generator.permutation(config.items), creator, names, config.items)


def _generator(key: Array, stream: int) -> np.random.Generator:
    """NumPy's generator of a stream: logs have no fixed shape, which JAX would compile for."""
    return np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(key, stream))))
