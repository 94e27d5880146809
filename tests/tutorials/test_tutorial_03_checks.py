"""The checks of tutorial 03's exercises: right answers, empty ones, and wrong ones with a hint."""

import numpy as np
import pytest

CHECKS = "tradeoffs"


def tchebycheff_weights(power=-1.0):
    return lambda point, ideal: (point - ideal) ** power / np.sum((point - ideal) ** power)


def shortest(low=0.0, high=1.0):
    def direction(first, second):
        apart = first - second
        weight = np.clip(-(second @ apart) / (apart @ apart), low, high)
        return weight * first + (1 - weight) * second

    return direction


def share(weight):
    return 1 / (1 + np.exp(1 - weight))  # rises with the weight, as the market's does; 0.6 at 1.405


EXERCISES = {
    "weight_by_hand": (lambda c, a: c.weight_by_hand(a), [2 / 3, 1 / 4, 1 / 2, 2.0]),
    "weights_for_a_point": (lambda c, a: c.weights_for_a_point(a), tchebycheff_weights()),
    "shortest_vector": (lambda c, a: c.shortest_vector(a), shortest()),
    "promised_share": (lambda c, a: c.promised_share(a, share, 0.6), 1.405),
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_right_answers_are_accepted_and_empty_ones_not_attempted(exercises, accepts, exercise):
    check, answer = EXERCISES[exercise]
    accepts(lambda a: check(exercises, a), answer)


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("weight_by_hand", [1 / 2, 1 / 4, 1 / 2, 1.0], "least at x = 0.6667"),  # the weight of section 1
        ("weight_by_hand", [2 / 3, 1 / 4, 1 / 4, 2.0], "put x into both"),
        ("weight_by_hand", [2 / 3, 1 / 4, 1 / 2, 1 / 2], "slope of the front"),  # upside down
        ("weight_by_hand", [1.0, 1 / 4, 1 / 2, 2.0], "between 0 and 1"),
        ("weight_by_hand", [2 / 3], "Expected 4 numbers"),
        ("weights_for_a_point", tchebycheff_weights(1.0), "your weights choose"),  # in proportion to the losses
        ("weights_for_a_point", lambda point, ideal: np.full(point.size, 1 / point.size), "your weights choose"),
        ("weights_for_a_point", lambda point, ideal: 1 / (point - ideal), "divide them by their sum"),
        ("weights_for_a_point", lambda point, ideal: 0.5, "numbers"),
        ("shortest_vector", shortest(-np.inf, np.inf), "not on the segment"),
        ("shortest_vector", lambda first, second: (first + second) / 2, "there is a shorter one"),
        ("shortest_vector", lambda first, second: first + second, "not on the segment"),
        ("shortest_vector", lambda first, second: np.nan * first, "not finite"),
        ("promised_share", 1.3, "go higher"),
        ("promised_share", 1.5, "go lower"),
        ("promised_share", "some", "Expected a number"),
    ],
)
def test_wrong_answers_are_told_what_to_mend(exercises, mends, exercise, answer, hint):
    mends(lambda a: EXERCISES[exercise][0](exercises, a), answer, hint)


def test_the_share_of_this_test_is_what_it_says():
    assert share(1.405) == pytest.approx(0.6, abs=0.001)
