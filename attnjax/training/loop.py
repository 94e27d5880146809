"""One small training loop: shuffled mini-batches, a validation measure, early stopping, the best parameters kept.

An epoch is one compiled program (a scan over mini-batches), so Python is entered once per epoch. The loop knows
functions and trees of arrays, and nothing of any model.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from attnjax.errors import fail

Params = Any
Batch = Any
Loss = Callable[[Params, Batch], Float[Array, ""]]
SHUFFLE = 1
"""The stream of the key that shuffles; `fold_in` it, then the epoch's number."""


class Fit(NamedTuple):
    """What training gives.

    Attributes:
        params: the parameters with the best validation measure.
        best: that measure.
        best_epoch: the epoch, from 1, after which it was reached.
        losses: the mean training loss of each epoch that was run.
        measures: the validation measure after each of them.
    """

    params: Params
    best: float
    best_epoch: int
    losses: list[float]
    measures: list[float]


def fit(
    loss: Loss,
    measure: Loss,
    params: Params,
    optimizer: optax.GradientTransformation,
    train: Batch,
    validation: Batch,
    *,
    key: Array,
    batch_size: int,
    max_epochs: int,
    patience: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Fit:
    """Minimises a loss over mini-batches until the validation measure has not improved for `patience` epochs.

    Args:
        loss: `loss(params, batch)`, a scalar to minimise; the mean over the batch.
        measure: `measure(params, validation)`, a scalar, smaller is better.
        params: a tree of arrays to start from.
        optimizer: an optax transformation.
        train: a tree of arrays with equal leading axis, one row per example.
        validation: likewise; it is never trained on.
        key: shuffles the examples; the stream of epoch k is `fold_in(fold_in(key, SHUFFLE), k)`.
        batch_size: rows per step; the rows left over by an epoch's last full batch are another sample each epoch.
        max_epochs: at most so many passes over `train`.
        patience: how many epochs without improvement are waited for.
        progress: wraps the range of epochs, e.g. a progress bar.

    Returns:
        A `Fit`, with the best parameters, not the last.

    Raises:
        UserError: for an empty or ragged `train`, a batch larger than it, or a loss that is not finite (which says
            the epoch; nothing is returned, since the parameters are spoilt).
    """
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(train)}
    if len(lengths) != 1 or not 1 <= batch_size <= min(lengths):
        fail(
            "fit",
            expected="training arrays of one length, at least the batch size",
            got=f"lengths {sorted(lengths)} with batch_size {batch_size}",
            advice="Check that every array has one row per example, or take a smaller batch.",
        )
    if max_epochs < 1 or patience < 1:
        fail(
            "fit",
            expected="max_epochs >= 1 and patience >= 1",
            got=f"{max_epochs} and {patience}",
            advice="Raise them.",
        )
    rows = lengths.pop()
    steps = rows // batch_size

    @jax.jit
    def epoch(params: Params, memory: Any, key: Array) -> tuple[Params, Any, Array, Array]:
        order = jax.random.permutation(key, rows)[: steps * batch_size].reshape(steps, batch_size)

        def step(state: tuple[Params, Any], index: Array) -> tuple[tuple[Params, Any], Array]:
            params, memory = state
            value, gradient = jax.value_and_grad(loss)(params, jax.tree.map(lambda x: x[index], train))
            update, memory = optimizer.update(gradient, memory, params)
            return (optax.apply_updates(params, update), memory), value

        (params, memory), values = jax.lax.scan(step, (params, memory), order)
        return params, memory, jnp.mean(values), measure(params, validation)

    stream = jax.random.fold_in(key, SHUFFLE)
    memory = optimizer.init(params)
    best, best_epoch, best_params = float("inf"), 0, params
    losses: list[float] = []
    measures: list[float] = []
    for number in progress(range(1, max_epochs + 1)):
        params, memory, value, score = epoch(params, memory, jax.random.fold_in(stream, number))
        losses.append(float(value))
        measures.append(float(score))
        if not (jnp.isfinite(value) and jnp.isfinite(score)):
            fail(
                "fit",
                expected="a finite loss and validation measure",
                got=f"{losses[-1]} and {measures[-1]} in epoch {number}",
                advice="Lower the learning rate, or clip gradients (optax.clip_by_global_norm).",
            )
        if measures[-1] < best:
            best, best_epoch, best_params = measures[-1], number, params
        elif number - best_epoch >= patience:
            break
    return Fit(best_params, best, best_epoch, losses, measures)
