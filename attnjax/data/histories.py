"""Histories of users as arrays of one shape: padded, masked, and with items hidden for pretraining.

A history is a user's latest interactions in the order of time, oldest first, from place 0; what is left of the row is
padding, item 0 under a mask that is False. Programs see one shape whatever the user has done, an empty history too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike, NDArray

from attnjax.errors import fail


class Histories(NamedTuple):
    """One row per user.

    Attributes:
        item: (users, length) int32; 0 where padded.
        mask: (users, length) bool, which places hold an interaction.
        row: (users, length) int64, its row in the log; -1 where padded. `values[row]` is a column of the log in the
            same places, e.g. ratings or time gaps (under `mask`).
        total: (users,) int64, how many interactions the user has, those that were cut off included.
    """

    item: NDArray[np.int32]
    mask: NDArray[np.bool_]
    row: NDArray[np.int64]
    total: NDArray[np.int64]


class Masked(NamedTuple):
    """A history with hidden items, to learn from by guessing them.

    Attributes:
        inputs: (..., length), the history with the hidden items replaced by the mask's number.
        targets: (..., length), the history as it was.
        weights: (..., length) float32, 1 at the hidden places, 0 elsewhere.
    """

    inputs: Int[Array, "*batch length"]
    targets: Int[Array, "*batch length"]
    weights: Float[Array, "*batch length"]


def pad_histories(user: ArrayLike, item: ArrayLike, timestamp: ArrayLike, *, num_users: int, length: int) -> Histories:
    """Lays out each user's latest interactions.

    Interactions of one user at one moment stay in the order of the log.

    Args:
        user: (rows,) integers in [0, num_users).
        item: (rows,) integers.
        timestamp: (rows,) numbers.
        num_users: how many rows the result has; users without interactions have empty histories.
        length: how many places; older interactions are left out.

    Returns:
        The histories.

    Raises:
        UserError: if the columns do not match, a user is out of range, or there is no place.

    >>> histories = pad_histories([1, 1, 1], [7, 8, 9], [30, 10, 20], num_users=2, length=2)
    >>> histories.item.tolist(), histories.mask.tolist(), histories.total.tolist()
    ([[0, 0], [9, 7]], [[False, False], [True, True]], [0, 3])
    """
    users, items, times = np.asarray(user), np.asarray(item), np.asarray(timestamp)
    whole = all(column.dtype.kind in "iu" or column.size == 0 for column in (users, items))
    if users.ndim != 1 or not users.shape == items.shape == times.shape or not whole:
        fail(
            "pad_histories",
            expected="user, item and timestamp of one length, the first two integers",
            got=f"{users.dtype} {users.shape}, {items.dtype} {items.shape} and {times.shape}",
            advice="Pass columns of one log.",
        )
    if length < 1 or num_users < 1 or (users.size and (users.min() < 0 or users.max() >= num_users)):
        fail(
            "pad_histories",
            expected="length >= 1 and users in [0, num_users)",
            got=f"length {length}, num_users {num_users}" + (f", users to {users.max()}" if users.size else ""),
            advice="Renumber users from 0, or correct their number.",
        )
    order = np.lexsort((times, users))
    total = np.bincount(users.astype(np.int64), minlength=num_users)
    begin = np.cumsum(total) - total
    place = np.arange(len(users)) - np.repeat(begin, total) - np.repeat(np.maximum(total - length, 0), total)
    kept = place >= 0
    row = np.full((num_users, length), -1, np.int64)
    row[users[order][kept], place[kept]] = order[kept]
    mask = row >= 0
    values = items[row] if items.size else np.zeros(row.shape, np.int64)
    return Histories(np.where(mask, values, 0).astype(np.int32), mask, row, total)


def mask_items(
    key: Array,
    items: Int[Array, "*batch length"],
    mask: Bool[Array, "*batch length"],
    rate: Float[Array, ""] | float,
    mask_item: int,
) -> Masked:
    """Hides items of histories at random, to be guessed from the others.

    Each interaction is hidden with probability `rate`, on its own; in a history where none was, one is, each as
    likely as the next, so that every history that is not empty teaches something.

    Args:
        key: decides which.
        items: (..., length) integers.
        mask: (..., length), which places hold an interaction; padding is never hidden.
        rate: between 0 and 1; may be traced.
        mask_item: the number that stands for a hidden item; one that no item has, e.g. the number of items.

    Returns:
        Inputs, targets and weights.

    Raises:
        UserError: if the shapes differ or the rate is a Python number outside [0, 1].

    >>> hidden = mask_items(jax.random.key(0), jnp.array([4, 5, 0]), jnp.array([True, True, False]), 1.0, mask_item=9)
    >>> hidden.inputs.tolist(), hidden.targets.tolist(), hidden.weights.tolist()
    ([9, 9, 0], [4, 5, 0], [1.0, 1.0, 0.0])

    Source: F. Sun et al., BERT4Rec, CIKM 2019.
    """
    items, mask = jnp.asarray(items), jnp.asarray(mask, bool)
    if items.shape != mask.shape or items.ndim == 0 or (isinstance(rate, int | float) and not 0 <= rate <= 1):
        fail(
            "mask_items",
            expected="items and mask of one shape (..., length), and a rate in [0, 1]",
            got=f"shapes {items.shape} and {mask.shape}, and rate {rate}",
            advice="Pass a history's `item` and `mask`.",
        )
    draw = jnp.where(mask, jax.random.uniform(key, items.shape), jnp.inf)
    # The smallest draw: one place of the history, each as likely; where it is above the rate, no other is below.
    smallest = jax.nn.one_hot(jnp.argmin(draw, axis=-1), items.shape[-1], dtype=bool)
    hidden = mask & ((draw < rate) | smallest)
    return Masked(jnp.where(hidden, mask_item, items), items, hidden.astype(jnp.float32))
