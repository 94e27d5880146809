"""The *In the source* box of tutorial 06, and its hand case, again without a notebook."""

import numpy as np
import pytest

from attnjax.envs import bayes_optimal_return


def test_rl2_the_printed_reward_is_more_than_anyone_can_earn():
    optimum = bayes_optimal_return(arms=50, pulls=10)
    excess = 6.8 - optimum
    assert 0.08 < excess < 0.09
    # It is no contradiction: a trial's reward has a deviation near 2.2, and 1,000 of them were averaged and rounded.
    assert excess < 2 * 2.2 / np.sqrt(1000)


@pytest.mark.parametrize(("weights", "start"), [((2, 1), 1), ((1, 3 / 4), 9 / 7), ((1 / 2, 9 / 16), 27 / 17)])
def test_the_hand_case_starts_where_the_pencil_says(weights, start):
    strictness, numbers, kept = np.array([2.0, 1.0]), np.array([0.0, 3.0]), 1 - np.array([2.0, 1.0]) / 4
    assert any(np.allclose(weights, strictness * kept**power) for power in (0, 1, 2))
    assert np.average(numbers, weights=weights) == pytest.approx(start, rel=1e-12)
