"""RESCO's maps: road networks with their traffic, in SUMO's files, and the hours and seconds their benchmark uses.

Three sources, because RESCO passes each map on under the licence it came with: `resco-cologne` (CC BY-NC-SA 3.0),
`resco-ingolstadt` (GPL-3.0) and `resco-grid` (CC BY-NC-SA 4.0). Files are fetched, and never part of this package.

The checksums are those of the copies in the wheel of sumo-rl 1.4.5, on which everything here was measured. RESCO's own
repository goes on; where a file there has changed since, its address is passed over and the wheel's copy is used.
"""

from pathlib import Path
from typing import NamedTuple

from attnjax.data.cache import cache_folder
from attnjax.data.fetching import read_files
from attnjax.errors import fail

RESCO_MAPS = (
    "cologne1",
    "cologne3",
    "cologne8",
    "ingolstadt1",
    "ingolstadt7",
    "ingolstadt21",
    "grid4x4",
    "arterial4x4",
)
"""The eight maps, by city and number of signals."""


class RescoMap(NamedTuple):
    """A map as files, and how RESCO runs it.

    Attributes:
        name: one of `RESCO_MAPS`.
        net: path of the road network (`.net.xml`).
        routes: path of the trips (`.rou.xml`); some begin outside of the hour.
        begin: where the hour begins, in seconds of the day.
        end: where it ends.
        decision: seconds from one choice of phase to the next.
        yellow: seconds of yellow inside them, where the phase changes.
    """

    name: str
    net: Path
    routes: Path
    begin: int
    end: int
    decision: int
    yellow: int


def load_resco_map(name: str) -> RescoMap:
    """Finds a map in the cache, fetching it first where it is not there.

    Args:
        name: one of `RESCO_MAPS`.

    Returns:
        The paths of its files, whose checksums have been checked, and its settings.

    Raises:
        UserError: there is no such map, a file can be had nowhere, or the cache cannot be written to.

    Source: J. Ault and G. Sharon, Reinforcement Learning Benchmarks for Traffic Signal Control, NeurIPS 2021.

    >>> load_resco_map("paris")
    Traceback (most recent call last):
    ...
    attnjax.errors.UserError: load_resco_map: expected one of cologne1, ..., got 'paris'. Pass one of these names.
    """
    if name not in RESCO_MAPS:
        fail(
            "load_resco_map",
            expected=f"one of {', '.join(RESCO_MAPS)}",
            got=repr(name),
            advice="Pass one of these names.",
        )
    source = resco_source(name)
    routes = f"{name}/{name}{'_1' if name.endswith('4x4') else ''}.rou.xml"
    net = f"{name}/{name}.net.xml"
    read_files(source, net, routes)
    folder = cache_folder() / source
    begin = {"cologne": 25_200, "ingolstadt": 57_600, "grid": 0}[source.removeprefix("resco-")]
    decision, yellow = (5, 2) if name == "arterial4x4" else (10, 3)
    return RescoMap(name, folder / net, folder / routes, begin, begin + 3600, decision, yellow)


def resco_source(name: str) -> str:
    """The data source that holds a map.

    Args:
        name: one of `RESCO_MAPS`.

    >>> resco_source("ingolstadt21"), resco_source("arterial4x4")
    ('resco-ingolstadt', 'resco-grid')
    """
    city = name.rstrip("0123456789x")
    return f"resco-{'grid' if city == 'arterial' else city}"
