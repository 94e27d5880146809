"""One contestant in a process of its own: `python -m experiments.benchmarks.aggregation.child MODULE`.

It answers each line of its input, a JSON table, by one line: `{"method": ..., "size": [m, n], "save": path}` gets a
method ready and saves its direction; `{"seconds": ...}` times it; anything else is handed to the module's `answer`.
What goes wrong, memory included, is an answer as well.
"""

import contextlib
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.benchmarks.aggregation.config import gradients
from experiments.benchmarks.turns import answering, told, versions_of

MEMORY = 4 * 2**30
"""Bytes of data that a contestant may take."""


def main(name: str) -> None:
    """Answers until the input ends."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    say = answering()
    try:
        module = importlib.import_module(f"experiments.benchmarks.aggregation.{name}")
    except Exception as error:
        say({"problem": told(error)})
        return
    say({"versions": versions_of(module.PACKAGES)})
    contestant = _Contestant(module)
    for line in sys.stdin:
        try:
            say(contestant.answer(json.loads(line)))
        except Exception as error:
            contestant.forget()
            say({"problem": told(error)})


class _Contestant:
    """What is ready: one size's gradients and one method."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._size: tuple[int, int] | None = None
        self._given: Any = None
        self.forget()

    def forget(self) -> None:
        self._run: Callable[[], Any] | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "method" in request:
            self.forget()
            if tuple(request["size"]) != self._size:
                self._given = None  # one size's gradients in memory at a time
                self._given = self._module.given(gradients(*request["size"]))
                self._size = tuple(request["size"])
            self._run, direction = self._module.prepare(request["method"], self._given)
            begin = time.perf_counter()
            np.save(request["save"], direction(self._run()))
            first = time.perf_counter() - begin
            self._run()
            return {"first": first}
        if "seconds" in request:
            assert self._run is not None
            times: list[float] = []
            while sum(times) < request["seconds"]:
                begin = time.perf_counter()
                self._run()
                times.append(time.perf_counter() - begin)
            return {"times": times}
        return self._module.answer(request, self._given)


if __name__ == "__main__":
    main(sys.argv[1])
