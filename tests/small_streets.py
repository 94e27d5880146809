"""Streets to test on: the network of two junctions, and two one-way streets that cross."""

import functools
from pathlib import Path

from attnjax.data.road_networks import RoadNetwork, read_road_network
from attnjax.data.route_files import Demand, read_demand
from attnjax.envs.traffic import Streets, make_streets

FOLDER = Path(__file__).parent / "data" / "road_networks"


@functools.cache
def crossing_records() -> tuple[RoadNetwork, Demand]:
    """The network of two junctions and its demand."""
    network = read_road_network((FOLDER / "crossing.net.xml").read_bytes())
    return network, read_demand((FOLDER / "crossing.rou.xml").read_bytes(), network)


@functools.cache
def crossing(begin: int = 0, end: int = 600) -> Streets:
    """Two junctions in a row."""
    return make_streets(*crossing_records(), begin, end)


def crossroads(seconds: int, length: float = 100.0, states: tuple[str, ...] = ("Gr", "yr", "rG", "ry")) -> Streets:
    """Two one-way streets of one lane that cross at a signal; a vehicle departs on each in every second.

    Each street has an edge of `length` before the crossing and one of 100 m behind it; each phase of the signal's plan
    has 27 s of green and 3 s of yellow.
    """
    edges = [("A", "W", "X", length), ("B", "X", "E", 100.0), ("C", "S", "X", length), ("D", "X", "N", 100.0)]
    parts = [
        f'<edge id="{name}" from="{start}" to="{end}"><lane id="{name}_0" speed="10" length="{long}"/></edge>'
        for name, start, end, long in edges
    ]
    for link, (start, end) in enumerate((("A", "B"), ("C", "D"))):
        inner, lanes = f":X_{link}", 'fromLane="0" toLane="0"'
        parts += [
            f'<edge id="{inner}" function="internal"><lane id="{inner}_0" speed="10" length="10"/></edge>',
            f'<connection from="{start}" to="{end}" {lanes} via="{inner}_0" tl="X" linkIndex="{link}"/>',
            f'<connection from="{inner}" to="{end}" {lanes}/>',
        ]
    parts += [f'<junction id="{name}" type="dead_end"/>' for name in "WESN"]
    parts.append('<junction id="X" type="traffic_light" intLanes=":X_0_0 :X_1_0"/>')
    durations = [27 if set(state) & set("Gg") else 3 for state in states]
    phases = [f'<phase duration="{long}" state="{state}"/>' for long, state in zip(durations, states, strict=True)]
    parts.append(f'<tlLogic id="X">{"".join(phases)}</tlLogic>')
    network = read_road_network(f"<net>{''.join(parts)}</net>".encode())
    trips = [
        f'<trip id="{start}{second}" depart="{second}" from="{start}" to="{end}"/>'
        for second in range(seconds)
        for start, end in ("AB", "CD")
    ]
    return make_streets(network, read_demand(f"<routes>{''.join(trips)}</routes>".encode(), network), 0, seconds)
