"""The model of `next_item`: `UserAttention` trained to name what is hidden of a history.

Targets are drawn anew each time a user comes up, as the split that is judged draws them: by time the events behind a
random one of the user's last, with what was before as history; at random any events, with all others as history. Links
between items are EASE's, without what the user has put into them (`attnjax.models.without_own`), so that training does
not see its targets through them; they are not trained. Before judging, links are fitted to all that is known.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array
from numpy.typing import NDArray

from attnjax.allocation import Tsallis
from attnjax.models import (
    PAD,
    SOFTMAX,
    AttentionRule,
    History,
    OwnPart,
    TransformerEncoder,
    UserAttention,
    ease_links_and_own,
    warm_start,
)
from attnjax.training import fit, named
from experiments.next_item.baselines import judge
from experiments.next_item.logs import About, Events, Log, Parts, events, matrix, targets

INIT, TRAIN = 1, 2
"""Streams of a seed's key."""

RULES = {"allocation": AttentionRule(Tsallis(1.5)), "softmax": SOFTMAX, "no_links": AttentionRule(Tsallis(1.5))}
"""How each variant of the model spends attention over a history."""

GAIN = 1.5
"""What a unit of the logarithm of EASE's scores is worth in log odds before training."""


SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much of what training changed may be kept."""


class Inputs(NamedTuple):
    """What users' scores are made of, on the device.

    Attributes:
        events: histories.
        about: users and films.
        links: (n, n), or None.
        own: what each user has put into them, or None.
    """

    events: Events
    about: About
    links: Array | None
    own: OwnPart | None

    def history(self, user: Array, seen: Events | None = None) -> History:
        """The histories of some users, or what of them is `seen`."""
        shown = Events(*(jnp.asarray(x)[user] for x in self.events)) if seen is None else seen
        who = (jnp.asarray(self.about.categories)[user], jnp.asarray(self.about.numbers)[user])
        return History(shown.items, shown.ratings, shown.times, *who)


class Shown(NamedTuple):
    """Inputs made of the rows that are learned from, and of all that are known when judging."""

    learned: Inputs
    known: Inputs


class Trained(NamedTuple):
    """A trained model.

    Attributes:
        scores: (users, items), when all that is known has been shown.
        share: how much of what training changed was kept, one of `SHARES`.
        best: validation nDCG with that.
        validation: the same before training, and after each epoch.
        losses: of each epoch.
    """

    scores: NDArray[np.float32]
    share: float
    best: float
    validation: list[float]
    losses: list[float]


def train(config: Any, key: Array, log: Log, parts: Parts, shown: Shown, split: str, variant: str) -> Trained:
    """Trains a variant on `parts.train`, stops by `parts.validation`, and scores from all that is known.

    The links are EASE's; with `max_epochs` 0 the model stays at its start, as EASE ranks. Of the change from
    the start to the best epoch the share is kept that does best on validation: none where that is not better than the
    start by a standard error over users.
    """
    about = shown.learned.about
    model = model_of(config, log.num_items, about.sizes, variant)
    inputs, known = (of if model.links else of._replace(links=None, own=None) for of in shown)
    few = inputs.history(jnp.arange(2))
    # Fresh parameters are the same whatever the rule, and so is the program that draws them.
    drawn = model_of(config, log.num_items, about.sizes, "softmax" if model.links else variant)
    params = _fresh(drawn, jax.random.fold_in(key, INIT), few, about.films)
    seen = matrix(log, parts.train)
    params = warm_start(params, jnp.asarray(seen))
    if model.links:
        del params["links"]
        params = {**params, "item_bias": 0 * params["item_bias"], "link_gain": jnp.float32(GAIN)}
    users, wanted = np.arange(log.num_users), targets(log, parts.validation)
    kept: list[Any] = [params]
    measures: list[float] = []
    losses: list[float] = []
    if config.max_epochs:
        loss, measure, optimizer = _training(config, model, split)
        found = fit(
            Partial(loss, inputs),
            Partial(measure, inputs),
            params,
            optimizer,
            {"user": np.repeat(users, config.draws)},
            {"user": users, "target": wanted},
            key=jax.random.fold_in(key, TRAIN),
            batch_size=config.batch_size,
            max_epochs=config.max_epochs,
            patience=config.patience,
            stochastic=True,
        )
        kept = [_between(params, found.params, share) for share in SHARES]
        measures, losses = found.measures, found.losses
    reached = [judge(score(model, one, inputs), seen, wanted, config.at).ndcg for one in kept]
    best = _clearly_best(reached)
    validation = [float(reached[0].mean()), *(-value for value in measures)]
    return Trained(score(model, kept[best], known), SHARES[best], float(reached[best].mean()), validation, losses)


def _clearly_best(reached: Sequence[Any]) -> int:
    """Which of several has the highest mean over users, or the first, if that is not a standard error better."""
    best = int(np.argmax([one.mean() for one in reached]))
    gain = np.asarray(reached[best] - reached[0], np.float64)
    return best if gain.mean() > gain.std() / np.sqrt(len(gain)) else 0


def _between(start: Any, end: Any, share: float) -> Any:
    return jax.tree.map(lambda old, new: old + share * (new - old), start, end)


@functools.partial(jax.jit, static_argnums=0)
def _fresh(model: UserAttention, key: Array, history: History, films: NDArray[np.float32]) -> Any:
    return model.init(key, history, films)["params"]


def model_of(config: Any, num_items: int, sizes: tuple[int, ...], variant: str) -> UserAttention:
    """A variant of the model; see `RULES`."""
    encoder = TransformerEncoder(
        config.features,
        num_heads=2,
        rule=RULES[variant],
        causal=True,
        max_length=config.window,
        time_unit=3600.0,
        dropout=config.dropout,
        only_last=True,
    )
    return UserAttention(
        num_items,
        config.features,
        sizes,
        window=config.window,
        encoder=encoder,
        links=variant != "no_links",
        unknown_rate=config.unknown_rate,
    )


def shown_of(log: Log, parts: Parts, about: About, l2: float) -> Shown:
    """What all variants of the model are shown, with links at an l2."""
    length = int(np.bincount(log.user).max())

    def inputs(rows: NDArray) -> Inputs:
        links, own = ease_links_and_own(matrix(log, rows), l2)
        return Inputs(events(log, rows, length), about, jnp.asarray(links, jnp.float32), own)

    return Shown(inputs(parts.train), inputs(parts.known))


def score(model: UserAttention, params: Any, inputs: Inputs, at_once: int = 128) -> NDArray[np.float32]:
    """Scores of all items for all users, by everything in their histories."""
    users = len(inputs.events.items)
    padded = np.minimum(np.arange(-(-users // at_once) * at_once), users - 1).reshape(-1, at_once)
    on_device = jax.tree.map(jnp.asarray, inputs)
    return np.concatenate([np.asarray(_scores(model, params, on_device, some)) for some in padded])[:users]


@functools.partial(jax.jit, static_argnums=0)
def _scores(model: UserAttention, params: Any, inputs: Inputs, user: Array) -> Array:
    return _spend(model, params, inputs, user).scores


def _spend(model: UserAttention, params: Any, inputs: Inputs, user: Array, **more: Any) -> Any:
    own = None if inputs.own is None else OwnPart(*(jnp.asarray(part)[user] for part in inputs.own))
    links = {} if inputs.links is None else {"links": inputs.links}
    history = more.pop("history", None) or inputs.history(user)
    return model.apply({"params": {**params, **links}}, history, inputs.about.films, own=own, **more)


@functools.cache
def _training(
    config: Any, model: UserAttention, split: str
) -> tuple[Callable[..., Array], Callable[..., Array], optax.GradientTransformation]:
    """Loss, measure and optimizer: the same objects for all seeds, so that they share one program."""
    rate = config.time_rate if split == "time" else config.random_rate
    optimizer = optax.adamw(rate, weight_decay=config.weight_decay, mask=lambda tree: named(tree, "kernel|table"))
    return _loss(config, model, split), functools.partial(_negative_ndcg, model, config.at), optimizer


def _loss(config: Any, model: UserAttention, split: str) -> Callable[..., Array]:
    """Cross entropy of the items that were hidden, among all that are not in the history shown."""

    def loss(inputs: Inputs, params: Any, batch: dict[str, Array], key: Array) -> Array:
        of_events, of_noise = jax.random.split(key)
        user = batch["user"]
        whole = Events(*(jnp.asarray(x)[user] for x in inputs.events))
        hide = _hide_later if split == "time" else _hide_some
        shown, hidden = hide(of_events, whole, config.ahead, config.recent)
        spent = _spend(
            model,
            params,
            inputs,
            user,
            history=inputs.history(user, shown),
            admissible=_counts(shown.items, model.num_items) == 0,
            deterministic=False,
            rngs={"dropout": of_noise},
        )
        wanted = _counts(hidden, model.num_items)
        logs = jnp.where(wanted > 0, jax.nn.log_softmax(spent.scores), 0)
        return -jnp.mean(jnp.sum(wanted * logs, axis=-1) / jnp.maximum(jnp.sum(wanted, axis=-1), 1))

    return loss


def _hide_later(key: Array, whole: Events, ahead: int, recent: int) -> tuple[Events, Array]:
    """A random one of the last `recent` events and the next are hidden, `ahead` in all, and all behind them unknown."""
    users, length = whole.items.shape
    count = jnp.sum(whole.items != PAD, axis=1)
    back = 1 + jnp.floor(jax.random.uniform(key, (users,)) * jnp.minimum(recent, count)).astype(jnp.int32)
    place = jnp.arange(length)[None, :] - back[:, None]
    shown = [jnp.take_along_axis(x, jnp.maximum(place, 0), axis=1) for x in whole]
    cut = (length - back)[:, None] + jnp.arange(ahead)[None, :]
    hidden = jnp.take_along_axis(whole.items, jnp.minimum(cut, length - 1), axis=1)
    return (
        Events(jnp.where(place >= 0, shown[0], PAD), *shown[1:]),
        jnp.where(cut < length, hidden, PAD),
    )


def _hide_some(key: Array, whole: Events, ahead: int, recent: int) -> tuple[Events, Array]:
    """Events drawn at random, `ahead` at most, are hidden; the others stay where they are."""
    del recent
    users, length = whole.items.shape
    count = jnp.sum(whole.items != PAD, axis=1)
    draw = jnp.floor(jax.random.uniform(key, (users, ahead)) * count[:, None]).astype(jnp.int32)
    place = length - 1 - draw
    hidden = jnp.take_along_axis(whole.items, place, axis=1)
    gone = jnp.any(place[:, :, None] == jnp.arange(length)[None, None, :], axis=1)
    return whole._replace(items=jnp.where(gone, PAD, whole.items)), hidden


def _counts(items: Array, num_items: int) -> Array:
    """How often each item stands in each row; padding is not counted."""
    rows = jnp.arange(items.shape[0])[:, None]
    none = jnp.zeros((items.shape[0], num_items + 1))
    return none.at[rows, jnp.where(items == PAD, num_items, items)].add(1)[:, :num_items]


def _negative_ndcg(model: UserAttention, at: int, inputs: Inputs, params: Any, batch: dict[str, Array]) -> Array:
    """Less the mean nDCG of the targets, among what is not in the history; a tie counts as better."""
    user, target = batch["user"], batch["target"]
    seen = _counts(jnp.asarray(inputs.events.items)[user], model.num_items) > 0
    scores = _spend(model, params, inputs, user, admissible=~seen).scores
    own = jnp.take_along_axis(scores, target[:, None], axis=1)
    place = jnp.sum(scores >= own, axis=1)
    return -jnp.mean(jnp.where(place <= at, 1 / jnp.log2(place + 1.0), 0))
