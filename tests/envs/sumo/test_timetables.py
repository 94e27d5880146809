"""What a signal shows: every second accounted for, yellow where green is lost and nowhere else."""

import itertools

import numpy as np
import pytest

from attnjax.envs.sumo.signals import green_phases, lanes_served, yellow_between
from attnjax.envs.sumo.timetable import cycle, timetable

STATES = ("GGrr", "rGGr", "rrrG", "GGGr")


def test_yellow_is_shown_to_those_who_lose_their_green_and_to_no_one_else():
    for before, after in itertools.permutations(STATES, 2):
        between = yellow_between(before, after)
        losers = {k for k in range(4) if before[k] == "G" and after[k] == "r"}
        if between is None:
            assert not losers
        else:
            assert {k for k in range(4) if between[k] == "y"} == losers
            assert all(between[k] == before[k] for k in range(4) if k not in losers)
    with pytest.raises(ValueError, match="states of 2 and 3 links"):
        yellow_between("Gr", "rrG")


def test_green_phases_are_neither_yellow_nor_all_red_and_each_comes_once():
    assert green_phases(["GrsG", "yrsy", "rrrr", "rsrs", "rGrg", "GrsG", "rYrg"]) == ["GrsG", "rGrg"]


def test_links_without_a_lane_serve_nothing():
    green, protected = lanes_served(["gGr"], [0, -1, 1], lanes=2)
    assert green.tolist() == [[True, False]]
    assert not protected.any()


def test_a_timetable_spends_every_second_and_serves_in_order():
    rng = np.random.default_rng(0)
    for _ in range(200):
        windows = rng.integers(4, 20, 4) * rng.integers(0, 2, 4)
        current = int(rng.integers(4))
        if not windows.any():
            continue
        shown = timetable(STATES, current, windows, yellow=3)
        assert sum(show.seconds for show in shown) == windows.sum()
        served = [show.phase for show in shown if show.phase is not None]
        assert sorted(served) == np.flatnonzero(windows).tolist()
        assert served == sorted(served, key=lambda phase: (phase - current) % 4)
        before = current
        for phase in served:
            green = sum(show.seconds for show in shown if show.phase == phase)
            assert green == windows[phase] - 3 * (phase != before)
            before = phase
        for one, other in itertools.pairwise(shown):
            lost = any(a == "G" and b == "r" for a, b in zip(one.state, other.state, strict=True))
            assert not lost  # green always ends in yellow


def test_a_cycle_ends_where_it_can_begin_again():
    for windows in ([10, 20, 30, 0], [0, 9, 9, 9], [8, 0, 0, 7]):
        shown = cycle(STATES, windows, yellow=3)
        assert sum(show.seconds for show in shown) == sum(windows)
        turned = [*shown, *shown]
        for one, other in itertools.pairwise(turned):
            assert not any(a == "G" and b == "r" for a, b in zip(one.state, other.state, strict=True))
    assert [(show.state, show.seconds) for show in cycle(STATES, [0, 40, 0, 0], 3)] == [("rGGr", 40)]


def test_windows_that_cannot_be_shown_are_refused():
    with pytest.raises(ValueError, match="phase 1 has 3 s, and 3 s of them are yellow"):
        timetable(STATES, 0, [10, 3, 0, 0], yellow=3)
    with pytest.raises(ValueError, match="no phase has a second of green"):
        timetable(STATES, 0, [0, 0, 0, 0], yellow=3)
    assert timetable(STATES, 0, [1, 0, 0, 0], yellow=3)[0].seconds == 1  # who is green needs no yellow
