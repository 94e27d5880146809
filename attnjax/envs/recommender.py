"""A user who is shown slates: what is clicked, what it does to a taste, and how the same again bores.

    u_i = q_i + b + s <z, f_i> - w <t, g_i>                               how much item i is wanted now, in logits
    z <- z + drift (f_j - z),    t <- fading t + g_j                      after a click on item j
    t <- fading t                                                         after none

q is an item's quality, f its features and g its topics (genres); b is the user's mood, z the interest, s how much it
counts, t the topics consumed lately and w how much they bore. What was consumed is not wanted again. Of a slate at most
one item is clicked, by one of two models of choice, in both of which lower places are seen less:

    multinomial    P(j) = e_j exp(u_j) / (1 + sum_l e_l exp(u_l)),    e_j = patience^j
    cascade        P(j) = e_j sigmoid(u_j),                           e_j = patience^j prod_{l < j} (1 - sigmoid(u_l))

All of it is the task, so users and markets of any kind can be vmapped. `attnjax.envs.recommender_users` fits users to
ratings.

Source: *MetaRL* §2.3 and §3; the cascade is that of N. Craswell et al., WSDM 2008, the choice of one from a slate that
of E. Ie et al., RecSim, 2019.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.envs.contract import Environment, Step, check_task
from attnjax.envs.spaces import Box, check_size, float_dtype
from attnjax.errors import fail
from attnjax.pytrees import register

CHOICES = ("multinomial", "cascade")
"""The models of choice."""


@dataclasses.dataclass(frozen=True)
class RecommenderTask:
    """A catalogue and one of its users. Values are not checked; outside of the ranges the equations still hold.

    Attributes:
        quality: (n,), q, in logits.
        features: (n, d), f, each in the unit ball.
        topics: (n, g), at least 0: the share of each topic in an item.
        mood: b, in logits.
        interest: (d,), z at first, in the unit ball, which it then never leaves.
        strength: s, at least 0.
        boredom: w, at least 0.
        fading: of t in a step, in [0, 1).
        drift: in [0, 1].
        patience: in (0, 1], how likely the next place is looked at.
    """

    quality: Float[Array, " n"]
    features: Float[Array, "n d"]
    topics: Float[Array, "n g"]
    mood: Float[Array, ""]
    interest: Float[Array, " d"]
    strength: Float[Array, ""]
    boredom: Float[Array, ""]
    fading: Float[Array, ""]
    drift: Float[Array, ""]
    patience: Float[Array, ""]


register(RecommenderTask)

OF_USERS: Any = RecommenderTask(None, None, None, 0, 0, 0, 0, 0, 0, 0)  # type: ignore[arg-type]
"""`in_axes` of `jax.vmap` for tasks of many users who share a catalogue."""


class RecommenderState(NamedTuple):
    """Where a user stands.

    Attributes:
        interest: (d,), z.
        weariness: (g,), t.
        consumed: (n,) bool.
        time: steps of the episode so far.
    """

    interest: Float[Array, " d"]
    weariness: Float[Array, " g"]
    consumed: Bool[Array, " n"]
    time: Int[Array, ""]


def examination(utility: Float[Array, " k"], patience: Float[Array, ""], choice: str) -> Float[Array, " k"]:
    """How much each place of a slate is seen: e of the equations above, which never rises from place to place.

    Args:
        utility: (k,), of the items in their places, in logits; -inf for what is not wanted at all.
        patience: in (0, 1].
        choice: "multinomial", where e are weights, or "cascade", where they are probabilities.

    Returns:
        (k,), 1 at the first place.

    >>> examination(jnp.zeros(3), jnp.float32(0.5), "cascade").tolist()
    [1.0, 0.25, 0.0625]
    """
    _check_choice("examination", choice)
    went_on = jnp.log(patience) * jnp.arange(utility.shape[0])
    if choice == "cascade":
        refused = jax.nn.log_sigmoid(-utility)
        went_on = went_on + jnp.cumsum(refused) - refused
    return jnp.exp(went_on)


def choice_probabilities(
    utility: Float[Array, " k"], patience: Float[Array, ""], choice: str
) -> Float[Array, " k_plus_1"]:
    """What becomes of a slate: the probability of a click on each place, and, last, of none.

    Smooth in utilities and patience.

    Args:
        utility: as in `examination`.
        patience: likewise.
        choice: likewise.

    Returns:
        (k + 1,), on the simplex.

    Raises:
        UserError: for another model of choice.

    >>> choice_probabilities(jnp.zeros(2), jnp.float32(1.0), "cascade").tolist()
    [0.5, 0.25, 0.25]
    """
    seen = examination(utility, patience, choice)
    if choice == "multinomial":
        return jax.nn.softmax(jnp.append(utility + jnp.log(seen), 0))
    clicked = jax.nn.sigmoid(utility)
    # One leaves after a place that was seen and not clicked: for lack of patience, or because it was the last.
    leaves = jnp.full(utility.shape, 1 - patience).at[-1].set(1)
    return jnp.append(seen * clicked, jnp.sum(seen * (1 - clicked) * leaves))


@dataclasses.dataclass(frozen=True)
class Recommender(Environment):
    """A recommender's dealings with one user: a slate per step, 1 for a click.

    The action is a score per item. The slate are the `slate` items of the largest scores, the best in the first place,
    of equal scores the item of the smaller number: so every slate can be had, none has an item twice, and scores plus
    Gumbel noise draw slates. Scores that are NaN pay NaN.

    What is seen, (slate, 2 + d), has a row per place of the last slate: 1, whether it was clicked, and the features of
    the item; zeros before the first. `info` has the `slate`, the `click` (its place; `slate` for none) and the
    `probabilities` of all clicks and none.

    Args:
        items: n.
        features: d.
        topics: g.
        slate: how many places, at most n.
        horizon: the steps of an episode, which is truncated then.
        choice: "multinomial" or "cascade".

    Raises:
        UserError: for sizes below 1, a slate of more than all items, or another model of choice.

    Who knows the user (`utilities`) and a recommender that shows the same three films for ever:

    >>> from attnjax.envs.rollouts import rollout, stateless
    >>> env = Recommender(items=30, horizon=8)
    >>> tasks, keys = jax.vmap(env.sample_task)(jax.random.split(jax.random.key(0), 64)), jax.random.key(1)
    >>> def stubborn(task, key):
    ...     always = stateless(lambda observation, key: -jnp.arange(30.0))
    ...     return rollout(env, always, task, key, env.max_steps).reward.sum()
    >>> def knowing(task, key):
    ...     def one(state, key):
    ...         step = env.step(key, state, env.utilities(state, task), task)
    ...         return step.state, step.reward
    ...     return jax.lax.scan(one, env.reset(key, task)[1], jax.random.split(key, env.max_steps))[1].sum()
    >>> keys = jax.random.split(jax.random.key(1), 64)
    >>> worst, best = (jax.vmap(who)(tasks, keys).mean() for who in (stubborn, knowing))
    >>> bool(best > 2 * worst)
    True
    """

    items: int = 50
    features: int = 8
    topics: int = 6
    slate: int = 3
    horizon: int = 20
    choice: str = "multinomial"

    def __post_init__(self) -> None:
        for name in ("items", "features", "topics", "slate", "horizon"):
            check_size("Recommender", name, getattr(self, name))
        if self.slate > self.items:
            fail(
                "Recommender",
                expected="a slate of at most all items",
                got=f"slate = {self.slate} of {self.items} items",
                advice="Show fewer.",
            )
        _check_choice("Recommender", self.choice)

    @property
    def observation_space(self) -> Box:
        """A row per place of the last slate."""
        return Box((self.slate, 2 + self.features))

    @property
    def action_space(self) -> Box:
        """A score per item."""
        return Box((self.items,))

    @property
    def max_steps(self) -> int:
        """The horizon."""
        return self.horizon

    def sample_task(self, key: Array) -> RecommenderTask:
        """A market of its own with one user, all drawn anew.

        Items have few topics, and features that are alike where topics are: f = a unit vector along sum_t g_t c_t +
        0.3 x, with c and x standard normal, g a softmax of normals of deviation 3. q ~ N(-1, 0.5^2), b ~ N(0, 0.5^2), z
        uniform on the sphere; s uniform in (1, 3), w in (0.2, 1.5), fading in (0.6, 0.95), drift in (0, 0.2) and
        patience in (0.6, 0.95).
        """
        dtype, of = float_dtype(), list(jax.random.split(key, 11))
        topics = jax.nn.softmax(3 * jax.random.normal(of[0], (self.items, self.topics), dtype))
        centres = jax.random.normal(of[1], (self.topics, self.features), dtype)
        around = 0.3 * jax.random.normal(of[2], (self.items, self.features), dtype)

        def between(key: Array, low: float, high: float) -> Array:
            return jax.random.uniform(key, (), dtype, low, high)

        return RecommenderTask(
            quality=-1 + 0.5 * jax.random.normal(of[3], (self.items,), dtype),
            features=_unit(topics @ centres + around),
            topics=topics,
            mood=0.5 * jax.random.normal(of[4], (), dtype),
            interest=_unit(jax.random.normal(of[5], (self.features,), dtype)),
            strength=between(of[6], 1, 3),
            boredom=between(of[7], 0.2, 1.5),
            fading=between(of[8], 0.6, 0.95),
            drift=between(of[9], 0, 0.2),
            patience=between(of[10], 0.6, 0.95),
        )

    def reset(self, key: Array, params: RecommenderTask) -> tuple[Array, RecommenderState]:
        """The user as the task says, nothing consumed; the key is not used."""
        n, d, g = self.items, self.features, self.topics
        shapes: dict[str, tuple[int, ...]] = {field.name: () for field in dataclasses.fields(RecommenderTask)}
        shapes |= {"quality": (n,), "features": (n, d), "topics": (n, g), "interest": (d,)}
        check_task("Recommender.reset", params, RecommenderTask, shapes)
        state = RecommenderState(
            jnp.asarray(params.interest, float_dtype()),
            jnp.zeros(g, float_dtype()),
            jnp.zeros(n, bool),
            jnp.int32(0),
        )
        return jnp.zeros(self.observation_space.shape, float_dtype()), state

    def utilities(self, state: RecommenderState, params: RecommenderTask) -> Float[Array, " n"]:
        """u, (n,): how much each item is wanted now, in logits; -inf for what was consumed.

        Args:
            state: of the user.
            params: the task.
        """
        liking = params.strength * (params.features @ state.interest)
        wanted = params.quality + params.mood + liking - params.boredom * (params.topics @ state.weariness)
        return jnp.where(state.consumed, -jnp.inf, wanted)

    def step(self, key: Array, state: RecommenderState, action: Any, params: RecommenderTask) -> Step:
        """Shows the slate, pays 1 for a click, and changes the user by it."""
        scores = self.action_space.action(action, "Recommender.step")
        slate = jax.lax.top_k(scores, self.slate)[1]
        chances = choice_probabilities(self.utilities(state, params)[slate], params.patience, self.choice)
        click = jax.random.categorical(key, jnp.log(chances)).astype(jnp.int32)
        clicked = jnp.arange(self.slate) == click
        happened, item = jnp.any(clicked), slate[jnp.minimum(click, self.slate - 1)]
        moved = state.interest + params.drift * (params.features[item] - state.interest)
        state = RecommenderState(
            jnp.where(happened, moved, state.interest),
            params.fading * state.weariness + jnp.where(happened, params.topics[item], 0),
            state.consumed.at[item].set(state.consumed[item] | happened),
            state.time + 1,
        )
        reward = jnp.where(jnp.any(jnp.isnan(scores)), jnp.nan, happened.astype(float_dtype()))
        flags = jnp.stack([jnp.ones(self.slate, float_dtype()), clicked.astype(float_dtype())], axis=1)
        seen = jnp.concatenate([flags, params.features[slate].astype(float_dtype())], axis=1)
        info = {"slate": slate, "click": click, "probabilities": chances}
        return Step(seen, state, reward, jnp.asarray(False), state.time >= self.horizon, info)


def _unit(vectors: Array) -> Array:
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)


def _check_choice(where: str, choice: str) -> None:
    if choice not in CHOICES:
        fail(where, expected=f"a choice of {', '.join(CHOICES)}", got=repr(choice), advice="The default is usual.")
