"""Incidence weights share items out, and splits partition rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.data import holdout_split, make_incidence, time_split
from attnjax.errors import UserError

pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=30)
NAMES = ["a", "b", "c", "d", "e"]


def built(listed: list[tuple[int, int]], split: str = "equal"):
    items, creators = [item for item, _ in listed], [creator for _, creator in listed]
    return make_incidence(items, creators, NAMES, num_items=7, split=split)


@given(pairs)
def test_an_items_shares_sum_to_one(listed: list[tuple[int, int]]) -> None:
    incidence = built(listed)
    np.testing.assert_allclose(incidence.dense().sum(axis=1), incidence.covered(), rtol=1e-15)
    assert set(zip(incidence.item.tolist(), incidence.creator.tolist(), strict=True)) == set(listed)
    order = list(zip(incidence.item.tolist(), incidence.creator.tolist(), strict=True))
    assert order == sorted(order)
    assert (incidence.item.dtype, incidence.creator.dtype) == (np.int32, np.int32)
    assert incidence.weight.dtype == np.float64
    assert incidence.items_per_creator().sum() == len(order)


@given(pairs)
def test_full_shares_are_one(listed: list[tuple[int, int]]) -> None:
    dense = built(listed, "full").dense()
    assert np.all((dense == 1.0) == (built(listed).dense() > 0))


@given(pairs, st.permutations(range(7)), st.integers(0, 7))
def test_selecting_items_selects_rows(listed: list[tuple[int, int]], order: list[int], count: int) -> None:
    incidence = built(listed)
    part = incidence.select(np.array(order[:count], dtype=int))
    kept = [NAMES.index(name) for name in part.names]
    np.testing.assert_array_equal(part.dense(), incidence.dense()[order[:count]][:, kept])
    assert (part.dense() > 0).any(axis=0).all()
    assert part.num_items == count


def test_what_an_incidence_refuses() -> None:
    with pytest.raises(UserError, match="make_incidence: expected split equal or full, got 'half'"):
        make_incidence([0], [0], ["a"], 1, split="half")
    with pytest.raises(UserError, match=r"item: a one-dimensional array of integers in \[0, 1\), got .* from 0 to 1"):
        make_incidence([0, 1], [0, 0], ["a"], 1)
    with pytest.raises(UserError, match=r"creator: a one-dimensional array of integers in \[0, 1\).* from -1 to -1"):
        make_incidence([0], [-1], ["a"], 1)
    with pytest.raises(UserError, match=r"got a float64 array of shape \(1,\) from 0\.5 to 0\.5"):
        make_incidence([0.5], [0], ["a"], 1)
    with pytest.raises(UserError, match="as many items as creators, one pair per entry, got 2 items and 1 creators"):
        make_incidence([0, 0], [0], ["a"], 1)
    with pytest.raises(UserError, match="select: expected each item at most once, got an item twice"):
        make_incidence([0], [0], ["a"], 1).select([0, 0])
    with pytest.raises(UserError, match=r"select: expected items: a one-dimensional array"):
        make_incidence([0], [0], ["a"], 1).select([1])


users = st.lists(st.integers(0, 5), min_size=1, max_size=60)
fractions = st.floats(0.01, 0.99)


def assert_partition(split, rows: int) -> None:
    assert np.array_equal(np.sort(np.concatenate(split)), np.arange(rows))
    assert all((np.diff(part) > 0).all() for part in split)


@given(users, fractions, st.integers(0, 2**32))
def test_a_hold_out_split_partitions_and_leaves_every_user_a_row(user, fraction: float, seed: int) -> None:
    split = holdout_split(user, fraction, seed)
    assert_partition(split, len(user))
    counts = np.bincount(user)
    held = np.bincount(np.asarray(user)[split.test], minlength=len(counts))
    present = counts > 0
    assert (held[present] < counts[present]).all()
    expected = np.minimum(np.floor(fraction * counts + 0.5), counts - 1)
    np.testing.assert_array_equal(held[present], expected[present])
    again = holdout_split(user, fraction, seed)
    np.testing.assert_array_equal(split.test, again.test)


def test_another_seed_draws_other_rows_without_preferring_any() -> None:
    user = np.zeros(20, int)
    held = np.bincount(np.concatenate([holdout_split(user, 0.25, seed).test for seed in range(2000)]), minlength=20)
    assert held.sum() == 2000 * 5
    assert abs(held - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


@given(st.lists(st.integers(0, 30), min_size=2, max_size=60), fractions)
def test_a_time_split_partitions_and_no_training_row_is_late(timestamp: list[int], fraction: float) -> None:
    times = np.asarray(timestamp)
    try:
        split = time_split(times, fraction)
    except UserError:
        held = max(1, int(fraction * len(times) + 0.5))
        assert np.sort(times)[len(times) - held] == times.min()
        return
    assert_partition(split, len(times))
    assert times[split.train].max() < times[split.test].min()
    assert len(split.test) >= max(1, int(fraction * len(times) + 0.5))


def test_what_the_splits_refuse() -> None:
    for fraction in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(UserError, match=r"holdout_split: expected a fraction in \(0, 1\), got"):
            holdout_split([0, 1], fraction, 0)
        with pytest.raises(UserError, match=r"time_split: expected a fraction in \(0, 1\), got"):
            time_split([0, 1], fraction)
    with pytest.raises(UserError, match=r"user: a one-dimensional, non-empty array .* got a float64 array"):
        holdout_split([0.5], 0.5, 0)
    with pytest.raises(UserError, match=r"timestamp: .*got a float64 array of shape \(0,\)"):
        time_split([], 0.5)
    with pytest.raises(UserError, match=r"a cut at the earliest of 3 rows. Hold out a smaller fraction"):
        time_split([1, 1, 1], 0.5)


def test_times_may_be_dates() -> None:
    days = np.array(["2020-01-02", "2020-01-01"], dtype="datetime64[D]")
    assert time_split(days, 0.5).test.tolist() == [0]
