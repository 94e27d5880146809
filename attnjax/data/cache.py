"""The one folder in which data sets are kept, and how a file gets into it whole or not at all.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed onto its final
name: a reader sees the whole file or none, whatever moment the power fails. One lock per data set keeps two
processes from fetching the same files at the same time; the operating system drops it when its holder dies.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from attnjax.atomic import sweep, write_bytes
from attnjax.data.entries import DataFile, Source
from attnjax.errors import fail

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: atomic renames alone keep the cache whole
    fcntl = None  # type: ignore[assignment]

VARIABLE = "ATTNJAX_DATA"


def cache_folder() -> Path:
    """The folder in which data sets are kept; it need not exist yet.

    Returns:
        `ATTNJAX_DATA` where that is set, else the `attnjax` folder of the user's cache.

    Raises:
        UserError: `ATTNJAX_DATA` is not set and `platformdirs` is not installed.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return Path(os.path.abspath(os.path.expanduser(given)))
    try:
        import platformdirs
    except ImportError:
        fail(
            "attnjax data",
            expected=f"{VARIABLE} or the package platformdirs, to know where data sets are kept",
            got="neither",
            advice=f"Set {VARIABLE} to a folder, or install attnjax[experiments].",
        )
    return Path(platformdirs.user_cache_dir("attnjax"))


def file_path(source: Source, file: DataFile) -> Path:
    """Where a file of a data set is kept.

    Args:
        source: the data set.
        file: one of its files.

    Returns:
        The path, whether or not the file is there.
    """
    return cache_folder() / source.name / file.name


def complaint(file: DataFile, content: bytes) -> str | None:
    """Says what is wrong with the bytes of a file.

    Args:
        file: what the bytes should be.
        content: what they are.

    Returns:
        `None` where size and sha256 agree, else the difference in words.

    >>> file = DataFile("a", 1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", ())
    >>> complaint(file, b"a") is None
    True
    >>> complaint(file, b"ab")
    'it holds 2 bytes, not 1'
    """
    if len(content) != file.size:
        return f"it holds {len(content):,} bytes, not {file.size:,}"
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        return f"its sha256 is {found[:16]}..., not {file.sha256[:16]}..."
    return None


def read_cached(source: Source, file: DataFile) -> tuple[bytes | None, str]:
    """Reads a file from the cache and checks it; the bytes that were checked are the bytes that are returned.

    Args:
        source: the data set.
        file: one of its files.

    Returns:
        The content and an empty string; or `None` and the reason: `"missing"`, or what is wrong with it.
    """
    path = file_path(source, file)
    try:
        if path.stat().st_size != file.size:
            return None, f"it holds {path.stat().st_size:,} bytes, not {file.size:,}"
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None, "missing"
    except OSError as error:
        return None, f"it cannot be read ({error.strerror})"
    wrong = complaint(file, content)
    return (content, "") if wrong is None else (None, wrong)


def refuse_unwritable(error: OSError, folder: Path) -> NoReturn:
    """Turns a failure to write into the cache into the error that says what to do.

    Args:
        error: what the operating system said.
        folder: the folder that could not be written to.

    Raises:
        UserError: always.
    """
    fail(
        "attnjax data",
        expected=f"to write into the data cache at {folder}",
        got=error.strerror or str(error),
        advice=f"Free space there, or set {VARIABLE} to a folder that you can write to.",
    )


def publish(source: Source, file: DataFile, content: bytes) -> Path:
    """Puts a checked file into the cache, whole or not at all.

    Args:
        source: the data set.
        file: one of its files.
        content: its bytes, already checked.

    Returns:
        Where the file now is.

    Raises:
        UserError: the cache cannot be written to.
    """
    path = file_path(source, file)
    try:
        write_bytes(path, content)
    except OSError as error:
        refuse_unwritable(error, path.parent)
    return path


@contextlib.contextmanager
def locked(source: Source) -> Iterator[Path]:
    """Holds the lock of one data set; other processes wait until it is given back or its holder dies.

    Args:
        source: the data set.

    Yields:
        The data set's folder, which exists and can be written to.

    Raises:
        UserError: the cache cannot be written to.
    """
    folder = cache_folder() / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / ".lock", "a")  # noqa: SIM115 - closed below, and closing is what unlocks
    except OSError as error:
        refuse_unwritable(error, folder)
    with handle:
        if _hold(handle.fileno(), source):
            _sweep(folder)
        yield folder


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder inside the cache for archives that are on their way, removed afterwards.

    Args:
        folder: the data set's folder; its lock is held.

    Yields:
        The empty folder.

    Raises:
        UserError: the cache cannot be written to.
    """
    try:
        scratch = tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        refuse_unwritable(error, folder)
    with scratch as path:
        yield Path(path)


def _hold(descriptor: int, source: Source) -> bool:
    """Takes the lock; says whether it holds it, for some network file systems know no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"attnjax data: another process is fetching {source.name}; waiting for it", file=sys.stderr)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _sweep(folder: Path) -> None:
    """Removes what a killed process left behind, except part files, from which a download goes on."""
    with contextlib.suppress(OSError):
        sweep(folder)
    for stale in folder.glob(".scratch-*"):
        shutil.rmtree(stale, ignore_errors=True)
