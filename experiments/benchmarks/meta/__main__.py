"""`python -m experiments.benchmarks.meta`: what `attnjax bench meta` starts in a process of its own."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attnjax.reproduction.project import Project, find_project
from attnjax.reproduction.runner import Say, say_on_stderr
from experiments.benchmarks.command import exit_code
from experiments.benchmarks.meta import report
from experiments.benchmarks.meta.contestants import LEARNERS, SIMULATIONS, SIMULATORS, TORCH
from experiments.benchmarks.meta.measure import PRESETS, Config, contests, interpreters, programs
from experiments.benchmarks.records import keep as keep_record
from experiments.benchmarks.records import leave


def main(words: Sequence[str]) -> int:
    """Measures, writes the record and the tables, and prints the tables.

    Args:
        words: options as `attnjax bench meta` takes them.

    Returns:
        The exit code: 0 done, 2 a mistake that the user can mend, 130 interrupted.
    """
    parser = argparse.ArgumentParser(prog="attnjax bench meta")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="smoke")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--peers-python", type=Path)
    parser.add_argument("--simulators-python", type=Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args(list(words))
    config = PRESETS[options.preset]
    if options.no_peers:
        config = dataclasses.replace(config, peers=False)
    given = {TORCH: options.peers_python, SIMULATORS: options.simulators_python}
    return exit_code(lambda: run(find_project(), options.preset, config, given, keep=options.keep))


def run(
    project: Project,
    preset: str,
    config: Config,
    given: dict[str, Path | None],
    *,
    keep: bool = False,
    say: Say = say_on_stderr,
) -> Path:
    """Measures everything; returns where the record was written.

    Args:
        project: where it lives.
        preset: its name, for the record.
        config: its settings.
        given: interpreters by environment.
        keep: whether to copy the record to where committed ones live.
        say: prints a line of progress.

    Raises:
        UserError: without an interpreter for the peers, and for `keep` with a tree that differs from its commit.
    """
    begin = time.perf_counter()
    pythons = interpreters(project, config, given)
    values = {
        what: contests(project, {name: pythons[one.environment] for name, one in who.items()}, config, say)
        for what, who in (("learners", LEARNERS), ("environments", SIMULATIONS))
    }
    say("compiled programs: operations, memory, time against JAX by hand")
    values |= programs(project, config)
    made = report.build(project, preset, config, values, time.perf_counter() - begin)
    folder = leave(project, made, report.tables(made))
    print(f"record and tables: {project.show(folder)}/")
    if keep:
        keep_record(project, made)
    return folder / "record.json"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
