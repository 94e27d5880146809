"""What floors and caps ask too much: the smallest total shortfall, and the creators in it.

The least by which floors can be missed in all, under caps, is itself a market: users without tastes, and a penalty of
1 per missing unit of exposure. Its dual certifies it, and its prices say who is in the way: they are the penalty for
creators whose floors compete for too little attention, 0 for the others.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.allocation.guarantees import SoftBox
from attnjax.allocation.market import Market
from attnjax.allocation.newton import FIRST, Found, newton

TOL, LIMIT = 1e-3, 400
"""How exactly the shortfall is found, and in how many passes."""


class Shortfall(NamedTuple):
    """The least by which floors are missed, and the least attention that caps leave no place for.

    Attributes:
        total: (2,), bounds on the smallest total shortfall, in units of exposure.
        missing: (c,), each creator's in an allocation that attains the upper bound.
        blamed: (c,), whether the creator's floor takes part in the conflict.
        unplaced: (2,), bounds on the least attention that has no place under the caps; 0 where it may go unspent.
        closed: (c,), whether the creator's cap takes part in that.
    """

    total: np.ndarray
    missing: np.ndarray
    blamed: np.ndarray
    unplaced: np.ndarray
    closed: np.ndarray

    def message(self, market: Market) -> str:
        """One line for an error."""
        parts = []
        scale = float(jnp.sum(market.attention_budgets)) or 1.0
        if self.total[1] > 1e-5 * scale:
            parts.append(
                f"floors missed by {self.total[0]:.4g} to {self.total[1]:.4g} in all at the least, because of "
                f"{_named(self.blamed)}"
            )
        if self.unplaced[1] > 1e-5 * scale:
            parts.append(
                f"{self.unplaced[0]:.4g} to {self.unplaced[1]:.4g} of attention without a place under the caps, "
                f"because of {_named(self.closed)}"
            )
        if not parts:
            parts.append("floors and caps that can be met only exactly, without any room")
        floors = market.creator_value.floors  # type: ignore[attr-defined]
        return f"{'; '.join(parts)} (budgets {scale:g}, floors {float(floors.sum()):g} in all)"


def _named(who: np.ndarray) -> str:
    index = np.nonzero(who)[0]
    shown = ", ".join(str(j) for j in index[:8]) + (", ..." if index.size > 8 else "")
    return f"{index.size} creators ({shown})"


def smallest_shortfall(market: Market) -> Shortfall:
    """The smallest total shortfall of a market's floors, under its caps; bounds from primal and dual.

    Args:
        market: with `Floors`, `Box` or `SoftBox`; its scores count only as to what is excluded.

    >>> from attnjax.allocation import Creators, Floors, Market
    >>> market = Market.of(jnp.zeros((2, 2)), Creators.one_per_item(2), Floors(jnp.array([1.5, 1.0])))
    >>> [round(float(bound), 2) for bound in smallest_shortfall(market).total]
    [0.5, 0.5]
    """
    value = market.creator_value
    floors = value.floors  # type: ignore[attr-defined]
    caps = getattr(value, "caps", jnp.full_like(floors, jnp.inf))
    may_rest = market.position_bias is None
    flat = dataclasses.replace(
        market,
        scores=jnp.where(market.scores > -jnp.inf, jnp.zeros_like(market.scores), market.scores),
        platform_rates=jnp.zeros_like(market.platform_rates),
        temperature=jnp.zeros_like(market.temperature),
    )
    soft = SoftBox(floors, caps, jnp.ones_like(floors))
    low, high, missing, prices = _least(dataclasses.replace(flat, creator_value=soft, at_most=may_rest))
    blamed = (np.asarray(prices) > 0.5) & (np.asarray(floors) > 0)
    if market.at_most or not may_rest:
        none = np.zeros_like(blamed)
        return Shortfall(np.array([low, high]), missing, blamed, np.zeros(2), none)
    # Attention worth 1 wherever there is room for it: what is not spent has none.
    total = float(jnp.sum(market.budgets))
    ones = dataclasses.replace(
        flat,
        scores=flat.scores + 1,
        creator_value=SoftBox(jnp.zeros_like(floors), caps, jnp.ones_like(floors)),
        at_most=True,
    )
    found = _solved(ones)
    placed = float(found.satisfaction)
    unplaced = np.maximum(total - np.array([placed + float(found.gap), placed]), 0)
    return Shortfall(
        np.array([low, high]), missing, blamed, unplaced, (np.asarray(found.prices) < -0.5) & np.isfinite(caps)
    )


@jax.jit
def _solved(market: Market) -> Found:
    dtype = market.scores.dtype
    limits = (jnp.asarray(TOL, dtype), jnp.asarray(LIMIT), jnp.asarray(FIRST, dtype))
    return newton(market, jnp.zeros_like(market.platform_rates), *limits, False)


def _least(market: Market) -> tuple[float, float, np.ndarray, Float[Array, " c"]]:
    """Bounds on the total shortfall, each creator's, and the prices."""
    found = _solved(market)
    floors = np.asarray(market.creator_value.floors)  # type: ignore[attr-defined]
    missing = np.maximum(floors - np.asarray(found.exposure), 0)
    high = float(missing.sum())
    return max(high - float(found.gap), 0.0), high, missing, found.prices
