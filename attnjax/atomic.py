"""Files that are either whole or absent, and one writer per folder.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed over its final name,
which POSIX makes one indivisible step. A process killed at any moment leaves the old file, the new file, or a
temporary file that `sweep` removes; it never leaves half a file under a final name.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnjax.errors import fail

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".partial"


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file in one indivisible step, making its folder where needed.

    Args:
        path: the final name.
        content: the whole content.

    Raises:
        OSError: if the disk is full or the folder may not be written; the old file is then still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_text(path: Path, content: str) -> None:
    """Writes a UTF-8 text file in one indivisible step.

    Args:
        path: the final name.
        content: the whole text.
    """
    write_bytes(path, content.encode("utf-8"))


def sweep(folder: Path) -> int:
    """Removes the temporary files that a killed process left in a folder and below it.

    Args:
        folder: where to look; it need not exist.

    Returns:
        How many files were removed.
    """
    leftovers = list(folder.rglob(f".*{_SUFFIX}")) if folder.is_dir() else []
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Holds a folder for one process, and cleans up after one that was killed there.

    The lock belongs to the operating system, so that a killed process releases it.

    Args:
        folder: the folder to hold; made where needed.

    Raises:
        UserError: if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                fail(
                    f"run in {folder.name}",
                    expected="to be the only process that writes this run",
                    got="another one at work on it",
                    advice="Wait for it to finish, or stop it; then ask again.",
                )
        sweep(folder)
        yield


def _umask() -> int:
    """Returns the process's mask of file permissions (which can only be read by setting it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Flushes a folder's entries, so that a rename survives a power cut where the system allows it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # pragma: no cover - not on Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
