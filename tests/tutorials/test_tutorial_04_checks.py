"""The checks of tutorial 04's exercises: right answers, empty ones, and wrong ones with a hint."""

import numpy as np
import pytest

CHECKS = "evidence"


def rows_of(tie):
    """The last row of each user by time; ties by a function of the generator and the number of rows."""

    def last_rows(user, moment, generator):
        order = np.lexsort((tie(generator, user.size), moment, user))
        return order[np.append(np.diff(user[order]) != 0, True)]

    return last_rows


def area(order=lambda a: np.argsort(-a), *, insert=False, scale=lambda path: np.mean((path[1:] + path[:-1]) / 2)):
    """The area under the curve of a deletion in an order, or of an insertion."""

    def of(value, attribution):
        kept = np.full(attribution.size, not insert)
        path = [value(kept)]
        for unit in order(attribution):
            kept[unit] = insert
            path.append(value(kept))
        return scale(np.array(path))

    return of


def share(most=np.max):
    """The share that grants the floors of those who lack most, or another summary of what each needs."""

    def of(before, even, floors):
        lacking = np.maximum(floors - before, 0)
        return most(lacking / np.where(lacking > 0, even - before, 1))

    return of


EXERCISES = {
    "deletions_by_hand": (lambda c, a: c.deletions_by_hand(a), [-0.9, 1.6 - 4 / 7, -0.4]),
    "last_rows": (lambda c, a: c.last_rows(a), rows_of(lambda generator, size: generator.permutation(size))),
    "deletion_area": (lambda c, a: c.deletion_area(a), area()),
    "set_aside": (lambda c, a: c.set_aside(a), share()),
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_right_answers_are_accepted_and_empty_ones_not_attempted(exercises, accepts, exercise):
    check, answer = EXERCISES[exercise]
    accepts(lambda a: check(exercises, a), answer)


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("deletions_by_hand", [0.6, 1.2, -0.2], "share its attention"),
        ("deletions_by_hand", [2.5, 4 / 7, 2.0], "Take it off"),
        ("deletions_by_hand", [0.9, 4 / 7 - 1.6, 0.4], "other way round"),
        ("deletions_by_hand", [1.0, 1.0, 1.0], "read again"),
        ("deletions_by_hand", [1.0], "Expected 3 numbers"),
        ("last_rows", rows_of(lambda _, size: np.arange(size)), "the file's order decides"),
        ("last_rows", lambda user, moment, _: np.unique(user, return_index=True)[1], "lies after it"),
        ("last_rows", lambda user, moment, _: np.arange(4), "One row of each"),
        ("last_rows", lambda user, moment, _: [0.5], "Expected numbers of rows"),
        ("deletion_area", area(np.argsort), "least important first"),
        ("deletion_area", area(insert=True), "or inserts"),
        ("deletion_area", area(scale=lambda path: np.sum((path[1:] + path[:-1]) / 2)), "take the mean"),
        ("deletion_area", area(scale=np.mean), "trapezia"),
        ("deletion_area", lambda value, attribution: "large", "Expected a number"),
        ("set_aside", share(np.mean), "still lacks"),
        ("set_aside", lambda before, even, floors: 1.0, "a little below"),
        ("set_aside", lambda before, even, floors: np.max((floors - before) / (even - before)), "from 0 to 1"),
    ],
)
def test_wrong_answers_are_told_what_to_mend(exercises, mends, exercise, answer, hint):
    mends(lambda a: EXERCISES[exercise][0](exercises, a), answer, hint)
