"""Entries: where a user's scores belong. Users see all items, or only some candidates each.

Dense markets hold one entry per user and item; sparse ones k entries per user and the item of each. The two differ
only in how values of items come to the entries, and how entries add up over items.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.allocation.creators import Creators

Candidates = Int[Array, "u k"] | None
"""(u, k), the item of each entry, or None where entry i is item i."""


def on_entries(items: Float[Array, " n"], candidates: Candidates) -> Float[Array, "u k"]:
    """Values of items (n,) at the users' entries: (u, k), or (1, n) for all users alike."""
    return items[None, :] if candidates is None else items[candidates]


def over_items(entries: Float[Array, "u k"], candidates: Candidates, num_items: int) -> Float[Array, " n"]:
    """Entries (u, k) added up over users, by item: (n,)."""
    if candidates is None:
        return jnp.sum(entries, axis=0)
    return jax.ops.segment_sum(entries.ravel(), candidates.ravel(), num_items)


def over_creators(entries: Float[Array, "u k"], candidates: Candidates, creators: Creators) -> Float[Array, "u c"]:
    """What each creator gets from each user's entries (u, k): (u, c)."""
    if candidates is not None:
        rows = jnp.arange(entries.shape[0])[:, None]
        entries = jnp.zeros((entries.shape[0], creators.num_items), entries.dtype).at[rows, candidates].add(entries)
    return creators.rows(entries)
