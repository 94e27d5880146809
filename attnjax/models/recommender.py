"""The recommender of three networks: user, item and policy, and the document's own, whose hidden layers are softmaxes.

    u = f1(behaviour),    v_i = f2(features of item i),    s_i = f3([u, v_i]) + b_i,    a = the rule's attention at s

f1 is a Transformer over the user's events, each an item's representation with its rating and the time since the event
before. f2 sees features, and the item's number where it is known. f3 is a layer over [u, v_i]; what it decides is spent
by an allocation rule, of which the document's softmax is the default. b_i is popularity at first: `warm_biases`.

*MetaRL §4.3* writes softmax(W1 x + b1), softmax(W2 y + b2) and softmax(W3 [u, v] + b3): `ThreeSoftmax`. Without a layer
between [u, v] and the logits these are sums of a part of the user's and a part of the item's, so every user gets one
and the same order of items; and a softmax of width k as a hidden layer has k - 1 degrees of freedom. `bottleneck`
measures the price of both.

Source: *MetaRL* §2.3, §3.2 and §4.3; f3's layers are what adapts in H. Lee et al., MeLU, KDD 2019.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail
from attnjax.models.attention import SOFTMAX, AttentionRule, attention_weights
from attnjax.models.encoders import TransformerEncoder
from attnjax.models.inputs import with_flags
from attnjax.models.time_encodings import gaps_before


class Behaviour(NamedTuple):
    """What one user did, in the order of time; padding may stand anywhere.

    Attributes:
        item: (t,) integers in [0, n).
        rating: (t,), about 0 in the mean.
        time: (t,), when, in any unit; all 0 where unknown.
        mask: (t,) bool, which places hold an event.
    """

    item: Int[Array, " t"]
    rating: Float[Array, " t"]
    time: Float[Array, " t"]
    mask: Bool[Array, " t"]


class Recommended(NamedTuple):
    """What a recommender of three networks returns.

    Attributes:
        scores: (n,), -inf where not admissible.
        attention: (n,), the rule's allocation: with the default a probability to recommend each item.
        user: (d,), u.
        items: (n, d), v.
    """

    scores: Float[Array, " n"]
    attention: Float[Array, " n"]
    user: Float[Array, " d"]
    items: Float[Array, "n d"]


class UserNetwork(nn.Module):
    """f1: events to a vector.

    Attributes:
        features: d.
        heads: of the attention block.
        time_unit: the gap below which events count as simultaneous, in the unit of times.
        rule: how an event spends its attention on the others.
    """

    features: int
    heads: int = 2
    time_unit: float = 60.0
    rule: AttentionRule = SOFTMAX

    @nn.compact
    def __call__(self, events: Float[Array, "t d"], behaviour: Behaviour) -> Float[Array, " d"]:
        """The user's representation (d,), from the events' items (t, d) and the rest of the behaviour.

        The mean over events after a Transformer block; 0 for a user without any.
        """
        gaps = gaps_before(behaviour.time, behaviour.mask, self.time_unit)
        tokens = jnp.concatenate([events, behaviour.rating[:, None], gaps[:, None].astype(events.dtype)], axis=1)
        encoder = TransformerEncoder(self.features, num_heads=self.heads, expansion=2, rule=self.rule, positions="none")
        encoded = encoder(tokens, behaviour.mask).encoding
        return jnp.sum(encoded, axis=0) / jnp.maximum(jnp.sum(behaviour.mask), 1)


class ItemNetwork(nn.Module):
    """f2: features to vectors.

    Attributes:
        features: d.
        num_known: n for items that are also known by number, 0 for features alone.
    """

    features: int
    num_known: int = 0

    @nn.compact
    def __call__(self, about: Float[Array, "n g"]) -> Float[Array, "n d"]:
        """The items' representations (n, d), from features (n, g), about 0 in the mean, NaN where missing."""
        hidden = nn.gelu(nn.Dense(2 * self.features, name="hidden")(with_flags(about)))
        found = nn.Dense(self.features, name="out")(hidden)
        if self.num_known:
            table = self.param("table", nn.initializers.normal(0.1), (self.num_known, self.features))
            found = found + table
        return found


class PolicyNetwork(nn.Module):
    """f3: the user with each item to scores, by the layers that decide.

    Attributes:
        features: the width of the hidden layer.
    """

    features: int

    @nn.compact
    def __call__(self, user: Float[Array, " d"], items: Float[Array, "n d"]) -> Float[Array, " n"]:
        """(n,), 0 before training.

        A layer over [u, v_i] is one over u, computed once, and one over v_i; their product joins them, which the
        next layer would else have to learn.
        """
        of_user = nn.Dense(self.features, name="user")(user)
        of_items = nn.Dense(self.features, use_bias=False, name="items")(items)
        hidden = nn.gelu(of_user[None, :] + of_items + of_items * of_user[None, :])
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.zeros_init(), name="out")(hidden)[:, 0]


class ThreeNetworks(nn.Module):
    """User, item and policy network, with the allocation operator as the last layer.

    Parameters are `user`, `item`, `decision` and `item_bias`: as paths, they say what adapts.

    Attributes:
        num_items: n.
        features: d.
        rule: how attention is spent over items at the end; `SOFTMAX` is the document's policy.
        by_number: whether items are known by number as well as by features.

    >>> import jax
    >>> model = ThreeNetworks(num_items=4, features=8)
    >>> behaviour = Behaviour(*map(jnp.array, ([0, 2], [1.0, -1.0], [0.0, 60.0], [True, False])))
    >>> about = jnp.ones((4, 3))
    >>> found = model.apply(model.init(jax.random.key(0), behaviour, about), behaviour, about)
    >>> found.scores.tolist(), round(float(found.attention.sum()), 5)  # untrained, and no biases yet
    ([0.0, 0.0, 0.0, 0.0], 1.0)
    """

    num_items: int
    features: int = 16
    rule: AttentionRule = SOFTMAX
    by_number: bool = True

    @nn.compact
    def __call__(
        self,
        behaviour: Behaviour,
        about: Float[Array, "n g"],
        admissible: Bool[Array, " n"] | None = None,
        prior: Float[Array, " n"] | None = None,
    ) -> Recommended:
        """Recommends to one user; `jax.vmap` over users.

        Args:
            behaviour: what the user did.
            about: (n, g), features of the items, about 0 in the mean, NaN where missing.
            admissible: (n,), False for items that can't be recommended; None for all.
            prior: (n,), scores that are added to, such as those of a simpler model; None for none.

        Returns:
            A `Recommended`.

        Raises:
            UserError: if features, admissible or prior are not of n items.
        """
        shapes = [x.shape[:1] for x in (about, admissible, prior) if x is not None]
        if about.ndim != 2 or any(shape != (self.num_items,) for shape in shapes):
            fail(
                "ThreeNetworks",
                expected=f"features, admissible and prior of {self.num_items} items",
                got=", ".join(str(x.shape) for x in (about, admissible, prior) if x is not None),
                advice="Use jax.vmap over users.",
            )
        items = ItemNetwork(self.features, self.num_items if self.by_number else 0, name="item")(about)
        user = UserNetwork(self.features, name="user")(items[behaviour.item], behaviour)
        bias = self.param("item_bias", nn.initializers.zeros_init(), (self.num_items,))
        scores = PolicyNetwork(2 * self.features, name="decision")(user, items) + bias
        scores = scores if prior is None else scores + prior
        scores = scores if admissible is None else jnp.where(admissible, scores, -jnp.inf)
        return Recommended(scores, attention_weights(scores[None], rule=self.rule)[0], user, items)


def warm_biases(params: Any, interactions: Float[Array, "u n"]) -> Any:
    """Parameters of `ThreeNetworks` that start at popularity: b_i = log(share of interactions + 1 / n) + const.

    Args:
        params: as `init` gives, with or without the `params` at the top.
        interactions: (users, n), 1 where a user had to do with an item.

    Returns:
        The same tree with other biases.

    >>> print(warm_biases({"item_bias": jnp.zeros(2)}, jnp.array([[1.0, 0.0], [1.0, 0.0]]))["item_bias"].round(3))
    [ 0.549 -0.549]
    """
    if "params" in params:
        return {**params, "params": warm_biases(params["params"], interactions)}
    count = jnp.sum(interactions, axis=0)
    logs = jnp.log(count / jnp.maximum(jnp.sum(count), 1) + 1 / count.size)
    return {**params, "item_bias": (logs - jnp.mean(logs)).astype(params["item_bias"].dtype)}


class ThreeSoftmax(nn.Module):
    """The document's model, exactly as *MetaRL §4.3* writes it.

        u = softmax(W1 x + b1),    v = softmax(W2 y + b2),    policy = softmax(W3 [u, v] + b3)

    for one user's history x and one item's features y: a distribution over actions, e.g. to show the item or not.

    Attributes:
        features: the width of u and of v.
        actions: how many there are.

    >>> import jax
    >>> model = ThreeSoftmax(features=3, actions=2)
    >>> params = model.init(jax.random.key(0), jnp.ones(4), jnp.ones(5))
    >>> round(float(model.apply(params, jnp.ones(4), jnp.ones(5)).sum()), 5)
    1.0
    """

    features: int
    actions: int = 2

    @nn.compact
    def __call__(self, history: Float[Array, " x"], item: Float[Array, " y"]) -> Float[Array, " a"]:
        """The policy (actions,) for a user's history (x,) and an item's features (y,)."""
        user = jax.nn.softmax(nn.Dense(self.features, name="user")(history))
        thing = jax.nn.softmax(nn.Dense(self.features, name="item")(item))
        return jax.nn.softmax(nn.Dense(self.actions, name="policy")(jnp.concatenate([user, thing])))


class Bottleneck(NamedTuple):
    """How much of what users want differently a form of policy can say at best, each in [0, 1].

    Attributes:
        sum_of_parts: W3 [u, v] + b3: always 0, for it adds the same to an item's logit whoever the user.
        softmax: <u, W v> where u is a softmax of width k.
        free: <u, W v> where u is any vector of width k.
    """

    sum_of_parts: Float[Array, ""]
    softmax: Float[Array, ""]
    free: Float[Array, ""]


def bottleneck(scores: Float[Array, "u n"], width: int) -> Bottleneck:
    """What the best policy of a form explains of users' scores, beyond what is common to all users.

    A policy is indifferent to a constant per user, so rows are centred; what is common to all users is the columns'
    mean, which biases can say. The rest, R, is what is personal. A u of width k says at most a matrix of rank k
    exactly, and by Eckart and Young's theorem the best is the sum of its k largest squared singular values. A softmax u
    lies in a simplex of dimension k - 1, whose mean the bias takes; scaled enough, it says any R of rank k - 1 and
    none above.

    Args:
        scores: (u, n), finite: what users want, e.g. log odds.
        width: k, at least 1.

    Returns:
        Shares of |R|^2; 0 where nothing is personal.

    Raises:
        UserError: for scores that are no matrix, or a width below 1.

    >>> found = bottleneck(jnp.array([[1.0, -1.0], [-1.0, 1.0]]), width=1)  # opposite tastes: one number per user
    >>> [round(float(share), 5) for share in found]
    [0.0, 0.0, 1.0]
    """
    if scores.ndim != 2 or width < 1:
        fail(
            "bottleneck",
            expected="scores (users, items) and a width of at least 1",
            got=f"shape {scores.shape} and width {width}",
            advice="Give every user a row.",
        )
    personal = scores - jnp.mean(scores, axis=1, keepdims=True)
    personal = personal - jnp.mean(personal, axis=0, keepdims=True)
    squares = jnp.linalg.svd(personal, compute_uv=False) ** 2
    total = jnp.sum(squares)
    reached = jnp.concatenate([jnp.zeros(1, squares.dtype), jnp.cumsum(squares)])

    def share(rank: int) -> Array:
        return jnp.where(total > 0, reached[min(rank, squares.size)] / jnp.where(total > 0, total, 1), 0)

    return Bottleneck(jnp.zeros_like(total), share(width - 1), share(width))
