"""One epoch as one compiled program: shuffle, then a scan over mini-batches.

The order of epoch k is drawn from `fold_in(fold_in(key, SHUFFLE), k)`, and what its losses draw from
`fold_in(fold_in(key, NOISE), k)`: an epoch depends on what went before through the parameters and the optimizer's
memory alone, so a run that starts again from a checkpoint is the same run.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from attnjax.errors import fail

Params = Any
Batch = Any
Loss = Callable[..., Float[Array, ""]]

SHUFFLE = 1
"""The stream of the key that shuffles; `fold_in` it, then the epoch's number."""
NOISE = 2
"""The stream that a stochastic loss draws from; `fold_in` it, then the epoch's number, then the piece's."""
ROWS = "rows"
"""The axis of the mesh over which the rows of a batch are spread."""


class Steps(NamedTuple):
    """How an epoch goes through the rows.

    Attributes:
        rows: how many rows there are.
        batch_size: rows per step; those left over by an epoch's last full batch are another sample each epoch.
        accumulate: in how many equal pieces a batch's gradient is computed, one after the other.
        stochastic: whether the loss takes a key.
        mesh: the devices over which each piece's rows are spread, or None.
    """

    rows: int
    batch_size: int
    accumulate: int = 1
    stochastic: bool = False
    mesh: Mesh | None = None

    @property
    def per_epoch(self) -> int:
        """Steps per epoch."""
        return self.rows // self.batch_size


def checked_steps(
    where: str, train: Batch, batch_size: int, accumulate: int, stochastic: bool, devices: Sequence[Any] | None
) -> Steps:
    """Checks that the training rows and the batch fit each other, and says how an epoch goes.

    Args:
        where: the function that asks, for the message.
        train: a tree of arrays with equal leading axis.
        batch_size: rows per step.
        accumulate: pieces per step.
        stochastic: whether the loss takes a key.
        devices: over which to spread each piece, or None for the default device.

    Returns:
        The steps.

    Raises:
        UserError: for empty or ragged rows, a batch larger than they are, or one that does not divide evenly.
    """
    lengths = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(train)}
    if len(lengths) != 1 or not 1 <= batch_size <= min(lengths):
        fail(
            where,
            expected="training arrays of one length, at least the batch size",
            got=f"lengths {sorted(lengths)} with batch_size {batch_size}",
            advice="Check that every array has one row per example, or take a smaller batch.",
        )
    spread = 1 if devices is None else len(devices)
    if accumulate < 1 or spread < 1 or batch_size % (accumulate * spread):
        fail(
            where,
            expected="a batch_size that accumulate times the number of devices divides, both at least 1",
            got=f"batch_size {batch_size}, accumulate {accumulate}, {spread} devices",
            advice="Take a multiple of their product as batch_size.",
        )
    mesh = None if devices is None else Mesh(np.asarray(devices), (ROWS,))
    return Steps(lengths.pop(), batch_size, accumulate, stochastic, mesh)


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a random key, as some optimizers remember.

    Args:
        leaf: an array.
    """
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """Puts a tree of arrays whole onto every device of a mesh, or onto the default device.

    Args:
        tree: arrays, JAX's or NumPy's.
        mesh: the devices, or None.

    Returns:
        The same as JAX arrays, none of weak type, so that programs do not depend on where the values came from.
    """
    tree = jax.tree.map(_strong, tree)
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def run_epoch(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: Steps,
    params: Params,
    memory: Any,
    train: Batch,
    key: Array,
    number: Int[Array, ""],
) -> tuple[Params, Any, Float[Array, ""]]:
    """Goes through the rows once; to be traced.

    Args:
        loss: `loss(params, batch)`, or `loss(params, batch, key)` if `steps.stochastic`: a mean over the batch.
        optimizer: an optax transformation.
        steps: how.
        params: a tree of arrays.
        memory: the optimizer's.
        train: the rows.
        key: the run's key.
        number: the epoch's number.

    Returns:
        Parameters, memory, and the mean of the steps' losses, each at the parameters before its step.
    """
    shuffle = jax.random.fold_in(jax.random.fold_in(key, SHUFFLE), number)
    noise = jax.random.fold_in(jax.random.fold_in(key, NOISE), number)
    order = jax.random.permutation(shuffle, steps.rows)[: steps.per_epoch * steps.batch_size]
    order = order.reshape(steps.per_epoch, steps.accumulate, steps.batch_size // steps.accumulate)

    def piece(params: Params, index: Array, place: Array) -> tuple[Array, Params]:
        batch = jax.tree.map(lambda x: x[_spread(index, steps.mesh)], train)
        drawn = (jax.random.fold_in(noise, place),) if steps.stochastic else ()
        return jax.value_and_grad(loss)(params, batch, *drawn)

    def step(state: tuple[Params, Any], of: tuple[Array, Array]) -> tuple[tuple[Params, Any], Array]:
        (params, memory), (index, place) = state, of
        if steps.accumulate == 1:
            value, gradient = piece(params, index[0], place)
        else:
            places = place * steps.accumulate + jnp.arange(steps.accumulate)
            zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(piece, params, index[0], place))
            total, _ = jax.lax.scan(
                lambda sum_, one: (jax.tree.map(jnp.add, sum_, piece(params, *one)), None), zero, (index, places)
            )
            value, gradient = jax.tree.map(lambda x: x / steps.accumulate, total)
        update, memory = optimizer.update(gradient, memory, params)
        return (optax.apply_updates(params, update), memory), value

    (params, memory), values = jax.lax.scan(step, (params, memory), (order, jnp.arange(steps.per_epoch)))
    return params, memory, jnp.mean(values)


def _strong(leaf: Any) -> Array:
    return leaf if is_key(leaf) else jax.lax.convert_element_type(leaf, jnp.result_type(leaf))


def _spread(index: Array, mesh: Mesh | None) -> Array:
    """The rows of a piece, a share on each device; what is computed from them is then shared out likewise."""
    if mesh is None:
        return index
    return jax.lax.with_sharding_constraint(index, NamedSharding(mesh, PartitionSpec(ROWS)))
