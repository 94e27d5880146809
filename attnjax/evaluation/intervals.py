"""How sure a mean over seeds is: bootstrap intervals.

From values x_1 ... x_n the bootstrap draws n of them with replacement, many times over, and takes the mean of each
draw; the interval is what lies between two percentiles of those means (Efron, 1979). It assumes nothing about the
distribution, but with few seeds it is too narrow: n = 5 covers the truth about 84 times in 100, not 95. Read it as
a lower bound of the uncertainty, and use ten seeds or more for a number that carries a claim.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attnjax.errors import fail


class Interval(NamedTuple):
    """A mean and the interval around it.

    Attributes:
        mean: the arithmetic mean, in the units of the values.
        low: the lower end, same units.
        high: the upper end, same units.
        level: the nominal coverage, between 0 and 1.
        size: how many values it is made of; with one value the ends equal the mean and say nothing.
    """

    mean: float
    low: float
    high: float
    level: float
    size: int


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Returns the percentile bootstrap interval of the mean.

    The draws are seeded, so the same values give the same interval.

    Args:
        values: one finite number per seed, shape (n,), n >= 1.
        level: the nominal coverage, strictly between 0 and 1.
        resamples: how many draws, at least 100.
        seed: the seed of the draws.

    Returns:
        The mean and the interval; `low <= mean <= high`.

    Raises:
        UserError: if there are no values, one is not finite, or an option is out of range.

    >>> bootstrap_interval([0.5, 0.5, 0.5])
    Interval(mean=0.5, low=0.5, high=0.5, level=0.95, size=3)
    """
    sample = _checked(values, "bootstrap_interval")
    _check_options("bootstrap_interval", level, resamples)
    return _percentile_interval(float(np.mean(sample)), _means(sample, resamples, seed), level, sample.size)


def difference_interval(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Returns the interval of the mean difference `first - second`, paired seed by seed.

    Pairing removes what the two share (the same users, the same start), so it tells smaller differences apart than
    two separate intervals do.

    Args:
        first: one number per seed, shape (n,).
        second: one number per seed, in the same order of seeds, shape (n,).
        level: the nominal coverage, strictly between 0 and 1.
        resamples: how many draws, at least 100.
        seed: the seed of the draws.

    Returns:
        The mean difference and its interval.

    Raises:
        UserError: if the two do not pair up, or as `bootstrap_interval` does.

    >>> difference_interval([1.0, 2.0], [0.5, 1.5]).low
    0.5
    """
    one, two = _checked(first, "difference_interval"), _checked(second, "difference_interval")
    if one.size != two.size:
        fail(
            "difference_interval",
            expected="one value per seed on both sides",
            got=f"{one.size} and {two.size}",
            advice="Measure both quantities with the same seeds, in the same order.",
        )
    return bootstrap_interval(one - two, level=level, resamples=resamples, seed=seed)


def users_interval(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Returns the interval of a mean over users, or of the mean difference of two, paired user by user.

    What is measured once per user and seed varies with both. So both are drawn with replacement, each on its own: a
    draw is the mean over the drawn users and the drawn seeds (Owen, 2007, the pigeonhole bootstrap; it errs to the
    wide side). With one seed only users are drawn, and the interval says nothing about other seeds.

    Args:
        first: one number per user, shape (users,), or per seed and user, shape (seeds, users); a user who can't be
            judged is left out by the caller, in all seeds.
        second: None, or what is subtracted, of the same shape and in the same order.
        level: the nominal coverage, strictly between 0 and 1.
        resamples: how many draws, at least 100.
        seed: the seed of the draws.

    Returns:
        The mean and its interval; `size` is the number of users.

    Raises:
        UserError: if the two do not pair up, or as `bootstrap_interval` does.

    >>> users_interval([[1.0, 2.0], [3.0, 4.0]], [[0.5, 1.5], [2.5, 3.5]]).low
    0.5
    """
    one = np.asarray(first, dtype=np.float64)
    other = np.zeros_like(one) if second is None else np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.ndim not in (1, 2) or one.size == 0:
        fail(
            "users_interval",
            expected="one value per user, or per seed and user, on both sides alike",
            got=f"shapes {one.shape} and {other.shape}",
            advice="Measure the same users with the same seeds, in the same order.",
        )
    table = np.atleast_2d(one - other)
    _checked(table.reshape(-1), "users_interval")
    seeds, users = table.shape
    _check_options("users_interval", level, resamples)
    generator = np.random.default_rng(seed)
    drawn_users = generator.multinomial(users, np.full(users, 1 / users), size=resamples) / users
    drawn_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    means = np.sum((drawn_users @ table.T) * drawn_seeds, axis=1)
    return _percentile_interval(float(table.mean()), means, level, users)


def overlap(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Says whether two closed intervals share a point.

    Args:
        first: lower and upper end.
        second: lower and upper end.

    >>> overlap((0.0, 1.0), (1.0, 2.0)), overlap((0.0, 1.0), (1.5, 2.0))
    (True, False)
    """
    return first[0] <= second[1] and second[0] <= first[1]


def _checked(values: Sequence[float] | np.ndarray, where: str) -> np.ndarray:
    """Returns the values as a float64 vector, or refuses them."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        fail(
            where,
            expected="one value per seed, at least one, in one dimension",
            got=f"shape {sample.shape}",
            advice="Pass the per-seed values of one quantity.",
        )
    if not np.isfinite(sample).all():
        fail(
            where,
            expected="finite values",
            got=f"{int((~np.isfinite(sample)).sum())} of {sample.size} that are NaN or infinite",
            advice="A seed that failed is a result: report it apart, do not average it.",
        )
    return sample


def _check_options(where: str, level: float, resamples: int) -> None:
    if not 0 < level < 1:
        fail(
            where,
            expected="a level strictly between 0 and 1",
            got=str(level),
            advice="Pass 0.95 for a 95 % interval.",
        )
    if resamples < 100:
        fail(
            where,
            expected="at least 100 resamples",
            got=str(resamples),
            advice="Percentiles of fewer draws are noise; the default is 10 000.",
        )


def _percentile_interval(mean: float, means: np.ndarray, level: float, size: int) -> Interval:
    """Returns what lies between two percentiles of the draws' means, and the mean itself in any case."""
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(mean, min(float(low), mean), max(float(high), mean), level, size)


def _means(sample: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Returns the means of seeded draws with replacement, in blocks of bounded memory."""
    generator = np.random.default_rng(seed)
    block = max(1, 2_000_000 // sample.size)
    means = [
        sample[generator.integers(0, sample.size, (min(block, resamples - done), sample.size))].mean(axis=1)
        for done in range(0, resamples, block)
    ]
    return np.concatenate(means)
