"""RL^2 in replay: a memory learns what a newcomer likes while it recommends; trained on logs that are played again.

A task is a user of training, an action one of the films that the user rated and that has not been played, the reward a
like: exact, and offline, since every answer is one that was given. The policy is a softmax over the films that are
left, of

    exp(heat) offset_i + <f_i, A h>,        h the memory of a recurrent network that is told each film and answer

with offsets and features as empirical Bayes fits them: at first it plays by the expected share of likes. PPO does the
rest, over whole trials of as many steps as the protocol has. A newcomer's memory is that after the events so far.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from attnjax.envs import Trajectory
from attnjax.evaluation.protocols import LIKE, Recommender, Support
from attnjax.evaluation.rating_baselines import Answers
from attnjax.meta.rl import PPO, Categorical, Decision, recurrent, rl2_start, rl2_updates
from attnjax.models import LinearGaussian
from attnjax.models.policies import GRUPolicy
from experiments.cold_start.logs import padded

INIT, TRAIN = 31, 32
"""Streams of a seed's key."""
MEMORY, HEAT = 32, 2.0
"""The width of the memory, and the first logarithm of how sharply offsets decide."""
ROWS, CALL, LONGEST, RATE = 64, 50, 100, 1e-3
"""Users per update, updates of one compiled call, films that a user's log holds at most, and the rate of Adam."""
SETTINGS = PPO(discount=0.9, decay=0.9, entropy_weight=0.003, epochs=3, minibatches=2)
CLOSED = -1e9
"""The logit of what can't be played; finite, so that the entropy is."""


class Log(NamedTuple):
    """What a user rated: a task; padded.

    Attributes:
        item: (p,).
        liked: (p,) 1 for a like, else 0.
        mask: (p,).
    """

    item: Any
    liked: Any
    mask: Any


class Seen(NamedTuple):
    """What the policy is shown.

    Attributes:
        item: (p,), the films of the log.
        left: (p,), which of them can be played.
        last: the film played last.
        answer: 1 for a like, -1 for none, 0 before the first film.
    """

    item: Int[Array, " p"]
    left: Bool[Array, " p"]
    last: Int[Array, ""]
    answer: Float[Array, ""]


def play(steps: int, act: Any, memory: Any, task: Log, key: Array) -> Trajectory:
    """One user's log, played for so many steps, or until it is used up."""
    first = Seen(task.item, task.mask, jnp.int32(0), jnp.float32(0))

    def one(carry: tuple[Any, Seen], time: Array) -> tuple[tuple[Any, Seen], Trajectory]:
        memory, seen = carry
        alive = jnp.any(seen.left)
        memory, place, kept = act(memory, seen, jax.random.fold_in(key, time))
        reward = jnp.where(alive, task.liked[place], 0)
        left = seen.left.at[place].set(False)
        after = Seen(task.item, left, task.item[place], 2 * reward - 1)
        over = ~jnp.any(left) | (time == steps - 1)
        # A trial is over when nothing is left to play or all steps are done: nothing follows that is worth anything.
        happened = Trajectory(seen, place, reward, over, jnp.asarray(False), alive, after, kept)  # type: ignore[arg-type]
        return (memory, after), happened

    return jax.lax.scan(one, (memory, first), jnp.arange(steps))[1]


def network(features: int) -> GRUPolicy:
    """Its actions are a vector in the space of features."""
    return GRUPolicy(features, MEMORY)


def told(theta: Any, item: Array, answer: Array) -> Float[Array, " e"]:
    """An answer as the network is told it; zeros before the first."""
    features = theta["features"][item]
    return jnp.concatenate([answer * features, abs(answer) * features, jnp.stack([answer, abs(answer)])])


def step(theta: Any, memory: Array, seen: Any) -> tuple[Array, Decision]:
    """The policy."""
    of = network(theta["features"].shape[1])
    found: Any = of.apply(theta["network"], memory, told(theta, seen.last, seen.answer))
    memory, acted = found
    scores = jnp.exp(theta["heat"]) * theta["offset"][seen.item] + theta["features"][seen.item] @ acted.actions
    return memory, Decision(Categorical(jnp.where(seen.left, scores, CLOSED)), acted.value)


def start(model: LinearGaussian, key: Array) -> dict[str, Any]:
    """What is learned, at first: offsets of likes, features scaled to length one in the mean, and a network."""
    features = jnp.asarray(model.features, jnp.float32)
    features = features / jnp.sqrt(jnp.mean(jnp.sum(features**2, axis=1)))
    of, width = network(features.shape[1]), features.shape[1]
    params = of.init(key, of.initial(), jnp.zeros(2 * width + 2))
    return {
        "offset": jnp.asarray(model.offset, jnp.float32),
        "features": features,
        "heat": jnp.float32(HEAT),
        "network": params,
    }


def meta_trained(
    data: Answers, model: LinearGaussian, *, updates: tuple[int, ...], steps: int, seed: int
) -> dict[int, dict[str, Any]]:
    """Trains on users' logs.

    Args:
        data: likes of all users of training.
        model: of likes, where it starts.
        updates: after how many to keep what is learned: rising multiples of `CALL`, the first 0.
        steps: of a trial.
        seed: of all that is random.

    Returns:
        What was learned after each of these numbers of updates.
    """
    item, liked, mask = padded(data, LONGEST, seed)
    enough = np.flatnonzero(mask.sum(axis=1) >= steps)
    logs = jax.tree.map(lambda column: jnp.asarray(column[enough]), Log(item, liked, mask))

    def sample(key: Array) -> Log:
        user = jax.random.randint(key, (), 0, len(enough))
        return jax.tree.map(lambda column: column[user], logs)

    key = jax.random.key(seed)
    theta = start(model, jax.random.fold_in(key, INIT))
    agent = recurrent(step, network(theta["features"].shape[1]).initial())
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(RATE))
    run = rl2_updates(
        agent,
        optimizer,
        SETTINGS,
        play=functools.partial(play, steps),
        sample_task=sample,
        rows=ROWS,
        updates=CALL,
    )
    state, kept = rl2_start(optimizer, theta), {0: theta}
    while int(state.updates) < updates[-1]:
        state, _ = run(state, jax.random.fold_in(key, TRAIN))
        if int(state.updates) in updates:
            kept[int(state.updates)] = state.params
    return kept


def recommender_of(theta: Any) -> Recommender:
    """The recommender whose state is what the memory, after the events shown, says to look for."""
    return Recommender(functools.partial(_sought_all, theta), functools.partial(_scores_all, theta))


def sought(theta: Any, support: Support) -> Float[Array, " d"]:
    """The direction in the space of features that the policy looks in after one newcomer's events."""
    of = network(theta["features"].shape[1])

    def one(carry: tuple[Array, Array], event: Any) -> tuple[tuple[Array, Array], None]:
        memory, pending = carry
        item, rating, held = event
        moved, _ = of.apply(theta["network"], memory, pending)
        new = told(theta, item, jnp.where(rating >= LIKE, 1.0, -1.0))
        return (jnp.where(held, moved, memory), jnp.where(held, new, pending)), None

    # An event is told with the decision that follows it, so the last one is still to be told after the scan.
    begin = of.initial(), told(theta, jnp.int32(0), jnp.float32(0))
    (memory, pending), _ = jax.lax.scan(one, begin, (support.item, support.rating, support.mask))
    found: Any = of.apply(theta["network"], memory, pending)[1]
    return found.actions


_sought_all = jax.jit(jax.vmap(sought, in_axes=(None, 0)))


@jax.jit
def _scores_all(theta: Any, vectors: Float[Array, "u d"]) -> Float[Array, "u n"]:
    return (jnp.exp(theta["heat"]) * theta["offset"])[None, :] + vectors @ theta["features"].T
