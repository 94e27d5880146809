"""The readers of SUMO files, on a network of the project's own and on files that are broken on purpose."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from attnjax.data.road_networks import read_road_network
from attnjax.data.route_files import quickest_way, read_demand
from attnjax.errors import UserError

FOLDER = Path(__file__).parent / "road_networks"
NETWORK = (FOLDER / "crossing.net.xml").read_bytes()
ROUTES = (FOLDER / "crossing.rou.xml").read_bytes()


@pytest.fixture(scope="module")
def network():
    return read_road_network(NETWORK)


def edge(network, name):
    return network.edges.names.index(name)


def test_lanes_edges_and_junctions_are_those_of_the_file(network):
    assert network.junctions == ("W", "A", "B", "E", "N", "S", "M")
    assert len(network.edges.names) == 12
    assert len(network.lanes.names) == 15
    main = edge(network, "AB")
    assert network.edges.lanes[main] == 2
    assert (network.edges.length[main], network.edges.speed[main]) == (226.0, 13.9)
    assert [network.junctions[place] for place in (network.edges.start[main], network.edges.end[main])] == ["A", "B"]
    own = [name for name, of in zip(network.lanes.names, network.lanes.edge, strict=True) if of == main]
    assert own == ["AB_0", "AB_1"]


def test_connections_know_their_signal_and_way(network):
    ways = network.connections
    assert len(ways.signal) == 18
    assert (ways.signal >= 0).all()
    for start, end, first, last in zip(ways.from_lane, ways.to_lane, ways.from_edge, ways.to_edge, strict=True):
        assert network.lanes.edge[start] == first
        assert network.lanes.edge[end] == last
        assert network.edges.end[first] == network.edges.start[last]
    # A shared lane: right, straight and left of the side street.
    assert ways.direction[ways.from_edge == edge(network, "NA")].tolist() == ["r", "s", "l"]
    straight = (ways.from_edge == edge(network, "NA")) & (ways.direction == "s")
    assert (ways.length[straight].item(), ways.speed[straight].item()) == (24.0, 8.3)


def test_a_left_gives_way_to_what_comes_towards_it_and_not_the_reverse(network):
    ways = network.connections
    pairs = {tuple(pair) for pair in ways.gives_way.tolist()}

    def way(start, end):
        found = (ways.from_edge == edge(network, start)) & (ways.to_edge == edge(network, end))
        return int(np.flatnonzero(found).item())

    left, right, straight = way("WA", "AN"), way("BA", "AN"), way("BA", "AW")
    assert {(left, right), (left, straight)} <= pairs
    assert {one for one, _ in pairs if one == straight} == set()
    # The side street gives way to the main one.
    assert (way("NA", "AS"), straight) in pairs


def test_signals_know_their_green_and_yellow_phases(network):
    first, second = network.signals
    assert (first.name, second.name) == ("A", "B")
    assert (first.green, first.yellow) == ((0, 2), (1, 3))
    assert (second.green, second.yellow) == ((0, 2, 4), (1, 3, 5))
    assert second.offset == 8.0
    assert first.durations.tolist() == [31, 3, 23, 3]
    ways = network.connections
    at_second = ways.signal == 1
    assert sorted(ways.link[at_second]) == list(range(len(second.states[0])))
    # The left of B is permissive in the first phase, protected in the second.
    left = at_second & (ways.from_edge == edge(network, "AB")) & (ways.direction == "l")
    assert [second.states[phase][ways.link[left].item()] for phase in second.green] == ["g", "G", "r"]


def test_a_way_of_several_parts_inside_a_junction_finds_its_request(network):
    """SUMO splits a left that waits inside the junction; the second part is listed at the place of the request."""
    text = NETWORK.decode()
    text = text.replace(
        '<connection from=":B_5" to="BM" fromLane="0" toLane="0" dir="l" state="M"/>',
        '<connection from=":B_5" to="BM" fromLane="0" toLane="0" via=":B_6_0" dir="l" state="m"/>',
    )
    text = text.replace(":B_4_0 :B_5_0", ":B_4_0 :B_6_0")
    part = '<edge id=":B_6" function="internal"><lane id=":B_6_0" index="0" speed="5.00" length="7.00"/></edge>'
    split = read_road_network(text.replace('<edge id="WA"', f'{part}<edge id="WA"').encode())
    np.testing.assert_array_equal(split.connections.gives_way, network.connections.gives_way)
    assert split.connections.length[-1] == pytest.approx(network.connections.length[-1] + 7)
    assert split.connections.speed[-1] == 5.0


def test_lanes_that_cars_may_not_use_are_left_out(network):
    closed = NETWORK.replace(b'id="AB_1" index="1"', b'id="AB_1" index="1" allow="bus pedestrian"')
    kept = read_road_network(closed)
    assert "AB_1" not in kept.lanes.names
    assert len(kept.connections.signal) == len(network.connections.signal) - 2
    open_to_cars = NETWORK.replace(b'id="AB_1" index="1"', b'id="AB_1" index="1" disallow="tram ship"')
    assert read_road_network(open_to_cars).lanes.names == network.lanes.names
    with pytest.raises(UserError, match="at least one lane for cars, got none"):
        read_road_network(re.sub(rb'index="', b'disallow="all" index="', NETWORK))


def test_demand_is_sorted_and_its_routes_are_connected(network):
    demand = read_demand(ROUTES, network)
    assert len(demand.names) == len(demand.depart) == len(demand.route) == 230
    assert (np.diff(demand.depart) >= 0).all()
    assert set(demand.route) == set(range(len(demand.routes)))
    ways = {(int(a), int(b)) for a, b in zip(network.connections.from_edge, network.connections.to_edge, strict=True)}
    for route in demand.routes:
        assert set(itertools.pairwise(route)) <= ways
    # A trip and a named route over the same edges are one route.
    assert len(set(demand.routes)) == len(demand.routes) == 15
    assert set(demand.spacing) == {6.5, 9.0}


def test_the_quickest_way_is_that_of_all_ways():
    """Against every way of a random graph, added up one by one."""
    generator = np.random.default_rng(0)
    size = 7
    seconds = np.where(generator.random((size, size)) < 0.4, generator.uniform(1, 9, (size, size)), np.inf)
    onward = [[(j, float(seconds[i, j])) for j in range(size) if np.isfinite(seconds[i, j])] for i in range(size)]
    best = seconds.copy()
    np.fill_diagonal(best, 0)
    for middle in range(size):
        best = np.minimum(best, best[:, [middle]] + best[[middle]])
    for start in range(size):
        for end in range(size):
            way = quickest_way(onward, start, end)
            assert bool(way) == bool(np.isfinite(best[start, end]))
            if way:
                total = sum(seconds[i, j] for i, j in itertools.pairwise(way))
                assert (way[0], way[-1]) == (start, end)
                assert total == pytest.approx(best[start, end])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"</net>", b"", "expected XML"),
        (b' tl="A"', b' tl="Z"', "KeyError: 'Z'"),
        (b'linkIndex="3"', b'linkIndex="33"', "has no link 33"),
        (b' via=":A_3_0"', b"", "KeyError: 'via'"),
        (b'state="rrrGGgrrrGGg"', b'state="rrrGGgrrrGG?"', "phases of signal A of one length"),
        (b'state="rrrGGgrrrGGg"', b'state="rrrGG"', "phases of signal A of one length"),
        (b' length="188.00"', b"", "KeyError: 'length'"),
    ],
)
def test_bad_networks_are_refused(old, new, message):
    assert old in NETWORK
    with pytest.raises(UserError, match=re.escape(message)):
        read_road_network(NETWORK.replace(old, new))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<net/>", "outermost element is <routes>, got <net>"),
        ('<routes><flow id="f" from="WA" to="BE"/></routes>', "got a <flow>"),
        ('<routes><trip id="1" depart="0" from="WA" to="XY"/></routes>', "an edge of the network or file, got 'XY'"),
        ('<routes><trip id="1" depart="0" from="AN" to="BE"/></routes>', "a way from edge AN to edge BE, got none"),
        ('<routes><vehicle id="1" depart="0" route="r"/></routes>', "a route of the network or file, got 'r'"),
        ('<routes><vehicle id="1" depart="0"><route edges=""/></vehicle></routes>', "a route of at least one edge"),
        ('<routes><trip id="1" depart="triggered" from="WA" to="BE"/></routes>', "a departure of trip 1 in seconds"),
    ],
)
def test_bad_demand_is_refused(network, content, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read_demand(content.encode(), network)
