"""One contestant in a process of its own, kept to one core: `python -m experiments.benchmarks.meta.child NAME CONFIG`.

It says one line when it is ready, and then answers each line of its input, `{"task": ..., "seconds": ...}`, by how many
units it did and how long they took. So contestants take turns on one core, and all see the same weather.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

from experiments.benchmarks.turns import answering, told, versions_of

MODULES = "experiments.benchmarks.meta"


def main(name: str, settings: dict[str, Any]) -> None:
    """Prepares a contestant for its tasks, and answers until the input ends.

    Args:
        name: of the contestant, or "programs" for what needs no turns: `programs.measure`, whose findings it says.
        settings: those of `measure.Config`.
    """
    say = answering()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before any library makes its threads
    from experiments.benchmarks.meta.contestants import CONTESTANTS

    if name == "programs":
        from experiments.benchmarks.meta.programs import measure

        say(measure(settings))
        return
    contestant = CONTESTANTS[name]
    try:
        module = importlib.import_module(f"{MODULES}.{contestant.module}")
        begin = time.perf_counter()
        prepared = {task: module.prepare(task) for task in module.TASKS[: settings["tasks"]]}
        for one in prepared.values():
            one.run(one.chunk)  # what is compiled, is compiled now
        seconds = time.perf_counter() - begin
    except Exception as error:
        say({"problem": told(error)})
        return
    gradients = {task: one.gradient().tolist() for task, one in prepared.items() if one.gradient is not None}
    versions = versions_of(contestant.packages)
    say({"tasks": list(prepared), "gradients": gradients, "seconds": seconds, "versions": versions})
    for line in sys.stdin:
        request = json.loads(line)
        one, units = prepared[request["task"]], 0
        begin = time.perf_counter()
        while (taken := time.perf_counter() - begin) < request["seconds"]:
            one.run(one.chunk)
            units += one.chunk
        say({"units": units, "seconds": taken})


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
