"""Aggregators that change gradients one against another, or draw lots: PCGrad, GradVac, GradDrop, Random.

Their state holds a random key, given when they are made: two aggregators made with one key draw alike.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.errors import fail
from attnjax.pareto.aggregator import Aggregator, Combined, State, Weighed, by_geometry, without_geometry
from attnjax.pareto.cone import per_gradient
from attnjax.pareto.gradients import Geometry, count_of

Tree = Any
LIKE = 1 - 1e-6
"""The largest cosine that GradVac aims at: its formula divides by the sine."""


def orders(key: Array, count: int) -> Int[Array, "m m"]:
    """For each gradient an order of all, drawn at random: (m, m)."""
    return jax.vmap(lambda key: jax.random.permutation(key, count))(jax.random.split(key, count))


def _weights(per_unit: Float[Array, "m m"], geometry: Geometry) -> Float[Array, " m"]:
    """Row i says what unit gradient i has become, in terms of all unit gradients."""
    return per_gradient((geometry.norms / geometry.longest) @ per_unit, geometry)


def pcgrad_weights(geometry: Geometry, order: Int[Array, "m m"]) -> Float[Array, " m"]:
    """PCGrad's weights: each gradient loses its part against every other that it conflicts with, in the given order."""

    def project(index: Array, order: Array) -> Array:
        def against(part: Array, other: Array) -> tuple[Array, None]:
            along = geometry.cosines[other] @ part
            lost = jnp.where((other != index) & (along < 0), along, 0)
            return part.at[other].add(-lost), None

        start = jax.nn.one_hot(index, geometry.norms.size, dtype=geometry.norms.dtype)
        return jax.lax.scan(against, start, order)[0]

    return _weights(jax.vmap(project)(jnp.arange(geometry.norms.size), order), geometry)


def pcgrad(key: Array) -> Aggregator:
    """The sum of the gradients, each after its part against every other that it conflicts with is taken off.

        g_i <- g_i - <g_i, g_j> / |g_j|^2 g_j   where <g_i, g_j> < 0, for j in random order

    For two objectives nothing conflicts and the order does not matter; for more it may and does.

    Args:
        key: for the orders.

    Source: Yu et al. (2020), Gradient surgery for multi-task learning, NeurIPS.

    >>> aggregator = pcgrad(jax.random.key(0))
    >>> aggregator.combine(jnp.array([[1.0, 0.0], [-1.0, 1.0]]), aggregator.init(2))[0].direction.round(4).tolist()
    [0.5, 1.5]
    """

    def weigh(geometry: Geometry, key: State) -> tuple[Weighed, State]:
        key, key_order = jax.random.split(key)
        weights = pcgrad_weights(geometry, orders(key_order, geometry.norms.size))
        return Weighed(weights, jnp.zeros_like(weights[0])), key

    return by_geometry("pcgrad", weigh, lambda count: key)


class VaccineState(NamedTuple):
    """What GradVac remembers.

    Attributes:
        key: for the orders.
        wanted: (m, m), the moving average of the cosines.
    """

    key: Array
    wanted: Float[Array, "m m"]


def gradvac_weights(
    geometry: Geometry, wanted: Float[Array, "m m"], order: Int[Array, "m m"], beta: Any
) -> tuple[Float[Array, " m"], Float[Array, "m m"]]:
    """GradVac's weights and the next moving averages, with the order given."""
    tiny = jnp.finfo(geometry.norms.dtype).tiny

    def vaccinate(index: Array, wanted: Array, order: Array) -> tuple[Array, Array]:
        def against(carry: tuple[Array, Array], other: Array) -> tuple[tuple[Array, Array], None]:
            part, wanted = carry
            length = jnp.sqrt(jnp.maximum(part @ geometry.cosines @ part, 0))
            cosine = jnp.clip(geometry.cosines[other] @ part / jnp.maximum(length, tiny), -1, 1)
            goal = jnp.clip(wanted[other], -LIKE, LIKE)
            sine, goal_sine = jnp.sqrt(1 - cosine**2), jnp.sqrt(1 - goal**2)
            added = length * (goal * sine - cosine * goal_sine) / goal_sine
            skip = other == index
            part = part.at[other].add(jnp.where(~skip & (cosine < goal), added, 0))
            average = (1 - beta) * wanted[other] + beta * cosine
            # A step with NaN gradients is skipped; it must not spoil the averages of all steps after it.
            return (part, wanted.at[other].set(jnp.where(skip | jnp.isnan(cosine), wanted[other], average))), None

        start = jax.nn.one_hot(index, geometry.norms.size, dtype=geometry.norms.dtype)
        return jax.lax.scan(against, (start, wanted), order)[0]

    parts, wanted = jax.vmap(vaccinate)(jnp.arange(geometry.norms.size), wanted, order)
    return _weights(parts, geometry), wanted


def gradvac(key: Array, beta: float = 0.01) -> Aggregator:
    """As PCGrad, but gradients are turned towards the cosine they usually have, not only to a right angle.

    Where the cosine of g_i and g_j is below its moving average, a multiple of g_j is added to g_i that brings it there.
    From the first averages, 0, it is PCGrad.

    Args:
        key: for the orders.
        beta: weight of the present cosine in the moving average, 0 to 1.

    Raises:
        UserError: for another beta.

    Source: Wang et al. (2021), Gradient vaccine, ICLR.

    >>> aggregator = gradvac(jax.random.key(0))
    >>> aggregator.combine(jnp.array([[1.0, 0.0], [-1.0, 1.0]]), aggregator.init(2))[0].direction.round(4).tolist()
    [0.5, 1.5]
    """
    if not 0 <= beta <= 1:
        fail("gradvac", expected="beta from 0 to 1", got=str(beta), advice="0.01 is usual.")

    def weigh(geometry: Geometry, state: VaccineState) -> tuple[Weighed, VaccineState]:
        key, key_order = jax.random.split(state.key)
        order = orders(key_order, geometry.norms.size)
        weights, wanted = gradvac_weights(geometry, state.wanted.astype(geometry.norms.dtype), order, beta)
        return Weighed(weights, jnp.zeros_like(weights[0])), VaccineState(key, wanted.astype(state.wanted.dtype))

    return by_geometry("gradvac", weigh, lambda count: VaccineState(key, jnp.zeros((count, count))))


def graddrop_direction(gradients: Tree, uniform: Float[Array, " n"]) -> Tree:
    """GradDrop's direction with its n uniform numbers given, in the order of the flattened leaves."""
    directions, start = [], 0
    leaves, structure = jax.tree.flatten(gradients)
    for leaf in leaves:
        size = leaf[0].size
        drawn = jnp.reshape(uniform[start : start + size], leaf.shape[1:])
        start += size
        up, down = _signed_sums(leaf)
        both = up + down
        chosen = jnp.where(up / jnp.where(both == 0, 1, both) > drawn, up, -down)
        directions.append(jnp.where(jnp.isfinite(both), chosen, jnp.nan).astype(leaf.dtype))
    return jax.tree.unflatten(structure, directions)


def _signed_sums(leaf: Float[Array, "m ..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Over the gradients, the sums of the positive entries and of the negative ones without their sign."""

    def add(sums: tuple[Array, Array], row: Array) -> tuple[tuple[Array, Array], None]:
        return (sums[0] + jnp.maximum(row, 0), sums[1] + jnp.maximum(-row, 0)), None

    # Row by row: as sums over the leading axis, XLA on a CPU takes fifty times as long.
    zeros = jnp.zeros(leaf.shape[1:], jnp.result_type(jnp.float32, leaf))
    return jax.lax.scan(add, (zeros, zeros), leaf)[0]


def graddrop(key: Array) -> Aggregator:
    """In each entry, the sum of the positive or of the negative ones, drawn by their share of the absolute sum.

        P = (1 + sum_i g_i / sum_i |g_i|) / 2,      the positive ones with probability P

    Args:
        key: for the lots.

    Source: Chen et al. (2020), Just pick a sign, NeurIPS.

    >>> aggregator = graddrop(jax.random.key(0))
    >>> aggregator.combine(jnp.array([[1.0, -1.0], [2.0, -3.0]]), aggregator.init(2))[0].direction.tolist()
    [3.0, -4.0]
    """

    def combine(gradients: Tree, key: State) -> tuple[Combined, State]:
        count_of("graddrop", gradients)
        key, key_lots = jax.random.split(key)
        leaves = jax.tree.leaves(gradients)
        uniform = jax.random.uniform(key_lots, (sum(leaf[0].size for leaf in leaves),))
        return Combined(graddrop_direction(gradients, uniform), None, jnp.zeros(())), key

    return Aggregator(lambda count: key, combine, None)


def random_weights(key: Array) -> Aggregator:
    """Weights drawn anew at each step: the softmax of normal numbers. What every other aggregator should beat.

    Args:
        key: for the weights.

    Source: Lin et al. (2022), Reasonable effectiveness of random weighting, TMLR.

    >>> aggregator = random_weights(jax.random.key(0))
    >>> round(float(aggregator.combine(jnp.ones((3, 2)), aggregator.init(3))[0].weights.sum()), 5)
    1.0
    """

    def choose(count: int, key: State) -> tuple[Array, State]:
        key, key_weights = jax.random.split(key)
        return jax.nn.softmax(jax.random.normal(key_weights, (count,))), key

    return without_geometry("random_weights", choose, lambda count: key)
