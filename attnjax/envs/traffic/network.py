"""The structure of streets as arrays: who follows whom, who gives way, what each green phase opens.

A *movement* is a way through a junction from a lane to an edge; it is what queues. Its vehicles come from the lane's
edge, by *turns*: of the vehicles that reach the end of edge e, a part `ratio` goes on to edge f and a part `leaves` has
arrived. Ratios are counted on the routes of the demand; only what some route uses is kept, so that a large map with
few routes is a small model. Every relation is a table of places, as wide as the most that one row has, never a matrix
of all with all; free places hold a number one too high, which reads as zero.
"""

import dataclasses
import functools
import hashlib
import itertools
import math
from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnjax.data.road_networks import GREEN, YIELDING, RoadNetwork
from attnjax.data.route_files import Demand
from attnjax.errors import fail
from attnjax.pytrees import register

SLOWEST = 0.5
"""The smallest speed factor for which the memory of vehicles on the way is long enough."""
BIN = 60
"""Seconds over which departures are averaged into a rate."""


@dataclasses.dataclass(frozen=True, eq=False)
class Streets:
    """Streets, their signals and the traffic on them: M movements, L lanes, E edges, S sources, J signals, P phases.

    Two are equal if their contents are, so that streets can be a field of an environment or a static argument.

    Attributes:
        junctions: the names of the signals.
        lanes: the names of the lanes that have a movement.
        edges: the names of the edges.
        lane: (M,) where a movement queues.
        start: (M,) the edge of that lane.
        end: (M,) the edge that it enters.
        junction: (M,) the signal that governs it; J for none.
        lit: (K,) the movements that a signal governs.
        lit_row: (M,) the place of a movement in `lit`; K for none.
        ratio: (M,) of the vehicles at the end of its edge, the part that goes on to the edge `end`.
        ease: (M,) its saturation flow as a part of the lane's: turns are slower.
        major, minor: (M, P), 1 where a phase lets it go with priority, and after giving way.
        free_major, free_minor: (M,), 1 where no signal governs it: with priority, and giving way.
        foes: (M, .) movements that it gives way to.
        siblings: (M, .) movements to the same edge from this edge, itself among them.
        lane_edge: (L,) the edge of a lane.
        lane_movements: (L, .) the movements of a lane.
        edge_lanes: (E, .) the lanes of an edge that have a movement.
        edge_entries: (E, .) the movements that enter an edge.
        edge_source: (E,) the source at an edge's start; S for none.
        leaves: (E,) of the vehicles at the end of an edge, the part that has arrived.
        length: (E,) metres of all lanes together.
        width: (E,) the number of lanes.
        travel: (E,) seconds along an edge, and through the junction before it, at the speed limit.
        source_edge: (S,) the edges on which vehicles depart.
        schedule: (T, S) departures in each second.
        rate: (T, S) departures per second, as a mean over the minute.
        phases: (J, P) whether a signal has that phase.
        green: (J, P) seconds of green in the network's own plan.
        change: (J, P) seconds of yellow and red before each phase in that plan.
        offset: (J,) when that plan's cycle begins, with the change into its first phase, in seconds.
        spacing: metres that a vehicle takes in a queue, on average.
        begin: the time of the first second.
        memory: seconds for which entries to edges are remembered.
    """

    junctions: tuple[str, ...]
    lanes: tuple[str, ...]
    edges: tuple[str, ...]
    lane: NDArray[np.int32]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    junction: NDArray[np.int32]
    lit: NDArray[np.int32]
    lit_row: NDArray[np.int32]
    ratio: NDArray[np.float64]
    ease: NDArray[np.float64]
    major: NDArray[np.float64]
    minor: NDArray[np.float64]
    free_major: NDArray[np.float64]
    free_minor: NDArray[np.float64]
    foes: NDArray[np.int32]
    siblings: NDArray[np.int32]
    lane_edge: NDArray[np.int32]
    lane_movements: NDArray[np.int32]
    edge_lanes: NDArray[np.int32]
    edge_entries: NDArray[np.int32]
    edge_source: NDArray[np.int32]
    leaves: NDArray[np.float64]
    length: NDArray[np.float64]
    width: NDArray[np.float64]
    travel: NDArray[np.float64]
    source_edge: NDArray[np.int32]
    schedule: NDArray[np.float64]
    rate: NDArray[np.float64]
    phases: NDArray[np.bool_]
    green: NDArray[np.float64]
    change: NDArray[np.float64]
    offset: NDArray[np.float64]
    spacing: float
    begin: float
    memory: int

    @functools.cached_property
    def digest(self) -> str:
        """A checksum of the contents."""
        parts = [getattr(self, field.name) for field in dataclasses.fields(self)]
        text = b"".join(
            part.tobytes() + repr((part.shape, part.dtype)).encode()
            if isinstance(part, np.ndarray)
            else repr(part).encode()
            for part in parts
        )
        return hashlib.sha256(text).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Streets) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Streets({', '.join(f'{len(names)} {what}' for what, names in self._sizes().items())})"

    def _sizes(self) -> dict[str, tuple[str, ...]]:
        return {"signals": self.junctions, "lanes": self.lanes, "edges": self.edges}


register(Streets, static=("junctions", "lanes", "edges", "spacing", "begin", "memory"))


def make_streets(network: RoadNetwork, demand: Demand, begin: float, end: float) -> Streets:
    """Builds streets from a network and the vehicles that depart in a window of time.

    Args:
        network: the roads and signals.
        demand: the vehicles.
        begin: the first second, which is simulated.
        end: the first second that is not.

    Returns:
        The streets that some route in the window uses. Signals are all kept, in the network's order; their phases are
        the green ones of the network's plans.

    Raises:
        UserError: for a window without a second or without a departure, or a route that its roads don't allow.
    """
    seconds = round(end - begin)
    chosen = (demand.depart >= begin) & (demand.depart < begin + seconds)
    if seconds < 1 or not chosen.any():
        fail(
            "make_streets",
            expected="a window in which a vehicle departs",
            got=f"[{begin}, {end})",
            advice=f"Departures lie between {demand.depart.min(initial=0)} and {demand.depart.max(initial=0)}.",
        )
    counts = Counter(demand.route[chosen].tolist())
    traffic = _count(demand, counts)
    signals = _signals(network)
    edges = sorted(traffic.passed)
    place = {edge: number for number, edge in enumerate(edges)}
    ways = network.connections
    kept = [way for way, turn in enumerate(zip(ways.from_edge, ways.to_edge, strict=True)) if turn in traffic.turns]
    found = {(int(ways.from_edge[way]), int(ways.to_edge[way])) for way in kept}
    if missing := set(traffic.turns) - found:
        first, second = min(missing)
        fail(
            "make_streets",
            expected="routes that follow connections",
            got=f"one from edge {network.edges.names[first]} to edge {network.edges.names[second]}",
            advice="Read the routes and the network of one scenario.",
        )
    kept.sort(key=lambda way: (ways.from_lane[way], way))
    start = np.array([place[ways.from_edge[way]] for way in kept], np.int32)
    after = np.array([place[ways.to_edge[way]] for way in kept], np.int32)
    lanes, lane = np.unique(ways.from_lane[kept], return_inverse=True)
    spacing = float(demand.spacing[chosen].mean())
    junction = np.where(ways.signal[kept] < 0, len(network.signals), ways.signal[kept]).astype(np.int32)
    major, minor = _opened(network, kept, signals.phases.shape[1])
    foes = _foes(network, kept, major, minor)
    free = junction == len(network.signals)
    yields = np.array([bool(one) for one in foes])
    inner = np.zeros(len(edges))
    np.maximum.at(inner, after, (ways.length / ways.speed)[kept])
    travel = network.edges.length[edges] / network.edges.speed[edges] + inner
    schedule, rate, sources = _departures(demand, chosen, begin, seconds, place)
    movements, lane_edge = len(kept), np.array([place[edge] for edge in network.lanes.edge[lanes]], np.int32)
    return Streets(
        junctions=tuple(signal.name for signal in network.signals),
        lanes=tuple(network.lanes.names[number] for number in lanes),
        edges=tuple(network.edges.names[edge] for edge in edges),
        lane=lane.astype(np.int32),
        start=start,
        end=after,
        junction=junction,
        lit=np.flatnonzero(~free).astype(np.int32),
        lit_row=np.where(free, (~free).sum(), np.cumsum(~free) - 1).astype(np.int32),
        ratio=np.array(
            [traffic.turns[edges[a], edges[b]] / traffic.passed[edges[a]] for a, b in zip(start, after, strict=True)]
        ),
        ease=_ease(network, kept, spacing),
        major=major,
        minor=minor,
        free_major=(free & ~yields).astype(float),
        free_minor=(free & yields).astype(float),
        foes=_table(foes, movements),
        siblings=_table(_grouped(start.astype(np.int64) * len(edges) + after), movements),
        lane_edge=lane_edge,
        lane_movements=_table(_by(lane, len(lanes)), movements),
        edge_lanes=_table(_by(lane_edge, len(edges)), len(lanes)),
        edge_entries=_table(_by(after, len(edges)), movements),
        edge_source=np.array([sources.get(edge, len(sources)) for edge in range(len(edges))], np.int32),
        leaves=np.array([traffic.ends[edge] / traffic.passed[edge] for edge in edges]),
        length=network.edges.length[edges] * network.edges.lanes[edges],
        width=network.edges.lanes[edges].astype(float),
        travel=travel,
        source_edge=np.array(list(sources), np.int32),
        schedule=schedule,
        rate=rate,
        phases=signals.phases,
        green=signals.green,
        change=signals.change,
        offset=signals.offset,
        spacing=spacing,
        begin=float(begin),
        memory=math.ceil(max(travel.max() / SLOWEST, 1.0)) + 3,
    )


class _Traffic(NamedTuple):
    """How many vehicles pass each edge, go from edge to edge, and end on each edge."""

    passed: Counter
    turns: Counter
    ends: Counter


def _count(demand: Demand, counts: Counter) -> _Traffic:
    traffic = _Traffic(Counter(), Counter(), Counter())
    for route, vehicles in counts.items():
        way = demand.routes[route]
        traffic.ends[way[-1]] += vehicles
        for edge in way:
            traffic.passed[edge] += vehicles
        for turn in itertools.pairwise(way):
            traffic.turns[turn] += vehicles
    return traffic


def _departures(
    demand: Demand, chosen: NDArray[np.bool_], begin: float, seconds: int, place: dict[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[int, int]]:
    """Departures by second and source, their mean by minute, and the source of each edge that has one."""
    first = np.array([place[demand.routes[route][0]] for route in demand.route[chosen]])
    sources = {int(edge): number for number, edge in enumerate(np.unique(first))}
    schedule = np.zeros((seconds, len(sources)))
    second = np.floor(demand.depart[chosen] - begin).astype(int)
    np.add.at(schedule, (second, np.array([sources[edge] for edge in first])), 1.0)
    edges = np.arange(0, seconds, BIN)
    sizes = np.diff([*edges, seconds])
    rate = np.repeat(np.add.reduceat(schedule, edges) / sizes[:, None], sizes, axis=0)
    return schedule, rate, sources


class _Signals(NamedTuple):
    phases: NDArray[np.bool_]
    green: NDArray[np.float64]
    change: NDArray[np.float64]
    offset: NDArray[np.float64]


def _signals(network: RoadNetwork) -> _Signals:
    """Plans as greens with a change before each, from the words of the file."""
    most = max([1, *(len(signal.green) for signal in network.signals)])
    size = (len(network.signals), most)
    out = _Signals(np.zeros(size, bool), np.zeros(size), np.zeros(size), np.zeros(size[0]))
    for number, signal in enumerate(network.signals):
        for place, phase in enumerate(signal.green):
            out.phases[number, place] = True
            out.green[number, place] = signal.durations[phase]
            before = signal.green[place - 1]
            between = [
                other % len(signal.states)
                for other in range(before + 1, phase + (phase <= before) * len(signal.states))
            ]
            out.change[number, place] = signal.durations[between].sum()
        if signal.green:
            out.offset[number] = signal.offset + signal.durations[: signal.green[0]].sum() - out.change[number, 0]
    return out


def _opened(network: RoadNetwork, kept: list[int], most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each green phase lets go, with priority and after giving way."""
    major, minor = np.zeros((len(kept), most)), np.zeros((len(kept), most))
    for movement, way in enumerate(kept):
        signal, link = network.connections.signal[way], network.connections.link[way]
        for place, phase in enumerate(network.signals[signal].green if signal >= 0 else ()):
            letter = network.signals[signal].states[phase][link]
            minor[movement, place] = letter in YIELDING
            major[movement, place] = letter in GREEN and letter not in YIELDING
    return major, minor


def _foes(network: RoadNetwork, kept: list[int], major: NDArray, minor: NDArray) -> list[list[int]]:
    """Whom each movement gives way to, unless their lights never let both go in one phase."""
    number = {way: movement for movement, way in enumerate(kept)}
    foes: list[list[int]] = [[] for _ in kept]
    for own, other in network.connections.gives_way.tolist():
        if own in number and other in number:
            one, two = number[own], number[other]
            lit = network.connections.signal[own] >= 0
            if not lit or (minor[one] * (major[two] + minor[two])).any():
                foes[one].append(two)
    return foes


def _ease(network: RoadNetwork, kept: list[int], spacing: float) -> NDArray[np.float64]:
    """Vehicles that follow at 1 s, as SUMO's do, pass a point every 1 + spacing / speed seconds."""
    ways = network.connections
    straight = 1 + spacing / network.edges.speed[ways.from_edge[kept]]
    return np.minimum(1.0, straight / (1 + spacing / ways.speed[kept]))


def _by(owner: NDArray, size: int) -> list[list[int]]:
    """The places at which each of 0, ..., size - 1 occurs."""
    return [np.flatnonzero(owner == one).tolist() for one in range(size)]


def _grouped(label: NDArray) -> list[list[int]]:
    """For each place, the places with the same label."""
    return [np.flatnonzero(label == one).tolist() for one in label]


def _table(rows: list[list[int]], free: int) -> NDArray[np.int32]:
    """The rows side by side, filled up with `free`; at least one column."""
    table = np.full((len(rows), max([1, *(len(row) for row in rows)])), free, np.int32)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
