"""What the registry of data sets says of one: its files, where they are had, and its terms."""

from dataclasses import dataclass

from attnjax.data.carriers import Carrier
from attnjax.errors import fail


@dataclass(frozen=True)
class DataFile:
    """One cached file of a data set.

    Attributes:
        name: its path inside the source's folder of the cache.
        size: its length, in bytes.
        sha256: its checksum, in lower-case hexadecimal.
        carriers: the places that carry it, in the order in which they are tried.
    """

    name: str
    size: int
    sha256: str
    carriers: tuple[Carrier, ...]


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        name: what `attnjax data fetch` calls it.
        title: one line on what it holds.
        licence: the licence's short name.
        terms: what a user may and may not do, in a sentence.
        citation: what to cite.
        homepage: the official page.
        files: its files.
        needs: names of other data sets without which its loader cannot read it; `fetch` brings them too.
    """

    name: str
    title: str
    licence: str
    terms: str
    citation: str
    homepage: str
    files: tuple[DataFile, ...]
    needs: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(file.size for file in self.files)

    def file(self, name: str) -> DataFile:
        """Looks a file up by its name.

        Args:
            name: a file of this source.

        Returns:
            The file's entry.

        Raises:
            UserError: this source has no such file.
        """
        by_name = {file.name: file for file in self.files}
        if name not in by_name:
            fail(
                f"data source {self.name}",
                expected=f"one of its files ({', '.join(by_name)})",
                got=repr(name),
                advice="Check the spelling.",
            )
        return by_name[name]
