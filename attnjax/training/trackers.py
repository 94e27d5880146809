"""Where a run's numbers go while it trains: JSON lines always; TensorBoard and Weights & Biases where installed.

A tracker is anything with the three methods of `Tracker`. Whoever makes it closes it:

    with JsonLines("runs/one.jsonl") as tracker:
        fit(..., tracker=tracker)
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from attnjax.atomic import write_text
from attnjax.extras import need


class Tracker(Protocol):
    """What `fit` asks of a tracker."""

    def resume(self, step: int) -> None:
        """Says that the run goes on behind a step, 0 for a new one: what was logged of later steps was lost.

        Args:
            step: the last step that counts.
        """

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes a step's numbers.

        Args:
            step: its number; growing.
            values: named numbers.
        """

    def close(self) -> None:
        """Writes what is left."""


class Closing:
    """Makes a tracker a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is left."""


class JsonLines(Closing):
    """One JSON object per line and step, `{"step": 1, "loss": 0.5}`, in a file that any tool reads.

    Each line is handed to the system at once, so a killed process leaves whole lines and at most one broken one;
    going on removes it, and the lines of steps that are computed again. A run that starts anew starts the file anew.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def resume(self, step: int) -> None:
        """Keeps the whole lines of steps up to `step`.

        Args:
            step: the last step that counts.
        """
        kept = [line for line in read_lines(self.path) if line["step"] <= step]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a line.

        Args:
            step: its number.
            values: named numbers.
        """
        line = {"step": step} | {name: float(value) for name, value in values.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_lines(path: Path | str) -> list[dict[str, Any]]:
    """Reads what `JsonLines` wrote, without a last line that was cut short.

    Args:
        path: the file; it need not exist.

    Returns:
        One dictionary per step.

    Raises:
        ValueError: if a line before the last is no JSON.
    """
    path = Path(path)
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
    return [json.loads(line) for line in lines[:-1]]


class TensorBoard(Closing):
    """Scalars as TensorBoard reads them; needs the package tensorboardX, which needs no TensorFlow."""

    def __init__(self, folder: Path | str) -> None:
        self._module = need("tensorboardX", "TensorBoard", "trackers")
        self._folder = str(folder)
        self._writer: Any = None

    def resume(self, step: int) -> None:
        """Opens a file of events that hides those of later steps in earlier files.

        Args:
            step: the last step that counts.
        """
        self.close()
        self._writer = self._module.SummaryWriter(self._folder, purge_step=step + 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a scalar per name.

        Args:
            step: its number.
            values: named numbers.
        """
        if self._writer is None:
            self.resume(0)
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), step)

    def close(self) -> None:
        """Writes what is left."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class WeightsAndBiases(Closing):
    """A run of Weights & Biases kept in a folder, offline: nothing leaves the machine until `wandb sync` is called."""

    def __init__(self, folder: Path | str, project: str, settings: Mapping[str, Any]) -> None:
        self._module = need("wandb", "WeightsAndBiases", "trackers")
        self._options = {"dir": str(folder), "project": project, "config": dict(settings), "mode": "offline"}
        self._run: Any = None
        Path(folder).mkdir(parents=True, exist_ok=True)

    def resume(self, step: int) -> None:
        """Opens a run; offline runs can't be gone on with, so a killed run's other half is a run of its own.

        Args:
            step: the last step that counts.
        """
        self.close()
        self._run = self._module.init(**self._options)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs the numbers of a step.

        Args:
            step: its number.
            values: named numbers.
        """
        if self._run is None:
            self.resume(0)
        self._run.log({name: float(value) for name, value in values.items()}, step=step)

    def close(self) -> None:
        """Writes what is left."""
        if self._run is not None:
            self._run.finish()
            self._run = None


class Several(Closing):
    """Tells each of several trackers."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def resume(self, step: int) -> None:
        """Tells all.

        Args:
            step: the last step that counts.
        """
        for tracker in self._trackers:
            tracker.resume(step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Tells all.

        Args:
            step: its number.
            values: named numbers.
        """
        for tracker in self._trackers:
            tracker.log(step, values)

    def close(self) -> None:
        """Closes all."""
        for tracker in self._trackers:
            tracker.close()


def progress_bar(label: str) -> Callable[[Iterable[int]], Iterable[int]]:
    """A progress bar for `fit`, where tqdm is installed; else nothing is shown.

    Args:
        label: what is being done.

    Returns:
        A function that wraps an iterable.

    >>> list(progress_bar("training")(range(3)))
    [0, 1, 2]
    """
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        return iter
    return lambda items: tqdm(items, desc=label, leave=False)
