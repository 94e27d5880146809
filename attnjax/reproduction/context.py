"""What a running experiment is given: a way to say how far it is, and stages that survive an interruption.

    for epoch in context.progress(range(epochs), "training"):
        ...
    fit = context.stage("fit", lambda: train(config, key))

A stage's result is written, in one indivisible step, into the run's folder under the run's fingerprint. A run that
was killed finds it there and goes on behind it; a run of other code, settings or data does not.
"""

import io
import json
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, TypeVar

from attnjax.atomic import write_bytes
from attnjax.errors import fail

Item = TypeVar("Item")


class Context:
    """Progress and stages of one run.

    A context without a folder remembers nothing, which is what a notebook or a test wants.
    """

    def __init__(self, folder: Path | None = None, fingerprint: str = "", stream: TextIO | None = None) -> None:
        self._stream = stream
        self._folder = None if folder is None else folder / "stages" / fingerprint
        self.seconds: dict[str, float] = {}
        self.resumed: list[str] = []
        if folder is not None and (folder / "stages").is_dir():
            for other in (folder / "stages").iterdir():
                if other.name != fingerprint:
                    shutil.rmtree(other, ignore_errors=True)

    def say(self, message: str) -> None:
        """Prints one line about what is happening.

        Args:
            message: the line.
        """
        print(f"   {message}", file=self._out, flush=True)

    def progress(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        """Passes items on, and shows how many are done.

        On a terminal this is a bar; in a log it is a line at most every ten seconds.

        Args:
            items: what to go through.
            label: what is being done.
            total: how many there are, if `items` has no length.

        Yields:
            The items.
        """
        count = total if total is not None else len(items) if isinstance(items, Sized) else None
        if self._out.isatty():
            try:
                from tqdm import tqdm
            except ModuleNotFoundError:
                pass
            else:
                yield from tqdm(items, desc=f"   {label}", total=count, file=self._out, leave=False)
                return
        of = f" of {count}" if count is not None else ""
        begin = said = time.monotonic()
        for done, item in enumerate(items):
            now = time.monotonic()
            if now - said >= 10:
                left = f", about {(now - begin) / done * (count - done):.0f} s left" if count and done else ""
                self.say(f"{label}: {done}{of}{left}")
                said = now
            yield item

    def stage(self, name: str, function: Callable[[], Any]) -> Any:
        """Computes a part of the run once, even if the run is interrupted after it.

        Args:
            name: the part's name, unique in the run: letters, digits, `_`, `-` and `.`.
            function: computes it. Its result may hold numbers, strings, `None`, arrays, and lists, tuples and
                string-keyed dictionaries of these.

        Returns:
            The result, with arrays as NumPy's and tuples as lists: the same whether it was computed or found.

        Raises:
            UserError: if the name was used before in this run, or the result can't be kept.
        """
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name in self.seconds:
            fail(
                "context.stage",
                expected="a name of letters, digits, '_', '-', '.' that this run has not used",
                got=repr(name),
                advice="Give each stage a name of its own.",
            )
        path = None if self._folder is None else self._folder / f"{name}.npz"
        if path is not None and path.is_file():
            try:
                result, self.seconds[name] = _decode(path.read_bytes())
            except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
                self.say(f"stage {name}: the file left behind is not readable; computing it again")
            else:
                self.resumed.append(name)
                self.say(f"stage {name}: reused from the interrupted run ({self.seconds[name]:.1f} s saved)")
                return result
        begin = time.monotonic()
        result = function()
        self.seconds[name] = time.monotonic() - begin
        content = _encode(result, self.seconds[name], name)
        if path is not None:
            write_bytes(path, content)
        self.say(f"stage {name}: done in {self.seconds[name]:.1f} s")
        return _decode(content)[0]

    def forget(self) -> None:
        """Removes the stages of this run: its record holds what they led to."""
        if self._folder is not None:
            shutil.rmtree(self._folder.parent, ignore_errors=True)

    @property
    def _out(self) -> TextIO:
        """Where progress goes: standard error, looked up late so that a caller may redirect it."""
        return self._stream or sys.stderr


def _encode(result: Any, seconds: float, name: str) -> bytes:
    """Returns a result as the bytes of an .npz file: its arrays, and its shape as JSON."""
    import numpy as np

    arrays: dict[str, Any] = {}

    def walk(value: Any, where: str) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return {"is": value}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {"dict": {key: walk(item, f"{where}.{key}") for key, item in value.items()}}
        if isinstance(value, list | tuple):
            return {"list": [walk(item, f"{where}.{index}") for index, item in enumerate(value)]}
        array = None
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            with suppress(TypeError):  # JAX's keys have no NumPy form
                array = np.asarray(value)
        if array is None or array.dtype.kind not in "biufcSU":
            fail(
                "context.stage",
                expected="a result of numbers, strings, None, arrays, and lists and dictionaries of these",
                got=f"{type(value).__name__} at {where}",
                advice="Return arrays of parameters, not objects that hold them.",
            )
        arrays[f"a{len(arrays)}"] = array
        return {"array": f"a{len(arrays) - 1}"}

    shape = json.dumps({"result": walk(result, name), "seconds": seconds})
    buffer = io.BytesIO()
    np.savez(buffer, shape=np.frombuffer(shape.encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def _decode(content: bytes) -> tuple[Any, float]:
    """Returns what `_encode` was given, and the seconds it had taken."""
    import numpy as np

    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    shape = json.loads(arrays.pop("shape").tobytes().decode())

    def walk(node: dict[str, Any]) -> Any:
        if "dict" in node:
            return {key: walk(item) for key, item in node["dict"].items()}
        if "list" in node:
            return [walk(item) for item in node["list"]]
        return arrays[node["array"]] if "array" in node else node["is"]

    return walk(shape["result"]), shape["seconds"]
