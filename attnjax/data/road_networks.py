"""Road networks: a reader of SUMO's `.net.xml` into arrays.

It keeps what cars drive on: lanes that let passenger cars pass, grouped into edges, and the connections between them
at junctions. Lanes inside junctions are folded into the connections that use them, as a length and a speed. Numbers
count from 0 in the order of the file; names are those of the file.

A connection *gives way* to others of its junction: the bits that SUMO calls `response`. They hold at all times where
there is no signal, and while the connection's letter is `g` or `s` where there is one.

Source: SUMO's documentation, *SUMO Road Networks*.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnjax.errors import fail

GREEN = "Gg"
"""Letters of a signal that let a connection go: with priority, and after giving way."""
YIELDING = "gs"
"""Letters that let a connection go after giving way; `s` is a green arrow, shown beside a red light."""
YELLOW = "yY"
LETTERS = "rRgGyYsuoO"


class Lanes(NamedTuple):
    """The lanes, sorted by edge and from right to left.

    Attributes:
        names: of each.
        edge: (lanes,) the edge that a lane is part of.
        length: (lanes,) in metres.
        speed: (lanes,) the limit, in metres per second.
    """

    names: tuple[str, ...]
    edge: NDArray[np.int32]
    length: NDArray[np.float64]
    speed: NDArray[np.float64]


class Edges(NamedTuple):
    """The edges: one direction of a street between two junctions.

    Attributes:
        names: of each.
        start, end: (edges,) the junctions, as places in `RoadNetwork.junctions`.
        lanes: (edges,) how many lanes.
        length: (edges,) in metres.
        speed: (edges,) the limit of the fastest lane, in metres per second.
    """

    names: tuple[str, ...]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    lanes: NDArray[np.int32]
    length: NDArray[np.float64]
    speed: NDArray[np.float64]


class Connections(NamedTuple):
    """The ways through junctions, from a lane to a lane.

    Attributes:
        from_lane, to_lane: (connections,) lanes.
        from_edge, to_edge: (connections,) their edges.
        signal: (connections,) the signal that governs it, a place in `RoadNetwork.signals`, or -1.
        link: (connections,) which letter of the signal's states is its own, or -1.
        direction: (connections,) one letter: `s` straight, `l` left, `r` right, `t` turn, `L` and `R` partly.
        length: (connections,) of the way inside the junction, in metres.
        speed: (connections,) the limit there, in metres per second.
        gives_way: (pairs, 2), connection and the connection that it gives way to.
    """

    from_lane: NDArray[np.int32]
    to_lane: NDArray[np.int32]
    from_edge: NDArray[np.int32]
    to_edge: NDArray[np.int32]
    signal: NDArray[np.int32]
    link: NDArray[np.int32]
    direction: NDArray[np.str_]
    length: NDArray[np.float64]
    speed: NDArray[np.float64]
    gives_way: NDArray[np.int32]


class Signal(NamedTuple):
    """A set of traffic lights with one plan.

    Attributes:
        name: of the set.
        offset: when the plan begins, in seconds.
        states: one word per phase, one letter per link.
        durations: (phases,) in seconds.
        green: the phases that are a choice: they show `G` or `g`, and no yellow.
        yellow: the phases that show yellow.
    """

    name: str
    offset: float
    states: tuple[str, ...]
    durations: NDArray[np.float64]
    green: tuple[int, ...]
    yellow: tuple[int, ...]


class RoadNetwork(NamedTuple):
    """What cars drive on, and the lights that stop them."""

    junctions: tuple[str, ...]
    lanes: Lanes
    edges: Edges
    connections: Connections
    signals: tuple[Signal, ...]


def read_road_network(content: bytes) -> RoadNetwork:
    """Reads a network.

    Args:
        content: of a `.net.xml` file.

    Returns:
        The network. The last plan of a signal is kept where the file has several, as in SUMO.

    Raises:
        UserError: for a file that is no network, has no lanes for cars or none inside junctions, or whose parts do
            not fit together.

    >>> read_road_network(b"<routes/>")
    Traceback (most recent call last):
    ...
    attnjax.errors.UserError: read_road_network: expected a SUMO network, whose outermost element is <net>, got
    <routes>. Pass the bytes of a .net.xml file.
    """
    root = parse_xml("read_road_network", content, "net", "a SUMO network", ".net.xml")
    try:
        return _network(root)
    except (KeyError, TypeError, IndexError) as error:
        fail(
            "read_road_network",
            expected="elements that name one another, with the attributes that SUMO writes",
            got=f"{type(error).__name__}: {error}",
            advice="Write the network again with netconvert; its lanes inside junctions are needed.",
        )


def parse_xml(where: str, content: bytes, tag: str, what: str, suffix: str) -> ElementTree.Element:
    """The outermost element of a file, which must have this tag.

    Raises:
        UserError: for a file that is not XML, or another kind of file.
    """
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        fail(where, expected="XML", got=f"a file that breaks off or is none ({error})", advice="Fetch it again.")
    if root.tag != tag:
        fail(
            where,
            expected=f"{what}, whose outermost element is <{tag}>",
            got=f"<{root.tag}>",
            advice=f"Pass the bytes of a {suffix} file.",
        )
    return root


def _network(root: ElementTree.Element) -> RoadNetwork:
    inside = {edge.attrib["id"] for edge in root.iter("edge") if edge.get("function", "normal") != "normal"}
    edges = [(edge, own) for edge in root.iter("edge") if edge.attrib["id"] not in inside and (own := _open(edge))]
    if not edges:
        fail(
            "read_road_network",
            expected="at least one lane for cars",
            got="none",
            advice="Lanes count that allow the class `passenger`.",
        )
    junctions = tuple(junction.attrib["id"] for junction in root.iter("junction") if junction.get("type") != "internal")
    place = {name: number for number, name in enumerate(junctions)}
    lanes = [(lane, number) for number, (_, own) in enumerate(edges) for lane in own]
    lane_table = Lanes(
        tuple(lane.attrib["id"] for lane, _ in lanes),
        np.array([edge for _, edge in lanes], np.int32),
        _floats(lane.attrib["length"] for lane, _ in lanes),
        _floats(lane.attrib["speed"] for lane, _ in lanes),
    )
    edge_table = Edges(
        tuple(edge.attrib["id"] for edge, _ in edges),
        np.array([place[edge.attrib["from"]] for edge, _ in edges], np.int32),
        np.array([place[edge.attrib["to"]] for edge, _ in edges], np.int32),
        np.array([len(own) for _, own in edges], np.int32),
        _floats(own[0].attrib["length"] for _, own in edges),
        np.array([max(float(lane.attrib["speed"]) for lane in own) for _, own in edges]),
    )
    signals = {logic.attrib["id"]: _signal(logic) for logic in root.iter("tlLogic")}
    connections = _connections(root, lane_table, tuple(signals))
    for signal, link in zip(connections.signal, connections.link, strict=True):
        one = list(signals.values())[signal]
        if signal >= 0 and not 0 <= link < len(one.states[0]):
            raise IndexError(f"signal {one.name} has no link {link}")
    return RoadNetwork(junctions, lane_table, edge_table, connections, tuple(signals.values()))


def _open(edge: ElementTree.Element) -> list[ElementTree.Element]:
    """The lanes of an edge that let passenger cars pass."""
    return [lane for lane in edge.iter("lane") if _lets_cars_pass(lane.get("allow"), lane.get("disallow"))]


def _lets_cars_pass(allow: str | None, disallow: str | None) -> bool:
    if allow:
        return not {"passenger", "all"}.isdisjoint(allow.split())
    return {"passenger", "all"}.isdisjoint((disallow or "").split())


def _floats(values: Iterator[str]) -> NDArray[np.float64]:
    return np.array([float(value) for value in values])


def is_choice(state: str) -> bool:
    """Whether a state is one that a controller may choose: it shows green to someone, and no yellow.

    >>> [is_choice(state) for state in ("GGrr", "yyrr", "rrrr", "rsgr")]
    [True, False, False, True]
    """
    return bool(set(state) & set(GREEN)) and not set(state) & {*YELLOW, "u"}


def _signal(logic: ElementTree.Element) -> Signal:
    states = tuple(phase.attrib["state"] for phase in logic.iter("phase"))
    name = logic.attrib["id"]
    if not states or len({len(state) for state in states}) > 1 or not set("".join(states)) <= set(LETTERS):
        fail(
            "read_road_network",
            expected=f"phases of signal {name} of one length, of the letters {LETTERS}",
            got=str(list(states)),
            advice="Write the plan again with netedit.",
        )
    yellow = tuple(place for place, state in enumerate(states) if set(state) & set(YELLOW))
    green = tuple(place for place, state in enumerate(states) if is_choice(state))
    durations = _floats(phase.attrib["duration"] for phase in logic.iter("phase"))
    return Signal(name, float(logic.get("offset", "0")), states, durations, green, yellow)


def _connections(root: ElementTree.Element, lanes: Lanes, signals: tuple[str, ...]) -> Connections:
    """All connections between lanes for cars, and who gives way to whom."""
    lane_number = {name: number for number, name in enumerate(lanes.names)}
    signal_number = {name: number for number, name in enumerate(signals)}
    inner = {lane.attrib["id"]: lane for edge in root.iter("edge") for lane in edge.iter("lane")}
    onward = {
        f"{one.attrib['from']}_{one.attrib['fromLane']}": one.attrib["via"]
        for one in root.iter("connection")
        if one.attrib["from"].startswith(":") and "via" in one.attrib
    }
    rows, ways = [], []
    for one in root.iter("connection"):
        start = lane_number.get(f"{one.attrib['from']}_{one.attrib['fromLane']}")
        end = lane_number.get(f"{one.attrib['to']}_{one.attrib['toLane']}")
        if start is None or end is None:
            continue
        way = [one.attrib["via"]]
        while way[-1] in onward:
            way.append(onward[way[-1]])
        ways.append(way)
        signal = signal_number[one.attrib["tl"]] if "tl" in one.attrib else -1
        rows.append((start, end, signal, int(one.get("linkIndex", "-1")), one.get("dir", "s")))
    table = np.array([row[:4] for row in rows], np.int32).reshape(-1, 4)
    # A way's last part stands at the place of its request in the junction's list.
    last = {way[-1]: number for number, way in enumerate(ways)}
    pairs = [pair for junction in root.iter("junction") for pair in _gives_way(junction, last)]
    return Connections(
        table[:, 0],
        table[:, 1],
        lanes.edge[table[:, 0]],
        lanes.edge[table[:, 1]],
        table[:, 2],
        table[:, 3],
        np.array([row[4] for row in rows], dtype=np.str_),
        np.array([sum(float(inner[part].attrib["length"]) for part in way) for way in ways]),
        np.array([min(float(inner[part].attrib["speed"]) for part in way) for way in ways]),
        np.array(sorted(pairs), np.int32).reshape(-1, 2),
    )


def _gives_way(junction: ElementTree.Element, last: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Pairs of connections of one junction; the bits of a `response` are numbered from the right."""
    if junction.get("type") == "internal":
        return
    inside = junction.get("intLanes", "").split()
    for request in junction.iter("request"):
        own = last.get(inside[int(request.attrib["index"])])
        for place, bit in enumerate(reversed(request.attrib["response"])):
            other = last.get(inside[place])
            if bit == "1" and own is not None and other is not None:
                yield own, other
