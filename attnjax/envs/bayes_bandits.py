"""What a Bernoulli bandit is worth to one who knows how its arms were drawn, and the index of an arm.

With arms uniform in [0, 1], an arm that paid s times and failed f times pays next with probability

    (1 + s) / (2 + s + f).

The state of knowledge is one pair (s, f) per arm. Playing it best is a finite dynamic programme; arms with equal
pairs are exchangeable, so a state is a multiset of pairs, and only arms that were tried are in it: with n pulls at
most n arms matter, however many there are.

The Gittins index of an arm is the sure payment per pull that is worth as much as the arm with the option to leave it,
under a discount: pulling the arm of the largest index is optimal for ever (Gittins 1979), and here a heuristic.
"""

import math

import numpy as np

from attnjax.envs.spaces import check_size
from attnjax.errors import fail

Known = tuple[tuple[int, int], ...]
"""Sorted pairs (successes, failures) of the arms that were tried."""


def _outcomes(known: Known, arms: int) -> list[tuple[float, Known, Known]]:
    """For every arm worth telling apart: its chance to pay, and what is known if it does and if it does not."""
    found = []
    for pair in set(known) | ({(0, 0)} if len(known) < arms else set()):
        rest = list(known)
        if pair in known:
            rest.remove(pair)
        paid, failed = (pair[0] + 1, pair[1]), (pair[0], pair[1] + 1)
        chance = (pair[0] + 1) / (sum(pair) + 2)
        found.append((chance, tuple(sorted([*rest, paid])), tuple(sorted([*rest, failed]))))
    return found


def bayes_optimal_return(arms: int, pulls: int) -> float:
    """The largest expected number of successes in n pulls of k arms drawn uniformly: no policy has more.

    Exact, by backward induction over multisets of (successes, failures). Their number grows quickly with n: ten pulls
    take a fraction of a second, fifteen take seconds.

    Args:
        arms: k; beyond n it changes nothing.
        pulls: n.

    Returns:
        The expectation over tasks and rewards.

    Raises:
        UserError: for sizes below 1.

    Source: Bellman (1956), A problem in the sequential design of experiments.

    >>> round(bayes_optimal_return(arms=2, pulls=2), 4) == round(0.5 + 0.5 * 2 / 3 + 0.5 * 1 / 2, 4)
    True
    """
    check_size("bayes_optimal_return", "arms", arms)
    check_size("bayes_optimal_return", "pulls", pulls)
    levels: list[dict[Known, list[tuple[float, Known, Known]]]] = [{(): _outcomes((), arms)}]
    for _ in range(pulls - 1):
        after = {known for choices in levels[-1].values() for _, paid, failed in choices for known in (paid, failed)}
        levels.append({known: _outcomes(known, arms) for known in after})
    worth: dict[Known, float] = {}
    for level in reversed(levels):
        worth = {
            known: max(
                chance * (1 + worth.get(paid, 0.0)) + (1 - chance) * worth.get(failed, 0.0)
                for chance, paid, failed in choices
            )
            for known, choices in level.items()
        }
    return worth[()]


def _check_discount(where: str, discount: float) -> None:
    if not 0 < discount < 1:
        fail(
            where,
            expected="a discount strictly between 0 and 1",
            got=str(discount),
            advice="For n pulls, 1 - 1/n has the same effective horizon.",
        )


def gittins_indices(discount: float, pulls: int, *, accuracy: float = 1e-5, grid: int = 1000) -> np.ndarray:
    """The Gittins index of a Bernoulli arm for every s + f up to `pulls`, arm uniform in [0, 1] beforehand.

    For a sure payment c per pull, the worth of the arm with the option to retire on c is

        V(s, f) = max( c / (1 - d), p (1 + d V(s + 1, f)) + (1 - p) d V(s, f + 1) ),   p = (1 + s) / (2 + s + f),

    and the index is the c at which both are equal. One backward induction from far ahead treats all states for a grid
    of payments at once; the difference is convex in c, and is interpolated linearly between two payments.

    Args:
        discount: d, in (0, 1).
        pulls: the largest s + f.
        accuracy: how small d^m is, where m pulls are looked ahead beyond `pulls`; there the arm's mean is taken as
            known.
        grid: payments in [0, 1]; the error of interpolation is of the order of grid^-2.

    Returns:
        (pulls + 1, pulls + 1) float64, at [s, f]; NaN where s + f is above `pulls`.

    Raises:
        UserError: for a discount, a size or an accuracy out of range.

    Source: Gittins (1979); the calibration method of Gittins, Glazebrook and Weber (2011), ch. 8.

    >>> round(float(gittins_indices(0.9, 1)[0, 0]), 4)  # Gittins' table for 0.9 and Beta(1, 1): 0.7029
    0.7029
    """
    _check_discount("gittins_indices", discount)
    check_size("gittins_indices", "pulls", pulls, least=0)
    check_size("gittins_indices", "grid", grid, least=2)
    if not 0 < accuracy < 1:
        fail("gittins_indices", expected="an accuracy in (0, 1)", got=str(accuracy), advice="The default is 1e-5.")
    last = pulls + math.ceil(math.log(accuracy) / math.log(discount))
    payments = np.linspace(0, 1, grid + 1)
    retired = payments / (1 - discount)
    indices = np.full((pulls + 1, pulls + 1), np.nan)
    successes = np.arange(last + 1)
    means = ((1 + successes) / (2 + last))[:, None]
    worth = np.maximum(payments, means) / (1 - discount)
    for total in range(last - 1, -1, -1):
        successes = np.arange(total + 1)
        means = ((1 + successes) / (2 + total))[:, None]
        pull = means * (1 + discount * worth[1:]) + (1 - means) * discount * worth[:-1]
        if total <= pulls:
            gain = pull - retired
            # Positive at a payment of 0, negative at 1, and decreasing between.
            left = np.argmax(gain <= 0, axis=1) - 1
            before, after = gain[successes, left], gain[successes, left + 1]
            indices[successes, total - successes] = (left + before / (before - after)) / grid
        worth = np.maximum(retired, pull)
    return indices


def whittle_indices(pulls: int, discount: float = 1.0) -> np.ndarray:
    """Whittle's closed approximation of the index, the one behind the published row "Gittins" of RL^2.

    With a = 1 + s, b = 1 + f, n = a + b, mean m = a / n and c = -log d,

        m + m (1 - m) / ( n sqrt((2 c + 1 / n) m (1 - m)) + m - 1 / 2 ).

    Args:
        pulls: the largest s + f.
        discount: d, in (0, 1]; RL^2 takes 1.

    Returns:
        (pulls + 1, pulls + 1) float64, at [s, f]; NaN where s + f is above `pulls`.

    Raises:
        UserError: for a discount or a size out of range.

    Source: Whittle (1982), Optimization over time; Gittins, Glazebrook and Weber (2011), §8; Duan et al. (2016), §3.1.

    >>> round(float(whittle_indices(0)[0, 0]), 4)  # m = 1/2, n = 2: 1/2 + sqrt(1/4 / 2)
    0.8536
    """
    if discount != 1:
        _check_discount("whittle_indices", discount)
    check_size("whittle_indices", "pulls", pulls, least=0)
    successes, failures = np.meshgrid(np.arange(pulls + 1), np.arange(pulls + 1), indexing="ij")
    total = 2 + successes + failures
    mean = (1 + successes) / total
    spread = mean * (1 - mean)
    width = total * np.sqrt((1 / total - 2 * math.log(discount)) * spread) + mean - 0.5
    return np.where(successes + failures <= pulls, mean + spread / width, np.nan)
