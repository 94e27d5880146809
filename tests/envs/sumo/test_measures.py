"""Delay by hand, on what SUMO writes: RESCO's formula passes over blocked vehicles, the strict one does not."""

import math

import pytest

from attnjax.envs.sumo.measures import measure, read_flows, read_schedule, read_trips
from attnjax.errors import UserError

TRIPS = """<tripinfos>
<tripinfo id="a" depart="10.00" departDelay="0.00" arrival="30.00" duration="20.00" routeLength="200.00"
 waitingTime="3.00" timeLoss="6.00"/>
<tripinfo id="b" depart="26.00" departDelay="6.00" arrival="-1.00" duration="24.00" routeLength="40.00"
 waitingTime="17.00" timeLoss="18.00"><emissions/></tripinfo>
<tripinfo id="never" depart="-1.00" departDelay="40.00" arrival="-1.00" duration="0.00" routeLength="0.00"
 waitingTime="0.00" timeLoss="0.00"/>
</tripinfos>"""
ROUTES = """<routes><vType id="car"/><trip id="early" depart="-5.0" from="x" to="y"/><trip id="a" depart="10.00"/>
<vehicle id="never" depart="10.00"><route edges="x y"/></vehicle><trip id="b" depart="20.0"/>
<trip id="last" depart="45.0"/><trip id="after" depart="50.0"/></routes>"""


@pytest.fixture
def written(tmp_path):
    def write(content: str) -> str:
        (tmp_path / "file.xml").write_text(content)
        return str(tmp_path / "file.xml")

    return write


def test_both_delays_by_hand(written):
    schedule = read_schedule(written(ROUTES), 0, 50)
    assert schedule == {"a": 10, "never": 10, "b": 20, "last": 45}
    trips = read_trips(written(TRIPS))
    assert set(trips) == {"a", "b"}
    found = measure(schedule, trips, 50, queue=2.0)
    # RESCO: a loses 6, b 18 and 6 at the gate, `last` 5 s as it was to come after b; `never` is passed over.
    assert found.delay == pytest.approx((6 + 24 + 5) / 3)
    assert found.strict_delay == pytest.approx((6 + 24 + 5 + 40) / 4)
    assert found.mean_speed == pytest.approx(240 / 44)
    assert (found.throughput, found.scheduled, found.inserted, found.waiting) == (1, 4, 2, 10)
    assert found.queue == 2.0


def test_the_two_delays_agree_where_everyone_gets_in(written):
    trips = read_trips(written(TRIPS))
    found = measure({"a": 10, "b": 20}, trips, 50, queue=0.0)
    assert found.delay == found.strict_delay == 15


def test_a_run_without_vehicles_has_no_delay():
    found = measure({}, {}, 50, queue=0.0)
    assert math.isnan(found.delay)
    assert math.isnan(found.mean_speed)
    blocked = measure({"a": 10}, {}, 50, queue=0.0)
    assert blocked.strict_delay == 40
    assert math.isnan(blocked.delay)  # RESCO's formula sees no one


def test_flows_count_those_who_left_a_lane(written):
    content = """<meandata><interval begin="0" end="10"><edge id="e"><lane id="e_0" left="3"/><lane id="e_1"/></edge>
    </interval><interval begin="10" end="20"><edge id="e"><lane id="e_0" left="4"/></edge></interval></meandata>"""
    assert read_flows(written(content)) == {"e_0": 7.0, "e_1": 0.0}


def test_flows_of_unnamed_vehicles_are_refused(written):
    with pytest.raises(UserError, match=r"trips and vehicles, each with its time, got a <flow>.*duarouter"):
        read_schedule(written('<routes><flow id="f" begin="0" end="9" number="3"/></routes>'), 0, 50)
