"""Whole users, one row each, and the last row: partitions, disjoint, without leaks, and fair to ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.data import last_moment_ties, leave_one_out_split, time_split, user_split
from attnjax.errors import UserError

logs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=50)


def assert_partition(split, rows):
    assert np.array_equal(np.sort(np.concatenate(split)), np.arange(rows))
    assert all((np.diff(part) > 0).all() for part in split)


@given(logs, st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_no_user_is_on_both_sides(log, fraction, seed):
    user = np.array([user for user, _ in log])
    known = len(set(user))
    if known == 1:
        with pytest.raises(UserError, match="rows of at least two users"):
            user_split(user, fraction, seed)
        return
    split = user_split(user, fraction, seed)
    assert_partition(split, len(user))
    held = set(user[split.test])
    assert not held & set(user[split.train])
    assert len(held) == np.clip(np.floor(fraction * known + 0.5), 1, known - 1)
    np.testing.assert_array_equal(split.test, user_split(user, fraction, seed).test)


@given(logs, st.integers(0, 2**32))
def test_one_row_of_each_user_is_held_out(log, seed):
    user, timestamp = (np.array(column) for column in zip(*log, strict=True))
    count = np.bincount(user, minlength=6)
    for times in (None, timestamp):
        split = leave_one_out_split(user, seed, times)
        assert_partition(split, len(user))
        np.testing.assert_array_equal(np.bincount(user[split.test], minlength=6), count > 1)
        np.testing.assert_array_equal(split.test, leave_one_out_split(user, seed, times).test)
    for row in split.test:
        assert timestamp[row] == timestamp[user == user[row]].max()


@given(logs)
def test_ties_are_counted(log):
    user, timestamp = (np.array(column) for column in zip(*log, strict=True))
    expected = [(timestamp[user == one] == timestamp[user == one].max()).sum() for one in np.unique(user)]
    assert last_moment_ties(user, timestamp).tolist() == expected


def test_each_of_the_tied_rows_is_drawn_as_often_wherever_it_stands():
    user, timestamp = np.zeros(8, int), np.array([3, 9, 1, 9, 9, 2, 9, 5])
    for times, candidates in ((timestamp, [1, 3, 4, 6]), (None, range(8))):
        drawn = np.bincount([leave_one_out_split(user, seed, times).test[0] for seed in range(2000)], minlength=8)
        expected = 2000 / len(candidates)
        assert set(np.flatnonzero(drawn)) == set(candidates)
        assert abs(drawn[list(candidates)] - expected).max() < 5 * np.sqrt(expected)


def test_splitting_twice_gives_three_disjoint_parts():
    random = np.random.default_rng(0)
    user, timestamp = random.integers(0, 20, 300), random.integers(0, 50, 300)
    outer = leave_one_out_split(user, 0, timestamp)
    inner = leave_one_out_split(user[outer.train], 0, timestamp[outer.train])
    train, validation = outer.train[inner.train], outer.train[inner.test]
    assert_partition((np.sort(np.concatenate([train, validation])), outer.test), 300)
    for one in range(20):
        last = [timestamp[part][user[part] == one].max() for part in (train, validation, outer.test)]
        assert last == sorted(last)


def test_only_the_time_split_keeps_the_future_out():
    """What the docstring of the module says about leaks."""
    user, timestamp = np.array([0, 0, 1, 1]), np.array([1, 2, 8, 9])
    one_out = leave_one_out_split(user, 0, timestamp)
    assert timestamp[one_out.train].max() > timestamp[one_out.test].min()
    by_time = time_split(timestamp, 0.5)
    assert timestamp[by_time.train].max() < timestamp[by_time.test].min()


def test_dates_and_refusals():
    days = np.array(["2020-01-02", "2020-01-01"], dtype="datetime64[D]")
    assert leave_one_out_split([0, 0], 0, days).test.tolist() == [0]
    for call, words in (
        (lambda: leave_one_out_split([0.5], 0), "user: a one-dimensional"),
        (lambda: leave_one_out_split([0, 0], 0, [1]), "got 1 for 2 rows"),
        (lambda: leave_one_out_split([0, 0], 0, [1, np.nan]), "some missing"),
        (lambda: last_moment_ties([0, 0], np.array(["2020-01-01", "NaT"], "datetime64[D]")), "some missing"),
        (lambda: user_split([0, 1], 1.0, 0), r"a fraction in \(0, 1\)"),
    ):
        with pytest.raises(UserError, match=words):
            call()
