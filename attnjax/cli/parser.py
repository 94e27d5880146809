"""What the commands are called and what they take."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from attnjax.errors import fail
from attnjax.reproduction.experiment import PRESETS
from attnjax.reproduction.project import suggest


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are the house's: one paragraph, with what to do."""

    def error(self, message: str) -> NoReturn:
        """Raises `UserError` where argparse would print its usage and exit."""
        fail(self.prog, expected="a command as its help describes", got=message, advice=f"See '{self.prog} --help'.")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Reads a command line.

    Args:
        words: the words after `attnjax`. What follows `--` overrides fields of the configuration (`run` only).

    Returns:
        The options: `command`, what that command takes, and `overrides`.

    Raises:
        UserError: if the command or an option is unknown or incomplete.
    """
    words = list(words)
    cut = words.index("--") if "--" in words else len(words)
    words, overrides = words[:cut], words[cut + 1 :]
    parser, names = _parser()
    if words and not words[0].startswith("-") and words[0] not in names:
        _unknown("attnjax", "a command", words[0], names)
    if not words:
        words = ["--help"]
    options = parser.parse_args(words)
    if cut < len(words) + len(overrides) and overrides and options.command != "run":
        fail(
            f"attnjax {options.command}",
            expected="no settings after '--'",
            got=" ".join(overrides),
            advice="Only 'attnjax run NAME -- --field value' takes them.",
        )
    options.overrides = overrides
    return options


def _unknown(where: str, expected: str, got: str, known: Sequence[str]) -> NoReturn:
    """Refuses a word, with the nearest one that is known."""
    fail(
        where,
        expected=f"{expected} ({', '.join(known)})",
        got=repr(got),
        advice=suggest(got, known, f"See '{where} --help'."),
    )


def _parser() -> tuple[_Parser, list[str]]:
    """Returns the parser of the whole command line, and the commands' names."""
    parser = _Parser(
        prog="attnjax",
        description="Attention as a scarce resource: run experiments, verify claims, fetch data.",
        epilog="Start with 'attnjax list', then 'attnjax run NAME --preset smoke'.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    def preset(command: argparse.ArgumentParser, default: str) -> None:
        command.add_argument("--preset", choices=PRESETS, default=default, help=f"the size (default: {default})")

    add("list", "show the experiments, what they take, and which records there are")

    run = add("run", "run one experiment, or reuse its finished record")
    run.add_argument("name", metavar="NAME", help="an experiment; 'attnjax list' shows them")
    preset(run, "smoke")
    run.add_argument("--seed", type=int, metavar="N", help="another seed; the run then has a folder of its own")
    run.add_argument("--recompute", action="store_true", help="compute from the beginning, whatever is there")
    run.add_argument("--keep", action="store_true", help="also copy the record to reproducibility/records/")
    run.add_argument("--force", action="store_true", help="with --keep: keep it even from a changed tree")
    run.epilog = "Settings of the experiment go behind '--': attnjax run NAME -- --field value. '-- --help' lists them."

    verify = add("verify", "recompute what the claims speak of, and compare")
    verify.add_argument("--tier", choices=PRESETS, default="smoke", help="smoke (default), or paper for both")
    verify.add_argument(
        "--claim", nargs="+", action="extend", default=[], metavar="ID", help="only these, whatever their tier"
    )
    verify.add_argument(
        "--records", choices=("runs", "kept"), default="runs", help="local ones (made where missing), or committed ones"
    )
    verify.add_argument("--recompute", action="store_true", help="compute anew even where a finished record stands")

    report = add("report", "write reports/index.html from the records")
    preset(report, "paper")

    reproduce = add("reproduce", "run the main job: experiments, claims, report")
    preset(reproduce, "paper")
    reproduce.add_argument("--recompute", action="store_true", help="compute anew even where finished records stand")

    keep = add("keep", "copy a finished record to reproducibility/records/, to be committed")
    keep.add_argument("name", metavar="NAME", help="an experiment")
    preset(keep, "paper")
    keep.add_argument("--force", action="store_true", help="keep it even from a changed tree")

    bands = add("bands", "run independent seed batches and write the bands that statistical claims compare with")
    bands.add_argument("name", metavar="NAME", help="an experiment")
    preset(bands, "paper")
    bands.add_argument("--batches", type=int, default=8, metavar="B", help="how many (default: 8)")

    bench = add("bench", "measure ours against its peers")
    contests = bench.add_subparsers(dest="contest", metavar="CONTEST", required=True, title="contests")
    text = "Measure the market solver against its peers, each in a process of its own; resumes if interrupted."
    allocation = contests.add_parser("allocation", help="the market solver against its peers", description=text)
    preset(allocation, "smoke")
    allocation.add_argument(
        "--only", nargs="+", action="extend", default=[], metavar="NAME", help="only these tasks or solvers, or 'ours'"
    )
    allocation.add_argument("--keep", action="store_true", help="also copy the record to reproducibility/records/")
    text = "Measure aggregators of gradients against TorchJD, fronts against NSGA-II, and what a training step costs."
    aggregation = contests.add_parser(
        "aggregation", help="aggregators and fronts against their peers", description=text
    )
    preset(aggregation, "smoke")
    aggregation.add_argument("--no-peers", action="store_true", help="ours alone, as the smoke preset does")
    aggregation.add_argument(
        "--peers-python", metavar="PYTHON", help="an interpreter with torchjd and pymoo (default: that of .venv-bench)"
    )
    aggregation.add_argument("--keep", action="store_true", help="also copy the record to reproducibility/records/")
    text = "Measure meta-gradients against their peers, which take turns on one core, and environments."
    meta = contests.add_parser("meta", help="meta-gradients and environments against their peers", description=text)
    preset(meta, "smoke")
    meta.add_argument("--no-peers", action="store_true", help="ours alone, as the smoke preset does")
    meta.add_argument(
        "--peers-python", metavar="PYTHON", help="an interpreter with torch and peers (default: that of .venv-bench)"
    )
    meta.add_argument("--simulators-python", metavar="PYTHON", help="an interpreter with recsim and recogym")
    meta.add_argument("--keep", action="store_true", help="also copy the record to reproducibility/records/")

    data = add("data", "list or fetch the data sets")
    jobs = data.add_subparsers(dest="job", metavar="JOB", required=True, title="jobs")
    jobs.add_parser("list", help="show the data sets", description="Show the data sets.")
    fetch = jobs.add_parser("fetch", help="fetch data sets", description="Fetch data sets into the cache.")
    fetch.add_argument("names", nargs="+", metavar="NAME", help="a data set; 'attnjax data list' shows them")

    add("version", "print the version")
    return parser, list(commands.choices)
