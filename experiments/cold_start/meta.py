"""Meta-learning for the adaptation curve, on top of the best affine adaptation.

All kinds (`experiments.cold_start.kinds`) add to log softplus of the affine adaptation's scores: before learning and
inner steps they rank as it does, which before the first interaction is by popularity. The maps that a user of training
sees were fitted without that user, as a newcomer's are. Tasks are drawn as the protocol draws newcomers: of a random
order the first n are shown, and the likes after the twentieth are to be named among all but the first twenty. The loss
is their cross entropy; the inner loop's that of the likes among those shown.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from numpy.typing import NDArray

from attnjax.evaluation.protocols import LIKE, Recommender, Support
from attnjax.meta import Meta, Tasks, meta_iterations, meta_start
from attnjax.models import AffineAdaptation, Behaviour, affine_adaptation
from experiments.cold_start.kinds import Asked, Model, Shown, behaviour_of, model_of
from experiments.cold_start.logs import Learned, padded

INIT, TRAIN = 21, 22
"""Streams of a seed's key."""
PARTS = 4
"""In how many parts users of training are cut, so that each has maps fitted to the others."""
BATCH, CALL, LONGEST = 16, 50, 200
"""Tasks per iteration, iterations of one compiled call, and how many of a user's events a task is drawn from."""
META_RATE, WEIGHT_DECAY = 2e-3, 1e-3
FLOOR = 0.02
"""How large an affine score is for an item to stand out."""


class Maps(NamedTuple):
    """Affine adaptations on the device, one per part of the users and number of events.

    Attributes:
        after: (k,).
        row: (parts, 2 items), the row of an event's column in the weights; the last row is 0.
        offsets: (parts, k, items).
        weights: (parts, k, rows + 1, items).
    """

    after: Any
    row: Any
    offsets: Any
    weights: Any

    def prior(self, part: Any, behaviour: Behaviour) -> Float[Array, " n"]:
        """log softplus of the affine scores of one user, so that they are like log probabilities."""
        items = self.offsets.shape[-1]
        which = jnp.searchsorted(self.after, jnp.sum(behaviour.mask), side="right") - 1
        column = behaviour.item + jnp.where(behaviour.rating > 0, 0, items)
        row = jnp.where(behaviour.mask, self.row[part, column], self.weights.shape[2] - 1)
        told = self.offsets[part, which] + jnp.sum(self.weights[part, which, row], axis=0)
        return jnp.log(jax.nn.softplus(told / FLOOR))


def on_device(maps: list[AffineAdaptation]) -> Maps:
    """Maps fitted to several parts of the users."""
    items, rows = maps[0].offsets.shape[1], max(len(one.columns) for one in maps)
    row = np.full((len(maps), 2 * items), rows, np.int32)
    weights = np.zeros((len(maps), len(maps[0].after), rows + 1, items), np.float32)
    for part, one in enumerate(maps):
        row[part, one.columns] = np.arange(len(one.columns))
        weights[part, :, : len(one.columns)] = one.weights
    offsets = np.stack([one.offsets for one in maps])
    return Maps(*(jnp.asarray(x) for x in (np.array(maps[0].after), row, offsets, weights)))


def meta_learned(
    learned: Learned,
    *,
    kind: str,
    after: tuple[int, ...],
    l2: float,
    iterations: tuple[int, ...],
    diversity: float = 0.0,
) -> tuple[Model, Maps, dict[int, Meta]]:
    """Fits the affine maps and meta-learns on top of them.

    Args:
        learned: users of training.
        kind: one of `experiments.cold_start.kinds.KINDS`.
        after: the numbers of events, rising, the first 0.
        l2: of the maps.
        iterations: after how many to keep what is learned: rising multiples of `CALL`, the first 0.
        diversity: as in `model_of`.

    Returns:
        The model, the maps fitted to all users, and what was learned.
    """
    key = jax.random.key(learned.seed)
    model = model_of(kind, learned, jax.random.fold_in(key, INIT), diversity)
    sample = _sampler(learned, after, l2)
    optimizer = optax.adamw(META_RATE, weight_decay=WEIGHT_DECAY)
    run = meta_iterations(model.learner, optimizer, sample, CALL)
    state, key = meta_start(model.learner, optimizer, model.theta), jax.random.fold_in(key, TRAIN)
    kept = {0: state.meta}
    while int(state.iteration) < iterations[-1]:
        state, _ = run(state, key)
        if int(state.iteration) in iterations:
            kept[int(state.iteration)] = state.meta
    return model, _maps(learned, after, l2)[1], kept


@functools.lru_cache(maxsize=2)
def _maps(learned: Learned, after: tuple[int, ...], l2: float) -> tuple[Maps, Maps, NDArray[np.int64]]:
    """Maps fitted without each part of the users, maps fitted to all, and users' parts: the same for all kinds."""
    dealt = np.random.default_rng(learned.seed).permutation(len(learned.liked)) % PARTS
    of = [dealt != k for k in range(PARTS)]
    parts = [affine_adaptation(learned.liked[some], learned.others[some], after, l2) for some in of]
    return on_device(parts), on_device([affine_adaptation(learned.liked, learned.others, after, l2)]), dealt


def _sampler(learned: Learned, after: tuple[int, ...], l2: float) -> Any:
    """Draws tasks from users of training, each seen through maps that were fitted to users of other parts."""
    pool = after[-1]
    maps, _, dealt = _maps(learned, after, l2)
    events = padded(learned.stars, LONGEST, learned.seed)
    enough = jnp.asarray(np.flatnonzero((events[2].sum(axis=1) > pool + 5) & (learned.liked.sum(axis=1) > 5)))
    item, rating, mask, part = (jnp.asarray(x) for x in (*events, dealt))
    lengths = jnp.asarray(after[1:])

    def one(user: Array, key: Array) -> Tasks:
        of_order, of_length = jax.random.split(key)
        order = jnp.argsort(jnp.where(mask[user], jax.random.uniform(of_order, (LONGEST,)), 2.0))
        items, stars, held = item[user][order], rating[user][order], mask[user][order]
        first = jnp.arange(pool) < jax.random.choice(of_length, lengths)
        behaviour = behaviour_of(items[:pool], stars[:pool], held[:pool] & first)
        liked = (behaviour.mask & (stars[:pool] >= LIKE)).astype(jnp.float32)
        shown = Shown(behaviour, liked, maps.prior(part[user], behaviour))
        none = jnp.zeros(learned.num_items, bool)
        later = none.at[items[pool:]].max(held[pool:] & (stars[pool:] >= LIKE))
        return Tasks(shown, Asked(shown, ~none.at[items[:pool]].set(True), later))

    def sample(key: Array) -> Tasks:
        of_users, of_tasks = jax.random.split(key)
        return jax.vmap(one)(jax.random.choice(of_users, enough, (BATCH,)), jax.random.split(of_tasks, BATCH))

    return sample


def shown_of(maps: Maps, support: Support) -> Shown:
    """What a model is given of a newcomer, seen through the maps that were fitted to all users of training."""
    behaviour = behaviour_of(support.item, support.rating, support.mask)
    liked = (support.mask & (support.rating >= LIKE)).astype(jnp.float32)
    return Shown(behaviour, liked, maps.prior(0, behaviour))


def reader(model: Model, maps: Maps) -> Callable[[Meta], Recommender]:
    """From what was learned to a recommender: adapts to a support, then scores all items; compiled once for all."""

    def adapt(meta: Meta, maps: Maps, support: Support) -> tuple[Any, Shown]:
        shown = shown_of(maps, support)
        phi, _ = model.learner.adapt(meta, shown)
        return phi, shown

    adapt_all = jax.jit(jax.vmap(adapt, in_axes=(None, None, 0)))
    scores_all = jax.jit(jax.vmap(lambda state: model.scores(*state)))
    return lambda meta: Recommender(functools.partial(adapt_all, meta, maps), scores_all)
