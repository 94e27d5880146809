"""What `allocate` refuses, where the values are known: each with what was expected, what came, and what to do."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.errors import fail

Scalar = Float[Array, ""]


def checked_scalar(name: str, number: Any, dtype: Any) -> Scalar:
    """A number as a scalar array of the scores' dtype; refuses any other shape."""
    array = jnp.asarray(number, dtype)
    if array.shape != ():
        fail(
            "allocate",
            expected=f"a scalar {name}",
            got=f"shape {array.shape}",
            advice="One problem has one; use jax.vmap for many problems.",
        )
    return array


def check_values(scores: Array, budget: Array, cap: Array | None, temperature: Array, at_most: bool) -> None:
    """Refuses what has no solution, where the values are known; tracers are left to `Allocation.feasible`."""
    if any(isinstance(x, jax.core.Tracer) for x in (scores, budget, cap, temperature)):
        return
    s, r, t = np.asarray(scores), float(budget), float(temperature)
    wrong = np.isnan(s) | (s == np.inf)
    if wrong.any():
        where = np.flatnonzero(wrong)
        fail(
            "allocate",
            expected="scores that are finite, or -inf to exclude an entry",
            got=f"{s[where[0]]} at entry {where[0]}" + (f" and {len(where) - 1} more" if len(where) > 1 else ""),
            advice="Look for a division by zero or a logarithm of zero where the scores are made.",
        )
    if not (np.isfinite(r) and r >= 0):
        fail(
            "allocate",
            expected="a finite budget of at least 0",
            got=str(r),
            advice="Attention can't be negative.",
        )
    if not (np.isfinite(t) and t > 0):
        fail(
            "allocate",
            expected="a finite temperature above 0",
            got=str(t),
            advice="For the limit 0 (everything on the best entry) use a small one, such as 1e-6.",
        )
    room = np.where(s == -np.inf, 0.0, np.inf)
    if cap is not None:
        c = np.asarray(cap)
        if not (c >= 0).all():
            fail(
                "allocate",
                expected="caps of at least 0",
                got=str(c.min()) if not np.isnan(c).any() else "NaN",
                advice="A cap of 0 excludes an entry; leave cap as None for no caps.",
            )
        room = np.minimum(room, c)
    if not at_most and room.sum(dtype=np.float64) < r * (1 - slack(s.dtype)):
        fail(
            "allocate",
            expected=f"caps of the admissible entries that sum to at least the budget {r:g}, which must be met",
            got=f"a sum of {room.sum():g}",
            advice="Raise the caps, lower the budget, or pass at_most=True to let attention stay unspent.",
        )


def slack(dtype: Any) -> float:
    """How far caps may fall short of the budget by rounding alone."""
    return 64 * float(jnp.finfo(dtype if dtype in (np.float32, np.float64) else np.float32).eps)
