"""A linear Gaussian model meta-learned through its own adaptation, which is a formula.

It starts as empirical Bayes fits it. Then, over tasks drawn from the users of training, as the protocol draws them,
offsets, features, noise and a tendency are changed to predict what is hidden after adaptation to what is shown,

    z ~ N(t, I) before an answer,        t = (1 / sqrt(k)) sum over the k items shown of y_i

so that which items a newcomer rated says something too, whatever the ratings (as in Koren 2008, SVD++). What is learned
is held back towards where it started, and how long to learn is for validation users to say.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from attnjax.evaluation.protocols import LIKE, Recommender, Support
from attnjax.evaluation.rating_baselines import Answers
from attnjax.meta import Adaptation, Learner, Tasks, learner, meta_iterations, meta_start
from attnjax.models import LinearGaussian, believe, expected, uncertainty
from experiments.cold_start.logs import padded

TRAIN = 11
"""Stream of a seed's key."""
BATCH, RATE, LONGEST = 64, 1e-3, 120
"""Tasks per iteration, the rate of Adam, and how many of a user's events a task is drawn from."""
CALL = 100
"""Iterations of one compiled call."""


class Theta(NamedTuple):
    """What is learned.

    Attributes:
        offset: (n,).
        features: (n, d).
        log_noise: scalar.
        tendency: (n, d), y; 0 at first.
    """

    offset: Float[Array, " n"]
    features: Float[Array, "n d"]
    log_noise: Float[Array, ""]
    tendency: Float[Array, "n d"]


class Events(NamedTuple):
    """A user's answers, or those of many; padded.

    Attributes:
        item: (..., t).
        value: (..., t).
        mask: (..., t).
    """

    item: Any
    value: Any
    mask: Any


def start(model: LinearGaussian) -> Theta:
    """What is learned, where empirical Bayes left it."""
    offset, features = jnp.asarray(model.offset), jnp.asarray(model.features)
    return Theta(offset, features, jnp.log(jnp.asarray(model.noise)), jnp.zeros_like(features))


def adapted(theta: Theta, shown: Events) -> tuple[LinearGaussian, Any]:
    """The model of one user and the belief in it, after the events shown."""
    weight = shown.mask / jnp.sqrt(jnp.maximum(jnp.sum(shown.mask), 1))
    shift = theta.features @ (weight @ theta.tendency[shown.item])
    model = LinearGaussian(theta.offset + shift, theta.features, jnp.exp(theta.log_noise))
    return model, believe(model, shown.item, shown.value, shown.mask)


def closed_form(first: Theta, hold: float) -> Learner:
    """The learner whose inner loop is the formula; `hold` is the weight of staying where it started."""

    def inner(theta: Theta, eta: None, shown: Events) -> tuple[Any, Adaptation]:
        del eta
        model, belief = adapted(theta, shown)
        finite = jnp.isfinite(belief.mean).all()
        return (model, belief, theta), Adaptation(jnp.zeros(1), jnp.float32(jnp.inf), ~finite, None)

    def judged(phi: Any, hidden: Events) -> Float[Array, ""]:
        model, belief, theta = phi
        error = jnp.where(hidden.mask, expected(model, belief)[hidden.item] - hidden.value, 0)
        moved = sum(jnp.mean((new - old) ** 2) for new, old in zip(theta, first, strict=True))
        return jnp.sum(error**2) / jnp.maximum(jnp.sum(hidden.mask), 1) + hold * moved

    return learner(inner, judged)


def meta_learned(
    data: Answers, model: LinearGaussian, *, iterations: tuple[int, ...], protocol: str, hold: float, seed: int
) -> dict[int, Theta]:
    """Meta-learns from where empirical Bayes left the model.

    Args:
        data: the answers of all users of training.
        model: the start.
        iterations: after how many to keep what is learned: rising multiples of `CALL`, the first 0.
        protocol: "rating" hides ten answers and shows the others; "replay" shows up to twenty and hides the others.
        hold: how much what is learned is held to the start.
        seed: of the tasks.

    Returns:
        What was learned after each of these numbers of iterations.
    """
    first, whole = start(model), Events(*padded(data, LONGEST, seed))
    enough = jnp.asarray(np.flatnonzero(whole.mask.sum(axis=1) > 12))
    whole = jax.tree.map(jnp.asarray, whole)

    def sample(key: Array) -> Tasks:
        of_users, of_places, of_counts = jax.random.split(key, 3)
        user = jax.random.choice(of_users, enough, (BATCH,))
        events = jax.tree.map(lambda leaf: leaf[user], whole)
        draw = jnp.where(events.mask, jax.random.uniform(of_places, events.mask.shape), 2.0)
        place = jnp.argsort(jnp.argsort(draw, axis=1), axis=1)
        shown = place >= 10 if protocol == "rating" else place < jax.random.randint(of_counts, (BATCH, 1), 0, 20)
        return Tasks(events._replace(mask=events.mask & shown), events._replace(mask=events.mask & ~shown))

    learned, optimizer = closed_form(first, hold), optax.adam(RATE)
    run = meta_iterations(learned, optimizer, sample, CALL)
    state, key = meta_start(learned, optimizer, first), jax.random.fold_in(jax.random.key(seed), TRAIN)
    kept = {0: first}
    while int(state.iteration) < iterations[-1]:
        state, _ = run(state, key)
        if int(state.iteration) in iterations:
            kept[int(state.iteration)] = state.meta.theta
    return kept


def recommender_of(theta: Theta, value: str, bonus: float) -> Recommender:
    """The recommender of what was learned; a bonus is paid for what is uncertain."""
    return Recommender(
        lambda support: _adapt_all(theta, support, value == "likes"),
        lambda state: _value_all(state, jnp.float32(bonus)),
    )


@functools.partial(jax.jit, static_argnums=2)
def _adapt_all(theta: Theta, support: Support, likes: bool) -> Any:
    said = (support.rating >= LIKE).astype(jnp.float32) if likes else support.rating
    return jax.vmap(adapted, in_axes=(None, 0))(theta, Events(support.item, said, support.mask))


@jax.jit
def _value_all(state: Any, bonus: Array) -> Array:
    return jax.vmap(lambda one: expected(*one) + bonus * uncertainty(*one))(state)
