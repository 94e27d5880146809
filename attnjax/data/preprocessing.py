"""Tables to arrays: fill, clip, normalise and encode, all fitted on the training rows and saved with the model.

    table = fit_table(frame.iloc[train], numeric=["age"], categorical=["occupation"], tags={"genres": "|"})
    features = table.apply(frame)                              # any rows, also of values never seen
    save_table(table, folder / "table.json")                   # exact: loads to the same table

A numeric column becomes two: its value, and whether it was missing. The value is filled with the training median,
clipped to training quantiles (winsorised, so that one wrong price does not set the scale), and normalised robustly,

    (min(max(x, low), high) - median) / IQR            IQR the distance of the quartiles, of the clipped values

A categorical column becomes a code: 0 for a value never seen in training, 1 for a missing one, then the training
values in alphabetical order. A column of tags becomes one indicator per tag, the first for any never seen.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnjax.atomic import write_text
from attnjax.errors import fail

FORMAT, VERSION = "attnjax.table", 1
UNKNOWN, MISSING, KNOWN = 0, 1, 2
"""Codes of a value never seen, of none, and of the first known value."""
WORDS = "words"
"""The separator that splits a text into its words: runs of letters and digits, in lower case."""


class Numeric(NamedTuple):
    """What was learned of a numeric column.

    Attributes:
        fill: the training median, 0 if all was missing.
        low: the lower training quantile, to which values are raised.
        high: the upper one, to which they are lowered.
        centre: the median of the clipped training values.
        scale: their interquartile range; where that is 0, the range of the clipped values, or 1.
    """

    fill: float
    low: float
    high: float
    centre: float
    scale: float


class Features(NamedTuple):
    """A table as arrays.

    Attributes:
        numeric: (rows, numeric columns) float32.
        missing: (rows, numeric columns) float32, 1 where the value was missing or infinite.
        codes: (rows, categorical columns) int32.
        tags: per column of tags, (rows, 1 + known tags) float32.
    """

    numeric: NDArray[np.float32]
    missing: NDArray[np.float32]
    codes: NDArray[np.int32]
    tags: dict[str, NDArray[np.float32]]


class Table(NamedTuple):
    """What was learned of a table's columns; made by `fit_table` or `load_table`.

    Attributes:
        numeric: per column.
        categorical: per column, the known values, as text.
        tags: per column, the known tags.
        separators: per column of tags, what separates them.
    """

    numeric: dict[str, Numeric]
    categorical: dict[str, tuple[str, ...]]
    tags: dict[str, tuple[str, ...]]
    separators: dict[str, str]

    def sizes(self) -> tuple[int, ...]:
        """How many codes each categorical column has, for embeddings.

        Returns:
            One number per categorical column, the unknown and the missing value included.
        """
        return tuple(KNOWN + len(known) for known in self.categorical.values())

    def apply(self, frame: pd.DataFrame) -> Features:
        """Turns rows into arrays, each by itself.

        Args:
            frame: rows with the columns that were fitted.

        Returns:
            The features, finite whatever is missing.

        Raises:
            UserError: if a column is not there, or a numeric one holds something else.

        >>> table = fit_table(pd.DataFrame({"age": [20.0, 30.0, 40.0], "job": ["a", "b", None]}), ["age"], ["job"])
        >>> table.apply(pd.DataFrame({"age": [None, 1e9], "job": ["c", "a"]})).codes.tolist()
        [[0], [2]]
        """
        _check_columns("Table.apply", frame, [*self.numeric, *self.categorical, *self.tags])
        rows = len(frame)
        numeric, missing = np.zeros((rows, len(self.numeric))), np.zeros((rows, len(self.numeric)))
        for place, (name, learned) in enumerate(self.numeric.items()):
            values = _numbers(frame, name)
            missing[:, place] = np.isnan(values)
            filled = np.where(np.isnan(values), learned.fill, values)
            numeric[:, place] = (np.clip(filled, learned.low, learned.high) - learned.centre) / learned.scale
        codes = np.zeros((rows, len(self.categorical)), np.int32)
        for place, (name, known) in enumerate(self.categorical.items()):
            texts = _texts(frame, name)
            found = pd.Index(known, dtype=object).get_indexer(pd.Index(texts, dtype=object))
            seen = np.where(found >= 0, found + KNOWN, UNKNOWN)
            codes[:, place] = np.where([text is None for text in texts], MISSING, seen)
        tags = {
            name: _indicators(_split_tags(frame, name, self.separators[name]), known)
            for name, known in self.tags.items()
        }
        return Features(numeric.astype(np.float32), missing.astype(np.float32), codes, tags)


def fit_table(
    frame: pd.DataFrame,
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    *,
    quantiles: tuple[float, float] = (0.01, 0.99),
    min_count: int = 1,
    most_tags: int = 1000,
) -> Table:
    """Learns how to turn a table into arrays, from the training rows and nothing else.

    Args:
        frame: the training rows.
        numeric: columns of numbers; NaN, None and infinite values are missing.
        categorical: columns of values that are compared as text; None and NaN are missing.
        tags: column to separator, e.g. `{"genres": "|", "title": WORDS}`.
        quantiles: between which numeric values are kept.
        min_count: values and tags seen in fewer training rows count as unknown. Above 1, a model meets the unknown
            in training, and so learns what to make of it.
        most_tags: at most so many tags are known per column, the most frequent (ties in alphabetical order).

    Returns:
        The table.

    Raises:
        UserError: if there are no rows, a column is missing, named twice or not numeric, or an option out of range.
    """
    tags = dict(tags or {})
    names = [*numeric, *categorical, *tags]
    _check_columns("fit_table", frame, names)
    low, high = quantiles
    if not len(frame) or len(set(names)) != len(names) or not 0 <= low < high <= 1 or min(min_count, most_tags) < 1:
        fail(
            "fit_table",
            expected="rows, each column named once, 0 <= low < high <= 1, min_count and most_tags >= 1",
            got=f"{len(frame)} rows, columns {', '.join(names)}, quantiles {quantiles}, {min_count} and {most_tags}",
            advice="Fit on the training rows; name a column once.",
        )
    if bad := [name for name, separator in tags.items() if not separator]:
        fail("fit_table", expected="a separator for each column of tags", got=f"none for {', '.join(bad)}", advice="")
    return Table(
        numeric={name: _learn_numeric(_numbers(frame, name), low, high) for name in numeric},
        categorical={
            name: tuple(sorted(_frequent([[t] for t in _texts(frame, name) if t is not None], min_count)))
            for name in categorical
        },
        tags={
            name: tuple(sorted(_frequent(_split_tags(frame, name, separator), min_count)[:most_tags]))
            for name, separator in tags.items()
        },
        separators=tags,
    )


def save_table(table: Table, path: Path | str) -> None:
    """Writes a table as JSON, in one indivisible step; numbers come back to the last bit.

    Args:
        table: what to keep.
        path: the file.
    """
    content = {"format": FORMAT, "version": VERSION, **table._asdict()}
    content["numeric"] = {name: learned._asdict() for name, learned in table.numeric.items()}
    write_text(Path(path), json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def load_table(path: Path | str) -> Table:
    """Reads what `save_table` wrote.

    Args:
        path: the file.

    Returns:
        The same table.

    Raises:
        UserError: if the file is not there, is no table, or of another version.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content.pop("format"), content.pop("version")) != (FORMAT, VERSION):
            raise ValueError("another format")
        return Table(
            numeric={name: Numeric(**learned) for name, learned in content["numeric"].items()},
            categorical={name: tuple(known) for name, known in content["categorical"].items()},
            tags={name: tuple(known) for name, known in content["tags"].items()},
            separators=content["separators"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fail(
            f"load_table({str(path)!r})",
            expected=f"a file of the format {FORMAT} {VERSION}",
            got=f"{type(error).__name__}: {error}",
            advice="Fit the table again and save it beside the model.",
        )


def _learn_numeric(values: NDArray[np.float64], low: float, high: float) -> Numeric:
    seen = values[~np.isnan(values)]
    if not seen.size:
        return Numeric(0.0, 0.0, 0.0, 0.0, 1.0)
    least, most = np.quantile(seen, [low, high])
    clipped = np.clip(seen, least, most)
    first, centre, third = np.quantile(clipped, [0.25, 0.5, 0.75])
    scale = next((width for width in (third - first, clipped.max() - clipped.min()) if width > 0), 1.0)
    return Numeric(*(float(value) for value in (np.median(seen), least, most, centre, scale)))


def _numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as float64, NaN where missing or infinite."""
    try:
        values = pd.to_numeric(frame[name]).to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        fail(
            "preprocessing",
            expected=f"numbers in the column {name!r}",
            got=str(error),
            advice="Name it among the categorical columns, or mend its values.",
        )
    return np.where(np.isfinite(values), values, np.nan)


def _texts(frame: pd.DataFrame, name: str) -> list[str | None]:
    return [None if absent else str(value) for value, absent in zip(frame[name], frame[name].isna(), strict=True)]


def _split_tags(frame: pd.DataFrame, name: str, separator: str) -> list[list[str]]:
    """The tags of each row, each once."""

    def parts(text: str) -> list[str]:
        found = re.findall(r"[^\W_]+", text.lower()) if separator == WORDS else text.split(separator)
        return sorted({part.strip() for part in found} - {""})

    return [[] if text is None else parts(text) for text in _texts(frame, name)]


def _frequent(rows: Sequence[Sequence[str]], min_count: int) -> list[str]:
    """The tags of at least so many rows, the most frequent first, ties in alphabetical order."""
    count: dict[str, int] = {}
    for row in rows:
        for tag in row:
            count[tag] = count.get(tag, 0) + 1
    return sorted((tag for tag, times in count.items() if times >= min_count), key=lambda tag: (-count[tag], tag))


def _indicators(rows: Sequence[Sequence[str]], known: Sequence[str]) -> NDArray[np.float32]:
    place = {tag: 1 + k for k, tag in enumerate(known)}
    found = np.zeros((len(rows), 1 + len(known)), np.float32)
    for row, held in enumerate(rows):
        for tag in held:
            found[row, place.get(tag, UNKNOWN)] = 1
    return found


def _check_columns(where: str, frame: Any, names: Sequence[str]) -> None:
    lacking = [name for name in names if not isinstance(frame, pd.DataFrame) or name not in frame]
    if lacking:
        fail(
            where,
            expected=f"a frame with the columns {', '.join(names)}",
            got=f"one without {', '.join(lacking)}",
            advice="Pass the frame that was fitted, or one of the same columns.",
        )
