"""What is timed: `recommend`, one user at a time and many at once."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from attnjax.data import load_movielens_100k
from attnjax.models import PAD, History, UserAttention
from experiments.next_item import Config
from experiments.next_item.logs import About, Events, about, events, log_of, parts_of
from experiments.next_item.model import model_of

LENGTH, TOP, AT_ONCE = 200, 10, 500
"""The latest events that are shown, how many items are recommended, and for how many users at once in a batch."""


class Setting(NamedTuple):
    """A model with histories to recommend for."""

    model: UserAttention
    params: Any
    about: About
    events: Events

    def history(self, user: Any) -> History:
        """Some users' histories, in host memory."""
        items, ratings, times = (column[user] for column in self.events)
        return History(items, ratings, times, self.about.categories[user], self.about.numbers[user])


def setting(users: int = 943) -> Setting:
    """The paper preset's model, untrained, and MovieLens' histories by time."""
    data = load_movielens_100k()
    log = log_of(data, users)
    parts = parts_of(log, "time", 0)
    known = about(data, log, parts)
    model = model_of(Config(), log.num_items, known.sizes, "allocation")
    shown = events(log, parts.known, LENGTH)
    none = Setting(model, None, known, shown)
    params = jax.jit(model.init)(jax.random.key(0), none.history(np.arange(2)), known.films)
    return none._replace(params=params)


def recommender(of: Setting) -> Callable[[History], Int[Array, "*batch k"]]:
    """The compiled function from histories to the best unseen items, best first."""
    films = jnp.asarray(of.about.films)

    def recommend(params: Any, history: History) -> Array:
        scores = of.model.apply(params, history, films).scores  # type: ignore[union-attr]
        flat, items = scores.reshape(-1, scores.shape[-1]), history.items.reshape(-1, history.items.shape[-1])
        places = jnp.where(items == PAD, flat.shape[-1], items)
        # One more column takes the padding.
        open_ = jnp.pad(flat, ((0, 0), (0, 1))).at[jnp.arange(len(items))[:, None], places].set(-jnp.inf)[:, :-1]
        return jax.lax.top_k(open_, TOP)[1].reshape(*scores.shape[:-1], TOP)

    compiled = jax.jit(recommend)
    params = jax.device_put(of.params)
    return lambda history: compiled(params, history)


def one_user(of: Setting, calls: int) -> dict[str, float]:
    """Milliseconds of single recommendations, each of another history."""
    recommend = recommender(of)
    rows = [of.history(k % len(of.events.items)) for k in range(calls)]
    for row in rows[:20]:
        np.asarray(recommend(row))
    taken = []
    for row in rows:
        begin = time.perf_counter()
        np.asarray(recommend(row))
        taken.append(1e3 * (time.perf_counter() - begin))
    return {"p50_ms": float(np.percentile(taken, 50)), "p99_ms": float(np.percentile(taken, 99)), "calls": calls}


def batch(of: Setting, users: int, repeats: int = 5) -> dict[str, float]:
    """Users per second when so many are recommended to, in pieces of `AT_ONCE`; the median of the repeats."""
    recommend = recommender(of)
    whole = of.history(np.arange(users) % len(of.events.items))
    pieces = [jax.tree.map(lambda x, k=k: x[k : k + AT_ONCE], whole) for k in range(0, users, AT_ONCE)]
    for piece in {len(piece.items): piece for piece in pieces}.values():
        np.asarray(recommend(piece))
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        # All pieces are handed over before the first answer is fetched, so that no core waits for another's piece.
        for found in [recommend(piece) for piece in pieces]:
            np.asarray(found)
        taken.append(time.perf_counter() - begin)
    return {"users_per_second": users / float(np.median(taken)), "users": users, "seconds": float(np.median(taken))}
