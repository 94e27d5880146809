"""`python -m experiments.benchmarks.allocation`: what `attnjax bench allocation` starts in a process of its own."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from attnjax.atomic import write_bytes, write_text
from attnjax.errors import UserError, fail
from attnjax.reproduction.figures import draw
from attnjax.reproduction.project import Project, find_project
from attnjax.reproduction.records import Record, write_record
from attnjax.reproduction.report import slug
from experiments.benchmarks.allocation import record as records
from experiments.benchmarks.allocation import runner, show
from experiments.benchmarks.allocation.peers import OURS
from experiments.benchmarks.allocation.tasks import tasks


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
    try:
        run(find_project(), options.preset, options.only, keep=options.keep)
    except UserError as error:
        message = str(error)
        print(message if message.startswith("attnjax") else f"attnjax: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


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
    made = records.build(project, preset, known, found, runner.machine(), dataclasses.asdict(limits))
    folder = project.run_folder(runner.NAME, preset)
    path = folder / "record.json"
    write_record(path, made)
    text = show.markdown(show.tables(made))
    write_text(folder / "tables.md", text)
    for figure in show.figures(made):
        drawn = draw(figure, runner.NAME)
        write_bytes(folder / f"{slug(figure.title)}.svg", drawn.svg)
        write_bytes(folder / f"{slug(figure.title)}.png", drawn.png)
    print(text)
    print(f"record, tables and figures: {project.show(folder)}/")
    if keep:
        kept = _keep(project, preset, made)
        print(f"kept: {project.show(kept)} (commit it)")
    return path


def _keep(project: Project, preset: str, made: Record) -> Path:
    """Copies the record to where committed ones live, if all of ours is in it and it is made from a commit.

    Peers may be missing, which the record says: some take an hour.
    """
    missing = [name for name in made.values["missing"] if name.endswith(f".{OURS}")]
    if missing:
        fail(
            "attnjax bench allocation --keep",
            expected="every measurement of ours",
            got=f"{len(missing)} missing, {missing[0]} first",
            advice="Run it again with --only ours.",
        )
    if made.dirty is not False:
        fail(
            "attnjax bench allocation --keep",
            expected="a clean, committed tree",
            got="changes that no commit holds" if made.dirty else "a folder outside a git clone",
            advice="Commit and run it again; what is measured is reused as far as the code is the same.",
        )
    target = project.kept(runner.NAME, preset)
    write_record(target, made)
    return target


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
