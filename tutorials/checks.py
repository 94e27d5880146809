"""What the notebooks need beside the library: claims, and checks of the exercises.

A *claim* is a number that a notebook stands by. `claim` shows it and stores it in the output of its cell, where the
tests find it and compare it with `tutorials/claims/`.

A *check* looks at the properties that an answer must have (it sums to the budget; nothing beats it), not at a stored
answer, and returns a `Verdict` that says what to mend. Left as None, an exercise is *not attempted*, never wrong.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

CLAIM_TYPE = "application/vnd.attnjax.claim+json"

HAND_SCORES = np.array([1.2, 1.0, 0.1])
CROWD_SCORES = np.array([2.0, 1.5, 1.0, 0.5, 0.0])
YURIS_HOURS = 0.75
FAULTS = {
    "negative": "An entry is negative",
    "unspent": "A user spends more or less than the budget",
    "floor": "A floor is not kept",
    "price": "A price is negative, which bounds nothing under a floor",
}


def claim(name: str, value: Any) -> None:
    """Shows a number and stores it in the cell's output for the tests.

    Args:
        name: which claim, as in `tutorials/claims/`: lower-case letters, digits and hyphens.
        value: a number, a text, or a truth value; arrays of one element will do.
    """
    from IPython.display import publish_display_data

    plain = value if isinstance(value, str) else np.asarray(value).item()
    shown = f"{plain:.6g}" if isinstance(plain, float) else str(plain)
    publish_display_data(
        {CLAIM_TYPE: {"id": name, "value": plain}, "text/plain": f"[claim] {name} = {shown}"},
    )


class Verdict(NamedTuple):
    """What a check found.

    Attributes:
        exercise: its number.
        outcome: "not attempted", "not yet" or "correct".
        message: what to do next.
    """

    exercise: int
    outcome: str
    message: str

    def __repr__(self) -> str:
        """One line for the notebook."""
        return f"Exercise {self.exercise}: {self.outcome}. {self.message}"


def hand_allocation(answer: Any) -> Verdict:
    """Tutorial 01, exercise 1: sparsemax of `HAND_SCORES` with a budget of 1, by hand."""
    if answer is None:
        return _blank(1, "Put three numbers where None stands.")
    weights, wrong = _vector(answer, HAND_SCORES.size)
    if wrong:
        return _not_yet(1, wrong)
    if (weights < 0).any():
        return _not_yet(1, "Attention can't be negative: leave out the use whose score is below the price.")
    if abs(weights.sum() - 1) > 1e-6:
        return _not_yet(1, f"The shares sum to {weights.sum():.4g}, but the budget is 1.")
    if (weights == 0).sum() > 1:
        return _not_yet(1, "Too few uses are served: at your price, another score is still above it.")
    surplus = HAND_SCORES - weights
    price = surplus[weights > 0].max()
    if np.ptp(surplus[weights > 0]) > 1e-6:
        return _not_yet(1, "Score minus share must be the same number, the price, for every use that is served.")
    if (HAND_SCORES[weights == 0] > price + 1e-6).any():
        return _not_yet(1, "A use without attention has a score above the price: it should be served.")
    return _correct(1, f"The price of attention is {price:.3g}, and each share is its score less the price.")


def crowding_temperature(answer: Any) -> Verdict:
    """Tutorial 01, exercise 2: above which temperature all of `CROWD_SCORES` get attention under the squared norm."""
    from attnjax.allocation import SquaredNorm, allocate

    if answer is None:
        return _blank(2, "Put a temperature where None stands.")
    temperature, wrong = _number(answer)
    if wrong or temperature <= 0:
        return _not_yet(2, wrong or "A temperature is above 0.")

    def served(t: float) -> int:
        return int((np.asarray(allocate(CROWD_SCORES, 1.0, None, SquaredNorm(), temperature=t).weights) > 0).sum())

    everyone = CROWD_SCORES.size
    if served(1.001 * temperature) < everyone:
        got = served(1.001 * temperature)
        return _not_yet(2, f"Just above {temperature:.4g} only {got} of the {everyone} uses get attention: go higher.")
    if served(0.999 * temperature) == everyone:
        return _not_yet(2, f"Just below {temperature:.4g} all {everyone} still get attention: go lower.")
    return _correct(2, "It is the sum of the scores' distances from the lowest, divided by the budget.")


def water_filling(function: Any) -> Verdict:
    """Tutorial 01, exercise 3: `function(worth, budget)` minimises sum(a^3 - worth a) over a >= 0, sum(a) = budget."""
    generator = np.random.default_rng(3)
    for trial in range(40):
        worth = generator.uniform(0, 10, size=2 + trial % 6)
        budget = float(generator.uniform(0.05, 6))
        answer = function(worth.copy(), budget)
        if answer is None:
            return _blank(3, "Let the function return the attention of each good.")
        a, wrong = _vector(answer, worth.size)
        if wrong:
            return _not_yet(3, wrong)
        if (a < 0).any():
            return _not_yet(3, "An entry is negative: below the price a good gets nothing, max(worth - price, 0).")
        if abs(a.sum() - budget) > 1e-6 * max(budget, 1):
            return _not_yet(3, f"A budget of {budget:.3g} was to be spent, {a.sum():.3g} was: search on for the price.")
        # The worth that is left at the margin, worth - 3 a^2, is the price for all who are served.
        margin = worth - 3 * a**2
        price = margin[a > 0].max()
        if np.ptp(margin[a > 1e-4 * budget]) > 1e-4:
            return _not_yet(3, "Worth less marginal cost 3 a^2 differs among the goods served; it must be one price.")
        if (worth[a == 0] > price + 1e-4).any():
            return _not_yet(3, "A good worth more than the price gets nothing.")
    return _correct(3, "40 random shops: one price each, and no good is served below it.")


def upper_bound(function: Any) -> Verdict:
    """Tutorial 01, exercise 4: `function(scores, price, budget)` is the dual value of the softmax problem."""
    generator = np.random.default_rng(4)
    for trial in range(40):
        scores = generator.normal(size=2 + trial % 6)
        budget = float(generator.uniform(0.2, 3))
        total = np.log(np.exp(scores).sum())
        best = budget * (total - np.log(budget))
        right_price = total - np.log(budget) - 1
        price = right_price + float(generator.uniform(-1.5, 1.5))
        answers = [function(scores.copy(), at, budget) for at in (price, right_price)]
        if answers[0] is None:
            return _blank(4, "Let the function return the bound.")
        (bound, wrong), (tight, also_wrong) = _number(answers[0]), _number(answers[1])
        if wrong or also_wrong:
            return _not_yet(4, wrong or also_wrong)
        if bound < best - 1e-9 or tight < best - 1e-9:
            return _not_yet(
                4,
                f"At the price {price:.3g} your bound is {min(bound, tight):.4g}, but {best:.4g} can be reached. "
                "Sum the best of every use, and count what the budget is worth at this price.",
            )
        if tight > best + 1e-6:
            return _not_yet(
                4,
                f"At the right price the bound must touch the optimum {best:.4g}, yours is {tight:.4g}. Let every "
                "use choose the amount that is best for it, and count what the budget is worth at this price.",
            )
        if abs(bound - (price * budget + np.exp(scores - price - 1).sum())) > 1e-6 * max(1, abs(bound)):
            return _not_yet(4, "It bounds, but it is not made from the price: a wrong price should give a loose bound.")
    return _correct(4, "At any price it bounds, at the right price it is tight. That is the whole certificate.")


def affordable_floor(answer: Any, cost: Callable[[float], float], most: float, step: float = 0.01) -> Verdict:
    """Tutorial 01, exercise 5: the largest guarantee, to within `step`, whose `cost` is at most `most`."""
    if answer is None:
        return _blank(5, "Put a guarantee, as a share of the equal share, where None stands.")
    share, wrong = _number(answer)
    if wrong or not 0 <= share < 1 - step:
        return _not_yet(5, wrong or f"A guarantee lies from 0 to below {1 - step:g} of the equal share.")
    if cost(share) > most:
        return _not_yet(5, f"A guarantee of {share:g} costs {cost(share):.4f} a user, more than {most:g}: go lower.")
    if cost(share + step) <= most:
        return _not_yet(5, f"A guarantee of {share + step:g} would still be affordable: go higher.")
    return _correct(5, f"It costs {cost(share):.4f} a user, and {step:g} more would cost too much.")


def nash_by_hand(answer: Any) -> Verdict:
    """Tutorial 02, exercise 1: the Nash weight and prices at which Yuri gets `YURIS_HOURS` of two hours."""
    if answer is None:
        return _blank(1, "Put three numbers where None stands.")
    numbers, wrong = _vector(answer, 3)
    if wrong:
        return _not_yet(1, wrong)
    weight, xenia, yuri = numbers
    if (numbers <= 0).any():
        return _not_yet(1, "Weights and Nash prices are above 0.")
    if abs(xenia * (2 - YURIS_HOURS) - yuri * YURIS_HOURS) > 1e-6:
        return _not_yet(1, "Price times exposure must be the same for both: each is w / e, with e of two hours in all.")
    if abs(yuri * YURIS_HOURS - weight) > 1e-6:
        return _not_yet(1, "These prices are not w / e for your weight.")
    if abs((2 + xenia) - (1.5 + yuri)) > 1e-6:
        return _not_yet(
            1,
            f"Ben gets {2 + xenia:.4g} an hour with Xenia and {1.5 + yuri:.4g} with Yuri, yet he watches both: at the "
            "right weight he doesn't care.",
        )
    return _correct(1, "Prices are w / e, Ben doesn't care, and Ann stays with Xenia.")


def value_of_time(function: Any) -> Verdict:
    """Tutorial 02, exercise 2: `function(z, temperature, budget)` is V'(budget) for entropy."""
    generator = np.random.default_rng(5)

    def best(z: np.ndarray, temperature: float, budget: float) -> float:
        shares = np.exp((z - z.max()) / temperature)
        a = budget * shares / shares.sum()
        return float(z @ a - temperature * (a * np.log(a)).sum())

    for trial in range(40):
        z = generator.normal(size=2 + trial % 6)
        temperature, budget = (float(x) for x in generator.uniform(0.3, 3, size=2))
        answer = function(z.copy(), temperature, budget)
        if answer is None:
            return _blank(2, "Let the function return the value of one more unit.")
        value, wrong = _number(answer)
        if wrong:
            return _not_yet(2, wrong)
        step = 1e-5
        gained = (best(z, temperature, budget + step) - best(z, temperature, budget - step)) / (2 * step)
        if abs(value - gained) <= 1e-6:
            continue
        if abs(value - best(z, temperature, budget) / budget) <= 1e-6:
            return _not_yet(2, "That is V / R, what the average unit is worth. The last one is worth less.")
        return _not_yet(
            2,
            f"With z = {z.round(2).tolist()}, T = {temperature:.2f} and R = {budget:.2f} a little more budget brings "
            f"{gained:.4f} a unit, yours is {value:.4f}. Mind R log R: its derivative has two terms.",
        )
    return _correct(2, "It agrees with differences of V: it is the price of attention.")


def smallest_penalty(
    answer: Any, missing: Callable[[float], float], step: float = 0.05, slack: float = 1e-3
) -> Verdict:
    """Tutorial 02, exercise 3: the smallest penalty, to within `step`, at which at most `slack` is `missing`."""
    if answer is None:
        return _blank(3, "Put a penalty, in stars per unit of exposure, where None stands.")
    penalty, wrong = _number(answer)
    if wrong or penalty <= 0:
        return _not_yet(3, wrong or "A penalty is above 0.")
    short = missing(penalty)
    if short > slack:
        return _not_yet(3, f"At a penalty of {penalty:.4g} directors miss {short:.4f} of their floors: go higher.")
    if penalty > step and missing(penalty - step) <= slack:
        return _not_yet(3, f"A penalty of {penalty - step:.4g} would keep all floors as well: go lower.")
    return _correct(3, "It is the price of the dearest floor: whoever pays that much keeps them all.")


def audit(function: Any) -> Verdict:
    """Tutorial 02, exercise 4: `function(scores, budgets, floors, attention, prices)` is the gap, or inf."""
    generator = np.random.default_rng(6)
    for trial in range(60):
        users, items = 2 + trial % 4, 2 + trial % 3
        scores = generator.normal(size=(users, items))
        budgets = generator.uniform(0.5, 2, size=users)
        attention = budgets[:, None] * generator.dirichlet(np.ones(items), size=users)
        floors = attention.sum(axis=0) * generator.uniform(0, 1, size=items)
        floors[0] = attention[:, 0].sum()  # one floor is kept just so
        prices = generator.uniform(0, 2, size=items)
        fault = ("", "", "negative", "unspent", "floor", "price")[trial % 6]
        if fault == "negative":
            attention[0, 1:] += (attention[0, 0] + 0.1) / (items - 1)
            attention[0, 0] = -0.1
            floors = np.minimum(floors, np.maximum(attention.sum(axis=0), 0))
        elif fault == "unspent":
            attention[1] *= 1.01
        elif fault == "floor":
            floors[0] *= 1.02
            attention = np.eye(items)[(scores + 1e-9).argmax(axis=1)] * budgets[:, None]
            floors[attention.sum(axis=0).argmin()] += 0.1 + attention.sum(axis=0).min()
        elif fault == "price":
            prices[1] = -0.5
        given = scores, budgets, floors, attention, prices
        answer = function(*(array.copy() for array in given))
        if answer is None:
            return _blank(4, "Let the function return the gap.")
        try:
            gap = float(answer)
        except (TypeError, ValueError):
            return _not_yet(4, f"Expected one number, got {answer!r:.60}.")
        if fault:
            if gap != np.inf:
                return _not_yet(4, f"{FAULTS[fault]}, and you certify it with a gap of {gap:.4g}: return infinity.")
            continue
        if gap == np.inf:
            return _not_yet(4, "You refuse an allocation that keeps all rules: compare to within 1e-9.")
        bound = budgets @ (scores + prices).max(axis=1) - prices @ floors
        true = bound - (scores * attention).sum()
        if not abs(gap - true) <= 1e-9 * max(1, abs(true)):
            return _not_yet(
                4,
                f"Your gap is {gap:.4g}, but these prices bound welfare by {bound:.4g} and the allocation is worth "
                f"{bound - true:.4g}. Let every user take the best of score plus price; take off what floors are paid.",
            )
    return _correct(4, "60 markets: you certify what is proved and nothing else.")


def _blank(exercise: int, message: str) -> Verdict:
    return Verdict(exercise, "not attempted", message)


def _not_yet(exercise: int, message: str) -> Verdict:
    return Verdict(exercise, "not yet", message)


def _correct(exercise: int, message: str) -> Verdict:
    return Verdict(exercise, "correct", message)


def _vector(answer: Any, size: int) -> tuple[np.ndarray, str]:
    """The answer as an array of floats, or what is wrong with its form."""
    try:
        array = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return np.zeros(size), f"Expected {size} numbers, got {answer!r:.60}."
    if array.shape != (size,):
        return array, f"Expected {size} numbers, got an array of shape {array.shape}."
    if not np.isfinite(array).all():
        return array, "A number is not finite: look for a division by zero or the root of a negative number."
    return array, ""


def _number(answer: Any) -> tuple[float, str]:
    """The answer as a float, or what is wrong with its form."""
    try:
        array = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return 0.0, f"Expected a number, got {answer!r:.60}."
    if array.shape != () or not np.isfinite(array):
        return 0.0, f"Expected one finite number, got {answer!r:.60}."
    return float(array), ""
