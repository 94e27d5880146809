"""One file over HTTP, resumed where it was cut, and never longer than it may be.

What has arrived lies in a *part file*. A connection that breaks leaves it there, and the next attempt, in the
same run or in another, asks the server for the rest only; a server that does not know how answers with the
whole file, and the part file starts again. The caller checks the result by hash and deletes the part file if
it is wrong.
"""

import contextlib
import http.client
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

TIMEOUT = 10.0  # seconds without an answer, or without a byte, after which an address is given up
ATTEMPTS = 3  # connections per address and run
LARGEST = 1 << 29  # bytes: no archive or member of a registered source comes near half a gigabyte
_BLOCK = 1 << 16


class CarrierError(Exception):
    """One place did not give the file; the message says why, in a clause without a full stop."""


class HostError(CarrierError):
    """The place's host did not answer at all, so its other addresses need not be tried."""


def download(url: str, part: Path, size: int | None = None) -> None:
    """Brings the rest of a file into its part file.

    Args:
        url: the address, http or https.
        part: the part file; what it holds already is kept and only the rest is asked for.
        size: the length of the whole file in bytes, where it is known beforehand.

    Raises:
        HostError: the host cannot be reached.
        CarrierError: the server has no such file, or every attempt was cut short (the part file stays).
        OSError: the part file cannot be written.
    """
    reason = ""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        reason = _attempt(url, part, size)
        if not reason:
            return
        if (part.stat().st_size if part.exists() else 0) <= before:
            break
    kept = part.exists() and part.stat().st_size > 0
    raise CarrierError(reason + ("; what came is kept, and the next fetch goes on from there" if kept else ""))


def _attempt(url: str, part: Path, size: int | None) -> str:
    """Makes one connection; returns an empty string when the file is whole, else why it is not."""
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have > size:
        part.unlink()
        have = 0
    if size is not None and have == size:
        return ""
    headers = {"User-Agent": "attnjax", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:  # the part file is no beginning of what the server has, or is all of it
                if error.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return ""
                part.unlink()
                return _attempt(url, part, size)
        raise CarrierError(f"the server answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise HostError(_why(error)) from None
    with answer:
        resumes = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if not resumes:
            have = 0
        announced = answer.headers.get("Content-Length")
        whole = have + int(announced) if announced and announced.isdigit() else size
        limit = LARGEST if size is None else size
        if whole is not None and whole > limit:
            raise CarrierError(f"it offers {whole:,} bytes where at most {limit:,} are expected")
        return _receive(answer, part, "ab" if resumes else "wb", have, whole, limit, url)


def _receive(
    answer: http.client.HTTPResponse,
    part: Path,
    mode: str,
    have: int,
    whole: int | None,
    limit: int,
    url: str,
) -> str:
    broken = "the connection was closed"
    with open(part, mode) as handle, progress(url, have, whole) as advance:
        while True:
            try:
                block = answer.read1(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                broken = _why(error)
                break
            if not block:
                if whole is None or have == whole:
                    return ""
                break
            handle.write(block)
            handle.flush()
            have += len(block)
            advance(len(block))
            if have > limit:
                break
    if have > limit:
        part.unlink()
        raise CarrierError(f"it sent more than the {limit:,} bytes expected")
    return f"{broken} after {have:,} bytes" + (f" of {whole:,}" if whole is not None else "")


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT:g} seconds"
    if isinstance(reason, socket.gaierror):
        return "its name cannot be resolved (no network, or no such host)"
    if isinstance(reason, ConnectionRefusedError):
        return "the connection was refused"
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"the connection failed ({text})"


@contextlib.contextmanager
def progress(url: str, have: int, whole: int | None) -> Iterator[Callable[[int], object]]:
    """Shows how far a download is: a bar where someone watches, one line where no one does.

    Args:
        url: the address.
        have: the bytes already there.
        whole: the bytes of the whole file, where known.

    Yields:
        A function to call with the number of bytes that just came.
    """
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            label = url.rsplit("/", 1)[-1]
            with tqdm(desc=label, total=whole, initial=have, unit="B", unit_scale=True, leave=False) as bar:
                yield bar.update
            return
    print(f"attnjax data: fetching {url}" + (f" from byte {have:,}" if have else ""), file=sys.stderr)
    yield lambda count: None


def host(url: str) -> str:
    """The host and port of an address.

    Args:
        url: the address.

    Returns:
        What comes between `//` and the next `/`.

    >>> host("https://example.org:8000/a/b")
    'example.org:8000'
    """
    return urllib.parse.urlsplit(url).netloc
