"""Real flows: how many vehicles reach each approach of each signal, window by window, from the routes of a map."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnjax.data.resco import RescoMap, load_resco_map
from attnjax.data.road_networks import RoadNetwork, read_road_network
from attnjax.data.route_files import Demand, read_demand


class Flows(NamedTuple):
    """Windows of all signals, padded to the most approaches.

    Attributes:
        before: (rows, n), vehicles per second that reached each approach in a window.
        after: (rows, n), in the window that follows it.
        lanes: (rows, n), of each approach; 0 for padding.
        training: (rows,), whether the row is one to learn from.
        signal: (rows,), which signal.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    lanes: NDArray[np.float32]
    training: NDArray[np.bool_]
    signal: NDArray[np.int32]


def arrivals(network: RoadNetwork, demand: Demand, edge: int) -> NDArray[np.float64]:
    """When vehicles reach the end of an edge, in seconds: their departure, and the way there at the speed limits."""
    seconds = network.edges.length / network.edges.speed
    on_the_way = {}
    for number, route in enumerate(demand.routes):
        if edge in route:
            on_the_way[number] = float(sum(seconds[list(route[: route.index(edge) + 1])]))
    passing = np.array([number in on_the_way for number in demand.route], bool)
    delay = np.array([on_the_way[int(number)] for number in demand.route[passing]])
    return np.sort(demand.depart[passing] + delay)


def approaches(network: RoadNetwork, signal: int) -> list[int]:
    """The edges that a signal lets go, in the order of the file."""
    return list(
        dict.fromkeys(int(edge) for edge in network.connections.from_edge[network.connections.signal == signal])
    )


def signals_of(found: RescoMap) -> list[tuple[list[NDArray[np.float64]], list[int]]]:
    """For each signal of a map with two approaches or more: arrivals at each, and the lanes of each."""
    network = read_road_network(found.net.read_bytes())
    demand = read_demand(found.routes.read_bytes(), network)
    edges = [approaches(network, signal) for signal in range(len(network.signals))]
    return [
        ([arrivals(network, demand, edge) for edge in own], [int(network.edges.lanes[edge]) for edge in own])
        for own in edges
        if len(own) > 1
    ]


def load_flows(config: Any) -> Flows:
    """All signals' windows of the hour that RESCO runs; windows across the end of training belong to neither part."""
    maps = [load_resco_map(name) for name in config.maps]
    places = [(found.begin, found.end, *one) for found in maps for one in signals_of(found)]
    most = max(len(lanes) for *_, lanes in places)
    rows: dict[str, list[Any]] = {name: [] for name in Flows._fields}
    for number, (begin, end, times, lanes) in enumerate(places):
        for start in range(begin, end - 2 * config.window + 1, config.stride):
            middle, stop = start + config.window, start + 2 * config.window
            learned = stop <= begin + config.training
            if not learned and start < begin + config.training:
                continue
            rows["before"].append(_padded([_count(t, start, middle) / config.window for t in times], most))
            rows["after"].append(_padded([_count(t, middle, stop) / config.window for t in times], most))
            rows["lanes"].append(_padded(lanes, most))
            rows["training"].append(learned)
            rows["signal"].append(number)
    return Flows(*(np.array(rows[name], kind) for name, kind in zip(Flows._fields, _KINDS, strict=True)))


_KINDS = (np.float32, np.float32, np.float32, np.bool_, np.int32)


def _count(times: NDArray[np.float64], start: float, stop: float) -> int:
    return int(np.searchsorted(times, stop) - np.searchsorted(times, start))


def _padded(values: Sequence[float], length: int) -> list[float]:
    return [*values, *[0.0] * (length - len(values))]
