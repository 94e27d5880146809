"""What all benchmarks leave: a record with the machine in it, its tables as Markdown, and a copy where it is kept."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attnjax.atomic import write_text
from attnjax.errors import fail
from attnjax.reproduction.code import code_digest
from attnjax.reproduction.experiment import Table
from attnjax.reproduction.project import Project
from attnjax.reproduction.provenance import commit, device, processor, versions
from attnjax.reproduction.records import SCHEMA, Record, write_record
from attnjax.reproduction.values import plain


def machine() -> dict[str, Any]:
    """What computes: architecture, processor, cores."""
    return {"machine": f"{platform.system()} {platform.machine()}", "processor": processor(), "cores": cores()}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def record_of(
    project: Project,
    name: str,
    preset: str,
    *,
    config: Any,
    seed: int,
    packages: dict[str, str],
    values: dict[str, Any],
    seconds: float,
) -> Record:
    """The record of what was measured in this process and those that it started.

    Args:
        project: where it lives.
        name: of the benchmark's folder, such as "benchmarks/meta".
        preset: which.
        config: its settings, a dataclass.
        seed: of what is random.
        packages: versions of the peers.
        values: what was measured.
        seconds: wall time.
    """
    state = commit(project)
    return Record(
        schema=SCHEMA,
        experiment=name,
        preset=preset,
        config=plain(config, "config"),
        seed=seed,
        versions={**packages, **versions()},
        device={**device(), "cores": cores()},
        x64=False,
        commit=state.sha,
        dirty=state.dirty,
        code=code_digest(project, name),
        data={},
        values=plain(values, "values"),
        per_seed={},
        summary={},
        certificates={},
        seconds=round(seconds, 3),
        stages={},
        resumed=[],
        peak_memory_mb=0.0,
        finished=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def leave(project: Project, made: Record, tables: Sequence[Table]) -> Path:
    """Writes a record and its tables among the runs, and prints the tables.

    Args:
        project: where it lives.
        made: the record.
        tables: of it.

    Returns:
        The folder.
    """
    folder = project.run_folder(made.experiment, made.preset)
    write_record(folder / "record.json", made)
    text = markdown(tables)
    write_text(folder / "tables.md", text)
    print(text)
    return folder


def keep(project: Project, made: Record) -> None:
    """Copies a record to where committed ones live.

    Args:
        project: where it lives.
        made: the record.

    Raises:
        UserError: if the commit does not say what made it.
    """
    if made.dirty is not False:
        fail(
            f"attnjax bench {made.experiment.rpartition('/')[2]} --keep",
            expected="a clean, committed tree",
            got="changes that no commit holds" if made.dirty else "a folder outside a git clone",
            advice="Commit and run it again.",
        )
    target = project.kept(made.experiment, made.preset)
    write_record(target, made)
    print(f"kept: {project.show(target)} (commit it)")


def markdown(shown: Sequence[Table]) -> str:
    """Tables as Markdown text, with four significant digits.

    Args:
        shown: the tables.
    """
    parts = []
    for table in shown:
        lines = [f"### {table.title}", ""]
        lines.append("| " + " | ".join(table.columns) + " |")
        lines.append("|" + "---|" * len(table.columns))
        lines += ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in table.rows]
        parts.append("\n".join([*lines, "", table.note]))
    return "\n\n".join(parts) + "\n"


def _text(cell: Any) -> str:
    """A cell of a Markdown table."""
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell).replace("|", "/")
