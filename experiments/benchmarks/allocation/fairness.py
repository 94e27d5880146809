"""What slates do to those who are ranked: envy, and whether everyone beats a uniform ranking.

Impact of item i under item j's exposure is I_ij = sum_u r_ui x_uj. Item i envies j by I_ij - I_ii, and it is dominated
by uniform ranking if I_ii is below what it would get if every slate were in random order. All in units of what the
average item gets from the uniform ranking. Source: Saito and Joachims (2022), Fair Ranking as Fair Division, KDD.
"""

from typing import NamedTuple

import numpy as np

from experiments.benchmarks.allocation.tasks import Array, Problem


class SlateFairness(NamedTuple):
    """How slates treat items.

    Attributes:
        envy: mean over items of the largest envy, in units of the mean uniform impact.
        worse_off: share of items that get less than nine tenths of their uniform impact.
        least: the smallest ratio of impact to uniform impact.
    """

    envy: float
    worse_off: float
    least: float


def slate_fairness(problem: Problem, attention: Array) -> SlateFairness:
    """Measures envy and dominance over the uniform ranking.

    Args:
        problem: slates.
        attention: (u, n), feasible.

    Returns:
        The three measures.
    """
    assert problem.bias is not None
    impact = problem.scores.T @ attention
    own = np.diag(impact)
    share = problem.bias.sum() / problem.scores.shape[1]
    uniform = problem.scores.T @ (problem.budgets * share)
    envy = np.maximum(impact - own[:, None], 0).max(axis=1)
    ratio = own / uniform
    return SlateFairness(float(envy.mean() / uniform.mean()), float(np.mean(ratio < 0.9)), float(ratio.min()))
