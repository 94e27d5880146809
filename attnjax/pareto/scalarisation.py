"""Scalarisers: one loss of m losses, whose gradient is that of a weighted sum with weights that may move.

    linear               <w, f>
    tchebycheff          max_i w_i (f_i - z_i)
    smooth_tchebycheff   h log sum_i exp(w_i (f_i - z_i) / h)
    penalty_boundary     d_1 + theta d_2, along a ray from z and away from it
    geometric_mean       (prod_i f_i)^(1/m)
    uncertainty          sum_i exp(-s_i) f_i + s_i, with s learned
    dynamic_weights      weights by how slowly each loss falls
    famo                 the losses' logarithms falling at one rate

Losses f (m,) are minimised, z (m,) is an ideal point at or below them, weights are on the simplex. A minimiser of
`linear` lies on the convex part of the front only; those of the Tchebycheff scalarisations reach every point of it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.pareto.aggregator import checked_preference

Losses = Float[Array, " m"]
Weights = Float[Array, " m"]


def _checked(where: str, losses: Losses, weights: Any, ideal: Any) -> tuple[Weights, Losses]:
    weights = checked_preference(where, weights)
    if jnp.ndim(losses) != 1 or weights is None or weights.shape != losses.shape:
        fail(
            where,
            expected="losses (m,) and as many weights",
            got=f"shapes {jnp.shape(losses)} and {jnp.shape(weights)}",
            advice="Stack scalar losses; use jax.vmap for many weightings.",
        )
    if jnp.shape(ideal) not in ((), losses.shape):
        fail(
            where,
            expected="an ideal value for each loss, or one for all",
            got=f"shape {jnp.shape(ideal)}",
            advice="Leave it at 0 for losses that can't be negative.",
        )
    return weights.astype(losses.dtype), losses - jnp.asarray(ideal, losses.dtype)


def linear(losses: Losses, weights: Any) -> Float[Array, ""]:
    """The weighted sum <w, f>; its gradient in the losses is w.

    Args:
        losses: (m,), any unit that they share.
        weights: (m,), on the simplex.

    Raises:
        UserError: for shapes that don't fit, or weights off the simplex.

    >>> float(linear(jnp.array([1.0, 3.0]), [0.5, 0.5]))
    2.0
    """
    weights, shifted = _checked("linear", losses, weights, 0.0)
    return jnp.sum(weights * shifted)


def tchebycheff(losses: Losses, weights: Any, ideal: Any = 0.0) -> Float[Array, ""]:
    """The worst weighted loss above the ideal, max_i w_i (f_i - z_i).

    Its gradient is that of the worst loss alone (shared where several are), so gradient descent jumps from one to the
    other; `smooth_tchebycheff` does not.

    Args:
        losses: (m,).
        weights: (m,), on the simplex.
        ideal: z, scalar or (m,), at or below the losses.

    Raises:
        UserError: for shapes that don't fit, or weights off the simplex.

    Source: Bowman (1976); Miettinen (1999), Nonlinear multiobjective optimization.

    >>> float(tchebycheff(jnp.array([1.0, 3.0]), [0.5, 0.5]))
    1.5
    """
    weights, shifted = _checked("tchebycheff", losses, weights, ideal)
    return jnp.max(weights * shifted)


def smooth_tchebycheff(losses: Losses, weights: Any, ideal: Any = 0.0, *, width: Any = 0.1) -> Float[Array, ""]:
    """The soft maximum h log sum_i exp(w_i (f_i - z_i) / h), at most h log m above `tchebycheff`.

    Its gradient is w_i times the softmax of the weighted losses over h.

    Args:
        losses: (m,).
        weights: (m,), on the simplex.
        ideal: z, scalar or (m,).
        width: h > 0, in units of the weighted losses.

    Raises:
        UserError: for shapes that don't fit, weights off the simplex, or a width that is not above 0.

    Source: Lin et al. (2024), Smooth Tchebycheff scalarization for multi-objective optimization, ICML.

    >>> round(float(smooth_tchebycheff(jnp.array([1.0, 3.0]), [0.5, 0.5], width=0.01)), 4)
    1.5
    """
    weights, shifted = _checked("smooth_tchebycheff", losses, weights, ideal)
    if isinstance(width, int | float) and not width > 0:
        fail("smooth_tchebycheff", expected="a width above 0", got=str(width), advice="tchebycheff is the limit at 0.")
    return width * jax.nn.logsumexp(weights * shifted / width)


def penalty_boundary(losses: Losses, weights: Any, ideal: Any = 0.0, *, penalty: Any = 5.0) -> Float[Array, ""]:
    """Penalty boundary intersection: the way along the ray of the weights, and a penalty for leaving it.

        d_1 = <f - z, w> / |w|,     d_2 = |f - z - d_1 w / |w||,     d_1 + theta d_2

    Its gradient is w / |w| plus theta times the unit vector away from the ray; on the ray the second part is 0.

    Args:
        losses: (m,).
        weights: (m,), on the simplex: the direction of the ray, not the importance.
        ideal: z, where the ray starts.
        penalty: theta >= 0.

    Raises:
        UserError: for shapes that don't fit, or weights off the simplex.

    Source: Zhang and Li (2007), MOEA/D.

    >>> round(float(penalty_boundary(jnp.array([1.0, 3.0]), [0.5, 0.5], penalty=1.0)), 4)
    4.2426
    """
    weights, shifted = _checked("penalty_boundary", losses, weights, ideal)
    ray = weights / jnp.sqrt(jnp.sum(weights**2))
    along = jnp.sum(shifted * ray)
    away = jnp.sum((shifted - along * ray) ** 2)
    return along + penalty * jnp.where(away > 0, jnp.sqrt(jnp.where(away > 0, away, 1)), 0)


def geometric_mean(losses: Losses) -> Float[Array, ""]:
    """The geometric mean (prod_i f_i)^(1/m) of losses above 0: units don't matter to where it is least.

    Its gradient in f_i is the mean over m f_i: infinite, and NaN as computed, at a loss of 0. NaN for a negative loss.

    Source: Chennupati et al. (2019), MultiNet++.

    >>> round(float(geometric_mean(jnp.array([1.0, 4.0]))), 4)
    2.0
    """
    return jnp.exp(jnp.mean(jnp.log(losses)))


def uncertainty(losses: Losses, log_variances: Float[Array, " m"]) -> Float[Array, ""]:
    """Losses over their learned variances: sum_i exp(-s_i) f_i + s_i.

    Minimise it in s together with the parameters, from s = 0. At the best s, exp(s_i) = f_i, it is sum_i log f_i + m.

    Args:
        losses: (m,), above 0.
        log_variances: (m,), s.

    Raises:
        UserError: if the shapes differ.

    The gradient in f_i is exp(-s_i), in s_i it is 1 - exp(-s_i) f_i.

    Source: Kendall, Gal and Cipolla (2018), CVPR.

    >>> float(uncertainty(jnp.array([1.0, 3.0]), jnp.zeros(2)))
    4.0
    """
    if jnp.shape(losses) != jnp.shape(log_variances):
        fail(
            "uncertainty",
            expected="one log-variance per loss",
            got=f"shapes {jnp.shape(losses)} and {jnp.shape(log_variances)}",
            advice="Start them from jnp.zeros_like(losses).",
        )
    return jnp.sum(jnp.exp(-log_variances) * losses + log_variances)


class AverageState(NamedTuple):
    """The losses of the last two periods.

    Attributes:
        last: (m,), of the last.
        before: (m,), of the one before it.
    """

    last: Losses
    before: Losses


def dynamic_weights(state: AverageState, temperature: Any = 2.0) -> Weights:
    """Dynamic weight averaging: more weight for the loss that falls more slowly.

        w = softmax((f_last / f_before) / T)

    The weights sum to 1 (the source's to m). They are constants to a derivative. Where the loss before is 0 the ratio
    counts as 1.

    Args:
        state: mean losses of the last two epochs, above 0; equal at the start, which gives equal weights.
        temperature: T > 0; a large one makes weights equal.

    Source: Liu, Johns and Davison (2019), End-to-end multi-task learning with attention, CVPR.

    >>> dynamic_weights(AverageState(jnp.array([1.0, 2.0]), jnp.array([1.0, 2.0]))).tolist()
    [0.5, 0.5]
    """
    ratio = jnp.where(state.before == 0, 1, state.last / jnp.where(state.before == 0, 1, state.before))
    return jax.lax.stop_gradient(jax.nn.softmax(ratio / temperature))


class FamoState(NamedTuple):
    """What FAMO remembers.

    Attributes:
        logits: (m,), of the weights.
    """

    logits: Float[Array, " m"]


def famo_init(count: int) -> FamoState:
    """Equal weights of `count` losses."""
    return FamoState(jnp.zeros(count))


def famo_loss(losses: Losses, state: FamoState, floor: Any = 0.0) -> Float[Array, ""]:
    """The loss of FAMO's next step: c sum_i z_i log(f_i - b_i), z = softmax(logits), c = 1 / sum_i z_i / (f_i - b_i).

    Its gradient is a convex combination of the losses' gradients, with weights proportional to z_i / (f_i - b_i); z and
    c are constants to it. One gradient a step, whatever the number of losses.

    Args:
        losses: (m,), above the floor.
        state: from `famo_init` or `famo_update`.
        floor: b, scalar or (m,): below what the losses can get.

    Raises:
        UserError: if there are as many losses as the state has not.

    Source: Liu et al. (2023), FAMO: fast adaptive multitask optimization, NeurIPS.

    >>> [round(float(x), 4) for x in jax.grad(lambda f: famo_loss(f, famo_init(2)))(jnp.array([1.0, 4.0]))]
    [0.8, 0.2]
    """
    if jnp.shape(losses) != state.logits.shape:
        fail(
            "famo_loss",
            expected=f"{state.logits.shape[0]} losses, as many as the state was made for",
            got=f"shape {jnp.shape(losses)}",
            advice="Make the state by famo_init(m).",
        )
    above = losses - floor
    shares = jax.nn.softmax(state.logits)
    scale = 1 / jnp.sum(shares / above)
    shares, scale = jax.lax.stop_gradient((shares, scale))
    return scale * jnp.sum(shares * jnp.log(above))


def famo_update(state: FamoState, before: Losses, after: Losses, rate: Any = 0.025, floor: Any = 0.0) -> FamoState:
    """Moves FAMO's weights to the losses whose logarithm fell least in the step that was taken.

        logits <- logits - rate J' (log f_before - log f_after),   J the Jacobian of the softmax

    It is 0 in sum. The source adds a decay of the logits; here they move by what was seen alone.

    Args:
        state: before.
        before: (m,), the losses before the step.
        after: (m,), the same batch's losses after it.
        rate: step size of the logits.
        floor: as in `famo_loss`.

    >>> shifted = famo_update(famo_init(2), jnp.array([1.0, 1.0]), jnp.array([0.5, 1.0]), rate=1.0)
    >>> bool(shifted.logits[1] > shifted.logits[0])
    True
    """
    fallen = jnp.log(before - floor) - jnp.log(after - floor)
    shares = jax.nn.softmax(state.logits)
    return FamoState(state.logits - rate * shares * (fallen - jnp.sum(shares * fallen)))
