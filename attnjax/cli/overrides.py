"""Settings from the command line: `attnjax run NAME -- --field value`, read by tyro from the config's own types."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Sequence
from typing import Any

from attnjax.errors import fail
from attnjax.extras import need
from attnjax.reproduction.experiment import Experiment
from attnjax.reproduction.project import suggest


def override(experiment: Experiment, config: Any, words: Sequence[str]) -> Any:
    """Returns the settings with some fields replaced.

    Args:
        experiment: whose settings.
        config: the preset's.
        words: what stood behind `--`, for example `["--steps", "10"]`.

    Returns:
        The new settings, validated by their own class. `--help` prints the fields and raises `SystemExit(0)`.

    Raises:
        UserError: if a field is unknown or a value does not fit.
    """
    tyro = need("tyro", "attnjax run NAME -- --field value")
    where = f"attnjax run {experiment.name}"
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(experiment.config, args=list(words), default=config, prog=f"{where} --")
    except SystemExit as error:
        if error.code == 0:
            raise
    fields = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(experiment.config)]
    strange = [word for word in words if word.startswith("--") and word.replace("_", "-") not in fields]
    hint = f"'{where} -- --help' lists them with their values."
    if strange:
        fail(
            where,
            expected=f"settings among {', '.join(fields)}",
            got=strange[0],
            advice=suggest(strange[0], fields, hint),
        )
    return fail(where, expected="settings that fit", got=_plain_text(complaint.getvalue()), advice=hint)


def _plain_text(box: str) -> str:
    """Returns the message inside tyro's drawn box: its first part, on one line."""
    lines = [re.sub(r"[│╭╮╰╯]", " ", line).strip() for line in box.splitlines() if not line.startswith("╭")]
    first: list[str] = []
    for line in lines:
        if not line.strip("─ "):
            if first:
                break
            continue
        first.append(line)
    return " ".join(first).rstrip(".") or "something tyro refused"
