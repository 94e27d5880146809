"""Compensated sums: adding many parts without losing the small ones.

    total' = total + (part - lost),     lost' = (total' - total) - (part - lost)

`lost` is what rounding took too much of (less than a unit in the last place of the total), and is given back with the
next part, so that a float32 sum is good to rounding of its largest term however many there are.

Source: Kahan (1965), Further remarks on reducing truncation errors.
"""

from typing import Any

import jax
import jax.numpy as jnp

Tree = Any


def add(sums: Tree, lost: Tree, parts: Tree) -> tuple[Tree, Tree]:
    """Adds parts to running sums, leaf by leaf.

    Args:
        sums: a tree of arrays, the totals so far.
        lost: likewise; zeros at the start.
        parts: likewise, what is added.

    Returns:
        The new totals, and what rounding has lost of them. Derivatives are those of a plain sum.

    >>> sums, lost = jnp.float32(1.0), jnp.float32(0.0)
    >>> for _ in range(1000):
    ...     sums, lost = add(sums, lost, jnp.float32(1e-8))
    >>> round(float(sums) - 1.0, 6)  # a plain sum stays at 1
    1e-05
    """
    corrected = jax.tree.map(jnp.subtract, parts, lost)
    totals = jax.tree.map(jnp.add, sums, corrected)
    return totals, jax.tree.map(lambda new, old, part: (new - old) - part, totals, sums, corrected)
