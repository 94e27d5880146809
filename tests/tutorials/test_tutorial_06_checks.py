"""The checks of tutorial 06's exercises: right answers, empty ones, and wrong ones with a hint."""

import numpy as np
import pytest

CHECKS = "adaptation"

BEST = 4.7595238


def gradient(power=2, scale=1.0):
    return lambda theta, h, c, rate, steps: scale * np.mean(h * (1 - rate * h) ** (power * steps) * (theta - c))


def curvature(matrices):
    return np.linalg.eigvalsh(matrices)


def rule(bonus):
    def choose(paid, failed, left):
        known = [(1 + p, 2 + p + f) for p, f in zip(paid, failed, strict=True)]
        worth = [p / n + bonus * (left - 1) / np.sqrt(n) for p, n in known]
        return int(worth[1] > worth[0])

    return choose


EXERCISES = {
    "rate_by_hand": (lambda c, a: c.rate_by_hand(a), [0.5, 3.0]),
    "meta_gradient": (lambda c, a: c.meta_gradient(a), gradient()),
    "safe_rate": (lambda c, a: c.safe_rate(a), lambda matrices: 2 / curvature(matrices).max()),
    "bandit_rule": (lambda c, a: c.bandit_rule(a, 8, BEST), rule(0.02)),
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_right_answers_are_accepted_and_empty_ones_not_attempted(exercises, accepts, exercise):
    check, answer = EXERCISES[exercise]
    accepts(lambda a: check(exercises, a), answer)


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("rate_by_hand", [0.25, 27 / 17], "still keeps 0.5"),
        ("rate_by_hand", [0.5, 2.0], "whose weight is left"),
        ("rate_by_hand", [0.5], "Expected 2 numbers"),
        ("meta_gradient", gradient(power=1), "first-order"),
        ("meta_gradient", gradient(scale=2.0), "differences give"),
        ("meta_gradient", lambda *_: "x", "Expected a number"),
        ("safe_rate", lambda matrices: 2 / curvature(matrices).mean(), "steep directions"),
        ("safe_rate", lambda matrices: 1 / curvature(matrices).max(), "could be larger"),
        ("safe_rate", lambda matrices: -1.0, "above 0"),
        ("bandit_rule", rule(0.0), "explore while pulls are left"),
        ("bandit_rule", lambda *_: 0, "at random"),
        ("bandit_rule", lambda *_: 2, "An arm is 0 or 1"),
    ],
)
def test_wrong_answers_are_told_what_to_mend(exercises, mends, exercise, answer, hint):
    mends(lambda a: EXERCISES[exercise][0](exercises, a), answer, hint)
