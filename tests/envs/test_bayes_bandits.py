"""Exact values of bandits against brute force, and Gittins indices against tables and another definition."""

import itertools

import numpy as np
import pytest

from attnjax.envs import bayes_optimal_return, gittins_indices, whittle_indices
from attnjax.errors import UserError

GITTINS_TABLE = {
    # Successes and failures seen on top of Beta(1, 1), discount 0.9. Gittins (1989), Multi-armed Bandit Allocation
    # Indices, table for beta = 0.9; the diagonal and (9, 1) also in Christian and Griffiths (2016), ch. 2.
    (0, 0): 0.7029,
    (1, 0): 0.8001,
    (0, 1): 0.5001,
    (1, 1): 0.6346,
    (2, 2): 0.6010,
    (0, 2): 0.3796,
    (9, 1): 0.8695,
}


def best_by_brute_force(arms, pulls):
    """Expectimax over ordered counts of every arm, without any symmetry."""

    def worth(counts, left):
        if left == 0:
            return 0.0
        options = []
        for arm, (s, f) in enumerate(counts):
            paid, failed = ((*counts[:arm], pair, *counts[arm + 1 :]) for pair in ((s + 1, f), (s, f + 1)))
            chance = (s + 1) / (s + f + 2)
            options.append(chance * (1 + worth(paid, left - 1)) + (1 - chance) * worth(failed, left - 1))
        return max(options)

    return worth(((0, 0),) * arms, pulls)


@pytest.mark.parametrize(("arms", "pulls"), [(1, 5), (2, 1), (2, 6), (3, 5), (5, 3)])
def test_the_bayes_optimum_is_that_of_brute_force(arms, pulls):
    assert bayes_optimal_return(arms, pulls) == pytest.approx(best_by_brute_force(arms, pulls), abs=1e-12)


def test_the_bayes_optimum_at_ten_pulls():
    values = {arms: bayes_optimal_return(arms, 10) for arms in (5, 10, 50)}
    assert {arms: round(value, 3) for arms, value in values.items()} == {5: 6.660, 10: 6.714, 50: 6.714}
    # More arms than pulls change nothing, and one arm is worth its mean.
    assert values[10] == values[50]
    assert bayes_optimal_return(1, 10) == pytest.approx(5)


def test_gittins_indices_are_those_of_the_published_table():
    indices = gittins_indices(0.9, 10)
    for (s, f), published in GITTINS_TABLE.items():
        assert indices[s, f] == pytest.approx(published, abs=6e-5)
    assert indices.shape == (11, 11)
    assert np.isnan(indices[6, 5])


def restart_index(s, f, discount, depth):
    """The index as the fair rate of a problem that may always restart from (s, f) (Katehakis and Veinott 1987).

    Value iteration over the pairs within `depth` pulls; beyond, an arm is worth its mean for ever, or a restart.
    """
    grid = {(i, j): (1 + s + i) / (2 + s + f + i + j) for i in range(depth + 1) for j in range(depth + 1 - i)}
    mean = np.full((depth + 2, depth + 2), np.nan)
    for (i, j), chance in grid.items():
        mean[i, j] = chance
    inner = np.add.outer(np.arange(depth + 1), np.arange(depth + 1)) < depth
    edge = np.add.outer(np.arange(depth + 1), np.arange(depth + 1)) == depth
    mean = mean[: depth + 1, : depth + 1]
    value = np.zeros((depth + 1, depth + 1))
    for _ in range(400):
        paid = np.zeros_like(value)
        failed = np.zeros_like(value)
        paid[:-1], failed[:, :-1] = value[1:], value[:, 1:]
        go_on = mean + discount * (mean * paid + (1 - mean) * failed)
        value = np.where(inner, np.maximum(go_on, go_on[0, 0]), 0)
        value = np.where(edge, np.maximum(mean / (1 - discount), go_on[0, 0]), value)
    return (1 - discount) * value[0, 0]


@pytest.mark.parametrize(("s", "f"), [(0, 0), (3, 1), (0, 4)])
def test_gittins_indices_are_those_of_the_restart_problem(s, f):
    discount = 0.8
    assert gittins_indices(discount, 4)[s, f] == pytest.approx(restart_index(s, f, discount, 60), abs=1e-5)


def test_a_gittins_index_is_the_best_ratio_over_stopping_rules():
    """By definition: the largest E[sum d^t r] / E[sum d^t] over all rules that stop by the fourth pull."""
    discount, depth = 0.3, 4
    nodes = [(i, j) for i in range(depth) for j in range(depth - i) if (i, j) != (0, 0)]

    def ratio(stops):
        def totals(i, j):
            if i + j >= depth or (i, j) in stops:
                return 0.0, 0.0
            chance = (1 + i) / (2 + i + j)
            paid, failed = totals(i + 1, j), totals(i, j + 1)
            reward = chance + discount * (chance * paid[0] + (1 - chance) * failed[0])
            return reward, 1 + discount * (chance * paid[1] + (1 - chance) * failed[1])

        reward, time = totals(0, 0)
        return reward / time

    rules = itertools.chain.from_iterable(itertools.combinations(nodes, n) for n in range(len(nodes) + 1))
    best = max(ratio(set(rule)) for rule in rules)
    index = gittins_indices(discount, 0)[0, 0]
    assert best <= index + 1e-6
    # Rules that go on longer gain at most a surplus of 1 - index per pull from then on.
    assert index - best < discount**depth / (1 - discount) * (1 - index)


def test_indices_rise_with_successes_fall_with_failures_and_exceed_the_mean():
    indices = gittins_indices(0.9, 12)
    whittle = whittle_indices(12, 0.9)
    s, f = np.nonzero(~np.isnan(indices))
    mean = (1 + s) / (2 + s + f)
    assert (indices[s, f] > mean).all()
    inside = s + f < 12
    for table in (indices, whittle):
        assert (table[s[inside] + 1, f[inside]] > table[s[inside], f[inside]]).all()
        assert (table[s[inside], f[inside] + 1] < table[s[inside], f[inside]]).all()
    # More patience makes the unknown worth more.
    assert (gittins_indices(0.95, 12)[s, f] > indices[s, f]).all()
    # The approximation is close where much is known.
    known = s + f >= 8
    assert np.abs(whittle[s, f] - indices[s, f])[known].max() < 0.03


def test_bad_input_is_refused():
    for call, message in (
        (lambda: bayes_optimal_return(0, 5), "arms"),
        (lambda: bayes_optimal_return(2, 0), "pulls"),
        (lambda: gittins_indices(1.0, 5), "discount strictly between 0 and 1, got 1.0"),
        (lambda: gittins_indices(0.9, -1), "pulls"),
        (lambda: gittins_indices(0.9, 5, accuracy=0), "accuracy"),
        (lambda: whittle_indices(5, 1.5), "discount"),
    ):
        with pytest.raises(UserError, match=message):
            call()
