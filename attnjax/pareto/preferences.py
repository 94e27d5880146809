"""Weightings of objectives: spread evenly, drawn at random, and the one loss of a model that serves all of them.

A weighting w is a point of the simplex, w >= 0, sum w = 1. A model that takes w as an input is trained on

    E over w of  g_w(f(w)),        f(w) the objectives of what the model does when told w, g_w a scalariser,

in one run: whoever uses it says afterwards what counts.

Sources: Das and Dennis (1998), Normal-boundary intersection; Dosovitskiy and Djolonga (2020), You only train once;
Navon et al. (2021), Learning the Pareto front with hypernetworks.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.pareto.scalarisation import linear

Weightings = Float[Array, "k m"]


def checked_weightings(where: str, weights: Any, objectives: int | None = None) -> Weightings:
    """Weightings as an array; values are looked at only where they are concrete.

    Raises:
        UserError: unless they are (k, m) with k >= 1, of as many objectives as asked for, and on the simplex (to 1e-4).
    """
    shape = np.shape(weights)
    if len(shape) != 2 or 0 in shape or objectives not in (None, shape[-1]):
        fail(
            where,
            expected=f"weightings (k, {'m' if objectives is None else objectives}), one per row",
            got=f"shape {shape}",
            advice="Make them with simplex_lattice or draw_weightings.",
        )
    if not isinstance(weights, jax.core.Tracer):
        values = np.asarray(weights, float)
        off = ~((values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= 1e-4))
        if off.any():
            fail(
                where,
                expected="weightings on the simplex (at least 0, rows summing to 1)",
                got=f"{values[off][0].tolist()} in row {int(np.argmax(off))}",
                advice="Divide each row by its sum.",
            )
    return jnp.asarray(weights, float)


def simplex_lattice(objectives: int, divisions: int, least: float = 0.0) -> Weightings:
    """All weightings whose entries are multiples of 1 / divisions, evenly spread over the simplex.

    Args:
        objectives: m, at least 1.
        divisions: h, at least 1; there are (h + m - 1 choose m - 1) of them: 66 for three objectives and h = 10.
        least: the smallest weight, from 0 to 1 / m; the lattice is shrunk towards equal weights until it has it.

    Returns:
        (k, m), in lexicographic order.

    Raises:
        UserError: for numbers out of range.

    >>> simplex_lattice(2, 2).tolist()
    [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    if objectives < 1 or divisions < 1 or not 0 <= least * objectives < 1:
        fail(
            "simplex_lattice",
            expected="at least one objective and one division, and 0 <= least < 1 / objectives",
            got=f"{objectives}, {divisions} and {least}",
            advice="simplex_lattice(3, 10) is 66 weightings of three objectives.",
        )
    bars = list(itertools.combinations(range(divisions + objectives - 1), objectives - 1))
    edges = np.array([(-1, *bar, divisions + objectives - 1) for bar in bars])
    lattice = (np.diff(edges, axis=1) - 1) / divisions
    return jnp.asarray(least + (1 - objectives * least) * lattice, float)


def draw_weightings(key: Array, count: int, objectives: int) -> Weightings:
    """Weightings drawn uniformly from the simplex: (count, m).

    >>> draw_weightings(jax.random.key(0), 5, 3).sum(axis=1).round(5).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    return jax.random.dirichlet(key, jnp.ones(objectives), (count,))


def preference_loss(
    losses: Callable[[Float[Array, " m"]], Float[Array, " m"]],
    weights: Weightings,
    scalarise: Callable[[Array, Array], Float[Array, ""]] = linear,
) -> Float[Array, ""]:
    """The mean over weightings of the scalarised losses of a model that was told the weighting.

        1/k sum_j g(f(w_j), w_j)

    With weightings drawn anew at each step its gradient is an unbiased estimate of that of the expectation.

    Args:
        losses: a weighting (m,) to the losses (m,) of what the model then does; the parameters are inside.
        weights: (k, m), on the simplex.
        scalarise: losses and weighting to one loss, e.g. `linear`, or `smooth_tchebycheff` for a front that bulges.

    Raises:
        UserError: for weightings that are not (k, m), or off the simplex.

    >>> float(preference_loss(lambda w: jnp.array([1.0, 3.0]), jnp.array([[1.0, 0.0], [0.0, 1.0]])))
    2.0
    """
    weights = checked_weightings("preference_loss", weights)
    return jnp.mean(jax.vmap(lambda weight: scalarise(losses(weight), weight))(weights))
