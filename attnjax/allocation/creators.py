"""Creators: who made what.

Item i passes on the attention it gets to its creators in shares M_ij, so creator j's exposure is

    e_j = sum_u sum_i a_ui M_ij.
"""

import dataclasses
from typing import Any

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
        pairs: (p,) and (p,), for every item and every two of its entries (one with itself included), the entries.
        identity: whether item i belongs to creator i alone and wholly.
    """

    item: Int[Array, " k"]
    creator: Int[Array, " k"]
    share: Float[Array, " k"]
    num_items: int
    num_creators: int
    pairs: tuple[Array, Array]
    identity: bool

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
        identity = num_items == num_creators == item.size and bool(
            (item == creator).all() and (np.sort(item) == np.arange(num_items)).all() and (share == 1).all()
        )
        return cls(
            jnp.asarray(item),
            jnp.asarray(creator),
            jnp.asarray(share),
            num_items,
            num_creators,
            _pairs(item),
            identity,
        )

    @classmethod
    def one_per_item(cls, num_items: int) -> "Creators":
        """Every item is its own creator: exposure is the items' attention."""
        index = np.arange(num_items)
        return cls.of(index, index, num_items=num_items, num_creators=num_items)

    def exposure(self, attention: Float[Array, " n"]) -> Exposure:
        """e = M^T a: exposure (c,) from the items' total attention (n,), same unit."""
        passed = attention[self.item] * self.share.astype(attention.dtype)
        return jax.ops.segment_sum(passed, self.creator, self.num_creators)

    def rows(self, attention: Float[Array, "b n"]) -> Float[Array, "b c"]:
        """Each row's exposure: (b, c) from attention (b, n)."""
        if self.identity:
            return attention
        passed = (attention[:, self.item] * self.share.astype(attention.dtype)[None, :]).T
        return jax.ops.segment_sum(passed, self.creator, self.num_creators).T

    def quadratic(self, weights: Float[Array, " n"]) -> Float[Array, "c c"]:
        """M' diag(weights) M: (c, c) from item weights (n,)."""
        first, second = self.pairs
        share = self.share.astype(weights.dtype)
        entries = weights[self.item[first]] * share[first] * share[second]
        empty = jnp.zeros((self.num_creators, self.num_creators), weights.dtype)
        return empty.at[self.creator[first], self.creator[second]].add(entries)

    def diagonal(self, weights: Float[Array, " n"]) -> Exposure:
        """The diagonal (c,) of `quadratic`."""
        entries = weights[self.item] * self.share.astype(weights.dtype) ** 2
        return jax.ops.segment_sum(entries, self.creator, self.num_creators)

    def on_items(self, prices: Prices) -> Float[Array, " n"]:
        """M p: what a unit of attention to each item (n,) earns at a price (c,) per unit of exposure."""
        earned = prices[self.creator] * self.share.astype(prices.dtype)
        return jax.ops.segment_sum(earned, self.item, self.num_items)


def _pairs(item: np.ndarray) -> tuple[Array, Array]:
    """All pairs of entries of one item."""
    order = np.argsort(item, kind="stable")
    count = np.bincount(item) if item.size else np.zeros(0, int)
    start = np.cumsum(count) - count
    length, begin = count[item[order]], start[item[order]]
    first = np.repeat(order, length)
    offset = np.arange(first.size) - np.repeat(np.cumsum(length) - length, length)
    second = order[np.repeat(begin, length) + offset]
    return jnp.asarray(first, jnp.int32), jnp.asarray(second, jnp.int32)


register(Creators, static=("num_items", "num_creators", "identity"))
