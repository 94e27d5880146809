"""The attention market: many users who share creators, and a platform that earns on exposure.

    maximise over a_u in C_u:  sum_u [<s_u, a_u> - T Omega(a_u)] + sum_j phi_j(e_j) + sum_j pi_j e_j

with C_u = {a_u >= 0, sum_i a_ui = R_u} and exposure e_j = sum_ui a_ui M_ij. It is *Metaverse* §4.2 made an allocation
problem: users' satisfaction, creators' revenue and platform income, under each user's budget of attention.

Users meet only through exposure, so a price p_j per unit of exposure separates them: at the right prices every user's
own best response to the scores s_u + M (p + pi) is the optimum. For any prices at all,

    D(p) = sum_u max over a_u of {<s_u + M (p + pi), a_u> - T Omega(a_u)} + sum_j phi_j^*(p_j)

is an upper bound on welfare, with phi^*(p) = max over e of phi(e) - p e.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import Box, CreatorValue, Linear
from attnjax.allocation.creators import Creators
from attnjax.allocation.operator import allocate
from attnjax.allocation.regularizers import Entropy, Regularizer
from attnjax.errors import fail
from attnjax.pytrees import register

Attention = Float[Array, "u n"]
Prices = Float[Array, " c"]


@dataclasses.dataclass(frozen=True)
class Market:
    """One market, a pytree: it can be jitted over and batched. Build it with `Market.of`, which checks it.

    Attributes:
        scores: (u, n), satisfaction per unit of attention; -inf excludes an item for a user.
        budgets: (u,), attention each user spends, met with equality.
        creators: the map from items to creators.
        creator_value: what exposure is worth to creators, in units of welfare.
        platform_rates: (c,), platform income per unit of exposure, in units of welfare.
        temperature: T >= 0, how much users value variety, in units of the scores; 0 makes the users' part linear.
        regularizer: Omega, the shape of that preference.
        impact: (u, n), exposure per unit of attention, or None for 1. With impact r_ui exposure is
            sum_ui r_ui a_ui M_ij: what counts is attention weighted by what it is worth to whoever pays it.
        at_most: whether budgets are upper bounds.
    """

    scores: Attention
    budgets: Float[Array, " u"]
    creators: Creators
    creator_value: CreatorValue
    platform_rates: Prices
    temperature: Float[Array, ""]
    regularizer: Regularizer
    impact: Attention | None = None
    at_most: bool = False

    @classmethod
    def of(
        cls,
        scores: Any,
        creators: Creators,
        creator_value: CreatorValue | None = None,
        *,
        budgets: Any = 1.0,
        platform_rates: Any = 0.0,
        temperature: Any = 1.0,
        regularizer: Regularizer | None = None,
        impact: Any = None,
        at_most: bool = False,
    ) -> "Market":
        """Checks and builds a market; scalars are broadcast.

        Raises:
            UserError: for scores that are not (u, n), NaN scores, a user without an admissible item, negative budgets,
                a negative temperature, numbers that are not finite, or arrays that don't fit.

        >>> Market.of(jnp.zeros((2, 3)), Creators.one_per_item(3)).budgets.tolist()
        [1.0, 1.0]
        """
        scores = jnp.asarray(scores)
        if scores.ndim != 2 or scores.shape[1] != creators.num_items:
            fail(
                "Market.of",
                expected=f"scores of shape (users, {creators.num_items}), one column per item of `creators`",
                got=f"shape {scores.shape}",
                advice="Give one row per user and one column per item.",
            )
        dtype = scores.dtype if scores.dtype in (jnp.float32, jnp.float64) else jnp.dtype(jnp.float32)
        scores = scores.astype(dtype)
        if bool(jnp.isnan(scores).any() | (scores == jnp.inf).any()):
            fail(
                "Market.of",
                expected="scores that are finite, or -inf to exclude an item",
                got="NaN or inf",
                advice="Look for a division by zero where the scores are made.",
            )
        budgets = _shaped("budgets", budgets, (scores.shape[0],), dtype)
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
        temperature = _shaped("temperature", temperature, (), dtype)
        if not float(temperature) >= 0:
            fail(
                "Market.of",
                expected="a temperature of at least 0",
                got=str(float(temperature)),
                advice="0 stands for users without a preference for variety; a larger one spreads attention wider.",
            )
        if impact is not None:
            impact = _shaped("impact", impact, scores.shape, dtype)
            if not bool((impact >= 0).all()):
                fail(
                    "Market.of",
                    expected="an impact of at least 0",
                    got=str(float(impact.min())),
                    advice="Exposure counts attention with non-negative weights; clip or shift them.",
                )
        shape = (creators.num_creators,)
        rates = _shaped("platform_rates", platform_rates, shape, dtype)
        creator_value = Linear(jnp.zeros(shape, dtype)) if creator_value is None else creator_value
        creator_value = jax.tree.map(
            lambda leaf: _shaped(
                "the creator value's parameters", leaf, shape, dtype, infinite=isinstance(creator_value, Box)
            ),
            creator_value,
        )
        regularizer = Entropy() if regularizer is None else regularizer
        return cls(scores, budgets, creators, creator_value, rates, temperature, regularizer, impact, at_most)


register(Market, static=("at_most",))


def _shaped(name: str, numbers: Any, shape: tuple[int, ...], dtype: Any, *, infinite: bool = False) -> Array:
    array = jnp.asarray(numbers, dtype)
    if array.shape not in ((), shape):
        fail(
            "Market.of",
            expected=f"{name} to be a scalar or of shape {shape}",
            got=f"shape {array.shape}",
            advice="Check that users and creators are counted as in the scores and the creator map.",
        )
    allowed = ~jnp.isnan(array) if infinite else jnp.isfinite(array)
    if not bool(allowed.all()):
        fail(
            "Market.of",
            expected=f"{name} to be finite",
            got="NaN or inf",
            advice="Look for a division by zero where they are made.",
        )
    return jnp.broadcast_to(array, shape)


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
    """
    bonus = market.creators.on_items(prices + market.platform_rates)

    def respond(scores: Array, budget: Array, impact: Array | None) -> tuple[Array, Array]:
        chosen = allocate(
            scores + (bonus if impact is None else impact * bonus),
            budget,
            None,
            market.regularizer,
            temperature=market.temperature,
            at_most=market.at_most,
        )
        return chosen.weights, chosen.value

    attention, values = jax.vmap(respond)(market.scores, market.budgets, market.impact)
    return Response(attention, exposure_of(market, attention), jnp.sum(values))


def exposure_of(market: Market, attention: Attention) -> Prices:
    """Exposure (c,) of each creator under attention (u, n), in units of attention times impact."""
    moved = attention if market.impact is None else attention * market.impact
    return market.creators.exposure(jnp.sum(moved, axis=0))


def welfare_of(market: Market, attention: Attention) -> Welfare:
    """Each party's part of welfare under attention (u, n); the gradient is that of the formulas above."""
    exposure = exposure_of(market, attention)
    scores = jnp.where(attention > 0, market.scores, 0)
    return Welfare(
        satisfaction=jnp.sum(scores * attention),
        variety=-market.temperature * jnp.sum(jax.vmap(market.regularizer.value)(attention)),
        creators=jnp.sum(market.creator_value.value(exposure)),
        platform=jnp.sum(market.platform_rates * exposure),
    )


def uniform_attention(market: Market) -> Attention:
    """Every user's budget spread evenly over the items admissible to them: (u, n)."""
    admissible = market.scores > -jnp.inf
    share = admissible / jnp.maximum(jnp.sum(admissible, axis=1, keepdims=True), 1)
    return market.budgets[:, None] * share.astype(market.scores.dtype)
