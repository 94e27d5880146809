"""The gradients of m objectives, and all that most aggregators ask of them: their lengths and the angles between.

Stacked gradients are a tree whose leaves have a leading axis m: row i is the gradient g_i of objective i. Everything
here works leaf by leaf, so that no flat copy of them is made. What is kept of them is

    norms_i = |g_i|,      cosines_ij = <g_i, g_j> / (|g_i| |g_j|)         m and m x m numbers,

instead of the Gramian <g_i, g_j>, whose entries leave the range of float32 where the gradients' lengths do not.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.errors import fail

Tree = Any
BLOCK = 2**20
"""How many numbers of a leaf are scaled and multiplied at a time."""


class Geometry(NamedTuple):
    """Lengths of m gradients and the angles between them.

    Attributes:
        norms: (m,), in the gradients' unit.
        cosines: (m, m), from -1 to 1; the diagonal is 1, and 0 for a gradient that is zero.
    """

    norms: Float[Array, " m"]
    cosines: Float[Array, "m m"]

    @property
    def longest(self) -> Float[Array, ""]:
        """The length of the longest gradient; 1 if all are zero."""
        longest = jnp.max(self.norms)
        return jnp.where(longest == 0, 1, longest)

    @property
    def gramian(self) -> Float[Array, "m m"]:
        """The Gramian in units of the longest gradient's square: <g_i, g_j> / max |g|^2."""
        lengths = self.norms / self.longest
        return lengths[:, None] * self.cosines * lengths[None, :]


def count_of(where: str, gradients: Tree) -> int:
    """How many objectives a stack has.

    Args:
        where: the function that asks, for the message.
        gradients: the stacked gradients.

    Raises:
        UserError: if there is no leaf, a leaf has no leading axis, two leaves differ in it, or a leaf holds no floats.
    """
    leaves = jax.tree.leaves_with_path(gradients)
    shapes = {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in leaves}
    counts = {shape[:1] for shape in shapes.values()}
    if len(counts) != 1 or counts == {()} or counts == {(0,)}:
        fail(
            where,
            expected="a tree of stacked gradients, all leaves with one leading axis of objectives",
            got=f"leaves of shapes {shapes}" if shapes else "a tree without leaves",
            advice="Stack one gradient per objective, e.g. with attnjax.pareto.stacked_gradients.",
        )
    for path, leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            fail(
                where,
                expected="gradients in floating point",
                got=f"{jnp.result_type(leaf)} at {jax.tree_util.keystr(path) or 'the root'}",
                advice="Convert the leaf, or leave parameters without a gradient out of the tree.",
            )
    return counts.pop()[0]


def _blocks(rows: Float[Array, "m n"], scale: Float[Array, " m"]) -> Float[Array, "m m"]:
    """(rows / scale) (rows / scale)' a block of columns at a time, so that no scaled copy of all is made."""
    count, width = rows.shape
    size = max(1, BLOCK // count)

    def product(block: Array) -> Array:
        block = block.astype(scale.dtype) / scale[:, None]
        return jnp.matmul(block, block.T, precision=jax.lax.Precision.HIGHEST)

    whole = width // size

    def add(index: Array, total: Array) -> Array:
        return total + product(jax.lax.dynamic_slice_in_dim(rows, index * size, size, axis=1))

    total = product(rows[:, whole * size :])
    return jax.lax.fori_loop(0, whole, add, total) if whole else total


def _from_scaled(scale: Float[Array, " m"], products: Float[Array, "m m"]) -> Geometry:
    lengths = jnp.sqrt(jnp.diagonal(products))
    divide_by = jnp.where(lengths == 0, 1, lengths)
    cosines = jnp.clip(products / divide_by[:, None] / divide_by[None, :], -1, 1)
    unit = jnp.where(lengths == 0, jnp.zeros_like(lengths), jnp.where(jnp.isnan(lengths), jnp.nan, 1))
    cosines = jnp.where(jnp.eye(lengths.size, dtype=bool), unit[:, None], cosines)
    return Geometry(scale * lengths, cosines)


def geometry_of(gradients: Tree) -> Geometry:
    """Lengths and angles of stacked gradients, at any scale.

    Each gradient is divided by its largest entry before anything is squared. Sums run in float32 at least.

    Args:
        gradients: a tree, leaves (m, ...).

    Returns:
        The `Geometry`. NaN where a gradient has an entry that is NaN or infinite.

    Raises:
        UserError: as `count_of` does.

    >>> geometry = geometry_of({"w": jnp.array([[3e20, 4e20], [0.0, 1e-20]])})
    >>> [round(float(x), 6) for x in geometry.norms / jnp.array([5e20, 1e-20])], round(float(geometry.cosines[0, 1]), 6)
    ([1.0, 1.0], 0.8)
    """
    count = count_of("geometry_of", gradients)
    leaves = [jnp.reshape(leaf, (count, -1)) for leaf in jax.tree.leaves(gradients)]
    leaves = [leaf for leaf in leaves if leaf.shape[1]]
    dtype = jnp.result_type(jnp.float32, *leaves)
    largest = jnp.zeros(count, dtype)
    for leaf in leaves:
        largest = jnp.maximum(largest, jnp.max(jnp.abs(leaf), axis=1).astype(dtype))
    scale = jnp.where(largest == 0, 1, largest)
    products = jnp.zeros((count, count), dtype)
    for leaf in leaves:
        products = products + _blocks(leaf, scale)
    return _from_scaled(scale, products)


def combination(weights: Float[Array, " m"], gradients: Tree) -> Tree:
    """sum_i w_i g_i, leaf by leaf: (m,) and a tree of leaves (m, ...) give a tree of leaves (...), in their own type.

    Args:
        weights: (m,).
        gradients: the stacked gradients.

    >>> combination(jnp.array([1.0, 2.0]), {"w": jnp.array([[1.0, 0.0], [0.0, 1.0]])})["w"].tolist()
    [1.0, 2.0]
    """

    def combine(leaf: Array) -> Array:
        total = jnp.tensordot(weights, leaf.astype(weights.dtype), axes=1, precision=jax.lax.Precision.HIGHEST)
        return total.astype(leaf.dtype)

    return jax.tree.map(combine, gradients)


def stacked_gradients(losses: Callable[[Tree], Float[Array, " m"]], params: Tree) -> tuple[Float[Array, " m"], Tree]:
    """The values and the stacked gradients of m objectives, with one forward pass between them.

    Args:
        losses: parameters to the values (m,) of the objectives, to be minimised.
        params: where.

    Returns:
        (m,) and a tree of leaves (m, ...).

    Raises:
        UserError: if the losses are not a vector.

    >>> values, gradients = stacked_gradients(lambda w: jnp.stack([w[0] ** 2, w[0] * w[1]]), jnp.array([1.0, 3.0]))
    >>> values.tolist(), gradients.tolist()
    ([1.0, 3.0], [[2.0, 0.0], [3.0, 1.0]])
    """
    values, pull = jax.vjp(losses, params)
    return values, jax.vmap(lambda row: pull(row)[0])(jnp.eye(_length(values), dtype=values.dtype))


def _length(values: Array) -> int:
    if values.ndim != 1 or values.size == 0:
        fail(
            "stacked_gradients",
            expected="objectives as one vector (m,)",
            got=f"shape {values.shape}",
            advice="Return jnp.stack of the scalar losses.",
        )
    return values.size


def streamed_geometry(losses: Callable[[Tree], Float[Array, " m"]], params: Tree) -> Geometry:
    """What `geometry_of` gives, while one gradient at a time is in memory: for models whose m gradients don't fit.

    Row i is J g_i, a derivative forward along a gradient taken backward: m of each, in sequence, against the m
    backward passes that `stacked_gradients` makes side by side. With weights w, the direction is then the gradient of
    <w, losses>.

    Args:
        losses: parameters to the values (m,) of the objectives.
        params: where.

    >>> losses = lambda w: jnp.stack([w[0] ** 2, w[0] * w[1]])
    >>> at = jnp.array([1.0, 3.0])
    >>> streamed, stacked = streamed_geometry(losses, at), geometry_of(stacked_gradients(losses, at)[1])
    >>> bool(jnp.allclose(streamed.cosines, stacked.cosines, atol=1e-6))
    True
    """
    values, pull = jax.vjp(losses, params)
    count, dtype = _length(values), jnp.result_type(jnp.float32, values)

    def row(index: Array) -> tuple[Array, Array]:
        gradient = pull(jax.nn.one_hot(index, count, dtype=values.dtype))[0]
        sizes = [jnp.max(jnp.abs(leaf)).astype(dtype) for leaf in jax.tree.leaves(gradient) if leaf.size]
        largest = jnp.max(jnp.stack(sizes))
        scale = jnp.where(largest == 0, 1, largest)
        scaled = jax.tree.map(lambda leaf: (leaf / scale).astype(leaf.dtype), gradient)
        return scale, jax.jvp(losses, (params,), (scaled,))[1].astype(dtype)

    scale, products = jax.lax.map(row, jnp.arange(count))
    products = products / scale[None, :]
    return _from_scaled(scale, (products + products.T) / 2)
