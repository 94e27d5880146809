"""What `Market.of` checks of its arrays, and the errors it raises."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.errors import fail

WHERE = "Market.of"


def shaped(name: str, numbers: Any, shape: tuple[int, ...], dtype: Any, *, infinite: bool = False) -> Array:
    """An array of finite numbers of this shape, broadcast from a scalar."""
    array = jnp.asarray(numbers, dtype)
    if array.shape not in ((), shape):
        fail(
            WHERE,
            expected=f"{name} to be a scalar or of shape {shape}",
            got=f"shape {array.shape}",
            advice="Check that users and creators are counted as in the scores and the creator map.",
        )
    allowed = ~jnp.isnan(array) if infinite else jnp.isfinite(array)
    if not bool(allowed.all()):
        fail(
            WHERE,
            expected=f"{name} to be finite",
            got="NaN or inf",
            advice="Look for a division by zero where they are made.",
        )
    return jnp.broadcast_to(array, shape)


def checked_scores(scores: Array) -> Float[Array, "u n"]:
    """Scores in single or double precision, finite or -inf."""
    scores = scores.astype(scores.dtype if scores.dtype in (jnp.float32, jnp.float64) else jnp.dtype(jnp.float32))
    if bool(jnp.isnan(scores).any() | (scores == jnp.inf).any()):
        fail(
            WHERE,
            expected="scores that are finite, or -inf to exclude an item",
            got="NaN or inf",
            advice="Look for a division by zero where the scores are made.",
        )
    return scores


def checked_candidates(scores: Array, candidates: Any, num_items: int) -> tuple[Array, Int[Array, "u k"] | None]:
    """Scores and candidates that fit each other; padded entries are excluded by a score of -inf."""
    if candidates is None:
        if scores.ndim != 2 or scores.shape[1] != num_items:
            fail(
                WHERE,
                expected=f"scores of shape (users, {num_items}), one column per item of `creators`",
                got=f"shape {scores.shape}",
                advice="Give one row per user and one column per item, or name each entry's item by `candidates`.",
            )
        return scores, None
    candidates = jnp.asarray(candidates)
    if scores.ndim != 2 or candidates.shape != scores.shape or not jnp.issubdtype(candidates.dtype, jnp.integer):
        fail(
            WHERE,
            expected="scores and candidates of one shape (users, candidates), candidates of integers",
            got=f"shapes {scores.shape} and {candidates.shape}, candidates of {candidates.dtype}",
            advice="Entry k of user u is item candidates[u, k], with score scores[u, k].",
        )
    candidates = candidates.astype(jnp.int32)
    if candidates.size and not bool(((candidates >= -1) & (candidates < num_items)).all()):
        fail(
            WHERE,
            expected=f"candidates from 0 to {num_items - 1}, or -1 where a user has fewer",
            got=f"{int(candidates.min())} to {int(candidates.max())}",
            advice="Renumber them, or give `creators` all items.",
        )
    order = jnp.sort(candidates, axis=1)
    double = ((order[:, 1:] == order[:, :-1]) & (order[:, 1:] >= 0)).any(axis=1)
    if bool(double.any()):
        fail(
            WHERE,
            expected="each item once among a user's candidates",
            got=f"an item twice for user {int(jnp.argmax(double))}",
            advice="Merge such entries, e.g. keep the one of the higher score.",
        )
    scores = scores.astype(scores.dtype if scores.dtype in (jnp.float32, jnp.float64) else jnp.dtype(jnp.float32))
    return jnp.where(candidates < 0, -jnp.inf, scores), jnp.maximum(candidates, 0)


def checked_caps(caps: Any, scores: Array, budgets: Array, at_most: bool) -> Float[Array, "u n"]:
    """Caps on entries under which budgets that must be met can be."""
    caps = jnp.asarray(caps, scores.dtype)
    if caps.shape not in ((), scores.shape) or not bool((caps >= 0).all()):
        fail(
            WHERE,
            expected=f"caps of at least 0, a scalar or of the scores' shape {scores.shape}",
            got=f"shape {caps.shape}, smallest {float(caps.min()) if caps.size else 'none'}",
            advice="Give the most attention each entry may get; inf for no cap.",
        )
    caps = jnp.broadcast_to(caps, scores.shape)
    room = jnp.sum(jnp.where(scores > -jnp.inf, caps, 0), axis=1)
    short = room < budgets * (1 - 1e-6)
    if not at_most and bool(short.any()):
        user = int(jnp.argmax(short))
        fail(
            WHERE,
            expected="caps under which every budget can be spent",
            got=f"caps that sum to {float(room[user]):g} for user {user}, whose budget is {float(budgets[user]):g}",
            advice="Raise caps, lower budgets, or pass at_most=True to let attention go unspent.",
        )
    return caps


def checked_positions(
    position_bias: Any, scores: Array, budgets: Array, temperature: Array, at_most: bool, caps: Any
) -> Float[Array, " k"]:
    """The attention of each position, for markets that can have slates."""
    bias = jnp.asarray(position_bias, scores.dtype)
    falling = bias.ndim == 1 and bias.size > 0 and bool(jnp.isfinite(bias).all() & (bias[-1] >= 0) & (bias[0] > 0))
    if not falling or not bool((bias[:-1] >= bias[1:]).all()):
        fail(
            WHERE,
            expected="position_bias of shape (positions,), falling, the first above 0",
            got=f"{bias.tolist()}" if bias.ndim <= 1 and bias.size < 20 else f"shape {bias.shape}",
            advice="Give the attention that each position of a slate gets, the best one first.",
        )
    if at_most or caps is not None or float(temperature) > 0:
        wrong = "budgets as upper bounds" if at_most else "a temperature above 0" if caps is None else "caps on entries"
        fail(
            WHERE,
            expected="slates without preference for variety, caps on entries or unspent attention",
            got=wrong,
            advice="Leave temperature, caps and at_most out: what a slate gives an item is bounded by its positions.",
        )
    seen = jnp.sum(scores > -jnp.inf, axis=1)
    short = (seen < bias.size) & (budgets > 0)
    if bool(short.any()):
        user = int(jnp.argmax(short))
        fail(
            WHERE,
            expected=f"at least as many admissible items as positions ({bias.size}) for every user",
            got=f"{int(seen[user])} for user {user}",
            advice="Shorten the slate or admit more items.",
        )
    return bias
