"""What is simulated: a road network, its traffic, an hour of the day, and how often signals may change."""

import dataclasses
from pathlib import Path

from attnjax.data.resco import load_resco_map
from attnjax.errors import fail


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A map and RESCO's protocol for it: steps of 1 s from `begin` to `end`, and nothing before.

    Args:
        name: what records and messages call it.
        net: path of SUMO's road network (`.net.xml`).
        routes: path of the trips (`.rou.xml`).
        begin: the first second.
        end: the last; what is under way then counts with the time it has lost so far.
        decision: seconds from one decision to the next, for controllers that choose one phase.
        yellow: seconds of yellow at the front of every phase that is switched to.

    Raises:
        UserError: if times don't fit together, or a file is missing.

    Source: Ault and Sharon (2021), Reinforcement Learning Benchmarks for Traffic Signal Control, §4.
    """

    name: str
    net: str
    routes: str
    begin: int
    end: int
    decision: int = 10
    yellow: int = 3

    def __post_init__(self) -> None:
        if not (0 <= self.begin < self.end and 0 <= self.yellow < self.decision):
            fail(
                f"Scenario({self.name!r})",
                expected="0 <= begin < end and 0 <= yellow < decision",
                got=f"begin={self.begin}, end={self.end}, decision={self.decision}, yellow={self.yellow}",
                advice="All are whole seconds.",
            )
        for path in (self.net, self.routes):
            if not Path(path).is_file():
                fail(
                    f"Scenario({self.name!r})",
                    expected="a road network and a file of trips",
                    got=f"no file at {path}",
                    advice="resco_scenario(name) fetches one of RESCO's maps.",
                )


def resco_scenario(name: str) -> Scenario:
    """One of RESCO's maps, fetched where it is not in the cache.

    Args:
        name: one of `attnjax.data.resco.RESCO_MAPS`.

    Returns:
        The map with its hour and its seconds between decisions.

    Raises:
        UserError: there is no such map, or it can be had nowhere.
    """
    found = load_resco_map(name)
    return Scenario(
        name, str(found.net), str(found.routes), found.begin, found.end, decision=found.decision, yellow=found.yellow
    )
