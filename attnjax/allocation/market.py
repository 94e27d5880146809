"""The attention market: many users who share creators, and a platform that earns on exposure.

    maximise over a_u in C_u:  sum_u [<s_u, a_u> - T Omega(a_u)] + sum_j phi_j(e_j) + sum_j pi_j e_j

with C_u = {a_u >= 0, sum_i a_ui = R_u} and exposure e_j = sum_ui a_ui M_ij. It is *Metaverse* §4.2 made an allocation
problem: users' satisfaction, creators' revenue and platform income, under each user's budget of attention.

Users meet only through exposure, so a price p_j per unit of exposure separates them: at the right prices every user's
own best response to the scores s_u + M (p + pi) is the optimum. For any prices at all,

    D(p) = sum_u max over a_u of {<s_u + M (p + pi), a_u> - T Omega(a_u)} + sum_j phi_j^*(p_j)

is an upper bound on welfare, with phi^*(p) = max over e of phi(e) - p e.

Users may see all items or some candidates each, may have caps on single items, may leave attention unspent, or may be
shown slates: K positions of falling attention v_1 >= ... >= v_K, in any order and mixture. With slates C_u is R_u times
the permutohedron of v: {a : its k largest entries sum to at most v_1 + ... + v_k, all of it to the whole sum}.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from attnjax.allocation.creator_values import CreatorValue, Linear
from attnjax.allocation.creators import Creators
from attnjax.allocation.entries import on_entries, over_items
from attnjax.allocation.market_checks import (
    checked_candidates,
    checked_caps,
    checked_positions,
    checked_scores,
    shaped,
)
from attnjax.allocation.operator import allocate
from attnjax.allocation.regularizers import Entropy, Regularizer
from attnjax.errors import fail
from attnjax.pytrees import register

Attention = Float[Array, "u n"]
Prices = Float[Array, " c"]

PER_USER = ("scores", "budgets", "impact", "candidates", "caps")
"""The fields of a market that have a row per user."""


@dataclasses.dataclass(frozen=True)
class Market:
    """One market, a pytree: it can be jitted over and batched. Build it with `Market.of`, which checks it.

    Entries (u, n) are users by items, or users by their candidates where there are `candidates`.

    Attributes:
        scores: (u, n), satisfaction per unit of attention; -inf excludes an item for a user.
        budgets: (u,), attention each user spends, met with equality; with slates, how much of each position's.
        creators: the map from items to creators.
        creator_value: what exposure is worth to creators, in units of welfare.
        platform_rates: (c,), platform income per unit of exposure, in units of welfare.
        temperature: T >= 0, how much users value variety, in units of the scores; 0 makes the users' part linear.
        regularizer: Omega, the shape of that preference.
        impact: (u, n), exposure per unit of attention, or None for 1. With impact r_ui exposure is
            sum_ui r_ui a_ui M_ij: what counts is attention weighted by what it is worth to whoever pays it.
        candidates: (u, n), the item of each entry, or None where entry i is item i.
        caps: (u, n), the most attention an entry may get, or None.
        position_bias: (k,), the attention each position of a slate gets, falling, or None for no slates.
        at_most: whether budgets are upper bounds.
        mesh: the devices over which users are spread, along its axis "users", or None; see `shard`.
    """

    scores: Attention
    budgets: Float[Array, " u"]
    creators: Creators
    creator_value: CreatorValue
    platform_rates: Prices
    temperature: Float[Array, ""]
    regularizer: Regularizer
    impact: Attention | None = None
    candidates: Int[Array, "u n"] | None = None
    caps: Attention | None = None
    position_bias: Float[Array, " k"] | None = None
    at_most: bool = False
    mesh: Mesh | None = None

    @classmethod
    def of(
        cls,
        scores: Any,
        creators: Creators,
        creator_value: CreatorValue | None = None,
        *,
        budgets: Any = 1.0,
        platform_rates: Any = 0.0,
        temperature: Any = None,
        regularizer: Regularizer | None = None,
        impact: Any = None,
        candidates: Any = None,
        caps: Any = None,
        position_bias: Any = None,
        at_most: bool = False,
    ) -> "Market":
        """Checks and builds a market; scalars are broadcast. Outside jit: the checks look at values.

        Args:
            scores: (u, n), or (u, k) with candidates; -inf excludes an entry. A scalar with `impact`.
            creators: the map from items to creators.
            creator_value: default none, i.e. exposure is worth nothing to creators.
            budgets: scalar or (u,).
            platform_rates: scalar or (c,).
            temperature: default 1, and 0 with slates, which have no other.
            regularizer: default `Entropy()`.
            impact: None or like scores.
            candidates: (u, k), item indices; -1 pads. No item twice for one user.
            caps: None, or scalar or like scores.
            position_bias: None or (k,).
            at_most: whether budgets are upper bounds.

        Raises:
            UserError: for scores that are not (u, n), NaN scores, a user without an admissible item, negative budgets,
                a negative temperature, numbers that are not finite, caps that a budget can't be spent under, slates
                longer than what a user may see, or arrays that don't fit.

        >>> Market.of(jnp.zeros((2, 3)), Creators.one_per_item(3)).budgets.tolist()
        [1.0, 1.0]
        """
        if impact is not None and jnp.ndim(scores) == 0:
            scores = jnp.full(jnp.shape(impact), scores)
        scores, candidates = checked_candidates(jnp.asarray(scores), candidates, creators.num_items)
        scores = checked_scores(scores)
        dtype = scores.dtype
        budgets = shaped("budgets", budgets, (scores.shape[0],), dtype)
        if not bool((budgets >= 0).all()):
            fail(
                "Market.of",
                expected="budgets of at least 0",
                got=f"{float(budgets.min())}",
                advice="Attention can't be negative; drop users without any.",
            )
        stuck = (budgets > 0) & ~(scores > -jnp.inf).any(axis=1)
        if bool(stuck.any()):
            fail(
                "Market.of",
                expected="an admissible item for every user with a budget",
                got=f"none for user {int(jnp.argmax(stuck))}",
                advice="Drop such users or set their budget to 0.",
            )
        if temperature is None:
            temperature = 1.0 if position_bias is None else 0.0
        temperature = shaped("temperature", temperature, (), dtype)
        if not float(temperature) >= 0:
            fail(
                "Market.of",
                expected="a temperature of at least 0",
                got=str(float(temperature)),
                advice="0 stands for users without a preference for variety; a larger one spreads attention wider.",
            )
        if impact is not None:
            impact = shaped("impact", impact, scores.shape, dtype)
            if not bool((impact >= 0).all()):
                fail(
                    "Market.of",
                    expected="an impact of at least 0",
                    got=str(float(impact.min())),
                    advice="Exposure counts attention with non-negative weights; clip or shift them.",
                )
        if position_bias is not None:
            position_bias = checked_positions(position_bias, scores, budgets, temperature, at_most, caps)
        if caps is not None:
            caps = checked_caps(caps, scores, budgets, at_most)
        shape = (creators.num_creators,)
        rates = shaped("platform_rates", platform_rates, shape, dtype)
        creator_value = Linear(jnp.zeros(shape, dtype)) if creator_value is None else creator_value
        creator_value = jax.tree.map(
            lambda leaf: shaped(
                "the creator value's parameters", leaf, shape, dtype, infinite=hasattr(creator_value, "caps")
            ),
            creator_value,
        )
        return cls(
            scores,
            budgets,
            dataclasses.replace(creators, share=creators.share.astype(dtype)),
            creator_value,
            rates,
            temperature,
            Entropy() if regularizer is None else regularizer,
            impact,
            candidates,
            caps,
            position_bias,
            at_most,
        )

    @property
    def attention_budgets(self) -> Float[Array, " u"]:
        """(u,), all attention each user has: the budget, with slates times the positions' sum."""
        return self.budgets if self.position_bias is None else self.budgets * jnp.sum(self.position_bias)


register(Market, static=("at_most", "mesh"))


def map_parts(market: Market, on_rows: Callable[[Any], Any], on_rest: Callable[[Any], Any]) -> Any:
    """The market with one function applied to the arrays that have a row per user, another to all others."""

    def apply(path: tuple, leaf: Any) -> Any:
        return on_rows(leaf) if path[0].name in PER_USER else on_rest(leaf)

    return jax.tree_util.tree_map_with_path(apply, market)


class Response(NamedTuple):
    """What users do at given prices.

    Attributes:
        attention: (u, n), each user's best response.
        exposure: (c,), what creators get from it.
        value: scalar, sum over users of <s + M (p + pi), a> - T Omega(a): the users' part of the dual.
    """

    attention: Attention
    exposure: Prices
    value: Float[Array, ""]


class Welfare(NamedTuple):
    """Each party's part of welfare, scalars in units of the scores times attention; see `total`.

    Attributes:
        satisfaction: sum_u <s_u, a_u>.
        variety: -T sum_u Omega(a_u), what users gain by not spending all on one item.
        creators: sum_j phi_j(e_j).
        platform: sum_j pi_j e_j.
    """

    satisfaction: Float[Array, ""]
    variety: Float[Array, ""]
    creators: Float[Array, ""]
    platform: Float[Array, ""]

    @property
    def total(self) -> Float[Array, ""]:
        """The objective of the market."""
        return self.satisfaction + self.variety + self.creators + self.platform


def best_response(market: Market, prices: Prices) -> Response:
    """Every user's best response to prices (c,) per unit of exposure; the operator, once per user.

    Differentiable in everything (see `allocate`); by the envelope theorem the gradient of `value` in the prices is
    the exposure. The temperature must be above 0: without a preference for variety best responses are not unique.
    Not for slates, likewise.
    """
    bonus = on_entries(market.creators.on_items(prices + market.platform_rates), market.candidates)
    worth = market.scores + (bonus if market.impact is None else market.impact * bonus)

    def respond(worth: Array, budget: Array, cap: Array | None) -> tuple[Array, Array]:
        chosen = allocate(
            worth, budget, cap, market.regularizer, temperature=market.temperature, at_most=market.at_most
        )
        return chosen.weights, chosen.value

    attention, values = jax.vmap(respond)(worth, market.budgets, market.caps)
    return Response(attention, exposure_of(market, attention), jnp.sum(values))


def exposure_of(market: Market, attention: Attention) -> Prices:
    """Exposure (c,) of each creator under attention (u, n), in units of attention times impact."""
    moved = attention if market.impact is None else attention * market.impact
    return market.creators.exposure(over_items(moved, market.candidates, market.creators.num_items))


def welfare_of(market: Market, attention: Attention) -> Welfare:
    """Each party's part of welfare under attention (u, n); the gradient is that of the formulas above."""
    exposure = exposure_of(market, attention)
    excluded = (market.scores == -jnp.inf) & (attention == 0)
    scores = jnp.where(excluded, 0, market.scores)
    return Welfare(
        satisfaction=jnp.sum(scores * attention),
        variety=-market.temperature * jnp.sum(jax.vmap(market.regularizer.value)(attention)),
        creators=jnp.sum(market.creator_value.value(exposure)),
        platform=jnp.sum(market.platform_rates * exposure),
    )


def uniform_attention(market: Market) -> Attention:
    """Every user's budget spread evenly over the entries admissible to them, as far as caps allow: (u, n)."""
    admissible = market.scores > -jnp.inf
    if market.caps is not None:
        flat = jnp.where(admissible, jnp.zeros_like(market.scores), -jnp.inf)
        spread = jax.vmap(lambda s, r, c: allocate(s, r, c, at_most=market.at_most).weights)
        return spread(flat, market.budgets, market.caps)
    share = admissible / jnp.maximum(jnp.sum(admissible, axis=1, keepdims=True), 1)
    return market.attention_budgets[:, None] * share.astype(market.scores.dtype)
