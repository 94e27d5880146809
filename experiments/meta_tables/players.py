"""How the classical players of a table are measured: each on the same tasks, tuned on other ones.

A player with a setting is tried with each of a few on tasks of their own, all seeds together, and then plays with the
best. The papers tuned theirs likewise, and say neither on which tasks nor among which settings.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from attnjax.reproduction import Context

PLAY, TUNE = 11, 12
"""Streams of a seed's key."""


class Row(NamedTuple):
    """A player of a table.

    Attributes:
        make: `make(setting)` is the player; `setting` is a traced number unless the row is `static`.
        grid: settings to choose from; one alone is not tuned.
        static: whether a setting must be a Python number, so that each is a program of its own.
    """

    make: Callable[[Any], Any]
    grid: Sequence[float] = (0,)
    static: bool = False


def some(grid: Sequence[float], count: int) -> list[float]:
    """At most `count` settings, from the inside of a grid if not all.

    >>> some((1, 2, 3, 4), 2), some((1, 2), 5)
    ([2, 3], [1, 2])
    """
    if count >= len(grid):
        return list(grid)
    places = np.linspace(0, len(grid) - 1, count + 2)[1:-1]
    return [grid[round(place)] for place in places]


@functools.partial(jax.jit, static_argnames="count")
def block_keys(keys: jax.Array, stream: Any, number: Any, count: int) -> jax.Array:
    """(seeds, count), one for each task of a block: all that is random when it is played."""

    def of_a_seed(key: Any) -> jax.Array:
        return jax.random.split(jax.random.fold_in(jax.random.fold_in(key, stream), number), count)

    return jax.vmap(of_a_seed)(keys)


def measure(
    config: Any,
    keys: jax.Array,
    context: Context,
    label: str,
    rows: Mapping[str, Row],
    earn: Callable[[list[Any], Any, Any], jax.Array],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What every player of a table earns.

    All players are branches of one compiled program, since drawing tasks and stepping through them is most of it.

    Args:
        config: the settings.
        keys: one per seed.
        context: of the run.
        label: names the table; of each stage the name is `label_player`.
        rows: the players.
        earn: `earn(players, which, key)`, the return of one of them on a task that the key draws.

    Returns:
        For each player its mean return, (seeds,); and its `setting` and the `deviation` between tasks, likewise.
    """
    makers: list[tuple[Callable[[Any], Any], float | None]] = []
    candidates: dict[str, list[tuple[int, float]]] = {}
    for name, row in rows.items():
        candidates[name] = []
        for setting in some(row.grid, config.settings):
            maker = (row.make, setting if row.static else None)
            if maker not in makers:
                makers.append(maker)
            candidates[name].append((makers.index(maker), setting))

    @jax.jit
    def block(keys: jax.Array, which: Any, setting: Any) -> jax.Array:
        players = [make(setting if own is None else own) for make, own in makers]
        return jax.lax.map(jax.vmap(lambda key: earn(players, which, key)), keys)

    def returns(stream: int, tasks: int, which: int, setting: float) -> np.ndarray:
        """(seeds, tasks), played in blocks of one size so that there is one program."""
        parts = [
            np.asarray(block(block_keys(keys, stream, number, config.block), which, float(setting)), np.float64)
            for number in range(tasks // config.block)
        ]
        return np.concatenate(parts, axis=1)

    def one(name: str) -> dict[str, Any]:
        choices = candidates[name]
        if len(choices) > 1:
            tried = [returns(TUNE, config.block, *choice).mean() for choice in choices]
            choices = [choices[int(np.argmax(tried))]]
        earned = returns(PLAY, config.play_tasks, *choices[0])
        setting = float(choices[0][1]) if len(rows[name].grid) > 1 else None
        return {"mean": earned.mean(axis=1), "deviation": earned.std(axis=1), "setting": setting}

    found = {
        name: context.stage(f"{label}_{name}", functools.partial(one, name)) for name in context.progress(rows, label)
    }
    means = {f"{label}_{name}": result["mean"] for name, result in found.items()}
    about = {name: {"setting": result["setting"], "deviation": result["deviation"]} for name, result in found.items()}
    return means, about
