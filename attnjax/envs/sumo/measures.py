"""What a run is judged by, read from what SUMO writes of every trip.

With loss_i the seconds vehicle i lost against its free speed, d_i those it waited to be let in, and E the end:

    RESCO's delay = mean over inserted i of (loss_i + d_i), and of E - scheduled_i over those scheduled after the
                    vehicle that was inserted last
    strict delay  = mean over every scheduled i of loss_i + d_i, or E - scheduled_i where i never got in

The first passes over vehicles that wait in vain while others get in elsewhere: a controller that blocks a street
improves its score. Both are reported, and the strict one is compared.

Source: Ault and Sharon (2021), §5, and the program that made their table.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from attnjax.errors import fail


class Measures(NamedTuple):
    """One run in numbers.

    Attributes:
        delay: RESCO's, in seconds per vehicle.
        strict_delay: the strict one, likewise.
        mean_speed: metres driven by all inserted vehicles over the seconds they were under way.
        throughput: vehicles that arrived.
        scheduled: vehicles that were to set out before the end.
        inserted: those that were let in.
        waiting: seconds that an inserted vehicle stood, on average.
        queue: vehicles that stand on the lanes before signals, over all junctions, the mean over the run.
    """

    delay: float
    strict_delay: float
    mean_speed: float
    throughput: int
    scheduled: int
    inserted: int
    waiting: float
    queue: float


class Trip(NamedTuple):
    """What SUMO writes of a vehicle that was let in.

    Attributes:
        depart: when it was.
        depart_delay: seconds after its schedule.
        loss: seconds lost against its free speed.
        waiting: seconds it stood.
        metres: how far it drove.
        seconds: how long.
        arrived: whether it did.
    """

    depart: float
    depart_delay: float
    loss: float
    waiting: float
    metres: float
    seconds: float
    arrived: bool


def read_schedule(routes: str | Path, begin: float, end: float) -> dict[str, float]:
    """When each vehicle is to set out.

    Args:
        routes: a file of trips and vehicles with fixed times.
        begin: earlier ones take no part.
        end: nor do later ones, this second included.

    Returns:
        Vehicle to seconds, in the file's order.

    Raises:
        UserError: if vehicles come from flows, which have no names before the run.
    """
    schedule = {}
    for _, element in ElementTree.iterparse(routes):
        if element.tag in ("flow", "personFlow"):
            fail(
                f"the routes {routes}",
                expected="trips and vehicles, each with its time",
                got=f"a <{element.tag}>",
                advice="Write its vehicles out with SUMO's duarouter.",
            )
        if element.tag in ("trip", "vehicle"):
            depart = float(element.attrib["depart"])
            if begin <= depart < end:
                schedule[element.attrib["id"]] = depart
        if element.tag != "routes":
            element.clear()
    return schedule


def read_trips(path: str | Path) -> dict[str, Trip]:
    """Reads SUMO's `tripinfo`, written with unfinished trips.

    Args:
        path: the file.

    Returns:
        Vehicle to trip.
    """
    trips = {}
    for _, element in ElementTree.iterparse(path):
        if element.tag == "tripinfo":
            found = element.attrib
            depart, seconds = float(found["depart"]), float(found["duration"])
            if depart >= 0:  # -1 marks a vehicle that was never let in
                trips[found["id"]] = Trip(
                    depart,
                    float(found["departDelay"]),
                    float(found["timeLoss"]),
                    float(found["waitingTime"]),
                    float(found["routeLength"]),
                    seconds,
                    float(found["arrival"]) >= 0,
                )
            element.clear()
    return trips


def read_flows(path: str | Path) -> dict[str, float]:
    """Reads how many vehicles left each lane by its end, from SUMO's `lanedata`.

    Args:
        path: the file.

    Returns:
        Lane to vehicles; lanes without a vehicle are missing.
    """
    flows: dict[str, float] = {}
    for _, element in ElementTree.iterparse(path):
        if element.tag == "lane":
            flows[element.attrib["id"]] = flows.get(element.attrib["id"], 0.0) + float(element.attrib.get("left", 0))
    return flows


def measure(schedule: Mapping[str, float], trips: Mapping[str, Trip], end: float, queue: float) -> Measures:
    """Turns the trips of a run into its measures.

    Args:
        schedule: when each vehicle was to set out.
        trips: what became of those that did.
        end: the last second of the run.
        queue: the mean queue, which trips don't tell.

    Returns:
        The measures; NaN where there was no vehicle to measure.

    >>> trips = {"a": Trip(10, 0, 4.0, 2.0, 100.0, 20.0, True), "c": Trip(40, 5, 1.0, 0.0, 50.0, 10.0, False)}
    >>> found = measure({"a": 10, "b": 30, "c": 35, "d": 45}, trips, end=50, queue=1.5)
    >>> found.delay, found.strict_delay                       # (4 + 6 + 5) / 3, and b's 20 seconds over 4
    (5.0, 8.75)
    >>> found.mean_speed, found.throughput
    (5.0, 1)
    """
    lost = math.fsum(trip.loss + trip.depart_delay for trip in trips.values())
    last = max(trips, key=lambda name: trips[name].depart, default=None)
    after = math.inf if last is None else trips[last].depart - trips[last].depart_delay
    late = [end - depart for name, depart in schedule.items() if depart > after and name not in trips]
    never = [end - depart for name, depart in schedule.items() if name not in trips]
    metres, seconds, stood = (
        math.fsum(getattr(trip, what) for trip in trips.values()) for what in ("metres", "seconds", "waiting")
    )
    return Measures(
        delay=_mean(lost + math.fsum(late), len(trips) + len(late)),
        strict_delay=_mean(lost + math.fsum(never), len(trips) + len(never)),
        mean_speed=_mean(metres, seconds),
        throughput=sum(trip.arrived for trip in trips.values()),
        scheduled=len(schedule),
        inserted=len(trips),
        waiting=_mean(stood, len(trips)),
        queue=queue,
    )


def _mean(total: float, count: float) -> float:
    return total / count if count else math.nan
