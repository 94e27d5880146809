"""Traffic demand: a reader of SUMO's `.rou.xml` into arrays.

Who departs when, and along which edges. A file may give a vehicle its route inside it, by the name of a route, or, as
a `trip`, by its first and last edge only; then it takes the quickest way at the speed limits.

Source: SUMO's documentation, *Definition of Vehicles, Vehicle Types, and Routes*.
"""

import heapq
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnjax.data.road_networks import RoadNetwork, parse_xml
from attnjax.errors import fail

LENGTHS = {"bus": 12.0, "truck": 7.1, "delivery": 6.5, "motorcycle": 2.2, "bicycle": 1.6, "trailer": 16.5}
"""Lengths of SUMO's vehicle classes in metres; a passenger car's, and any other's, is `CAR_LENGTH`."""
CAR_LENGTH = 5.0
MIN_GAP = 2.5
"""The distance that SUMO's cars keep when they stand, in metres."""


Value = TypeVar("Value")


class Demand(NamedTuple):
    """Vehicles in the order of their departures.

    Attributes:
        names: of the vehicles.
        depart: (vehicles,) in seconds.
        route: (vehicles,) which of `routes`.
        spacing: (vehicles,) the metres that one takes in a standing queue.
        routes: each the edges passed, in order; at least one.
    """

    names: tuple[str, ...]
    depart: NDArray[np.float64]
    route: NDArray[np.int32]
    spacing: NDArray[np.float64]
    routes: tuple[tuple[int, ...], ...]


def read_demand(content: bytes, network: RoadNetwork) -> Demand:
    """Reads vehicles and trips.

    Args:
        content: of a `.rou.xml` file.
        network: that it was made for.

    Returns:
        The demand; vehicles that depart at the same time stay in the order of the file.

    Raises:
        UserError: for a file that holds no routes, names an edge or a route that is not there, has a trip without a
            way, or uses `flow`, which this reader does not know.
    """
    root = parse_xml("read_demand", content, "routes", "a SUMO file of routes", ".rou.xml")
    if root.find("flow") is not None:
        fail(
            "read_demand",
            expected="vehicles and trips",
            got="a <flow>",
            advice="Expand it with SUMO's duarouter, which writes one vehicle for each departure.",
        )
    edges = {name: number for number, name in enumerate(network.edges.names)}
    named = {route.attrib["id"]: _edges(route, edges) for route in root.findall("route")}
    spacings = {kind.attrib["id"]: _spacing(kind) for kind in root.findall("vType")}
    onward = _onward(network)
    seen: dict[tuple[int, ...], int] = {}
    ways: dict[tuple[int, int], tuple[int, ...]] = {}
    rows = []
    for one in root:
        if one.tag == "vehicle":
            inner = one.find("route")
            route = _edges(inner, edges) if inner is not None else _lookup(one.get("route"), named, "a route")
        elif one.tag == "trip":
            ends = (_lookup(one.get("from"), edges, "an edge"), _lookup(one.get("to"), edges, "an edge"))
            if ends not in ways:
                ways[ends] = quickest_way(onward, *ends)
            route = ways[ends]
            if not route:
                fail(
                    "read_demand",
                    expected=f"a way from edge {one.get('from')} to edge {one.get('to')}",
                    got="none that cars may take",
                    advice="Pass the network that the routes were made for.",
                )
        else:
            continue
        spacing = spacings.get(one.get("type", ""), CAR_LENGTH + MIN_GAP)
        rows.append((_seconds(one), seen.setdefault(route, len(seen)), spacing, one.get("id", "")))
    rows.sort(key=lambda row: row[0])
    return Demand(
        tuple(row[3] for row in rows),
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.int32),
        np.array([row[2] for row in rows], np.float64),
        tuple(seen),
    )


def quickest_way(onward: list[list[tuple[int, float]]], start: int, end: int) -> tuple[int, ...]:
    """The edges of the quickest way between two edges, or none (Dijkstra).

    Args:
        onward: for each edge, what may follow and the seconds that it takes.
        start: the first edge.
        end: the last edge.

    Returns:
        The way with both ends, or () where there is none. Of equally quick ways, the one found first.

    >>> quickest_way([[(1, 5.0), (2, 1.0)], [], [(1, 1.0)]], 0, 1)
    (0, 2, 1)
    """
    before: dict[int, int] = {}
    reached = {start: 0.0}
    queue = [(0.0, start)]
    while queue:
        time, edge = heapq.heappop(queue)
        if edge == end:
            way = [end]
            while way[-1] != start:
                way.append(before[way[-1]])
            return tuple(reversed(way))
        if time > reached[edge]:
            continue
        for following, seconds in onward[edge]:
            if time + seconds < reached.get(following, np.inf):
                reached[following] = time + seconds
                before[following] = edge
                heapq.heappush(queue, (time + seconds, following))
    return ()


def _onward(network: RoadNetwork) -> list[list[tuple[int, float]]]:
    """What may follow each edge, and the seconds for the way through the junction and along it."""
    edges, ways = network.edges, network.connections
    along = edges.length / edges.speed
    quickest: list[dict[int, float]] = [{} for _ in edges.names]
    for start, end, inside in zip(ways.from_edge, ways.to_edge, ways.length / ways.speed, strict=True):
        known = quickest[start].get(int(end), np.inf)
        quickest[start][int(end)] = min(known, float(along[end] + inside))
    return [list(following.items()) for following in quickest]


def _edges(route: ElementTree.Element, edges: dict[str, int]) -> tuple[int, ...]:
    way = tuple(_lookup(name, edges, "an edge") for name in route.get("edges", "").split())
    if not way:
        fail(
            "read_demand",
            expected="a route of at least one edge",
            got=f"{route.attrib}",
            advice="Name the edges in the attribute `edges`.",
        )
    return way


def _lookup(name: str | None, known: dict[str, Value], what: str) -> Value:
    if name is None or name not in known:
        fail(
            "read_demand",
            expected=f"{what} of the network or file",
            got=repr(name),
            advice="Pass the network that the routes were made for.",
        )
    return known[name]


def _seconds(one: ElementTree.Element) -> float:
    depart = one.get("depart", "")
    try:
        return float(depart)
    except ValueError:
        fail(
            "read_demand",
            expected=f"a departure of {one.tag} {one.get('id')} in seconds",
            got=repr(depart),
            advice="Write seconds as a number.",
        )


def _spacing(kind: ElementTree.Element) -> float:
    length = LENGTHS.get(kind.get("vClass", "passenger"), CAR_LENGTH)
    return float(kind.get("length", length)) + float(kind.get("minGap", MIN_GAP))
