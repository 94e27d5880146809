"""What is put around a loss before it is trained: penalties, precision, and which leaves of a tree they concern.

Each function takes a loss and returns one, so they compose:

    loss = penalised(in_precision(loss, jnp.bfloat16), l2=1e-4, pattern="kernel")

A loss here is `loss(params, batch)`, or `loss(params, batch, key)` where it draws (dropout); what comes after the
parameters is handed on as it is.
"""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail

Params = Any
Loss = Callable[..., Float[Array, ""]]


def named(params: Params, pattern: str) -> Any:
    """Says which leaves have a path in which a regular expression is found.

    Args:
        params: a tree of arrays; a leaf's path is its keys joined by `/`, e.g. `"Dense_0/kernel"`.
        pattern: a regular expression, searched for anywhere in the path.

    Returns:
        A tree of Python bools of the same structure: what optax calls a mask, as in
        `optax.adamw(1e-3, mask=lambda params: named(params, "kernel"))` for decoupled weight decay.

    Raises:
        UserError: if no leaf's path matches.

    >>> named({"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "kernel")
    {'bias': False, 'kernel': True}
    """
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(params)]
    found = [re.search(pattern, path) is not None for path in paths]
    if not any(found):
        fail(
            "named",
            expected="a pattern that some leaf's path matches",
            got=f"{pattern!r}, and the paths {', '.join(paths) or 'of an empty tree'}",
            advice="Spell the leaves as in these paths.",
        )
    return jax.tree.unflatten(jax.tree.structure(params), found)


def penalised(loss: Loss, *, l1: Any = 0.0, l2: Any = 0.0, pattern: str = "") -> Loss:
    """Adds penalties on the parameters to a loss.

        loss + l1 sum |w| + (l2 / 2) sum w^2          over the leaves that `pattern` names

    With plain gradient descent of rate r the second term is the same as decoupled weight decay of r l2 a step; with
    Adam it is not, since Adam rescales the penalty's gradient with the rest: decoupled decay is
    `optax.adamw(rate, weight_decay=..., mask=...)`. The first term's gradient is l1 sign(w), 0 at 0: weights come to
    within a step of 0 and rarely stay at it exactly.

    Args:
        loss: the loss to add to.
        l1: its weight, at least 0; may be traced.
        l2: its weight, at least 0; may be traced.
        pattern: which leaves, as in `named`; all by default.

    Returns:
        The penalised loss.

    Raises:
        UserError: if a weight is negative; when called, if no leaf matches.

    >>> float(penalised(lambda w, batch: jnp.sum(w), l1=0.5, l2=2.0)(jnp.array([1.0, -3.0]), None))
    10.0
    """
    for name, weight in (("l1", l1), ("l2", l2)):
        if isinstance(weight, int | float) and not weight >= 0:
            fail("penalised", expected=f"{name} of at least 0", got=str(weight), advice="A penalty is not a reward.")

    def penalised_loss(params: Params, *rest: Any) -> Float[Array, ""]:
        chosen = [
            leaf
            for leaf, wanted in zip(jax.tree.leaves(params), jax.tree.leaves(named(params, pattern)), strict=True)
            if wanted
        ]
        # jnp.abs has the derivative 1 at 0, which would push weights off it.
        absolute = sum(jnp.sum(jnp.where(leaf == 0, 0, jnp.abs(leaf))) for leaf in chosen)
        square = sum(jnp.sum(leaf**2) for leaf in chosen)
        return loss(params, *rest) + l1 * absolute + 0.5 * l2 * square

    return penalised_loss


def in_precision(loss: Loss, dtype: Any = jnp.bfloat16) -> Loss:
    """Computes a loss in a lower precision, while parameters and gradients keep theirs.

    Floating-point leaves of the parameters and the batch are cast on the way in, the result to float32 on the way
    out. The derivative of a cast is a cast, so gradients arrive in the parameters' own precision, and so does what
    the optimizer remembers. bfloat16 has float32's range and needs no scaling of the loss; float16 would.

    Args:
        loss: the loss; it should sum many terms in float32 itself (bfloat16 has 8 bits), as `jnp.mean` does with
            `dtype=jnp.float32`.
        dtype: bfloat16 or float32.

    Returns:
        The same loss, computed in that precision.

    Raises:
        UserError: for another type.

    >>> low = in_precision(lambda w, x: jnp.sum(w * x))
    >>> jax.grad(low)(jnp.float32(1.0), jnp.float32(1.001)).dtype, float(low(1.0, 1.001))
    (dtype('float32'), 1.0)
    """
    dtype = jnp.dtype(dtype)
    if dtype not in (jnp.bfloat16, jnp.float32):
        fail(
            "in_precision",
            expected="bfloat16 or float32",
            got=str(dtype),
            advice="float16 needs a scaled loss, which is not offered; bfloat16 does not.",
        )

    def cast(leaf: Any) -> Any:
        return jnp.asarray(leaf, dtype) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf

    def lower_loss(params: Params, *rest: Any) -> Float[Array, ""]:
        return loss(*jax.tree.map(cast, (params, *rest))).astype(jnp.float32)

    return lower_loss
