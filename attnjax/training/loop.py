"""One small training loop: shuffled mini-batches, a validation measure, early stopping, the best parameters kept.

An epoch is one compiled program (`attnjax.training.epochs`), so Python is entered once per epoch. The loop knows
functions and trees of arrays, and nothing of any model.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Float

from attnjax.errors import fail
from attnjax.training.checkpoints import Checkpoints, digest, open_checkpoints
from attnjax.training.epochs import SHUFFLE, Batch, Loss, Params, Steps, checked_steps, replicate, run_epoch
from attnjax.training.trackers import Tracker

__all__ = ["SHUFFLE", "Fit", "count_steps", "fit"]


class Fit(NamedTuple):
    """What training gives.

    Attributes:
        params: the parameters with the best validation measure.
        best: that measure.
        best_epoch: the epoch, from 1, after which it was reached.
        losses: the mean training loss of each epoch that was run.
        measures: the validation measure after each of them.
        resumed: the epoch of the checkpoint from which this run went on, 0 if from none.
    """

    params: Params
    best: float
    best_epoch: int
    losses: list[float]
    measures: list[float]
    resumed: int = 0


def count_steps(rows: int, batch_size: int, epochs: int) -> int:
    """The number of steps of a whole run, which a schedule of learning rates needs to know.

    Args:
        rows: training rows.
        batch_size: rows per step.
        epochs: passes over them.

    >>> schedule = optax.cosine_decay_schedule(1e-3, count_steps(rows=100, batch_size=32, epochs=10))
    >>> float(schedule(30))
    0.0
    """
    return rows // batch_size * epochs


def fit(
    loss: Loss,
    measure: Callable[[Params, Batch], Float[Array, ""]],
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
    stochastic: bool = False,
    accumulate: int = 1,
    devices: Sequence[Any] | None = None,
    checkpoints: Checkpoints | None = None,
    tracker: Tracker | None = None,
) -> Fit:
    """Minimises a loss over mini-batches until the validation measure has not improved for `patience` epochs.

    With a loss that is the mean over its batch, `accumulate` and `devices` change a step by rounding only: pieces of
    equal size are averaged. (A stochastic loss draws for each piece apart.)

    A run with checkpoints that is started again goes on behind the newest one, and ends in the same bits on the same
    machine, with the same versions and devices; it refuses checkpoints of another key, batch size, data, start,
    shape of memory, or other `checkpoints.settings`. The optimizer and the loss are functions, which can't be compared:
    name in the settings what they are made of. `max_epochs` and `patience` may grow from one start to the next.

    An epoch is compiled anew in each call, but for a loss and a measure that are both `jax.tree_util.Partial(f, x)`, of
    functions f that are defined once and of trees x of arrays: these arrays are then handed to the program, and calls
    with the same functions, optimizer (the same object) and shapes share it.

    Args:
        loss: `loss(params, batch)`, a scalar to minimise; the mean over the batch. With `stochastic`,
            `loss(params, batch, key)`. What else it needs it closes over, or is a `Partial` of.
        measure: `measure(params, validation)`, a scalar, smaller is better.
        params: a tree of arrays to start from.
        optimizer: an optax transformation; its rate may follow a schedule (see `count_steps`).
        train: a tree of arrays with equal leading axis, one row per example; it stays on the device.
        validation: likewise; it is never trained on.
        key: shuffles the examples, and is what a stochastic loss draws from; the streams of epoch k are
            `fold_in(fold_in(key, SHUFFLE), k)` and `fold_in(fold_in(key, NOISE), k)`.
        batch_size: rows per step; the rows left over by an epoch's last full batch are another sample each epoch.
        max_epochs: at most so many passes over `train`.
        patience: how many epochs without improvement are waited for.
        progress: wraps the range of epochs, e.g. `progress_bar("training")`.
        stochastic: whether the loss takes a key (dropout).
        accumulate: computes each batch's gradient in so many pieces one after the other, for memory.
        devices: spreads each piece's rows over these; parameters and data are on all of them.
        checkpoints: where and how often the state is kept.
        tracker: told the training loss and the validation measure of each epoch, and the seconds it took.

    Returns:
        A `Fit`, with the best parameters, not the last.

    Raises:
        UserError: for an empty or ragged `train`, a batch larger than it or not divisible, a loss that is not finite
            (which says the epoch; nothing is returned, since the parameters are spoilt), or checkpoints that are not
            this run's.

    >>> rows = jnp.arange(8.0)
    >>> squares = lambda level, x: jnp.mean((level - x) ** 2)
    >>> found = fit(squares, squares, jnp.zeros(()), optax.sgd(0.5), rows, rows, key=jax.random.key(0), batch_size=8,
    ...             max_epochs=9, patience=3)
    >>> float(found.params), found.best_epoch, len(found.losses)
    (3.5, 1, 4)
    """
    steps = checked_steps("fit", train, batch_size, accumulate, stochastic, devices)
    if max_epochs < 1 or patience < 1:
        fail(
            "fit",
            expected="max_epochs >= 1 and patience >= 1",
            got=f"{max_epochs} and {patience}",
            advice="Raise them.",
        )

    epoch = _epoch_program(loss, measure, optimizer, steps)
    params, train, validation, key = replicate((params, train, validation, key), steps.mesh)
    memory = replicate(optimizer.init(params), steps.mesh)
    best, best_epoch, best_params, resumed = float("inf"), 0, params, 0
    losses: list[float] = []
    measures: list[float] = []
    with contextlib.ExitStack() as stack:
        keeper = None
        if checkpoints is not None:
            own = {
                "batch_size": batch_size,
                "accumulate": accumulate,
                "stochastic": stochastic,
                "key": digest(jax.random.key_data(key)),
                "rows": digest((train, validation)),
                "start": digest(params),
            }
            keeper = stack.enter_context(open_checkpoints(checkpoints, own))
            found = keeper.latest((params, memory, best_params))
            if found is not None:
                resumed = found.epoch
                params, memory, best_params = replicate(found.arrays, steps.mesh)
                best, best_epoch = found.numbers["best"], found.numbers["best_epoch"]
                losses, measures = found.numbers["losses"], found.numbers["measures"]
        if tracker is not None:
            tracker.resume(resumed)
        left = range(resumed + 1, max_epochs + 1) if resumed - best_epoch < patience else range(0)
        for number in progress(left):
            begin = time.perf_counter()
            counted = jnp.asarray(number, jnp.uint32)
            params, memory, value, score = epoch(params, memory, train, validation, key, counted)
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
            if tracker is not None:
                seconds = time.perf_counter() - begin
                tracker.log(number, {"loss": losses[-1], "measure": measures[-1], "seconds": seconds})
            stop = number - best_epoch >= patience
            if keeper is not None and (stop or number == max_epochs or number % keeper.every == 0):
                numbers = {"best": best, "best_epoch": best_epoch, "losses": losses, "measures": measures}
                keeper.save(number, (params, memory, best_params), numbers)
            if stop:
                break
    return Fit(best_params, best, best_epoch, losses, measures, resumed)


def _epoch_program(
    loss: Loss, measure: Callable[[Params, Batch], Array], optimizer: optax.GradientTransformation, steps: Steps
) -> Callable[..., tuple]:
    """One compiled epoch and the measure after it: of parameters, memory, both sets of rows, the key and a number."""
    if isinstance(loss, Partial) and isinstance(measure, Partial):
        loss, measure = replicate((loss, measure), steps.mesh)
        return functools.partial(_shared_epoch, loss, measure, optimizer, steps)
    return jax.jit(functools.partial(_epoch, loss, measure, optimizer, steps))


def _epoch(
    loss: Loss,
    measure: Callable[[Params, Batch], Array],
    optimizer: optax.GradientTransformation,
    steps: Steps,
    params: Params,
    memory: Any,
    train: Batch,
    validation: Batch,
    key: Array,
    number: Array,
) -> tuple[Params, Any, Array, Array]:
    params, memory, value = run_epoch(loss, optimizer, steps, params, memory, train, key, number)
    return params, memory, value, measure(params, validation)


_shared_epoch = jax.jit(_epoch, static_argnums=(2, 3))
