"""The exercises' checks accept every right answer, refuse wrong ones with a hint, and never refuse an empty one."""

import jax
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def water(worth, budget, steps=100):
    low, high = worth.max() - 3 * budget**2, worth.max()
    for _ in range(steps):
        middle = (low + high) / 2
        asked = np.sqrt(np.maximum(worth - middle, 0) / 3).sum()
        low, high = (middle, high) if asked > budget else (low, middle)
    return np.sqrt(np.maximum(worth - low, 0) / 3)


def bound(scores, price, budget):
    return price * budget + np.exp(scores - price - 1).sum()


def cost(share):
    return 0.1 * share**2  # rises with the guarantee, as the market's does; 0.05 at 0.7071


def value_of_time(z, temperature, budget):
    return temperature * (np.log(np.exp(z / temperature).sum()) - np.log(budget) - 1)


def missing(penalty):
    return max(0.0, 1.2 - penalty)  # falls to nothing at the dearest floor's price


def gap_of(scores, budgets, floors, attention, prices):
    return budgets @ (scores + prices).max(axis=1) - prices @ floors - (scores * attention).sum()


def auditor(*rules, gap=gap_of):
    """Refuses by these rules only; all of them together are right."""
    kept = {
        "sign": lambda s, b, f, a, p: a.min() >= -1e-9,
        "spent": lambda s, b, f, a, p: abs(a.sum(axis=1) - b).max() <= 1e-9,
        "floors": lambda s, b, f, a, p: (a.sum(axis=0) >= f - 1e-9).all(),
        "prices": lambda s, b, f, a, p: p.min() >= 0,
    }
    return lambda *given: gap(*given) if all(kept[rule](*given) for rule in rules) else np.inf


RULES = ("sign", "spent", "floors", "prices")
EXERCISES = {
    "hand_allocation": (lambda c, a: c.hand_allocation(a), [0.6, 0.4, 0.0]),
    "crowding_temperature": (lambda c, a: c.crowding_temperature(a), 5.0),
    "water_filling": (lambda c, a: c.water_filling(a), water),
    "upper_bound": (lambda c, a: c.upper_bound(a), bound),
    "affordable_floor": (lambda c, a: c.affordable_floor(a, cost, most=0.05), 0.70),
    "nash_by_hand": (lambda c, a: c.nash_by_hand(a), [15 / 16, 3 / 4, 5 / 4]),
    "value_of_time": (lambda c, a: c.value_of_time(a), value_of_time),
    "smallest_penalty": (lambda c, a: c.smallest_penalty(a, missing), 1.22),
    "audit": (lambda c, a: c.audit(a), auditor(*RULES)),
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_right_answers_are_accepted(checks, exercise):
    check, answer = EXERCISES[exercise]
    verdict = check(checks, answer)
    assert verdict.outcome == "correct", verdict
    assert repr(verdict).startswith(f"Exercise {verdict.exercise}: correct.")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_empty_answers_are_not_attempted(checks, exercise):
    check, answer = EXERCISES[exercise]
    empty = (lambda *_: None) if callable(answer) else None
    assert check(checks, empty).outcome == "not attempted"


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("hand_allocation", [0.5, 0.5, 0.0], "the same number"),
        ("hand_allocation", [0.46, 0.38, 0.16], "the same number"),  # about the softmax
        ("hand_allocation", [0.7667, 0.5667, -0.3333], "can't be negative"),  # all three served
        ("hand_allocation", [1.0, 0.0, 0.0], "Too few"),
        ("hand_allocation", [1.2, 1.0, 0.1], "sum to"),
        ("hand_allocation", [0.6, 0.4], "Expected 3 numbers"),
        ("hand_allocation", "half each", "Expected 3 numbers"),
        ("hand_allocation", [np.nan, 0.4, 0.0], "not finite"),
        ("crowding_temperature", 1.0, "go higher"),
        ("crowding_temperature", 4.9, "go higher"),
        ("crowding_temperature", 5.1, "go lower"),
        ("crowding_temperature", -5.0, "above 0"),
        ("crowding_temperature", [5.0], "one finite number"),
        ("crowding_temperature", "five", "Expected a number"),
        ("water_filling", lambda w, r: np.sqrt(w / 3), "was to be spent"),  # no budget
        ("water_filling", lambda w, r: r * w / w.sum(), "Worth less marginal cost"),  # in proportion
        ("water_filling", lambda w, r: np.full_like(w, r / w.size), "Worth less marginal cost"),
        ("water_filling", lambda w, r: np.where(w == w.max(), r, 0.0), "more than the price gets nothing"),
        ("water_filling", lambda w, r: 10 * (w - w.mean()) + r / w.size, "negative"),  # no maximum with 0
        ("water_filling", lambda w, r: np.sqrt(w - w.mean()), "not finite"),
        ("water_filling", lambda w, r: water(w, r, steps=4), "search on"),
        ("water_filling", lambda w, r: water(w, r).sum(), "Expected"),
        ("upper_bound", lambda s, t, r: np.exp(s - t - 1).sum(), "count what the budget"),  # no t R
        (
            "upper_bound",
            lambda s, t, r: t + np.exp(s - t - 1).sum(),
            "count what the budget",
        ),  # R = 1
        ("upper_bound", lambda s, t, r: t * r + np.exp(s - t).sum(), "must touch"),  # the -1 lost
        ("upper_bound", lambda s, t, r: r * (np.log(np.exp(s).sum()) - np.log(r)), "from the price"),
        ("upper_bound", lambda s, t, r: 1e6, "must touch"),
        ("upper_bound", lambda s, t, r: s, "Expected one finite number"),
        ("affordable_floor", 0.72, "go lower"),
        ("affordable_floor", 0.5, "go higher"),
        ("affordable_floor", 0.0, "go higher"),
        ("affordable_floor", 1.5, "lies from 0"),
        ("affordable_floor", "half", "Expected a number"),
        ("nash_by_hand", [15 / 16, 15 / 4, 5 / 4], "same for both"),  # Xenia gets a quarter, as if there were one hour
        ("nash_by_hand", [1.0, 0.75, 1.25], "not w / e"),
        ("nash_by_hand", [0.75, 0.6, 1.0], "he doesn't care"),
        ("nash_by_hand", [-15 / 16, -3 / 4, -5 / 4], "above 0"),
        ("nash_by_hand", [0.75, 1.25], "Expected 3 numbers"),
        ("value_of_time", lambda z, t, r: t * np.log(np.exp(z / t).sum()), "two terms"),
        ("value_of_time", lambda z, t, r: value_of_time(z, t, 1.0), "two terms"),
        ("value_of_time", lambda z, t, r: t * (np.log(np.exp(z / t).sum()) - np.log(r)), "average unit"),
        ("value_of_time", lambda z, t, r: z, "Expected one finite number"),
        ("smallest_penalty", 1.0, "go higher"),
        ("smallest_penalty", 1.3, "go lower"),
        ("smallest_penalty", -1.0, "above 0"),
        ("smallest_penalty", "much", "Expected a number"),
        ("audit", auditor("spent", "floors", "prices"), "is negative"),
        ("audit", auditor("sign", "floors", "prices"), "more or less than the budget"),
        ("audit", auditor("sign", "spent", "prices"), "A floor is not kept"),
        ("audit", auditor("sign", "spent", "floors"), "bounds nothing under a floor"),
        ("audit", lambda *given: np.inf, "keeps all rules"),
        ("audit", auditor(*RULES, gap=lambda s, b, f, a, p: gap_of(s, b, 0 * f, a, p)), "what floors are paid"),
        ("audit", auditor(*RULES, gap=lambda s, b, f, a, p: np.nan), "Your gap is nan"),
        ("audit", lambda *given: "fine", "Expected one number"),
    ],
)
def test_wrong_answers_are_refused_with_a_hint(checks, exercise, answer, hint):
    with np.errstate(invalid="ignore"):
        verdict = EXERCISES[exercise][0](checks, answer)
    assert verdict.outcome == "not yet"
    assert hint in verdict.message
    assert verdict.message.endswith(".")


def test_every_exercise_of_the_notebook_is_tried_here(folder):
    source = "".join(path.read_text(encoding="utf-8") for path in (folder / "src").glob("*.py"))
    for exercise in EXERCISES:
        assert f"checks.{exercise}(" in source


def test_a_claim_is_data_and_text(checks, monkeypatch):
    seen = []
    monkeypatch.setattr("IPython.display.publish_display_data", seen.append)
    checks.claim("a-number", np.float64(0.25))
    checks.claim("a-text", "Volcano")
    checks.claim("a-truth", np.bool_(True))
    values = [each[checks.CLAIM_TYPE]["value"] for each in seen]
    assert values == [0.25, "Volcano", True]
    assert [type(value) for value in values] == [float, str, bool]
    assert seen[0]["text/plain"] == "[claim] a-number = 0.25"
