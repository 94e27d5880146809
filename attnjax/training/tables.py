"""A table of trials that is kept as it grows, and belongs to one search space and one set of settings.

It is one JSON file, replaced whole after each trial (or each batch of them). A search that is started again finds
the rows that are done; one of another space or other settings is refused.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from attnjax.atomic import write_text
from attnjax.errors import fail

FORMAT, VERSION = "attnjax.trials", 1
RESULTS = ("best", "best_epoch", "diverged", "epochs", "value")
"""Columns that say how a trial went; no setting may have such a name."""


class Trials:
    """The rows of a search.

    Args:
        folder: where `trials.json` is kept, or None to keep it in memory alone.
        about: the search space and the settings, as JSON can say them.
        names: of the settings that are searched over.

    Raises:
        UserError: if a name is taken, `about` can't be written as JSON, or the file there is of another search.
    """

    def __init__(self, folder: Path | str | None, about: Mapping[str, Any], names: Sequence[str]) -> None:
        if taken := sorted(set(names) & set(RESULTS)):
            fail("trials", expected=f"names other than {', '.join(RESULTS)}", got=", ".join(taken), advice="Rename.")
        self.rows: list[dict[str, Any]] = []
        self._path = None if folder is None else Path(folder) / "trials.json"
        try:
            self._about = json.loads(json.dumps(dict(about), allow_nan=False))
        except (TypeError, ValueError) as error:
            fail(
                "trials",
                expected="a search space and settings of strings, finite numbers, booleans, lists and dictionaries",
                got=f"some that JSON can't say ({error})",
                advice="Replace arrays and functions by their names.",
            )
        if self._path is not None and self._path.exists():
            found = _read(self._path)
            if found["about"] != self._about:
                names = sorted(found["about"] | self._about)
                other = [name for name in names if found["about"].get(name) != self._about.get(name)]
                fail(
                    f"trials in {self._path}",
                    expected="trials of this search",
                    got=f"trials made with another {', '.join(other)}",
                    advice="Take the old ones to go on, or another folder to start anew.",
                )
            self.rows = found["rows"]

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows, and keeps the table.

        Args:
            rows: each a mapping of names to plain values; an infinite result is null in the file.
        """
        self.rows += [dict(row) for row in rows]
        if self._path is not None:
            plain = [{name: _plain(value) for name, value in row.items()} for row in self.rows]
            content = {"format": FORMAT, "version": VERSION, "about": self._about, "rows": plain}
            write_text(self._path, json.dumps(content, indent=1, allow_nan=False) + "\n")

    def frame(self) -> pd.DataFrame:
        """The rows as a frame."""
        return pd.DataFrame(self.rows)


def read_trials(folder: Path | str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Reads a table that a search kept.

    Args:
        folder: of the search.

    Returns:
        What the search was (its space and settings), and its rows.

    Raises:
        UserError: if there is none.
    """
    found = _read(Path(folder) / "trials.json")
    return found["about"], pd.DataFrame(found["rows"])


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        assert (found["format"], found["version"]) == (FORMAT, VERSION)
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        fail(
            f"trials in {path}",
            expected=f"a table of the format {FORMAT} {VERSION}",
            got="no file" if not path.exists() else "another file",
            advice="Give each search a folder of its own.",
        )
    for row in found["rows"]:
        row |= {name: math.inf for name in RESULTS if name in row and row[name] is None}
    return found


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isinf(value) else value
