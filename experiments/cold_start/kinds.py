"""The meta-learners of the adaptation curve: what each starts from, what of it adapts, and how it is learned.

    context         scores V c + b: a context c of few numbers adapts, by CAVIA with learned rates
    decision        the three networks (`attnjax.models.ThreeNetworks`); the layers of the policy network adapt, as in
                    MeLU, by Meta-SGD
    anil            the three networks; the policy network's last layer adapts
    reptile         the three networks; all of them adapt, to all of a user's likes in training, and the start follows
    recurrent       RL^2 offline: the memory of a recurrent network is all that adapts, and says which V c is
    no_inner_loop   the three networks, trained on the same tasks; nothing adapts but by what the user network reads
    fine_tuned      the same training, without meta-learning; then gradient steps on what a newcomer liked

All add to a given score per item (`Shown.prior`).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from attnjax.evaluation.protocols import LIKE
from attnjax.meta import Adaptation, InContext, Learner, Meta, Tasks, inner_loop, learned_rates, learner, log_rates
from attnjax.meta import reptile as reptile_learner
from attnjax.models import Behaviour, ThreeNetworks
from attnjax.models.policies import GRUPolicy
from experiments.cold_start.logs import Learned

KINDS = ("decision", "context", "anil", "reptile", "recurrent", "no_inner_loop", "fine_tuned")
FEATURES, MEMORY = 12, 24
"""Widths of representations, and of the recurrent network's memory."""
STEPS, INNER_RATE, TUNING_STEPS = 2, 0.05, 5
"""Inner steps and their first rate; steps of `fine_tuned`, whose rate is chosen by validation."""


class Shown(NamedTuple):
    """What a model is given of a user.

    Attributes:
        behaviour: the first n events.
        liked: (t,) 1 at a like among them.
        prior: (items,), the start's scores.
    """

    behaviour: Behaviour
    liked: Float[Array, " t"]
    prior: Float[Array, " n"]


class Asked(NamedTuple):
    """What is to be named: `shown`, which items are open, and which were liked later."""

    shown: Shown
    open: Any
    later: Any


class Model(NamedTuple):
    """A kind of meta-learner: how it starts, its scores, its learner."""

    theta: Any
    scores: Any
    learner: Learner


def behaviour_of(item: Any, rating: Any, mask: Any) -> Behaviour:
    """Events without times, which protocols do not give; a like is above 0."""
    relative = jnp.where(mask, rating - (LIKE - 0.5), 0).astype(jnp.float32)
    return Behaviour(item, relative, jnp.zeros_like(relative), mask)


def model_of(kind: str, learned: Learned, key: Array, diversity: float = 0.0) -> Model:
    """A model at its start.

    Args:
        kind: one of `KINDS`.
        learned: users of training.
        key: of the first parameters.
        diversity: the weight, in the loss of training, of how alike the genres of two recommendations are.
    """
    worth = functools.partial(_query_loss, _genres(learned), diversity)
    if kind == "context":
        return _context(learned, key, worth)
    if kind == "recurrent":
        return _recurrent(learned, key, worth)
    return _networks(kind, learned, key, worth)


def _context(learned: Learned, key: Array, worth: Any) -> Model:
    theta = _linear(learned, key)

    def scores(phi: InContext, shown: Shown) -> Array:
        return _of_vector(phi.shared, phi.context, shown)

    loop = inner_loop(functools.partial(_support_loss, scores), learned_rates, STEPS, adapt="context")
    zero = jnp.zeros(FEATURES)

    def inner(theta: Any, eta: Any, shown: Shown) -> Any:
        return loop(InContext(theta, zero), eta, shown)

    def init(theta: Any) -> Meta:
        return Meta(theta, log_rates(InContext(theta, zero), INNER_RATE, per="parameter", adapt="context"))

    return Model(theta, scores, learner(inner, functools.partial(worth, scores), init))


def _recurrent(learned: Learned, key: Array, worth: Any) -> Model:
    of_items, of_network = jax.random.split(key)
    network = GRUPolicy(FEATURES, MEMORY)
    seen = jnp.zeros(2 * FEATURES + 2)
    theta = _linear(learned, of_items) | {"network": network.init(of_network, network.initial(), seen)}

    def scores(phi: Any, shown: Shown) -> Array:
        behaviour = shown.behaviour

        def one(memory: Array, event: Any) -> tuple[Array, None]:
            item, rating, held = event
            features = phi["items"][item]
            seen = jnp.concatenate([features, rating * features, jnp.stack([rating, jnp.float32(1)])])
            return jnp.where(held, network.apply(phi["network"], memory, seen)[0], memory), None

        events = (behaviour.item, behaviour.rating, behaviour.mask)
        memory, _ = jax.lax.scan(one, network.initial(), events)
        # What it would do now, without an event: the last entry says that there is none.
        acted: Any = network.apply(phi["network"], memory, jnp.zeros_like(seen))[1]
        return _of_vector(phi, acted.actions, shown)

    return Model(theta, scores, learner(_nothing_adapts, functools.partial(worth, scores)))


def _networks(kind: str, learned: Learned, key: Array, worth: Any) -> Model:
    network, about = ThreeNetworks(learned.num_items, FEATURES), jnp.asarray(learned.features, jnp.float32)
    nothing = behaviour_of(jnp.zeros(2, jnp.int32), jnp.zeros(2), jnp.zeros(2, bool))
    theta = network.init(key, nothing, about)["params"]

    def scores(phi: Any, shown: Shown) -> Array:
        found: Any = network.apply({"params": phi}, shown.behaviour, about, prior=shown.prior)
        return found.scores

    support, query = functools.partial(_support_loss, scores), functools.partial(worth, scores)
    if kind == "decision":
        loop = inner_loop(support, learned_rates, STEPS, adapt="decision")
        by_rates = learner(loop, query, lambda theta: Meta(theta, log_rates(theta, INNER_RATE, adapt="decision")))
        return Model(theta, scores, by_rates)
    descent = optax.sgd(INNER_RATE)
    if kind == "anil":
        return Model(theta, scores, learner(inner_loop(support, descent, STEPS, adapt="decision/out"), query))
    joint = learner(_nothing_adapts, query)
    if kind == "fine_tuned":
        tuning = inner_loop(support, optax.sgd, TUNING_STEPS)  # eta is the rate
        return Model(theta, scores, joint._replace(adapt=lambda meta, shown: tuning(meta.theta, meta.eta, shown)))
    if kind == "reptile":

        def everything(phi: Any, asked: Asked) -> Float[Array, ""]:
            return support(phi, asked.shown) + query(phi, asked)

        follow = reptile_learner(everything, descent, STEPS, query_loss=query)
        loop = inner_loop(support, descent, STEPS)
        return Model(
            theta,
            scores,
            Learner(
                follow.init,
                lambda meta, tasks: follow.gradient(meta, Tasks(tasks.query, tasks.query)),
                lambda meta, shown: loop(meta.theta, meta.eta, shown),
            ),
        )
    return Model(theta, scores, joint)


def _linear(learned: Learned, key: Array) -> dict[str, Any]:
    num_items = learned.num_items
    items = 0.1 * jax.random.normal(key, (num_items, FEATURES))
    return {"items": items, "bias": jnp.zeros(num_items), "gain": jnp.ones(())}


def _of_vector(theta: Any, vector: Float[Array, " d"], shown: Shown) -> Float[Array, " n"]:
    return theta["gain"] * shown.prior + theta["items"] @ vector + theta["bias"]


def _nothing_adapts(theta: Any, eta: Any, shown: Shown) -> tuple[Any, Adaptation]:
    del eta, shown
    return theta, Adaptation(jnp.zeros(0), jnp.float32(jnp.inf), jnp.asarray(False), None)


def _support_loss(scores: Any, phi: Any, shown: Shown) -> Float[Array, ""]:
    """Mean cross entropy of the likes among what is shown; 0 without any."""
    logs = jax.nn.log_softmax(scores(phi, shown))[shown.behaviour.item]
    return -jnp.sum(shown.liked * logs) / jnp.maximum(jnp.sum(shown.liked), 1)


def _query_loss(genres: Array, diversity: float, scores: Any, phi: Any, asked: Asked) -> Float[Array, ""]:
    """Mean cross entropy of the later likes among all open items, and the likeness of two draws' genres."""
    logs = jax.nn.log_softmax(jnp.where(asked.open, scores(phi, asked.shown), -jnp.inf))
    missed = -jnp.sum(jnp.where(asked.later, logs, 0)) / jnp.maximum(jnp.sum(asked.later), 1)
    if not diversity:
        return missed
    # E <g_i, g_j> of two independent draws from the recommender's own distribution.
    return missed + diversity * jnp.sum((jnp.exp(logs) @ genres) ** 2)


def _genres(learned: Learned) -> Float[Array, "n g"]:
    genres = jnp.asarray(learned.genres, jnp.float32)
    return genres / jnp.maximum(jnp.linalg.norm(genres, axis=1, keepdims=True), 1e-6)
