"""`python -m experiments.benchmarks.allocation`: what `attnjax bench allocation` starts in a process of its own."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from attnjax.atomic import write_bytes
from attnjax.errors import fail
from attnjax.reproduction.figures import draw
from attnjax.reproduction.project import Project, find_project
from attnjax.reproduction.records import Record
from attnjax.reproduction.report import slug
from experiments.benchmarks.allocation import record as records
from experiments.benchmarks.allocation import runner, show
from experiments.benchmarks.allocation.peers import OURS
from experiments.benchmarks.allocation.tasks import tasks
from experiments.benchmarks.command import exit_code
from experiments.benchmarks.records import keep as keep_record
from experiments.benchmarks.records import leave, machine


def main(words: Sequence[str]) -> int:
    """Measures what is missing, writes the record, the tables and the figures, and prints the tables.

    Args:
        words: options as `attnjax bench allocation` takes them.

    Returns:
        The exit code: 0 done, 2 a mistake that the user can mend, 130 interrupted.
    """
    parser = argparse.ArgumentParser(prog="attnjax bench allocation")
    parser.add_argument("--preset", choices=("smoke", "paper"), default="smoke")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args(list(words))
    return exit_code(lambda: run(find_project(), options.preset, options.only, keep=options.keep))


def run(project: Project, preset: str, only: Sequence[str] = (), *, keep: bool = False) -> Path:
    """Measures, and shows all measurements that stand.

    Args:
        project: where it lives.
        preset: `smoke` or `paper`.
        only: tasks and solvers to measure; all by default.
        keep: whether to copy the record to where committed ones live.

    Returns:
        Where the record was written.

    Raises:
        UserError: for what `runner.measure` refuses, and for `keep` with a record that lacks some of ours, or whose
            commit does not say what made it.
    """
    known, limits = tasks(preset), runner.Limits()
    found = runner.measure(project, preset, only, limits=limits)
    made = records.build(project, preset, known, found, machine(), dataclasses.asdict(limits))
    folder = leave(project, made, show.tables(made))
    for figure in show.figures(made):
        drawn = draw(figure, runner.NAME)
        write_bytes(folder / f"{slug(figure.title)}.svg", drawn.svg)
        write_bytes(folder / f"{slug(figure.title)}.png", drawn.png)
    print(f"record, tables and figures: {project.show(folder)}/")
    if keep:
        _check_whole(made)
        keep_record(project, made)
    return folder / "record.json"


def _check_whole(made: Record) -> None:
    """Refuses to keep a record that lacks some of ours. Peers may be missing, which it says: some take an hour."""
    missing = [name for name in made.values["missing"] if name.endswith(f".{OURS}")]
    if missing:
        fail(
            "attnjax bench allocation --keep",
            expected="every measurement of ours",
            got=f"{len(missing)} missing, {missing[0]} first",
            advice="Run it again with --only ours.",
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
