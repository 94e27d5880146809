"""The judge is sound: no answer is worth more than the optimum once repaired, and no bound is below it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from experiments.benchmarks.allocation.fairness import slate_fairness
from experiments.benchmarks.allocation.judge import bound, breach, exposure, judge, relative_gap, repair, welfare
from experiments.benchmarks.allocation.peers.linear_rows import rows_of
from experiments.benchmarks.allocation.peers.numpy_bisection import prepare as bisection
from experiments.benchmarks.allocation.tasks import Problem, make_problem, tasks

SMALL = tasks("smoke")
TIGHT = dataclasses.replace(SMALL["lp-tight"], users=12, items=5)
SLACK = dataclasses.replace(SMALL["sparse"], users=40, items=5, candidates=0)
SPARSE = dataclasses.replace(SMALL["sparse"], users=60, items=6, candidates=3)
NASH = dataclasses.replace(SMALL["nash"], users=10, items=4)
SLATES = dataclasses.replace(SMALL["slates"], users=9, items=6, positions=3)
CUBE = dataclasses.replace(SMALL["cube"], users=9, items=6)
ALL = {"tight": TIGHT, "slack": SLACK, "sparse": SPARSE, "nash": NASH, "slates": SLATES, "cube": CUBE}


def optimum(problem):
    """SciPy's answer to a linear problem: attention, and prices of exposure."""
    if problem.candidates is None:
        matrix, lower, upper = rows_of(problem)
    else:
        users, n = problem.scores.shape
        entry = np.arange(users * n)
        spent = csr_matrix((np.ones(entry.size), (entry // n, entry)), (users, entry.size))
        reached = csr_matrix((np.ones(entry.size), (problem.candidates.ravel(), entry)), (problem.creators, entry.size))
        matrix = csr_matrix(np.vstack([spent.toarray(), reached.toarray()]))
        lower = np.concatenate([np.full(users, -np.inf), problem.floors])
        upper = np.concatenate([problem.budgets, problem.caps])
    finite = np.isfinite(lower)
    rows, limits = np.vstack([matrix.toarray(), -matrix.toarray()[finite]]), np.concatenate([upper, -lower[finite]])
    found = linprog(-problem.scores.ravel(), A_ub=rows, b_ub=limits, method="highs")
    assert found.status == 0
    marginals = found.ineqlin.marginals
    above, below = marginals[: upper.size], np.zeros(upper.size)
    below[finite] = marginals[upper.size :]
    return found.x.reshape(problem.scores.shape), (above - below)[problem.budgets.size :]


@pytest.mark.parametrize("task", [TIGHT, SLACK, SPARSE], ids=["tight", "slack", "sparse"])
@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_is_left_alone_and_its_prices_prove_it(task, seed):
    problem = make_problem(dataclasses.replace(task, seed=seed))
    best, prices = optimum(problem)
    judged = judge(problem, best, prices)
    assert judged.violation < 1e-9
    assert judged.value == pytest.approx(welfare(problem, best), rel=1e-9)
    assert judged.bound == pytest.approx(judged.value, rel=1e-7)
    assert relative_gap("linear", problem.creators, judged.value, judged.bound) < 1e-7


@given(st.sampled_from(sorted(ALL)), st.integers(0, 2**31), st.floats(0.1, 3))
def test_whatever_comes_is_made_feasible_and_stays_below_every_bound(name, seed, size):
    problem = make_problem(dataclasses.replace(ALL[name], seed=seed % 5))
    random = np.random.default_rng(seed)
    answer = size * random.exponential(size=problem.scores.shape) * (random.random(problem.scores.shape) < 0.4) - 0.05
    feasible = repair(problem, answer)
    assert breach(problem, feasible) < 1e-9
    assert (feasible >= 0).all()
    prices = random.exponential(size=problem.creators) if problem.weights is not None else random.normal(size=5)
    if problem.kind == "cube":
        assert judge(problem, answer).worst_gap > -1e-12
    elif problem.creators == prices.size:
        assert welfare(problem, feasible) <= bound(problem, prices) + 1e-9


@pytest.mark.parametrize("name", ["tight", "slack", "sparse"])
def test_what_breaks_the_caps_looks_better_than_the_optimum_and_is_not(name):
    problem = make_problem(ALL[name])
    best, _ = optimum(problem)
    greedy = np.zeros_like(best)
    greedy[np.arange(len(best)), problem.scores.argmax(axis=1)] = 1
    assert welfare(problem, greedy) > welfare(problem, best)
    judged = judge(problem, greedy)
    assert judged.violation > 0.1
    assert judged.value <= welfare(problem, best) + 1e-9


def test_a_slightly_broken_optimum_loses_only_slightly():
    problem = make_problem(TIGHT)
    best, prices = optimum(problem)
    judged = judge(problem, best * 1.001, prices)
    assert judged.violation == pytest.approx(1e-3, rel=1e-6)
    assert 0 <= relative_gap("linear", 5, judged.value, judged.bound) < 2e-3


@pytest.mark.parametrize("broken", [np.full((12, 5), np.nan), np.zeros((5, 12))], ids=["NaN", "shape"])
def test_an_answer_that_is_none_is_worth_nothing(broken):
    judged = judge(make_problem(TIGHT), broken)
    assert judged.value == -np.inf
    assert judged.bound is None


def test_nash_prices_of_an_optimum_prove_it():
    """Proportional response finds the optimum; the supporting prices of its exposure close the gap."""
    problem = make_problem(NASH)
    attention = np.full(problem.scores.shape, 1 / 4)
    for _ in range(20_000):
        moved = attention * problem.scores / exposure(problem, attention)
        attention = moved / moved.sum(axis=1, keepdims=True)
    judged = judge(problem, attention)
    assert 0 <= relative_gap("nash", 4, judged.value, judged.bound) < 1e-4
    uniform = judge(problem, np.full(problem.scores.shape, 1 / 4))
    assert uniform.value < judged.value < uniform.bound


def test_a_ranking_fits_its_slate_and_more_does_not():
    problem = make_problem(SLATES)
    ranking = np.zeros(problem.scores.shape)
    ranking[:, :3] = problem.bias
    assert breach(problem, ranking) == 0
    assert np.allclose(repair(problem, ranking), ranking)
    crowded = np.zeros(problem.scores.shape)
    crowded[:, 0] = problem.bias.sum()  # as much in all, but for one item
    assert breach(problem, crowded) == pytest.approx(problem.bias.sum() - 1)
    assert np.allclose(repair(problem, crowded)[:, 0], 1)


def test_envy_and_dominance_of_two_items():
    """One slate of one position: all of it to item 0 leaves item 1 with nothing, and envious."""
    relevances = np.array([[0.5, 0.5], [0.5, 0.5]])
    problem = Problem("slates", relevances, np.ones(2), True, weights=np.ones(2), bias=np.ones(1))
    fair = slate_fairness(problem, np.full((2, 2), 0.5))
    assert fair == (0, 0, 1)
    unfair = slate_fairness(problem, np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert unfair.envy == pytest.approx(1.0)  # item 1 would have 1 instead of 0; uniform gives 0.5
    assert (unfair.worse_off, unfair.least) == (0.5, 0)


def test_the_bisection_that_is_compared_with_is_right():
    problem = make_problem(CUBE)
    prepared = bisection(CUBE, problem, {"halvings": 60}, 1)
    judged = judge(problem, prepared.read(prepared.run()).attention)
    assert abs(judged.worst_gap) < 1e-12
    assert judged.violation < 1e-12
