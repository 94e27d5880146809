"""Contestants that take turns: each in a process of its own, which answers JSON lines; for both ends of the pipe.

A peer's interpreter has neither this package nor JAX, so nothing but the standard library is imported here.
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

LIMIT = 900.0
"""Seconds after which a contestant that has not answered is stopped."""


class Contestant:
    """A process; what goes wrong there is an answer with a `problem`, not an exception.

    Args:
        root: the project's folder.
        python: the interpreter.
        module: what it runs.
        words: its arguments.

    Attributes:
        ready: its first answer.
    """

    def __init__(self, root: Path, python: Path, module: str, words: Sequence[str]) -> None:
        self._child = subprocess.Popen(
            [str(python), "-m", module, *words],
            cwd=root,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.ready = self._answer()

    def __enter__(self) -> "Contestant":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()
        for end in (self._child.stdin, self._child.stdout):
            _open(end).close()

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request; `problem` if there is none."""
        if self._child.poll() is not None:
            return {"problem": f"it has ended with exit code {self._child.returncode}"}
        _open(self._child.stdin).write(json.dumps(request) + "\n")
        _open(self._child.stdin).flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        stop = threading.Timer(LIMIT, self._child.kill)
        stop.start()
        line = _open(self._child.stdout).readline()
        stop.cancel()
        return json.loads(line) if line else {"problem": f"it ended with exit code {self._child.wait()}"}


def _open(end: IO[str] | None) -> IO[str]:
    assert end is not None  # made by PIPE
    return end


def answering() -> Callable[[dict[str, Any]], None]:
    """For the process: what says an answer. What a library prints goes to standard error from here on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    return say


def told(error: Exception) -> str:
    """An exception in one line."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[-1:]])[:300]


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The versions of packages, where they are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
