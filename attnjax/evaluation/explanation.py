"""Explanations of a model's output: attention maps, occlusion and integrated gradients.

    IG_i(x) = (x_i - b_i) integral over t in [0, 1] of df/dx_i (b + t (x - b)),      sum_i IG_i(x) = f(x) - f(b)

Attention says what was read, not what it was read for: a model may read one event and decide by another. So a map is a
claim, which `attnjax.evaluation.faithfulness` puts to the test. What prices explain is in `attnjax.evaluation.reasons`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from attnjax.errors import fail

AT_ONCE = 64
"""How many evaluations of a model run side by side."""


class Attribution(NamedTuple):
    """What each input contributes to an output.

    Attributes:
        values: a tree like the inputs, in units of the output.
        change: scalar, what is explained: the output at the inputs less that at the baseline.
        gap: scalar, change less the sum of the values: the quadrature's error, and rounding.
    """

    values: Any
    change: Float[Array, ""]
    gap: Float[Array, ""]


def integrated_gradients(
    function: Callable[[Any], Float[Array, ""]], inputs: Any, baseline: Any = None, *, nodes: int = 32
) -> Attribution:
    """Attributes the change of an output, from a baseline to the inputs, to the inputs one by one.

    The equation above. The integral is a Gauss-Legendre sum, exact for polynomials of degree 2 nodes and fast for
    smooth functions; kinks (relu, sparse attention) slow it down, which `gap` shows. Unbatched: `jax.vmap` it over
    examples. Differentiable where the function is twice so.

    Args:
        function: from a tree like the inputs to a scalar, such as one class's output or one item's score.
        inputs: a tree of floating-point arrays; embeddings, where what the model reads is discrete.
        baseline: a tree of the same shapes, what counts as no information; 0 by default.
        nodes: at how many places the gradient is taken, one after the other.

    Returns:
        An `Attribution`.

    Raises:
        UserError: for a baseline of other shapes, inputs that are not floating-point, a function whose value is not
            a scalar, or no nodes.

    Source: M. Sundararajan, A. Taly and Q. Yan, Axiomatic attribution for deep networks, ICML 2017.

    >>> found = integrated_gradients(lambda x: x[0] * x[1] + 3 * x[2], jnp.array([2.0, 1.0, 1.0]))
    >>> found.values.round(4).tolist(), float(found.change)
    ([1.0, 1.0, 3.0], 5.0)
    """
    inputs = jax.tree.map(jnp.asarray, inputs)
    baseline = jax.tree.map(jnp.zeros_like, inputs) if baseline is None else jax.tree.map(jnp.asarray, baseline)
    _check_path(function, inputs, baseline, nodes)
    places, weights = np.polynomial.legendre.leggauss(nodes)
    slope = jax.grad(function)

    def add(total: Any, node: tuple[Array, Array]) -> tuple[Any, None]:
        place, weight = node
        point = jax.tree.map(lambda x, b: b + place.astype(x.dtype) * (x - b), inputs, baseline)
        return jax.tree.map(lambda s, g: s + weight.astype(g.dtype) * g, total, slope(point)), None

    grid = (jnp.asarray((places + 1) / 2), jnp.asarray(weights / 2))
    mean, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, inputs), grid)
    values = jax.tree.map(lambda g, x, b: g * (x - b), mean, inputs, baseline)
    change = function(inputs) - function(baseline)
    return Attribution(values, change, change - sum(jnp.sum(leaf) for leaf in jax.tree.leaves(values)))


def occlusion(value: Callable[[Bool[Array, " n"]], Float[Array, ""]], units: int) -> Float[Array, " n"]:
    """What the output loses when one unit is taken away and all others are kept.

        v(all) - v(all but i)

    For inputs that have no gradient, such as the events of a history. Where two units say the same thing, neither
    is missed.

    Args:
        value: the output when only the units of a mask (n,) are kept; see `attnjax.evaluation.faithfulness.covering`.
        units: n.

    Returns:
        (n,), in units of the output.

    Raises:
        UserError: for no units.

    >>> occlusion(lambda kept: jnp.where(kept[0], 1.0, 0.0) + jnp.where(kept[1] | kept[2], 1.0, 0.0), 3).tolist()
    [1.0, 0.0, 0.0]
    """
    if units < 1:
        fail("occlusion", expected="at least 1 unit", got=str(units), advice="Pass how many units a mask has.")
    everything = jnp.ones(units, bool)
    without = jax.lax.map(lambda i: value(everything.at[i].set(False)), jnp.arange(units), batch_size=AT_ONCE)
    return value(everything) - without


def attention_map(weights: Float[Array, "*batch layers heads q k"] | None, *, layer: int = -1) -> Array:
    """One layer's attention, the mean over its heads.

    Args:
        weights: (..., layers, heads, q, k), as the encoders return them.
        layer: which.

    Returns:
        (..., q, k): row q is what position q read.

    Raises:
        UserError: for a model without attention, another shape, or a layer that is not there.

    >>> attention_map(jnp.array([[[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]]])).tolist()
    [[1.0, 0.0], [0.25, 0.75]]
    """
    weights = _layers("attention_map", weights)
    if not -weights.shape[-4] <= layer < weights.shape[-4]:
        fail(
            "attention_map",
            expected=f"one of {weights.shape[-4]} layers",
            got=str(layer),
            advice="Count from 0, or from -1 backwards.",
        )
    return jnp.mean(weights[..., layer, :, :, :], axis=-3)


def attention_rollout(weights: Float[Array, "*batch layers heads t t"] | None) -> Float[Array, "*batch t t"]:
    """Attention through all layers: what of each position is in each encoding, if mixing were all that layers do.

        R = W_L ... W_1,      W_l = (A_l + I) / (its rows' sums),      A_l the mean over heads

    The identity stands for the residual stream. A position that read nothing keeps to itself.

    Args:
        weights: (..., layers, heads, t, t), as the encoders of sequences return them.

    Returns:
        (..., t, t), rows sum to 1.

    Raises:
        UserError: for a model without attention, or another shape.

    Source: S. Abnar and W. Zuidema, Quantifying attention flow in Transformers, ACL 2020.

    >>> attention_rollout(jnp.full((1, 1, 2, 2), 0.5)).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    weights = _layers("attention_rollout", weights)
    if weights.shape[-1] != weights.shape[-2]:
        fail(
            "attention_rollout",
            expected="self-attention (..., layers, heads, t, t)",
            got=f"shape {weights.shape}",
            advice="Attention to another sequence can't be followed through layers; use attention_map.",
        )
    mixed = jnp.mean(weights, axis=-3) + _identity(weights)
    mixed = mixed / jnp.sum(mixed, axis=-1, keepdims=True)
    total = mixed[..., 0, :, :]
    for layer in range(1, weights.shape[-4]):
        total = mixed[..., layer, :, :] @ total
    return total


def _identity(weights: Array) -> Array:
    size = weights.shape[-1]
    return jnp.eye(size, dtype=weights.dtype).reshape((1,) * (weights.ndim - 3) + (size, size))


def _layers(where: str, weights: Array | None) -> Array:
    if weights is None or jnp.ndim(weights) < 4 or jnp.shape(weights)[-4] == 0:
        fail(
            where,
            expected="attention weights (..., layers, heads, q, k)",
            got="none" if weights is None else f"shape {jnp.shape(weights)}",
            advice="Pass `weights` of an encoder with attention; for one layer's, add an axis: weights[None].",
        )
    return jnp.asarray(weights)


def _check_path(function: Callable, inputs: Any, baseline: Any, nodes: int) -> None:
    shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (inputs, baseline)]
    wanted: Any = jax.tree.structure(inputs)
    if wanted != jax.tree.structure(baseline) or shapes[0] != shapes[1]:
        fail(
            "integrated_gradients",
            expected="a baseline of the inputs' shapes and types",
            got=f"inputs {_named(inputs)} and baseline {_named(baseline)}",
            advice="Build it with jnp.full_like, or leave it out for zeros.",
        )
    if not all(jnp.issubdtype(dtype, jnp.floating) for _, dtype in shapes[0]):
        fail(
            "integrated_gradients",
            expected="floating-point inputs",
            got=_named(inputs),
            advice="Discrete inputs have no gradient: attribute to their embeddings, or use occlusion.",
        )
    if nodes < 1:
        fail("integrated_gradients", expected="nodes >= 1", got=str(nodes), advice="32 do for smooth models.")
    shape = jax.tree.map(jnp.shape, jax.eval_shape(function, inputs))
    if shape != ():
        fail(
            "integrated_gradients",
            expected="a function whose value is a scalar",
            got=f"shape {shape}",
            advice="Pick one output, e.g. lambda x: model(x)[label].",
        )


def _named(tree: Any) -> str:
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(tree)) or "none"
