"""`python -m experiments.benchmarks.aggregation`: what `attnjax bench aggregation` starts in a process of its own."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attnjax.reproduction.project import Project, find_project
from attnjax.reproduction.runner import Say, say_on_stderr
from experiments.benchmarks.aggregation import report
from experiments.benchmarks.aggregation.config import PRESETS, Config
from experiments.benchmarks.aggregation.contest import measure
from experiments.benchmarks.command import exit_code, interpreter_with
from experiments.benchmarks.records import keep as keep_record
from experiments.benchmarks.records import leave

PEERS = "torchjd, pymoo"


def main(words: Sequence[str]) -> int:
    """Measures, writes the record and the tables, and prints the tables.

    Args:
        words: options as `attnjax bench aggregation` takes them.

    Returns:
        The exit code: 0 done, 2 a mistake that the user can mend, 130 interrupted.
    """
    parser = argparse.ArgumentParser(prog="attnjax bench aggregation")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="smoke")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--peers-python", type=Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args(list(words))
    config = PRESETS[options.preset]

    def job() -> None:
        project = find_project()
        asked = (config.peers or options.peers_python is not None) and not options.no_peers
        python = interpreter_with(project, "aggregation", PEERS, options.peers_python) if asked else None
        run(project, options.preset, config, python, keep=options.keep)

    return exit_code(job)


def run(
    project: Project,
    preset: str,
    config: Config,
    python: Path | None,
    *,
    keep: bool = False,
    say: Say = say_on_stderr,
) -> Path:
    """Measures everything; returns where the record was written.

    Args:
        project: where it lives.
        preset: its name, for the record.
        config: its settings.
        python: the peers' interpreter, or None without peers.
        keep: whether to copy the record to where committed ones live.
        say: prints a line of progress.

    Raises:
        UserError: for `keep` with a tree that differs from its commit.
    """
    begin = time.perf_counter()
    values = measure(project, config, python, say)
    made = report.build(project, preset, config, values, time.perf_counter() - begin)
    folder = leave(project, made, report.tables(made))
    print(f"record and tables: {project.show(folder)}/")
    if keep:
        keep_record(project, made)
    return folder / "record.json"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
