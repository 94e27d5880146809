"""How a user spends attention over items, from what they did and what is known of them.

    s_i = <W h, v_i> + b_i + gain * log(softplus(l_i / floor) / log 2),      a = the rule's attention at s
    l_i = sum over the history of m_t B[item_t, i]

h is the encoding of the history's last event (of a start token, if there is none), v_i an item's embedding, by its id
and its features, tied to what the encoder reads. b_i is what everybody likes. B says which item leads to which, as in
EASE (Steck 2019, Embarrassingly shallow autoencoders for sparse data), and m_t in (0, 2) how well an event is
remembered, by how many came after it, its age and its rating. EASE's l_i is a probability of sorts and a score its
logarithm: softplus, which keeps EASE's order, makes one of the other. W starts at 0, so an untrained model ranks by
popularity or by EASE's closed form: see `warm_start`. User attention of *Metaverse* §2.1 and §3.2 step 2.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail
from attnjax.models.attention import SOFTMAX, AttentionRule, attention_weights
from attnjax.models.ease import OwnPart, ease_links, without_own
from attnjax.models.encoders import TransformerEncoder
from attnjax.models.inputs import KnownEmbedding, with_flags
from attnjax.models.time_encodings import interpolate, log_gaps, ranks

PAD = -1
"""The item of an event that is padding; any other item that is not known is an unseen one."""

KNOTS, LONGEST = 16, 1e4
"""How finely memory is learned, and after how many events, or units of time, it is constant."""

FLOOR = 0.02
"""How large l_i is, before training, for an item to stand out from those that no link leads to."""


class History(NamedTuple):
    """What users did, and who they are; leading axes are users.

    Attributes:
        items: (..., t), item numbers, the most recent last; `PAD` where there is no event.
        ratings: (..., t), about 0 in the mean; NaN where there is none.
        times: (..., t), integers in any unit, e.g. seconds.
        categories: (..., k), the user's categories, one per column.
        features: (..., f), the user's numbers, about 0 in the mean; NaN where missing.
    """

    items: Int[Array, "*batch t"]
    ratings: Float[Array, "*batch t"]
    times: Int[Array, "*batch t"]
    categories: Int[Array, "*batch k"]
    features: Float[Array, "*batch f"]


class Spent(NamedTuple):
    """What `UserAttention` returns.

    Attributes:
        scores: (..., n), what attention to each item is worth to the user; -inf where not admissible.
        attention: (..., n), the attention spent, by the rule.
        state: (..., d), the user's encoding h.
        weights: (..., layers, heads, w + 1, w + 1), the encoder's attention among the start token and the last w
            events; (..., layers, heads, 1, w + 1) from one with `only_last`; or None.
    """

    scores: Float[Array, "*batch n"]
    attention: Float[Array, "*batch n"]
    state: Float[Array, "*batch d"]
    weights: Array | None


class UserAttention(nn.Module):
    """History and features of users -> scores of all items and the attention spent on them.

    Attributes:
        num_items: n.
        features: the width d of embeddings and encoding.
        categories: how many values each of the user's categories has.
        window: how many of the last events the encoder reads; B reads all.
        encoder: None for a causal `TransformerEncoder`, or another of attnjax.models.encoders of the same width.
        links: whether there is a B, of n^2 numbers.
        rule: how attention is spent over items.
        time_unit: the age below which an event counts as new, in the times' unit.
        unknown_rate: the share of items and categories hidden in training; see `KnownEmbedding`.
        dropout: of the default encoder.

    >>> users = UserAttention(num_items=5, features=4, categories=(2,))
    >>> history = History(*map(jnp.array, ([-1, 3], [jnp.nan, 1.0], [0, 60], [0], [0.5])))
    >>> import jax
    >>> spent = users.apply(users.init(jax.random.key(0), history), history)
    >>> spent.scores.shape, round(float(spent.attention.sum()), 5)
    ((5,), 1.0)
    """

    num_items: int
    features: int = 32
    categories: tuple[int, ...] = ()
    window: int = 50
    encoder: nn.Module | None = None
    links: bool = True
    rule: AttentionRule = SOFTMAX
    time_unit: float = 3600.0
    unknown_rate: float = 0.0
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self,
        history: History,
        item_features: Float[Array, "n g"] | None = None,
        admissible: Bool[Array, "*batch n"] | None = None,
        *,
        own: OwnPart | None = None,
        deterministic: bool = True,
    ) -> Spent:
        """Scores all items.

        Args:
            history: of one user or, with leading axes, many.
            item_features: (n, g), about 0 in the mean, NaN where missing; None for items known by id only.
            admissible: (..., n), False for items that can't be had, such as those already seen; None for all.
            own: what the users have put into B, as from `ease_links_and_own`: their scores are then those of a B
                fitted without them. For training on users whom B was fitted to.
            deterministic: False for training, with a key `dropout` in `rngs`.

        Returns:
            A `Spent`.

        Raises:
            UserError: if the columns of categories, the item features or admissible don't fit the model.
        """
        self._check(history, item_features, admissible, own)
        valid = history.items != PAD
        item = KnownEmbedding(self.num_items, self.features, self.unknown_rate, name="items")
        rows = item.rows(history.items, deterministic=deterministic)
        table = item.table
        if item_features is not None:
            about = nn.Dense(self.features, name="item_features")(with_flags(item_features))
            table = table.at[: self.num_items].add(about)

        start = self.param("start", nn.initializers.normal(0.02), (self.features,))
        user = jnp.broadcast_to(start, (*valid.shape[:-1], self.features))
        if history.features.shape[-1]:
            user = user + nn.Dense(self.features, name="user_features")(with_flags(history.features))
        for column, known in enumerate(self.categories):
            embedding = KnownEmbedding(known, self.features, self.unknown_rate, name=f"category_{column}")
            user = user + embedding(history.categories[..., column], deterministic=deterministic)

        recent = slice(-min(self.window, valid.shape[-1]), None)
        rated = with_flags(history.ratings[..., recent, None])
        events = table[rows[..., recent]] + nn.Dense(self.features, name="rating")(rated)
        sequence = jnp.concatenate([user[..., None, :], events], axis=-2)
        newest = jnp.max(jnp.where(valid, history.times, jnp.iinfo(history.times.dtype).min), axis=-1, keepdims=True)
        # The start token stands at the moment of asking, which for an empty history is no moment at all.
        times = jnp.concatenate([newest, history.times[..., recent]], axis=-1)
        present = jnp.concatenate([jnp.ones_like(valid[..., :1]), valid[..., recent]], axis=-1)
        encoder = self.encoder or TransformerEncoder(
            self.features,
            num_heads=2 if self.features % 2 == 0 else 1,
            causal=True,
            max_length=self.window,
            time_unit=self.time_unit,
            dropout=self.dropout,
            name="encoder",
        )
        encoded = encoder(sequence, present, times, deterministic=deterministic)
        state = encoded.encoding
        if state.shape[-2] > 1:
            last = present.shape[-1] - 1 - jnp.argmax(present[..., ::-1], axis=-1)
            state = jnp.take_along_axis(state, last[..., None, None], axis=-2)
        state = state[..., 0, :]

        read = nn.Dense(self.features, kernel_init=nn.initializers.zeros_init(), name="read")(state)
        bias = self.param("item_bias", nn.initializers.zeros_init(), (self.num_items,))
        scores = read @ table[: self.num_items].T + bias.reshape((1,) * (read.ndim - 1) + (-1,))
        if self.links:
            scores = scores + self._linked(history, valid, newest, rows, own)
        if admissible is not None:
            scores = jnp.where(admissible, scores, -jnp.inf)
        mask = None if admissible is None else admissible[..., None, :]
        attention = attention_weights(scores[..., None, :], mask, self.rule)
        return Spent(scores, attention[..., 0, :], state, encoded.weights)

    def _linked(self, history: History, valid: Array, newest: Array, rows: Array, own: OwnPart | None) -> Array:
        """gain * log(softplus(l / floor) / log 2): what is remembered, gathered by item, times B, as log odds."""
        links = self.param("links", nn.initializers.zeros_init(), (self.num_items, self.num_items))
        gain = self.param("link_gain", nn.initializers.constant(1.0), ())
        floor = jnp.exp(self.param("link_log_floor", nn.initializers.constant(np.log(FLOOR)), ()))
        zeros = nn.initializers.zeros_init()
        by_order = self.param("memory_by_order", zeros, (KNOTS, 1))
        by_age = self.param("memory_by_age", zeros, (KNOTS, 1))
        by_rating = self.param("memory_by_rating", zeros, (2, 1))
        later = jnp.sum(valid, axis=-1, keepdims=True) - 1 - ranks(valid)
        age = jnp.where(valid, log_gaps(newest, history.times, self.time_unit), 0)
        wish = interpolate(by_order, jnp.log1p(later) / jnp.log1p(LONGEST))
        wish = wish + interpolate(by_age, age / jnp.log1p(LONGEST))
        wish = wish + with_flags(history.ratings[..., None]) @ by_rating
        memory = jnp.where(valid, 2 * nn.sigmoid(wish[..., 0]), 0)
        flat_rows, flat_memory = rows.reshape(-1, rows.shape[-1]), memory.reshape(-1, rows.shape[-1])
        users = flat_rows.shape[0]
        forgotten = jnp.zeros((users, self.num_items + 1), memory.dtype)
        remembered = forgotten.at[jnp.arange(users)[:, None], flat_rows].add(flat_memory)
        remembered = remembered[:, : self.num_items]
        linked = remembered @ links
        if own is not None:
            linked = without_own(linked, remembered, OwnPart(*(part.reshape(linked.shape) for part in own)))
        odds = linked / floor
        # Below -10 the logarithm is its argument, to float32's last digits; where no link leads it is taken as 0.
        logs = jnp.where(odds < -10, odds, jnp.log(nn.softplus(jnp.maximum(odds, -10))))
        scores = gain * (logs - np.log(np.log(2)))
        return scores.reshape(*valid.shape[:-1], self.num_items)

    def _check(
        self, history: History, item_features: Array | None, admissible: Array | None, own: OwnPart | None
    ) -> None:
        n, events = self.num_items, history.items.shape[-1]
        found = {
            "columns of categories": (history.categories.shape[-1], len(self.categories)),
            "rows of item features": (n if item_features is None else item_features.shape[0], n),
            "columns of admissible": (n if admissible is None else admissible.shape[-1], n),
            "columns of the own part": (n if own is None else own.pull.shape[-1], n),
            "ratings": (history.ratings.shape[-1], events),
            "times": (history.times.shape[-1], events),
        }
        for what, (got, expected) in found.items():
            if got != expected:
                fail(
                    "UserAttention",
                    expected=f"{expected} {what}",
                    got=str(got),
                    advice="One column per category, one row per item, one rating and time per event.",
                )
        if not jnp.issubdtype(history.times.dtype, jnp.integer):
            fail(
                "UserAttention",
                expected="times as integers",
                got=str(history.times.dtype),
                advice="Seconds since 1970 lose their digits as float32; cast to int32.",
            )


def warm_start(params: Any, interactions: Float[Array, "u n"], *, l2: float | None = None, gain: float = 1.5) -> Any:
    """Parameters of a `UserAttention` that begins where simple methods end.

    Args:
        params: fresh ones, as from `init(...)["params"]`.
        interactions: (u, n), 1 where a user had to do with an item in training, else 0.
        l2: None: the item bias is the log of popularity. A number, for a model with links: B is `ease_links`, which
            knows popularity too, and the bias stays 0.
        gain: what a unit of the logarithm of EASE's scores is worth in log odds.

    Returns:
        A tree of the same shape; until it is trained, the model ranks by popularity, or exactly as EASE does.

    Raises:
        UserError: if `l2` is given for a model without links.
    """
    if l2 is None:
        count = jnp.sum(jnp.asarray(interactions), axis=0) + 1.0
        return {**params, "item_bias": jnp.log(count / jnp.sum(count))}
    if "links" not in params:
        fail("warm_start", expected="a model with links, to start from EASE", got="none", advice="Leave out l2.")
    links = ease_links(np.asarray(interactions, np.float64), l2)
    return {**params, "links": jnp.asarray(links, jnp.float32), "link_gain": jnp.asarray(gain)}
