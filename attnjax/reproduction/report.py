"""The report: `reports/index.html` from records, with every table as CSV and every figure as SVG and PNG.

For each experiment the record of the preset asked for is shown, the local one before the committed one; where there
is none, the other preset's, with a warning. Nothing is computed here but drawings.
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from attnjax.atomic import sweep, write_bytes, write_text
from attnjax.errors import fail
from attnjax.reproduction.claims import check_links, load_claims
from attnjax.reproduction.code import code_digest
from attnjax.reproduction.experiment import PRESETS, Experiment, Table
from attnjax.reproduction.figures import draw
from attnjax.reproduction.judge import Verdict
from attnjax.reproduction.page import Picture, Section, number, page
from attnjax.reproduction.project import Project, load_experiments
from attnjax.reproduction.provenance import commit
from attnjax.reproduction.records import Record
from attnjax.reproduction.runner import Say, say_on_stderr
from attnjax.reproduction.values import counted
from attnjax.reproduction.verify import Records, kept_records, left_records, tally, verdict_from


class Shown(NamedTuple):
    """A record chosen for the page.

    Attributes:
        record: which.
        path: where it lies, as shown.
        notice: what the reader must be warned of; may be empty.
    """

    record: Record
    path: str
    notice: str


def write_report(
    project: Project,
    *,
    preset: str = "paper",
    verdicts: Sequence[Verdict] | None = None,
    say: Say = say_on_stderr,
) -> Path:
    """Writes the report.

    Args:
        project: whose.
        preset: which records to show where there is a choice.
        verdicts: what a verification has just found; by default the claims are judged on the records that lie there.
        say: prints a line of progress.

    Returns:
        The page to open.

    Raises:
        UserError: if there is no record at all, a record or the claims file is damaged, or matplotlib is missing.
    """
    experiments = load_experiments(project)
    chosen = [(experiment, _choose(project, experiment, preset)) for experiment in experiments]
    if not any(shown for _, shown in chosen):
        fail(
            "attnjax report",
            expected="at least one finished record",
            got="none",
            advice="Make some with 'attnjax reproduce', or one with 'attnjax run NAME'.",
        )
    verdicts = judged_from_records(project) if verdicts is None else list(verdicts)
    sweep(project.reports)
    sections = []
    for experiment, shown in chosen:
        if shown is not None:
            say(f"   {experiment.name}: tables and figures from {shown.path}")
            sections.append(_section(project, experiment, shown))
    missing = [(e.title, f"attnjax run {e.name} --preset {preset}") for e, shown in chosen if shown is None]
    records = [shown.record for _, shown in chosen if shown is not None]
    path = project.reports / "index.html"
    text = page(
        summary=_summary(len(sections), verdicts),
        facts=_head(project, records),
        sections=sections,
        missing=missing,
        verdicts=verdicts,
        commands=_commands(experiments),
    )
    write_text(path, text)
    return path


def judged_from_records(project: Project) -> list[Verdict]:
    """Judges every claim on the records that lie there, local ones first, without running anything.

    Args:
        project: whose claims.

    Returns:
        One verdict per claim; not checked where there is no record, or only one of earlier code.

    Raises:
        UserError: if the claims file is wrong or a record is damaged.
    """
    claims = load_claims(project)
    check_links(project, claims)
    verdicts = []
    for claim in claims:
        found = left_records(project, claim.experiment, claim.tier)
        if found.first is None:
            found = kept_records(project, claim.experiment, claim.tier)
        if found.first is None:
            found = Records(trouble=f"no record; 'attnjax verify --claim {claim.id}' makes it")
        elif found.first.code != code_digest(project, claim.experiment):
            # What earlier code found says nothing of the code at hand.
            found = Records(trouble=f"no record of this code; 'attnjax verify --claim {claim.id}' makes it")
        verdicts.append(verdict_from(project, claim, found))
    return verdicts


def _choose(project: Project, experiment: Experiment, preset: str) -> Shown | None:
    """Returns the record to show for an experiment, if there is any."""
    for candidate in (preset, *(other for other in PRESETS if other != preset)):
        for found in (
            left_records(project, experiment.name, candidate),
            kept_records(project, experiment.name, candidate),
        ):
            if found.first is None:
                continue
            notices = []
            if candidate == "smoke":
                notices.append("A smoke run: a small case that shows the machinery works, not the reported numbers.")
            if found.first.code != code_digest(project, experiment.name):
                notices.append("The code has changed since this record was made.")
            return Shown(found.first, found.shown, " ".join(notices))
    return None


def _section(project: Project, experiment: Experiment, shown: Shown) -> Section:
    """Draws one experiment's tables and figures, writes their files, and returns its part of the page."""
    tables = []
    for table in experiment.tables(shown.record):
        _check_table(experiment, table)
        name = f"tables/{experiment.name}-{slug(table.title)}.csv"
        write_text(project.reports / name, csv_text(table))
        tables.append((table, name))
    pictures = []
    for figure in experiment.figures(shown.record):
        drawn = draw(figure, experiment.name)
        stem = f"figures/{experiment.name}-{slug(figure.title)}"
        write_bytes(project.reports / f"{stem}.svg", drawn.svg)
        write_bytes(project.reports / f"{stem}.png", drawn.png)
        files = [("SVG", f"{stem}.svg"), ("PNG", f"{stem}.png")]
        pictures.append(Picture(figure.title, figure.caption, drawn.svg, files))
    return Section(
        name=experiment.name,
        title=experiment.title,
        question=experiment.question,
        source=experiment.source,
        facts=_run_facts(shown),
        notice=shown.notice,
        tables=tables,
        pictures=pictures,
        certificates=_flat(shown.record.certificates),
    )


def csv_text(table: Table) -> str:
    """Returns a table as CSV, with numbers at full precision.

    Args:
        table: what to write.

    >>> print(csv_text(Table("Shares", ["use", "share"], [["bus", 0.25]])), end="")
    use,share
    bus,0.25
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return buffer.getvalue()


def slug(title: str) -> str:
    """Returns a title as part of a file's name.

    >>> slug("Welfare, by rule (nDCG@10)")
    'welfare-by-rule-ndcg-10'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].rstrip("-") or "untitled"


def _check_table(experiment: Experiment, table: Table) -> None:
    """Refuses a table with ragged rows."""
    for place, row in enumerate(table.rows):
        if len(row) != len(table.columns):
            fail(
                f"{experiment.name}, table {table.title!r}",
                expected=f"{len(table.columns)} entries in each row",
                got=f"{len(row)} in row {place + 1}",
                advice="Give every row one entry per column; None leaves a cell empty.",
            )


def _summary(count: int, verdicts: Sequence[Verdict]) -> str:
    """Returns the sentence under the page's title."""
    claims = f"{tally(verdicts)}." if verdicts else "No claims yet."
    return f"{counted(count, 'experiment')} with a record. {claims}"


def _head(project: Project, records: Sequence[Record]) -> list[tuple[str, str]]:
    """Returns the facts of the page's head."""
    state, now = commit(project), datetime.now(UTC)
    versions = records[0].versions
    return [
        ("Written", f"{now.day} {now:%B %Y, %H:%M} UTC"),
        ("Commit", _commit(state.sha, state.dirty)),
        ("Computed on", ", ".join(dict.fromkeys(_device(record) for record in records))),
        ("Versions", ", ".join(f"{name} {versions[name]}" for name in ("attnjax", "jax", "python"))),
    ]


def _run_facts(shown: Shown) -> list[tuple[str, str]]:
    """Returns the facts of one run."""
    record = shown.record
    counts = {summary["size"] for summary in record.summary.values()}
    seeds = f"{record.seed}" + (f", {max(counts):.0f} repetitions" if counts else "")
    return [
        ("Preset", record.preset),
        ("Seed", seeds),
        ("Time", _duration(record.seconds)),
        ("Peak memory", f"{record.peak_memory_mb:.0f} MB"),
        ("Device", _device(record)),
        ("Precision", "float64" if record.x64 else "float32"),
        ("Commit", _commit(record.commit, record.dirty)),
        ("Finished", record.finished.replace("T", " ").replace("Z", " UTC")),
        ("Data", ", ".join(record.data) or "none: made from the settings"),
        ("Record", shown.path),
    ]


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Returns nested certificates as labelled texts."""
    if isinstance(tree, dict):
        return [item for key, value in tree.items() for item in _flat(value, f"{prefix}, {key}" if prefix else key)]
    if isinstance(tree, list):
        shown = ", ".join(number(value) for value in tree[:6]) + (", ..." if len(tree) > 6 else "")
        return [(prefix.replace("_", " "), shown)]
    return [(prefix.replace("_", " "), number(tree))]


def _device(record: Record) -> str:
    """Returns what computed, in words."""
    device = record.device
    if device["platform"] == "cpu":
        return str(device["processor"])
    return f"{device['count']} x {device['kind']}" if device["count"] > 1 else str(device["kind"])


def _commit(sha: str | None, dirty: bool | None) -> str:
    """Returns a commit's name, short, and whether the tree differed."""
    return "unknown" if sha is None else f"{sha[:10]}{' with uncommitted changes' if dirty else ''}"


def _duration(seconds: float) -> str:
    """Returns a time as a person says it.

    >>> _duration(4.25), _duration(125)
    ('4.2 s', '2 min 5 s')
    """
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {seconds % 60:.0f} s"


def _commands(experiments: Sequence[Experiment]) -> list[tuple[str, str]]:
    """Returns the commands of the page's last part."""
    return [
        ("make reproduce", "the main job and this page, from a bare machine with Python 3.11"),
        *(
            (f"attnjax run {e.name} --preset paper", f"{e.title}: about {e.cost['paper'].minutes:g} min")
            for e in experiments
        ),
        ("attnjax verify --tier paper", "recompute what the claims speak of, and compare"),
        ("attnjax report", "write this page again from the records"),
    ]
