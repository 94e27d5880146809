import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnjax.errors import UserError
from attnjax.evaluation.intervals import bootstrap_interval, difference_interval, overlap, users_interval

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=30)


@given(numbers)
@settings(max_examples=50, deadline=None)
def test_the_interval_holds_the_mean_and_lies_within_the_data(values):
    found = bootstrap_interval(values, resamples=200)
    slack = 1e-9 * (1 + max(abs(v) for v in values))
    assert found.low <= found.mean <= found.high
    assert min(values) - slack <= found.low
    assert found.high <= max(values) + slack
    assert found.size == len(values)


@given(numbers, st.floats(-100, 100), st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_it_moves_and_scales_with_the_data(values, shift, scale):
    one = bootstrap_interval(values, resamples=200)
    two = bootstrap_interval([scale * v + shift for v in values], resamples=200)
    assert two.low == pytest.approx(scale * one.low + shift, rel=1e-6, abs=1e-6)
    assert two.high == pytest.approx(scale * one.high + shift, rel=1e-6, abs=1e-6)


def test_the_same_values_give_the_same_interval_and_a_seed_changes_the_draws():
    values = np.random.default_rng(0).normal(size=20)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


def test_blocks_of_bounded_memory_cover_every_resample():
    values = np.random.default_rng(0).normal(size=5000)
    assert bootstrap_interval(values, resamples=900).low < values.mean()


def test_against_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).exponential(size=40)
    ours = bootstrap_interval(values)
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_coverage_is_what_the_docstring_says():
    generator = np.random.default_rng(3)

    def covered(size):
        found = [bootstrap_interval(generator.normal(size=size), resamples=400) for _ in range(800)]
        return np.mean([interval.low <= 0 <= interval.high for interval in found])

    assert 0.78 < covered(5) < 0.88
    assert 0.90 < covered(30) < 0.97


def test_pairing_sees_a_difference_that_separate_intervals_hide():
    shared = np.random.default_rng(4).normal(size=10)
    one, two = shared, shared + 0.1 + 0.01 * np.random.default_rng(5).normal(size=10)
    apart = [bootstrap_interval(values) for values in (one, two)]
    assert overlap((apart[0].low, apart[0].high), (apart[1].low, apart[1].high))
    assert difference_interval(one, two).high < 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([]), "at least one"),
        (lambda: bootstrap_interval([[1.0]]), "shape"),
        (lambda: bootstrap_interval([1.0, float("nan")]), "1 of 2"),
        (lambda: bootstrap_interval([1.0], level=1.0), "level"),
        (lambda: bootstrap_interval([1.0], resamples=10), "100 resamples"),
        (lambda: difference_interval([1.0], [1.0, 2.0]), "1 and 2"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_over_users_alone_it_is_the_bootstrap_of_their_differences():
    generator = np.random.default_rng(6)
    one, two = generator.exponential(size=300), generator.exponential(size=300)
    crossed, plain = users_interval(one, two), difference_interval(one, two)
    assert crossed.mean == pytest.approx(plain.mean, rel=1e-12)
    assert (crossed.low, crossed.high) == pytest.approx((plain.low, plain.high), abs=0.02)
    assert crossed.size == 300
    assert users_interval([one, one, one], [two, two, two]).low == pytest.approx(crossed.low, abs=0.02)


def test_it_covers_where_users_and_seeds_both_vary():
    """y = a_user + b_seed + noise: an interval over users alone is too narrow, the crossed one is not."""
    generator = np.random.default_rng(7)

    def draw():
        return generator.normal(size=(1, 40)) + 0.3 * generator.normal(size=(10, 1)) + generator.normal(size=(10, 40))

    tables = [draw() for _ in range(300)]

    def covered(interval):
        found = [interval(table) for table in tables]
        return np.mean([one.low <= 0 <= one.high for one in found])

    assert 0.90 < covered(lambda table: users_interval(table, resamples=400)) <= 1
    assert covered(lambda table: users_interval(table.mean(axis=0), resamples=400)) < 0.90


def test_what_users_interval_refuses():
    for call, words in (
        (lambda: users_interval([1.0], [1.0, 2.0]), r"shapes \(1,\) and \(2,\)"),
        (lambda: users_interval(np.zeros((1, 1, 1))), r"one value per user"),
        (lambda: users_interval([1.0, np.nan]), "1 of 2 that are NaN"),
        (lambda: users_interval([1.0], level=1.0), "users_interval: expected a level"),
        (lambda: users_interval([1.0], resamples=1), "at least 100 resamples"),
    ):
        with pytest.raises(UserError, match=words):
            call()
