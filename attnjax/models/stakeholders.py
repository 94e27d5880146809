"""The attention of creators and of the platform, and how both act on users.

    creators -> users      what draws attention to a creator raises the scores of their works
    platform -> users      prices raise them too, floors guarantee exposure, slot weights say what places are worth

as in the graph of *Metaverse* §2.1; the users' own attention is `attnjax.models.user_attention`. `join` puts the three
into a market, which `attnjax.allocation.solve` decides.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.allocation import Creators, Entropy, Floors, Market, Regularizer
from attnjax.errors import fail
from attnjax.models.attention import SOFTMAX, AttentionRule, MultiHeadAttention
from attnjax.models.inputs import with_flags


class Works(NamedTuple):
    """What creators have made, and what became of it; leading axes are creators.

    Attributes:
        features: (..., w, g), each work's numbers, about 0 in the mean; NaN where missing.
        exposure: (..., w), attention that each had so far, at least 0; NaN where not known.
        interactions: (..., w), how often each was interacted with, at least 0; NaN where not known.
        valid: (..., w), False for padding.
    """

    features: Float[Array, "*batch w g"]
    exposure: Float[Array, "*batch w"]
    interactions: Float[Array, "*batch w"]
    valid: Bool[Array, "*batch w"]


class Drawn(NamedTuple):
    """What `CreatorAttention` returns.

    Attributes:
        demand: (...,), at least 0, the attention that creators draw: under entropy they get shares in proportion. 0
            for a creator without works.
        log_demand: (...,), its logarithm, the score to allocate by; -inf for a creator without works.
        state: (..., d), the creator's encoding.
        weights: (..., heads, 1, w), which works draw it.
    """

    demand: Float[Array, "*batch"]
    log_demand: Float[Array, "*batch"]
    state: Float[Array, "*batch d"]
    weights: Float[Array, "*batch heads 1 w"]


class CreatorAttention(nn.Module):
    """A creator's works, their past exposure and interactions -> the attention the creator draws.

        log demand = g log(1 + exposure so far) + mlp(attention over the works)

    An untrained model says that creators draw what they drew so far (g = 1, the mlp's last layer 0). Creator attention
    of *Metaverse* §2.1 and §3.2 step 2. Works may be permuted and padded without effect.

    Attributes:
        features: the width d.
        num_heads: of the attention over works.
        rule: by which it is spent.

    >>> works = Works(jnp.ones((2, 3, 4)), jnp.ones((2, 3)), jnp.ones((2, 3)), jnp.array([[True] * 3, [False] * 3]))
    >>> creators = CreatorAttention(features=4)
    >>> drawn = creators.apply(creators.init(jax.random.key(0), works), works)
    >>> drawn.demand.round(3).tolist()
    [4.0, 0.0]
    """

    features: int = 16
    num_heads: int = 1
    rule: AttentionRule = SOFTMAX

    @nn.compact
    def __call__(self, works: Works) -> Drawn:
        """The attention that creators (...) draw.

        Raises:
            UserError: for arrays that don't have one row per work.
        """
        _same_works(works)
        exposure, interactions = (jnp.log1p(jnp.where(works.valid, x, 0)) for x in (works.exposure, works.interactions))
        about = jnp.where(works.valid[..., None], works.features, 0)
        past = with_flags(jnp.concatenate([about, exposure[..., None], interactions[..., None]], axis=-1))
        encoded = nn.gelu(nn.Dense(self.features, name="works")(past))
        query = self.param("query", nn.initializers.normal(0.02), (1, self.features))
        query = jnp.broadcast_to(query, (*encoded.shape[:-2], 1, self.features))
        attention = MultiHeadAttention(self.num_heads, rule=self.rule, name="attention")
        read, weights = attention(query, encoded, mask=works.valid[..., None, None, :])
        total = jnp.log1p(jnp.sum(jnp.nan_to_num(jnp.where(works.valid, works.exposure, 0)), axis=-1))
        count = jnp.log1p(jnp.sum(works.valid, axis=-1, dtype=total.dtype))
        state = nn.LayerNorm(name="norm")(read[..., 0, :])
        hidden = nn.gelu(
            nn.Dense(self.features, name="hidden")(jnp.concatenate([state, jnp.stack([total, count], -1)], -1))
        )
        change = nn.Dense(1, kernel_init=nn.initializers.zeros_init(), name="demand")(hidden)[..., 0]
        momentum = self.param("momentum", nn.initializers.ones_init(), ())
        level = momentum * total + change
        some = works.valid.any(axis=-1)
        return Drawn(
            jnp.where(some, jnp.exp(jnp.where(some, level, 0)), 0), jnp.where(some, level, -jnp.inf), state, weights
        )


class Steering(NamedTuple):
    """What `PlatformAttention` returns.

    Attributes:
        prices: (c,), at least 0, what the platform pays users, in units of their scores, per unit of a creator's
            exposure.
        floors: (c,), at least 0, exposure guaranteed to each creator, in units of attention.
        slot_weights: (k,), 1 >= v_1 >= ... >= v_k >= 0 with v_1 = 1, what a place of a slate is worth; None for none.
    """

    prices: Float[Array, " c"]
    floors: Float[Array, " c"]
    slot_weights: Float[Array, " k"] | None


class PlatformAttention(nn.Module):
    """The state of users and creators -> the prices, floors and slot weights by which the platform steers.

    Constrained by construction: prices are a softplus; floors share out, by a softmax with an entry for nobody, at most
    `guarantee` of what creators can reach, so that there always is an allocation that meets them; slot weights are what
    is left of 1 as a softmax is summed up. Permuting the creators permutes prices and floors. Platform attention of
    *Metaverse* §2.1 and §3.2 step 2.

    Attributes:
        features: the width of its hidden layer.
        guarantee: in [0, 1], the largest part of all attention that floors may claim.
        num_slots: k, or 0 for no slates.

    >>> platform = PlatformAttention(num_slots=2)
    >>> inputs = (jnp.ones((5, 4)), jnp.ones((3, 4)), jnp.array([1.0, 2.0, 0.0]), jnp.ones(3), jnp.array(5.0))
    >>> steering = platform.apply(platform.init(jax.random.key(0), *inputs), *inputs)
    >>> bool(steering.floors.sum() <= 0.5 * 5), bool((steering.prices >= 0).all()), float(steering.slot_weights[0])
    (True, True, 1.0)
    """

    features: int = 16
    guarantee: float = 0.5
    num_slots: int = 0

    @nn.compact
    def __call__(
        self,
        user_states: Float[Array, "u d"],
        creator_states: Float[Array, "c e"],
        demand: Float[Array, " c"],
        reach: Float[Array, " c"],
        total: Float[Array, ""],
    ) -> Steering:
        """What the platform does.

        Args:
            user_states: (u, d), e.g. `Spent.state`.
            creator_states: (c, e), e.g. `Drawn.state`.
            demand: (c,), at least 0, `Drawn.demand`.
            reach: (c,), in [0, 1], the part of all attention that each creator alone could get; see `reach`.
            total: scalar, the sum of users' budgets.

        Raises:
            UserError: for a guarantee outside [0, 1], or arrays that don't have one row per creator.
        """
        if not 0 <= self.guarantee <= 1:
            fail(
                "PlatformAttention",
                expected="a guarantee in [0, 1]",
                got=str(self.guarantee),
                advice="It is the largest part of all attention that floors may claim.",
            )
        creators = creator_states.shape[0]
        if demand.shape != (creators,) or reach.shape != (creators,):
            fail(
                "PlatformAttention",
                expected=f"demand and reach of shape ({creators},), one per creator state",
                got=f"shapes {demand.shape} and {reach.shape}",
                advice="Pass the output of CreatorAttention, and reach(...) of the same creators.",
            )
        share = demand / jnp.maximum(jnp.sum(demand), jnp.finfo(demand.dtype).tiny)
        each = jnp.concatenate([creator_states, jnp.log1p(creators * share)[:, None], reach[:, None]], axis=-1)
        common = jnp.concatenate([jnp.mean(user_states, axis=0), jnp.mean(each, axis=0)])
        seen = jnp.concatenate([each, jnp.broadcast_to(common, (creators, common.size))], axis=-1)
        hidden = nn.gelu(nn.Dense(self.features, name="creators")(seen))
        prices = nn.softplus(nn.Dense(1, bias_init=nn.initializers.constant(-3.0), name="prices")(hidden)[:, 0])
        claims = nn.Dense(1, name="floors")(hidden)[:, 0]
        # The entry for nobody grows with the number of creators: untrained floors claim about half the guarantee.
        nobody = self.param("unclaimed", nn.initializers.zeros_init(), ()) + jnp.log(creators)
        shares = jax.nn.softmax(jnp.append(claims, nobody))[:-1]
        slots = None
        if self.num_slots:
            steps = nn.Dense(self.num_slots, name="slots")(nn.gelu(nn.Dense(self.features, name="common")(common)))
            slots = jnp.cumsum(jax.nn.softmax(steps)[::-1])[::-1]
            slots = slots / slots[0]
        return Steering(prices, self.guarantee * total * shares * reach, slots)


def reach(creators: Creators, scores: Float[Array, "u n"], budgets: Float[Array, " u"]) -> Float[Array, " c"]:
    """The part of all attention that each creator could get alone: (c,), in [0, 1].

    The best of their items counts, by the share of it that is theirs and the attention of the users who may see it.
    Floors of at most q_j reach_j R with q >= 0 and sum q <= 1 can be met together: every user spends a part q_j of the
    budget on creator j's best item where they may see it.

    Args:
        creators: the map from items to creators.
        scores: (u, n), -inf where an item can't be seen.
        budgets: (u,).
    """
    seen_by = jnp.sum(jnp.where(scores > -jnp.inf, budgets[:, None], 0), axis=0) / jnp.sum(budgets)
    alone = seen_by[creators.item] * creators.share.astype(scores.dtype)
    return jnp.maximum(jax.ops.segment_max(alone, creators.creator, creators.num_creators), 0)


def drawn_scores(scores: Float[Array, "u n"], creators: Creators, drawn: Drawn, gain: Any = 1.0) -> Float[Array, "u n"]:
    """Creator -> user: scores of items raised by what their creators draw, above the mean of creators.

    Args:
        scores: (u, n), users' own.
        creators: the map from items to creators; an item without any is neither raised nor lowered.
        drawn: from `CreatorAttention`, of c creators.
        gain: scalar, in units of the scores per unit of log demand.

    Returns:
        (u, n): scores + gain M (log demand - mean).
    """
    some = drawn.log_demand > -jnp.inf
    level = jnp.where(some, drawn.log_demand, 0)
    above = jnp.where(some, level - jnp.sum(level) / jnp.maximum(jnp.sum(some), 1), 0)
    return scores + (gain * creators.on_items(above))[None, :]


def join(
    scores: Float[Array, "u n"],
    creators: Creators,
    drawn: Drawn,
    steering: Steering,
    *,
    budgets: Float[Array, " u"],
    temperature: Any = 1.0,
    regularizer: Regularizer | None = None,
    gain: Any = 1.0,
) -> Market:
    """The market of the three: users' scores with what creators draw, and the platform's prices, floors and slots.

    Works under jit, where `Market.of` does not. Derivatives reach all three networks through
    `attnjax.allocation.solve`, and, but for floors and slots, through `attnjax.allocation.best_response`.

    Args:
        scores: (u, n), users' own, from `UserAttention`; -inf excludes an item.
        creators: the map from items to creators.
        drawn: from `CreatorAttention`.
        steering: from `PlatformAttention`. With slot weights users have no preference for variety: temperature 0.
        budgets: (u,), the attention of each user; with slots, how many slates.
        temperature: how much users value variety, in units of the scores.
        regularizer: the shape of that; default `Entropy()`.
        gain: as in `drawn_scores`.

    Returns:
        A `Market` with floors, in the scores' dtype.
    """
    dtype = scores.dtype
    slots = steering.slot_weights
    return Market(
        scores=drawn_scores(scores, creators, drawn, gain),
        budgets=budgets.astype(dtype),
        creators=dataclasses.replace(creators, share=creators.share.astype(dtype)),
        creator_value=Floors(steering.floors.astype(dtype)),
        platform_rates=steering.prices.astype(dtype),
        temperature=jnp.asarray(0.0 if slots is not None else temperature, dtype),
        regularizer=Entropy() if regularizer is None else regularizer,
        position_bias=None if slots is None else slots.astype(dtype),
    )


def _same_works(works: Works) -> None:
    shapes = (works.features.shape[:-1], works.exposure.shape, works.interactions.shape)
    if set(shapes) != {works.valid.shape}:
        fail(
            "CreatorAttention",
            expected=f"features, exposure and interactions with one row per work, {works.valid.shape}",
            got=f"shapes {', '.join(map(str, shapes))}",
            advice="Pad every creator to the same number of works, with valid=False.",
        )
