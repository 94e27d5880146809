"""Creators: who made what, and what their exposure is worth.

Item i passes on the attention it gets to its creators in shares M_ij, so creator j's exposure is

    e_j = sum_u sum_i a_ui M_ij.

A *creator value* is a concave function of each exposure, phi_j(e_j), given with what a dual method needs of it: the
conjugate max over e of phi(e) - p e, and the exposure that attains it, at a price p per unit of exposure.
"""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from attnjax.errors import fail
from attnjax.pytrees import register

Exposure = Float[Array, " c"]
Prices = Float[Array, " c"]


@dataclasses.dataclass(frozen=True)
class Creators:
    """The sparse map from items to creators: entry k says that creator[k] gets share[k] of item[k]'s attention.

    Build it with `Creators.of`, which checks it.

    Attributes:
        item: (k,), item indices.
        creator: (k,), creator indices.
        share: (k,), non-negative; the shares of one item usually sum to 1, or to 0 where its creator is unknown.
        num_items: how many items there are.
        num_creators: how many creators there are.
    """

    item: Int[Array, " k"]
    creator: Int[Array, " k"]
    share: Float[Array, " k"]
    num_items: int
    num_creators: int

    @classmethod
    def of(cls, item: Any, creator: Any, share: Any = None, *, num_items: int, num_creators: int) -> "Creators":
        """Checks and builds the map; `share` defaults to an equal split among the creators of each item.

        Raises:
            UserError: for arrays of different length, indices out of range, or negative shares.

        >>> Creators.of([0, 0, 1], [0, 1, 1], num_items=2, num_creators=2).share.tolist()
        [0.5, 0.5, 1.0]
        """
        item, creator = np.asarray(item, np.int32), np.asarray(creator, np.int32)
        if item.ndim != 1 or item.shape != creator.shape:
            fail(
                "Creators.of",
                expected="item and creator of one length",
                got=f"shapes {item.shape} and {creator.shape}",
                advice="Give one (item, creator) pair per entry.",
            )
        for name, index, count in (("item", item, num_items), ("creator", creator, num_creators)):
            if index.size and not (0 <= index.min() and index.max() < count):
                fail(
                    "Creators.of",
                    expected=f"{name} indices from 0 to {count - 1}",
                    got=f"{index.min()} to {index.max()}",
                    advice=f"Renumber them, or pass the right num_{name}s.",
                )
        if share is None:
            share = 1 / np.bincount(item, minlength=num_items)[item]
        share = np.asarray(share, np.float64)
        if share.shape != item.shape or not (share >= 0).all():
            fail(
                "Creators.of",
                expected="one share of at least 0 per (item, creator) pair",
                got=f"shape {share.shape}, smallest {share.min() if share.size else 'none'}",
                advice="Leave share as None to split each item's attention equally.",
            )
        return cls(jnp.asarray(item), jnp.asarray(creator), jnp.asarray(share), num_items, num_creators)

    @classmethod
    def one_per_item(cls, num_items: int) -> "Creators":
        """Every item is its own creator: exposure is the items' attention."""
        index = np.arange(num_items)
        return cls.of(index, index, num_items=num_items, num_creators=num_items)

    def exposure(self, attention: Float[Array, " n"]) -> Exposure:
        """e = M^T a: exposure (c,) from the items' total attention (n,), same unit."""
        passed = attention[self.item] * self.share.astype(attention.dtype)
        return jax.ops.segment_sum(passed, self.creator, self.num_creators)

    def on_items(self, prices: Prices) -> Float[Array, " n"]:
        """M p: what a unit of attention to each item (n,) earns at a price (c,) per unit of exposure."""
        earned = prices[self.creator] * self.share.astype(prices.dtype)
        return jax.ops.segment_sum(earned, self.item, self.num_items)


@runtime_checkable
class CreatorValue(Protocol):
    """The contract of a creator value: all maps are elementwise over creators."""

    def value(self, exposure: Exposure) -> Exposure:
        """phi_j(e_j), in units of welfare; -inf where e_j is not allowed."""
        ...

    def conjugate(self, prices: Prices) -> Exposure:
        """Max over e of phi_j(e) - p_j e."""
        ...

    def demand(self, prices: Prices) -> Exposure:
        """The exposure that attains the maximum: the negative gradient of `conjugate`."""
        ...

    def curvature(self, prices: Prices) -> Exposure:
        """The second derivative of `conjugate`, at least 0."""
        ...

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """The nearest prices at which the conjugate is finite, kept away from its singularities."""
        ...

    def start(self, exposure: Exposure) -> Prices:
        """Prices to start from, given the exposure at price 0."""
        ...


@dataclasses.dataclass(frozen=True)
class Nash:
    """Weighted Nash welfare, phi_j(e) = w_j log e: proportional fairness, no creator is left without exposure.

    The price that supports an exposure is w_j / e_j. Source: Eisenberg and Gale (1959); Nash (1950).

    Attributes:
        weights: (c,), w_j > 0, in units of welfare.
    """

    weights: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """w log e."""
        return self.weights * jnp.log(exposure)

    def derivative(self, exposure: Exposure) -> Prices:
        """w / e: the price that supports an exposure."""
        return self.weights / exposure

    def conjugate(self, prices: Prices) -> Exposure:
        """w log(w / p) - w."""
        return self.weights * (jnp.log(self.weights / prices) - 1)

    def demand(self, prices: Prices) -> Exposure:
        """w / p."""
        return self.weights / prices

    def curvature(self, prices: Prices) -> Exposure:
        """w / p^2."""
        return self.weights / prices**2

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """At least a fifth of the previous price: prices of a Nash market are positive."""
        return jnp.maximum(prices, previous / 5)

    def start(self, exposure: Exposure) -> Prices:
        """The supporting prices of the exposure at price 0, with its smallest entries lifted."""
        return self.weights / jnp.maximum(exposure, 0.1 * jnp.mean(exposure))


@dataclasses.dataclass(frozen=True)
class Linear:
    """A constant worth per unit of exposure, phi_j(e) = r_j e: the document's sum_j b_j b_uj (*Metaverse* §4.2).

    Its price is its rate, so a market with linear creator values separates into its users.

    Attributes:
        rates: (c,), r_j, welfare per unit of exposure.
    """

    rates: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """r e."""
        return self.rates * exposure

    def derivative(self, exposure: Exposure) -> Prices:
        """The rate, whatever the exposure."""
        return jnp.broadcast_to(self.rates, exposure.shape)

    def conjugate(self, prices: Prices) -> Exposure:
        """0 at the only admissible price, the rate."""
        return jnp.zeros_like(prices)

    def demand(self, prices: Prices) -> Exposure:
        """0: any exposure will do at the rate."""
        return jnp.zeros_like(prices)

    def curvature(self, prices: Prices) -> Exposure:
        """0."""
        return jnp.zeros_like(prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """The rates, the only prices with a finite conjugate."""
        return jnp.broadcast_to(self.rates, prices.shape)

    def start(self, exposure: Exposure) -> Prices:
        """The rates."""
        return self.rates


@dataclasses.dataclass(frozen=True)
class Floors:
    """A guarantee, e_j >= floor_j, and no value beyond it. Its price is what the guarantee costs at the margin.

    Attributes:
        floors: (c,), at least 0, in units of exposure.
    """

    floors: Float[Array, " c"]

    def value(self, exposure: Exposure) -> Exposure:
        """0 where the floor is met (to a relative 1e-6), -inf where not."""
        return jnp.where(exposure >= self.floors * (1 - 1e-6), 0, -jnp.inf)

    def conjugate(self, prices: Prices) -> Exposure:
        """-p floor, for p >= 0."""
        return -prices * self.floors

    def demand(self, prices: Prices) -> Exposure:
        """The floor."""
        return self.floors

    def curvature(self, prices: Prices) -> Exposure:
        """0."""
        return jnp.zeros_like(prices)

    def admissible(self, prices: Prices, previous: Prices) -> Prices:
        """At least 0: a guarantee is never a tax."""
        return jnp.maximum(prices, 0)

    def start(self, exposure: Exposure) -> Prices:
        """0."""
        return jnp.zeros_like(self.floors)


register(Creators, static=("num_items", "num_creators"))
for _value in (Nash, Linear, Floors):
    register(_value)
