"""`attnjax data list` and `attnjax data fetch NAME...`."""

import itertools

from attnjax.data.cache import VARIABLE, cache_folder
from attnjax.data.entries import Source
from attnjax.data.fetching import fetch, state
from attnjax.data.sources import find_source, list_sources
from attnjax.errors import UserError, fail


def list_command() -> None:
    """Prints the data sets: name, size, whether cached, licence, what each holds, terms and addresses.

    Raises:
        UserError: the cache folder cannot be told.
    """
    folder = cache_folder()
    head = ("name", "size", "cached", "licence")
    rows = [(source.name, megabytes(source.size), state(source), source.licence) for source in list_sources()]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row, source in zip((head, *rows), (None, *list_sources()), strict=True):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if source is not None:
            print(f"    {source.title}")
            print(f"    terms: {source.terms}")
            print(f"    from:  {', then '.join(_places(source))}")
    print(f"\nThe cache is {folder} (set {VARIABLE} to move it).")
    print("`attnjax data fetch NAME...` or `attnjax data fetch all` fetches and checks them.")


def fetch_command(names: list[str]) -> None:
    """Fetches data sets into the cache and says where they lie; one that fails does not stop the others.

    Args:
        names: names of data sets, or `["all"]`.

    Raises:
        UserError: no name was given, a name is unknown (nothing is fetched then), or a data set could not be
            fetched (after all the others).
    """
    if not names:
        fail(
            "attnjax data fetch",
            expected=f"names of data sets ({', '.join(source.name for source in list_sources())}), or all",
            got="none",
            advice="`attnjax data list` says what each of them holds.",
        )
    chosen = list_sources() if names == ["all"] else tuple(find_source(name) for name in dict.fromkeys(names))
    failures: list[str] = []
    for source in chosen:
        try:
            folder = fetch(source.name)
        except UserError as error:
            if len(chosen) == 1:
                raise
            failures.append(str(error))
            print(f"{source.name}: not fetched")
        else:
            files = "1 file" if len(source.files) == 1 else f"{len(source.files)} files"
            print(f"{source.name}: {files}, {megabytes(source.size)}, checked, in {folder}")
            print(f"    terms: {source.terms}")
            print(f"    cite:  {source.citation}")
    if failures:
        raise UserError(" ".join(failures))


def _places(source: Source) -> list[str]:
    """Where the files are had, the web first; addresses that differ from file to file are cut short."""
    places: list[str] = []
    for tier in itertools.zip_longest(*(file.carriers for file in source.files)):
        addresses = list(dict.fromkeys(carrier.address for carrier in tier if carrier is not None))
        web = [address for address in addresses if "//" in address]
        if len(web) > 1:
            steps = zip(*(address.split("/") for address in web), strict=False)
            shared = [step[0] for step in itertools.takewhile(lambda step: len(set(step)) == 1, steps)]
            addresses = ["/".join([*shared, "..."]), *(place for place in addresses if place not in web)]
        places += [address for address in addresses if address not in places]
    return sorted(places, key=lambda place: "//" not in place)


def megabytes(size: int) -> str:
    """Writes a number of bytes for a reader.

    Args:
        size: bytes.

    Returns:
        Megabytes, with one digit below ten.

    >>> megabytes(170_498_071), megabytes(5_605_674)
    ('170 MB', '5.6 MB')
    """
    value = size / 1e6
    return f"{value:.1f} MB" if value < 10 else f"{value:.0f} MB"
