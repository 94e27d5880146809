"""Fenchel-Young losses: learn scores from observed attention, whatever the regulariser.

    L(s; y) = max over a in C of {<s, a> - T Omega(a)} + T Omega(y) - <s, y>

It is convex in s, at least 0 for every feasible y, and 0 exactly where `allocate(s)` is y. Entropy gives the
cross-entropy (less the entropy of y), the squared norm the sparsemax loss, Tsallis the entmax losses.

Source: Blondel, Martins and Niculae (2020), Learning with Fenchel-Young losses, JMLR 21.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.allocation import Entropy, Regularizer, allocate
from attnjax.errors import fail


def fenchel_young_loss(
    scores: Float[Array, " n"],
    observed: Float[Array, " n"],
    budget: Any = 1.0,
    cap: Any = None,
    regularizer: Regularizer | None = None,
    *,
    temperature: Any = 1.0,
    at_most: bool = False,
) -> Float[Array, ""]:
    """How far `allocate(scores)` is from the observed attention, in units of the scores times the budget.

    The gradient with respect to the scores is exactly `allocate(scores).weights - observed`, and the Hessian is the
    operator's Jacobian. Unbatched: `jax.vmap` it.

    Args:
        scores: (n,), -inf excludes an entry (whose observed attention must then be 0, or the loss is inf).
        observed: (n,), the attention that was seen; non-negative, summing to the budget. A point outside the feasible
            set is accepted, but the loss may then be negative.
        budget: as in `allocate`.
        cap: as in `allocate`.
        regularizer: as in `allocate`; default `Entropy()`.
        temperature: as in `allocate`.
        at_most: as in `allocate`.

    Returns:
        The loss, a scalar.

    Raises:
        UserError: if the shapes differ, and as `allocate` does.

    >>> scores = jnp.array([0.0, 1.0])
    >>> float(fenchel_young_loss(scores, allocate(scores).weights)) < 1e-6
    True
    """
    scores, observed = jnp.asarray(scores), jnp.asarray(observed)
    if scores.shape != observed.shape:
        fail(
            "fenchel_young_loss",
            expected=f"observed attention of the scores' shape {scores.shape}",
            got=f"shape {observed.shape}",
            advice="Give one observed weight per score; use jax.vmap for a batch.",
        )
    regularizer = Entropy() if regularizer is None else regularizer
    best = allocate(scores, budget, cap, regularizer, temperature=temperature, at_most=at_most).value
    seen = jnp.sum(jnp.where(observed > 0, scores, 0) * observed)
    return best + temperature * jnp.sum(regularizer.value(observed)) - seen
