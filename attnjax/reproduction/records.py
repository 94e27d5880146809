"""Records: one JSON file that says what was computed, with what, on what, and how sure it is.

Local runs leave `runs/<experiment>/<preset>/record.json`; a record worth keeping is committed as
`reproducibility/records/<experiment>/<preset>.json`. Both have the same form, written in one indivisible step.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from attnjax.atomic import write_text
from attnjax.errors import fail
from attnjax.reproduction.experiment import Outcome
from attnjax.reproduction.provenance import Fingerprint
from attnjax.reproduction.values import dumps, lookup, plain

SCHEMA = 1
"""The version of the record's form; a reader refuses any other."""

SECTIONS = ("values", "summary", "certificates", "per_seed")
"""Where a dotted path without a section is looked for, in this order; only the first three for claims."""


class Record(NamedTuple):
    """What one run of one preset found.

    Attributes:
        schema: the version of this form.
        experiment: the experiment's name.
        preset: `smoke`, `paper`, or a variant such as `smoke-1a2b3c4d` with settings of its own.
        config: the settings.
        seed: the seed that every stream starts from.
        versions: of Python and of the packages that compute.
        device: what computed.
        x64: whether in double precision.
        commit: the commit's name, or `None` outside a clone.
        dirty: whether the tree differed from it, or `None`.
        code: digest of the code that the numbers depend on.
        data: for each source, the checksums of its files.
        values: what has one value per run.
        per_seed: what was measured once per seed.
        summary: for each such quantity `mean`, `low`, `high`, `level` and `size`.
        certificates: bounds, gaps, iterations.
        seconds: wall time, in seconds, the stages of an interrupted run included.
        stages: wall time of each stage, in seconds.
        resumed: the stages that an interrupted run had left.
        peak_memory_mb: peak resident memory, in megabytes.
        finished: when, in UTC (ISO 8601).
    """

    schema: int
    experiment: str
    preset: str
    config: dict[str, Any]
    seed: int
    versions: dict[str, str]
    device: dict[str, Any]
    x64: bool
    commit: str | None
    dirty: bool | None
    code: str
    data: dict[str, dict[str, str]]
    values: dict[str, Any]
    per_seed: dict[str, list[float]]
    summary: dict[str, dict[str, float]]
    certificates: dict[str, Any]
    seconds: float
    stages: dict[str, float]
    resumed: list[str]
    peak_memory_mb: float
    finished: str

    @property
    def fingerprint(self) -> Fingerprint:
        """What must be the same for this record to stand for a program."""
        return Fingerprint(self.config, self.code, self.data, self.versions, self.device, self.x64)

    def get(self, path: str) -> Any:
        """Finds an entry by its dotted path.

        Args:
            path: with its section (`summary.nash.gini.mean`), or without (`nash.gini`), when `values`, `summary`,
                `certificates` and `per_seed` are tried in this order.

        Returns:
            The entry.

        Raises:
            KeyError: if there is none; the message says what there is.
        """
        section, _, rest = path.partition(".")
        if section in SECTIONS:
            return lookup(getattr(self, section), rest) if rest else getattr(self, section)
        for section in SECTIONS:
            try:
                return lookup(getattr(self, section), path)
            except KeyError:
                continue
        there = [f"{name}.{key}" for name in SECTIONS[:3] for key in getattr(self, name)]
        raise KeyError(f"'{path}' (there is: {', '.join(there) or 'nothing'})")


def checked_outcome(outcome: Any, name: str) -> Outcome:
    """Turns what an experiment returned into plain values.

    Args:
        outcome: what `run` returned.
        name: the experiment, for messages.

    Returns:
        The outcome with plain values only.

    Raises:
        UserError: if it is no `Outcome`, or holds something that a record can't.
    """
    if not isinstance(outcome, Outcome):
        fail(
            f"{name}.run",
            expected="an Outcome(values, per_seed, certificates)",
            got=type(outcome).__name__,
            advice="Return attnjax.reproduction.Outcome.",
        )
    values, per_seed, certificates = (
        plain(getattr(outcome, section), section) for section in ("values", "per_seed", "certificates")
    )
    for quantity, numbers in per_seed.items():
        if not isinstance(numbers, list) or not numbers or not all(_is_number(number) for number in numbers):
            fail(
                f"{name}.run",
                expected="one number per seed",
                got=f"{numbers!r:.60} at per_seed.{quantity}",
                advice="Put what is no number per seed under `values`.",
            )
    return Outcome(values, {name: [float(x) for x in numbers] for name, numbers in per_seed.items()}, certificates)


def summarise(per_seed: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Returns the mean over seeds of each quantity, with its bootstrap interval.

    Args:
        per_seed: one number per seed for each quantity.

    Returns:
        For each quantity `mean`, `low`, `high`, `level` and `size`.
    """
    if not per_seed:
        return {}
    from attnjax.evaluation.intervals import bootstrap_interval

    return {name: dict(bootstrap_interval(numbers)._asdict()) for name, numbers in per_seed.items()}


def write_record(path: Path, record: Record) -> None:
    """Writes a record in one indivisible step.

    Args:
        path: where to.
        record: what.

    Raises:
        UserError: if a number in it is NaN or infinite.
    """
    write_text(path, dumps(plain(record._asdict(), "record")))


def read_record(path: Path, shown: str) -> Record:
    """Reads a record.

    Args:
        path: where it lies.
        shown: how messages name it.

    Returns:
        The record.

    Raises:
        UserError: if the file is no whole record of this schema.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        _refuse(shown, f"a file that does not read ({type(error).__name__}: {error})")
    if not isinstance(found, dict) or "schema" not in found:
        _refuse(shown, "JSON of another kind")
    if found["schema"] != SCHEMA:
        _refuse(shown, f"schema {found['schema']!r}")
    missing, foreign = set(Record._fields) - set(found), set(found) - set(Record._fields)
    if missing or foreign:
        what = [f"without {', '.join(sorted(missing))}"] if missing else []
        what += [f"with the unknown {', '.join(sorted(foreign))}"] if foreign else []
        _refuse(shown, f"a record {' and '.join(what)}")
    for name in ("config", "versions", "device", "data", "values", "per_seed", "summary", "certificates", "stages"):
        if not isinstance(found[name], dict):
            _refuse(shown, f"a record whose {name} is no table")
    return Record(**found)


def _refuse(shown: str, got: str) -> NoReturn:
    """Refuses a file that is no record."""
    fail(
        shown,
        expected=f"a whole record (schema {SCHEMA})",
        got=got,
        advice="Remove the file and make it again with 'attnjax run' (or restore it from git, if it was committed).",
    )


def _is_number(value: Any) -> bool:
    """Says whether a plain value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
