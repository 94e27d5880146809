"""Many runs at once: hyper-parameters and seeds that change no shape, trained in one compiled program.

A point of the sweep is a dictionary of numbers (`learning_rate`, `weight_decay`, `seed`). What to train is built from
it inside the program, so its numbers are traced and `vmap` runs all points side by side. Every row is the run that
`fit` makes of its point, but for rounding: the same shuffles, the same early stopping.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array

from attnjax.atomic import only_writer
from attnjax.errors import fail
from attnjax.training.checkpoints import digest
from attnjax.training.epochs import Batch, Loss, Params, Steps, checked_steps, replicate, run_epoch
from attnjax.training.tables import Trials

Point = Mapping[str, Any]


class Candidate(NamedTuple):
    """What is trained at one point.

    Attributes:
        loss: as `fit` takes it.
        measure: likewise.
        params: to start from.
        optimizer: an optax transformation.
    """

    loss: Loss
    measure: Callable[[Params, Batch], Array]
    params: Params
    optimizer: optax.GradientTransformation


def grid(**axes: Sequence[float] | np.ndarray) -> dict[str, np.ndarray]:
    """All combinations of some values, the last axis fastest.

    Args:
        axes: the values of each.

    Returns:
        One array per name, all of the same length.

    >>> grid(rate=[0.1, 0.2], seed=[0, 1])
    {'rate': array([0.1, 0.1, 0.2, 0.2]), 'seed': array([0, 1, 0, 1])}
    """
    rows = list(itertools.product(*axes.values()))
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(axes)}


def run_key(key: Array, point: Point) -> Array:
    """The key of a point's run: points of one seed share it, and so their shuffles; they compare the better for it.

    Args:
        key: the sweep's.
        point: with or without a `seed`.

    Returns:
        `fold_in(key, seed)`, or the key itself where there is no seed.
    """
    return jax.random.fold_in(key, point["seed"]) if "seed" in point else key


def sweep(
    build: Callable[[Point], Candidate],
    points: Mapping[str, Any],
    train: Batch,
    validation: Batch,
    *,
    key: Array,
    batch_size: int,
    max_epochs: int,
    patience: int,
    stochastic: bool = False,
    accumulate: int = 1,
    at_once: int | None = None,
    folder: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> pd.DataFrame:
    """Trains every point, side by side, and tells how well each did.

    Args:
        build: makes the candidate of a point; called while tracing, with scalars of which no shape may depend. Its
            random draws come from the point, e.g. `jax.random.key(point["seed"])`.
        points: names to arrays of one length, one entry per point; see `grid`.
        train: as for `fit`.
        validation: as for `fit`.
        key: the run of a point has `run_key(key, point)`.
        batch_size: as for `fit`.
        max_epochs: as for `fit`.
        patience: as for `fit`; a point that has stopped waits for the others of its batch.
        stochastic: as for `fit`.
        accumulate: as for `fit`.
        at_once: how many points go into one program, for memory; all by default.
        folder: keeps the table after each batch of points, so that a killed sweep goes on; None keeps nothing.
        settings: what `build` is made of, as JSON can say it; a table of other settings is refused.
        progress: wraps the range of batches of points.

    Returns:
        One row per point, in order: its numbers, `best` (the best validation measure), `best_epoch`, `epochs` (how
        many were run) and `diverged`, which says that loss or measure was not finite; `best` is then infinite.

    Raises:
        UserError: for points of unequal length, rows and batches as in `fit`, or a folder of another sweep.

    >>> rows = jnp.arange(8.0)
    >>> squares = lambda level, x: jnp.mean((level - x) ** 2)
    >>> build = lambda point: Candidate(squares, squares, jnp.zeros(()), optax.sgd(point["rate"]))
    >>> table = sweep(build, grid(rate=[0.01, 0.5]), rows, rows, key=jax.random.key(0), batch_size=8, max_epochs=3,
    ...               patience=3)
    >>> table["best_epoch"].tolist(), table["best"].round(3).tolist()
    ([3, 1], [16.102, 5.25])
    """
    steps = checked_steps("sweep", train, batch_size, accumulate, stochastic, None)
    arrays = {name: np.asarray(values) for name, values in points.items()}
    lengths = {values.shape for values in arrays.values()}
    if len(lengths) != 1 or len(shape := lengths.pop()) != 1 or min(shape[0], max_epochs, patience, at_once or 1) < 1:
        fail(
            "sweep",
            expected="points of one length, and points, max_epochs, patience and at_once of at least 1",
            got=f"shapes {[values.shape for values in arrays.values()]}, {max_epochs}, {patience} and {at_once}",
            advice="Make the points with grid(...).",
        )
    train, validation = replicate((train, validation), None)
    about = {
        "points": {name: values.tolist() for name, values in arrays.items()},
        "settings": dict(settings or {}),
        "loop": {
            "batch_size": batch_size,
            "max_epochs": max_epochs,
            "patience": patience,
            "stochastic": stochastic,
            "accumulate": accumulate,
            "key": digest(jax.random.key_data(key)),
            "rows": digest((train, validation)),
        },
    }
    start, epoch = _programs(build, steps, key)
    size = at_once or shape[0]
    with contextlib.nullcontext() if folder is None else only_writer(Path(folder)):
        trials = Trials(folder, about, list(arrays))
        for begin in progress(range(len(trials.rows), shape[0], size)):
            some = {name: jnp.asarray(values[begin : begin + size]) for name, values in arrays.items()}
            found = _train(start, epoch, some, train, validation, max_epochs, patience)
            plain = [{name: values[begin + k].item() for name, values in arrays.items()} for k in range(len(found))]
            trials.add([point | row for point, row in zip(plain, found, strict=True)])
        return trials.frame()


def _programs(build: Callable[[Point], Candidate], steps: Steps, key: Array) -> tuple[Callable, Callable]:
    """The start and one epoch of all points, compiled."""

    def start(point: Point) -> tuple[Params, Any]:
        candidate = build(point)
        params = replicate(candidate.params, None)
        return params, candidate.optimizer.init(params)

    def epoch(point: Point, params: Params, memory: Any, train: Batch, validation: Batch, number: Array) -> tuple:
        candidate, own = build(point), run_key(key, point)
        params, memory, value = run_epoch(
            candidate.loss, candidate.optimizer, steps, params, memory, train, own, number
        )
        return params, memory, value, candidate.measure(params, validation)

    return jax.jit(jax.vmap(start)), jax.jit(jax.vmap(epoch, in_axes=(0, 0, 0, None, None, None)))


def _train(
    start: Callable, epoch: Callable, points: Point, train: Batch, validation: Batch, max_epochs: int, patience: int
) -> list[dict[str, Any]]:
    """The rows of one batch of points: the bookkeeping of `fit`, a row each."""
    params, memory = start(points)
    rows: list[dict[str, Any]] = [
        {"best": math.inf, "best_epoch": 0, "epochs": 0, "diverged": False}
        for _ in range(len(next(iter(points.values()))))
    ]
    running = list(range(len(rows)))
    for number in range(1, max_epochs + 1):
        params, memory, values, scores = epoch(
            points, params, memory, train, validation, jnp.asarray(number, jnp.uint32)
        )
        told = np.asarray(values).tolist(), np.asarray(scores).tolist()
        for k in running:
            row, value, score = rows[k], told[0][k], told[1][k]
            row["epochs"] = number
            if not (math.isfinite(value) and math.isfinite(score)):
                row |= {"diverged": True, "best": math.inf}
            elif score < row["best"]:
                row |= {"best": score, "best_epoch": number}
        running = [k for k in running if not rows[k]["diverged"] and number - rows[k]["best_epoch"] < patience]
        if not running:
            break
    return rows
