"""The cache holds whole, checked files or none, whatever the network, the disk or the user does."""

import gzip
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from data_server import Server

from attnjax.data import cache as cache_module
from attnjax.data import download, fetch, fetching, packages
from attnjax.data.cache import cache_folder
from attnjax.data.carriers import NpmPackage, PipPackage, Web
from attnjax.data.entries import Source
from attnjax.data.fetching import read_files, state
from attnjax.errors import UserError

BODY = bytes(range(256)) * 40  # 10,240 bytes
Register = Callable[..., Source]


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*") if path.name != ".lock")


def test_a_file_is_fetched_once_and_then_read_from_the_cache(
    server: Server, register: Register, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages["a.bin"] = BODY
    register(a=(BODY, (Web(server.url("a.bin")),)))
    assert fetch("tiny") == cache / "tiny"
    assert read_files("tiny", "a") == (BODY,)
    assert (cache / "tiny" / "a").read_bytes() == BODY
    assert len(server.requests) == 1
    assert leftovers(cache) == []
    assert "fetching http://127.0.0.1" in capsys.readouterr().err


def test_a_bar_is_drawn_where_someone_watches(
    server: Server, register: Register, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages["a.bin"] = BODY
    register(a=(BODY, (Web(server.url("a.bin")),)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch("tiny")
    assert "a.bin" in capsys.readouterr().err


def test_a_cut_download_resumes_within_one_fetch(server: Server, register: Register) -> None:
    server.pages["a.bin"] = BODY
    server.cut_after["a.bin"] = [4000]
    register(a=(BODY, (Web(server.url("a.bin")),)))
    assert read_files("tiny", "a") == (BODY,)
    assert server.requests == [("a.bin", None), ("a.bin", "bytes=4000-")]


def test_a_download_that_stays_cut_is_kept_and_the_next_fetch_goes_on(
    server: Server, register: Register, cache: Path
) -> None:
    server.pages["a.bin"] = BODY
    server.cut_after["a.bin"] = [1000, 1000, 1000]
    register(a=(BODY, (Web(server.url("a.bin")),)))
    with pytest.raises(UserError, match=r"closed after 3,000 bytes of 10,240; what came is kept, and the next fetch"):
        fetch("tiny")
    assert not (cache / "tiny" / "a").exists()
    assert [name[-5:] for name in leftovers(cache)] == [".part"]
    assert read_files("tiny", "a") == (BODY,)
    assert server.requests[-1] == ("a.bin", "bytes=3000-")
    assert leftovers(cache) == []


def test_a_server_without_ranges_is_asked_for_the_whole_file(server: Server, register: Register) -> None:
    server.pages["a.bin"] = BODY
    server.cut_after["a.bin"] = [4000]
    server.honours_range = False
    register(a=(BODY, (Web(server.url("a.bin")),)))
    assert read_files("tiny", "a") == (BODY,)


def test_a_truncated_answer_without_a_length_is_noticed_by_its_size(server: Server, register: Register) -> None:
    server.pages["a.bin"] = BODY
    server.says_length = False
    server.cut_after["a.bin"] = [100, 100, 100]
    register(a=(BODY, (Web(server.url("a.bin")),)))
    with pytest.raises(UserError, match="closed after 300 bytes of 10,240"):
        fetch("tiny")


def test_a_part_of_another_file_is_thrown_away_and_begun_again(server: Server, register: Register, cache: Path) -> None:
    server.pages["a.bin"] = b"x" * len(BODY)
    server.cut_after["a.bin"] = [1000, 1000, 1000]
    register(a=(BODY, (Web(server.url("a.bin")),)))
    with pytest.raises(UserError):
        fetch("tiny")
    server.pages["a.bin"] = BODY
    assert read_files("tiny", "a") == (BODY,)
    assert [span for _, span in server.requests[-2:]] == ["bytes=3000-", None]


def test_a_part_file_that_another_address_made_up_for_is_cleared_away(
    server: Server, register: Register, cache: Path
) -> None:
    server.pages |= {"a.bin": BODY, "b.bin": BODY}
    server.cut_after["a.bin"] = [1000, 0]
    register(a=(BODY, (Web(server.url("a.bin")), Web(server.url("b.bin")))))
    assert read_files("tiny", "a") == (BODY,)
    assert [path for path, _ in server.requests] == ["a.bin", "a.bin", "b.bin"]
    assert leftovers(cache) == []


@pytest.mark.parametrize("wrong", [b"y" * len(BODY), BODY + b"more", b"<html>log in first</html>"])
def test_wrong_bytes_never_enter_the_cache(server: Server, register: Register, cache: Path, wrong: bytes) -> None:
    server.pages["a.bin"] = wrong
    register(a=(BODY, (Web(server.url("a.bin")),)))
    with pytest.raises(UserError, match=r"not the expected a \(|it offers 10,244 bytes where at most 10,240"):
        fetch("tiny")
    assert not (cache / "tiny" / "a").exists()
    server.pages["a.bin"] = BODY
    assert read_files("tiny", "a") == (BODY,)


def test_an_endless_answer_is_cut_off(server: Server, register: Register, cache: Path) -> None:
    server.pages["a.bin"] = BODY * 3
    server.says_length = False
    register(a=(BODY, (Web(server.url("a.bin")),)))
    with pytest.raises(UserError, match="it sent more than the 10,240 bytes expected"):
        fetch("tiny")
    assert leftovers(cache) == []


def test_every_address_is_tried_in_order_and_named_in_the_error(
    server: Server, register: Register, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    server.hangs.add("slow")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{closed.getsockname()[1]}/b"
    places = (
        Web(server.url("gone")),
        Web("https://nowhere.invalid/c"),
        Web(refused),
        PipPackage("nothing", "1.0", "a"),
        NpmPackage("nothing", "1.0", "a"),
        Web(server.url("slow")),
    )
    source = register(a=(BODY, places))
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        fetch("tiny")
    assert time.monotonic() - began < 10
    message = str(caught.value)
    for said in (
        f"{server.url('gone')}: the server answered 404 Not Found",
        "https://nowhere.invalid/c: its name cannot be resolved",
        f"{refused}: the connection was refused",
        f"pip package nothing==1.0: pip is not installed in {sys.executable}",
        "npm package nothing@1.0: npm is not installed (it comes with Node.js)",
        f"{server.url('slow')}: no answer within 0.5 seconds",
        "Check the network and run `attnjax data fetch tiny` again, or place the file by hand in "
        f"{cache / 'tiny'} under the same name",
        source.files[0].sha256,
    ):
        assert said in message
    assert "\n" not in message


def test_a_dead_host_is_waited_for_once(server: Server, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.hangs |= {"a", "b"}
    register(a=(b"a", (Web(server.url("a")),)), b=(b"b", (Web(server.url("b")),)))
    with pytest.raises(UserError, match="place the files by hand"):
        fetch("tiny")
    assert [path for path, _ in server.requests] == ["a"]


def test_an_answer_that_stops_midway_is_given_up_and_kept(
    server: Server, register: Register, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.pages["a.bin"] = BODY
    server.delay = 0.6
    register(a=(BODY, (Web(server.url("a.bin")),)))
    with pytest.raises(UserError, match=r"no answer within 0.2 seconds after \d,000 bytes of 10,240"):
        fetch("tiny")
    assert [name[-5:] for name in leftovers(cache)] == [".part"]


def test_the_next_carrier_serves_where_the_first_converts_to_other_bytes(
    server: Server, register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages |= {"raw": b"other", "a.gz": gzip.compress(BODY), "bad.gz": b"no gzip"}
    register(
        a=(
            BODY,
            (
                Web(server.url("raw"), convert=lambda content: content + b"!"),
                Web(server.url("bad.gz"), convert=gzip.decompress),
                Web(server.url("a.gz"), convert=gzip.decompress),
            ),
        )
    )
    assert read_files("tiny", "a") == (BODY,)
    told = capsys.readouterr().err
    assert "raw: what it gave is not the expected a (it holds 6 bytes, not 10,240)" in told
    assert "bad.gz: what it gave cannot be used (Not a gzipped file" in told


def test_one_archive_is_brought_once_for_all_its_members(server: Server, register: Register) -> None:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr("in/a", BODY)
        archive.writestr("in/b", b"bb")
    server.pages["box.zip"] = box.getvalue()
    url = server.url("box.zip")
    register(a=(BODY, (Web(url, "in/a"),)), b=(b"bb", (Web(url, "in/b"),)), c=(b"c", (Web(url, "in/c"),)))
    assert read_files("tiny", "a", "b") == (BODY, b"bb")  # c fails, but nobody asked for it
    assert len(server.requests) == 1
    with pytest.raises(UserError, match=r"expected one of its addresses to give c, got .* has no file in/c"):
        fetch("tiny")


def test_a_finished_part_file_of_unknown_length_is_used(server: Server, register: Register, cache: Path) -> None:
    server.pages["a.gz"] = gzip.compress(BODY)
    source = register(a=(BODY, (Web(server.url("a.gz"), convert=gzip.decompress),)))
    part = fetching._Errand(source, cache / "tiny", {})._part(source.files[0].carriers[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(server.pages["a.gz"])
    assert read_files("tiny", "a") == (BODY,)
    part.write_bytes(server.pages["a.gz"] + b"too long")
    (cache / "tiny" / "a").unlink()
    assert read_files("tiny", "a") == (BODY,)


def test_a_part_file_longer_than_the_file_is_begun_again(server: Server, register: Register, cache: Path) -> None:
    server.pages["a.bin"] = BODY
    source = register(a=(BODY, (Web(server.url("a.bin")),)))
    part = fetching._Errand(source, cache / "tiny", {})._part(source.files[0].carriers[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY + b"!")
    assert read_files("tiny", "a") == (BODY,)
    (cache / "tiny" / "a").unlink()
    part.write_bytes(BODY)
    assert read_files("tiny", "a") == (BODY,)
    assert len(server.requests) == 1  # the second time all of it was there


@pytest.mark.parametrize("damage", [b"", BODY[:-1], b"z" * len(BODY)])
def test_a_damaged_file_is_noticed_and_fetched_again(
    server: Server, register: Register, cache: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages["a.bin"] = BODY
    source = register(a=(BODY, (Web(server.url("a.bin")),)))
    assert state(source) == "no"
    fetch("tiny")
    assert state(source) == "yes"
    (cache / "tiny" / "a").write_bytes(damage)
    assert state(source) == "damaged"
    capsys.readouterr()
    assert read_files("tiny", "a") == (BODY,)
    assert "tiny/a is damaged (" in capsys.readouterr().err
    assert (cache / "tiny" / "a").read_bytes() == BODY


def test_a_damaged_file_out_of_reach_is_named_with_the_command_that_mends_it(
    server: Server, register: Register, cache: Path
) -> None:
    register(a=(BODY, (Web(server.url("a.bin")),)))
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / "a").write_bytes(b"half")
    with pytest.raises(
        UserError,
        match=r"give a \(the cached one is damaged: it holds 4 bytes, not 10,240\).*`attnjax data fetch tiny`",
    ):
        read_files("tiny", "a")
    assert (cache / "tiny" / "a").read_bytes() == b"half"  # a user's file is only ever replaced by a right one


def test_a_file_placed_by_hand_is_taken(register: Register, cache: Path) -> None:
    source = register(a=(BODY, ()), b=(b"b", ()))
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / "a").write_bytes(BODY)
    assert read_files("tiny", "a") == (BODY,)
    assert state(source) == "partly"


def test_an_unreadable_file_is_damage(register: Register, cache: Path) -> None:
    register(a=(BODY, ()))
    (cache / "tiny" / "a").mkdir(parents=True)
    with pytest.raises(UserError, match="the cached one is damaged"):
        read_files("tiny", "a")


def test_an_error_of_reading_is_damage(register: Register, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = register(a=(BODY, ()))
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / "a").write_bytes(BODY)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert cache_module.read_cached(source, source.files[0]) == (
        None,
        "it cannot be read (Permission denied)",
    )


def test_a_cache_that_cannot_be_written_to_says_so(
    server: Server, register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ATTNJAX_DATA", str(tmp_path / "file" / "below"))
    server.pages["a.bin"] = BODY
    register(a=(BODY, (Web(server.url("a.bin")),)))
    with pytest.raises(UserError, match=r"to write into the data cache at .*below/tiny, got Not a directory\. .*ATTNJ"):
        fetch("tiny")
    assert server.requests == []


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_full_disk_leaves_nothing_half_written(
    server: Server, register: Register, cache: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    server.pages["a.bin"] = BODY
    register(a=(BODY, (Web(server.url("a.bin")),)))

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.os, step, full)
    with pytest.raises(UserError, match=r"got No space left on device. Free space there, or set ATTNJAX_DATA"):
        fetch("tiny")
    assert not (cache / "tiny" / "a").exists()
    assert [name for name in leftovers(cache) if not name.endswith(".part")] == []


def test_a_disk_that_fills_up_during_the_download_says_so(
    server: Server, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["a.bin"] = BODY
    register(a=(BODY, (Web(server.url("a.bin")),)))

    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching, "download", full)
    with pytest.raises(UserError, match="No space left on device"):
        fetch("tiny")
    monkeypatch.setattr(cache_module.tempfile, "TemporaryDirectory", full)
    with pytest.raises(UserError, match="No space left on device"):
        fetch("tiny")


def test_a_whole_cache_is_read_without_writing(
    server: Server, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["a.bin"] = BODY
    register(a=(BODY, (Web(server.url("a.bin")),)))
    fetch("tiny")

    def read_only(*arguments: object, **more: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert read_files("tiny", "a") == (BODY,)
    assert fetch("tiny").name == "tiny"


def test_without_locks_the_cache_still_works(
    server: Server, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["a.bin"] = BODY
    register(a=(BODY, (Web(server.url("a.bin")),)))

    def no_locks(*arguments: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(cache_module.fcntl, "flock", no_locks)
    assert read_files("tiny", "a") == (BODY,)
    (cache_folder() / "tiny" / "a").unlink()
    monkeypatch.setattr(cache_module, "fcntl", None)
    assert read_files("tiny", "a") == (BODY,)


def test_the_cache_folder_comes_from_the_environment_or_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNJAX_DATA", "~/somewhere/../data")
    assert cache_folder() == Path.home() / "data"
    monkeypatch.setenv("ATTNJAX_DATA", " ")
    assert cache_folder().name == "attnjax"
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(UserError, match=r"expected ATTNJAX_DATA or the package platformdirs.*Set ATTNJAX_DATA to a"):
        cache_folder()


SCRIPT = """
import hashlib, sys
from attnjax.data import fetching, sources
from attnjax.data.carriers import Web
body = bytes(range(256)) * 40
file = sources.DataFile("a", len(body), hashlib.sha256(body).hexdigest(), (Web(sys.argv[1]),))
sources.SOURCES["tiny"] = sources.Source("tiny", "", "", "", "", "", (file,))
assert fetching.read_files("tiny", "a") == (body,)
"""


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, url], stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )


def test_two_processes_fetch_a_file_once(server: Server, cache: Path) -> None:
    server.pages["a.bin"] = BODY
    server.delay = 0.15
    both = [start(server.url("a.bin")) for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(server.requests) == 1
    assert any("another process is fetching tiny; waiting for it" in text for text in told)
    assert leftovers(cache) == []


def test_a_killed_fetch_leaves_no_half_file_and_the_next_resumes(
    server: Server, register: Register, cache: Path
) -> None:
    server.pages["a.bin"] = BODY
    server.delay = 0.3
    process = start(server.url("a.bin"))
    deadline = time.monotonic() + 30
    while not any(part.stat().st_size for part in cache.glob("tiny/.*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not (cache / "tiny" / "a").exists()
    have = next(cache.glob("tiny/.*.part")).stat().st_size
    assert 0 < have < len(BODY)
    (cache / "tiny" / ".a.1.partial").write_bytes(b"of a process killed while it published")
    (cache / "tiny" / ".scratch-1").mkdir()
    server.delay = 0.0
    register(a=(BODY, (Web(server.url("a.bin")),)))
    assert read_files("tiny", "a") == (BODY,)
    assert server.requests[-1] == ("a.bin", f"bytes={have}-")
    assert leftovers(cache) == []


def test_a_member_is_read_only_from_a_sound_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as box:
        entry = tarfile.TarInfo("package/a")
        entry.size = len(BODY)
        box.addfile(entry, io.BytesIO(BODY))
        folder = tarfile.TarInfo("package/folder")
        folder.type = tarfile.DIRTYPE
        box.addfile(folder)
    assert packages.read_member(tmp_path / "a.tgz", "package/a") == BODY
    for absent in ("package/b", "package/folder"):
        with pytest.raises(download.CarrierError, match=f"the archive has no file {absent}"):
            packages.read_member(tmp_path / "a.tgz", absent)
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(download.CarrierError, match="the archive cannot be read"):
        packages.read_member(tmp_path / "text", "a")
    monkeypatch.setattr(packages, "LARGEST", 100)
    with pytest.raises(download.CarrierError, match="is said to hold 10,240 bytes, more than any file"):
        packages.read_member(tmp_path / "a.tgz", "package/a")


class Client:
    """Stands for pip or npm: puts `files` into the folder and exits."""

    def __init__(self, code: int = 0, stderr: str = "", **files: bytes):
        self.code, self.stderr, self.files, self.calls = code, stderr, files, 0

    def __call__(self, command: list[str], cwd: Path, **more: object) -> subprocess.CompletedProcess[str]:
        self.calls += 1
        self.command = command
        for name, content in self.files.items():
            (cwd / name.replace("_", ".")).write_bytes(content)
        return subprocess.CompletedProcess(command, self.code, "", self.stderr)


def wheel(**members: bytes) -> bytes:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return box.getvalue()


def test_a_package_is_brought_once_and_leaves_nothing_behind(
    register: Register, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(p_whl=wheel(a=BODY, b=b"b"))
    monkeypatch.setattr(packages.subprocess, "run", client)
    register(a=(BODY, (PipPackage("p", "1.0", "a"),)), b=(b"b", (PipPackage("p", "1.0", "b"),)))
    assert read_files("tiny", "a", "b") == (BODY, b"b")
    assert client.calls == 1
    assert client.command[:4] == [sys.executable, "-m", "pip", "download"]
    assert client.command[-1] == "p==1.0"
    assert leftovers(cache) == []


@pytest.mark.parametrize(
    ("carrier", "client", "said"),
    [
        (
            PipPackage("p", "9", "a"),
            Client(1, "WARNING: slow\nERROR: No version of p at https://user:secret@index.example/p/\nERROR: None"),
            r"pip package p==9: pip did not bring it \(No version of p at <address>\)",
        ),
        (
            NpmPackage("p", "9", "a"),
            Client(1, "npm error code E404\nnpm error 404 Not Found - GET https://r.example/p\nnpm error 404\n"),
            r"npm package p@9: npm did not bring it \(404 Not Found - GET <address>\)",
        ),
        (PipPackage("p", "9", "a"), Client(0), r"pip did not bring it \(it gave no reason\)"),
        (PipPackage("p", "9", "b"), Client(0, p_whl=wheel(a=b"")), "the archive has no file b"),
        (PipPackage("p", "9", "a"), Client(0, p_whl=wheel(a=b"x")), r"not the expected a \(it holds 1 bytes"),
        (PipPackage("p", "9", "a"), Client(0, p_whl=b"no zip"), "the archive cannot be read"),
    ],
)
def test_why_a_package_does_not_serve(
    register: Register,
    monkeypatch: pytest.MonkeyPatch,
    carrier: PipPackage | NpmPackage,
    client: Client,
    said: str,
) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda name: name)
    monkeypatch.setattr(packages.subprocess, "run", client)
    register(a=(BODY, (carrier,)))
    with pytest.raises(UserError, match=said) as caught:
        fetch("tiny")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (subprocess.TimeoutExpired("npm", 300), "npm did not finish within 300 seconds"),
        (PermissionError(13, "Permission denied"), r"npm could not be started \(Permission denied\)"),
    ],
)
def test_a_client_that_hangs_or_does_not_start(
    register: Register, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def run(*arguments: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(packages.shutil, "which", lambda name: name)
    monkeypatch.setattr(packages.subprocess, "run", run)
    register(a=(BODY, (NpmPackage("p", "9", "a"),)))
    with pytest.raises(UserError, match=said):
        fetch("tiny")


def test_a_package_that_cannot_be_had_is_asked_for_once(
    register: Register, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client(1, "ERROR: no such package")
    monkeypatch.setattr(packages.subprocess, "run", client)
    register(a=(BODY, (PipPackage("p", "1.0", "a"),)), b=(b"b", (PipPackage("p", "1.0", "b"),)))
    with pytest.raises(UserError, match="expected one of its addresses to give a, b, got none that did"):
        fetch("tiny")
    assert client.calls == 1
    assert capsys.readouterr().err.count("no such package") == 1


def test_a_server_that_is_no_web_server_is_a_failed_connection(register: Register) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def talk() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ready\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        register(a=(BODY, (Web(f"http://127.0.0.1:{other.getsockname()[1]}/a"),)))
        with pytest.raises(UserError, match=r"the connection failed \(220 mail.example ready"):
            fetch("tiny")
        thread.join()
