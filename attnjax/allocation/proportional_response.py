"""Proportional response: the Fisher market's own dynamics, a readable reference for Nash welfare.

Creators bid their weight for users' attention in proportion to what it brought them last time, and each user's
attention goes to bidders in proportion to their bids:

    b_ui = r_ui a_ui (M w / e)_i,      a_ui = R_u b_ui / sum_i b_ui.

Nash welfare never falls. Source: Wu and Zhang (2007); Zhang (2011); Birnbaum, Devanur and Xiao (2011) show it to be
mirror descent, with a gap that falls as one over the number of rounds.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation.entries import on_entries
from attnjax.allocation.market import Market, exposure_of, uniform_attention, welfare_of
from attnjax.allocation.solution import Solution

Prices = Float[Array, " c"]


@jax.jit
def proportional_response(market: Market, start: Prices, tol: Array, max_iterations: Array) -> Solution:
    """Bids in proportion to what they brought, from even attention; see `attnjax.allocation.solve`.

    Args:
        market: of users without scores, whose exposure is weighted by impact, under Nash welfare.
        start: not used; attention starts even.
        tol: the relative gap to reach.
        max_iterations: when to give up.
    """
    value = market.creator_value
    seen = market.scores > -jnp.inf
    impact = jnp.where(seen, 1 if market.impact is None else market.impact, 0)

    def worth(exposure: Prices) -> Array:
        prices = value.derivative(exposure)  # type: ignore[attr-defined]
        return impact * on_entries(market.creators.on_items(prices), market.candidates)

    def gap_at(attention: Array, z: Array) -> Array:
        best = jnp.max(jnp.where(seen, z, 0), axis=1)
        return jnp.sum(best * market.budgets - jnp.sum(z * attention, axis=1))

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        attention, _, count = state
        z = worth(exposure_of(market, attention))
        bids = z * attention
        total = jnp.sum(bids, axis=1, keepdims=True)
        # Nobody bids for users without impact: their attention stays even.
        share = jnp.where(total > 0, bids / jnp.where(total > 0, total, 1), first_share)
        return market.budgets[:, None] * share, gap_at(attention, z), count + 1

    first = uniform_attention(market)
    first_share = first / jnp.where(market.budgets > 0, market.budgets, 1)[:, None]
    inf = jnp.full((), jnp.inf, first.dtype)
    scale = jnp.sum(value.weights)  # type: ignore[attr-defined]
    attention, _, count = jax.lax.while_loop(
        lambda s: (s[1] > tol * scale) & (s[2] < max_iterations),
        step,
        (first, inf, jnp.zeros((), max_iterations.dtype)),
    )
    exposure = exposure_of(market, attention)
    gap = jnp.maximum(gap_at(attention, worth(exposure)), 0)
    lower = welfare_of(market, attention).total
    plain = ~(jnp.where(seen, market.scores, 0) != 0).any() & ~(market.platform_rates != 0).any()
    gap = jnp.where(jnp.isnan(gap) | ~jnp.isfinite(lower) | ~plain | (market.temperature > 0), jnp.inf, gap)
    return Solution(
        attention,
        exposure,
        value.derivative(exposure),  # type: ignore[attr-defined]
        lower,
        jnp.where(jnp.isfinite(gap), lower + gap, jnp.inf),
        gap,
        count,
        gap <= tol * scale,
    )
