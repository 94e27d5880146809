"""Checks and figures of tutorial 06; what `checks.py` and `pictures.py` are to the others."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from checks import Verdict, _blank, _correct, _not_yet, _number, _vector
from matplotlib import rc_context
from numpy.typing import NDArray
from pictures import BLUE, GREEN, GREY, ORANGE, RED, STYLE, _canvas, _show, _steps

STRICTNESS, NUMBERS = np.array([2.0, 1.0]), np.array([0.0, 3.0])
COLOURS = {"train on everybody": GREY, "pretraining": GREY, "first-order MAML": BLUE, "first-order": BLUE}


def rate_by_hand(answer: Any) -> Verdict:
    """Exercise 1: the rate at which the first task forgets its start, and MAML's start with that rate."""
    if answer is None:
        return _blank(1, "Put [rate, start] where None stands.")
    given, wrong = _vector(answer, 2)
    if wrong:
        return _not_yet(1, wrong)
    rate, start = given
    kept = 1 - rate * STRICTNESS
    if abs(kept[0]) > 1e-6:
        return _not_yet(1, f"With the rate {rate:.4g} the strict one still keeps {kept[0]:.3g} of the start.")
    if abs(np.sum(STRICTNESS * kept**2 * (start - NUMBERS))) > 1e-6:
        return _not_yet(1, "At your start the loss after the step still has a slope: whose weight is left?")
    return _correct(1, "Whoever comes home in one step has no say in where to start.")


def meta_gradient(function: Callable[..., Any]) -> Verdict:
    """Exercise 2: `function(theta, h, c, rate, steps)` is the exact meta-gradient of quadratics."""
    draw = np.random.default_rng(6)
    for trial in range(40):
        count, steps = 1 + trial % 4, trial % 5
        h, c = draw.uniform(0.2, 3, count), draw.normal(size=count)
        theta, rate = float(draw.normal()), float(draw.uniform(0.05, 0.6))
        answer = function(theta, h.copy(), c.copy(), rate, steps)
        if answer is None:
            return _blank(2, "Let the function return the derivative.")
        got, wrong = _number(answer)
        if wrong:
            return _not_yet(2, wrong)

        def after(start: float, h: NDArray = h, c: NDArray = c, rate: float = rate, steps: int = steps) -> float:
            phi = np.full(h.shape, start)
            for _ in range(steps):
                phi = phi - rate * h * (phi - c)
            return float(np.mean(h / 2 * (phi - c) ** 2))

        true = (after(theta + 1e-4) - after(theta - 1e-4)) / 2e-4
        if abs(got - true) > 1e-5 * (1 + abs(true)):
            first_order = np.mean(h * (1 - rate * h) ** steps * (theta - c))
            if abs(got - first_order) < 1e-6 and steps:
                return _not_yet(2, "That is first-order: the chain rule has one factor more for each step.")
            return _not_yet(2, f"With {count} tasks and {steps} steps differences give {true:.5g}, you {got:.5g}.")
    return _correct(2, "40 random problems agree with finite differences.")


def safe_rate(function: Callable[..., Any]) -> Verdict:
    """Exercise 3: `function(matrices)` is the largest rate with which descent diverges on none of the quadratics."""
    draw = np.random.default_rng(7)
    for trial in range(30):
        size = 1 + trial % 4
        roots = draw.normal(size=(3, size, size + 2))
        matrices = roots @ np.swapaxes(roots, 1, 2)
        answer = function(matrices.copy())
        if answer is None:
            return _blank(3, "Let the function return a rate.")
        rate, wrong = _number(answer)
        if wrong or rate <= 0:
            return _not_yet(3, wrong or "A rate is above 0.")

        def grows(rate: float, matrices: NDArray = matrices, size: int = size) -> bool:
            return bool(max(np.abs(np.linalg.eigvals(np.eye(size) - rate * one)).max() for one in matrices) > 1)

        if grows(0.999 * rate):
            return _not_yet(3, f"A little below {rate:.4g} one of the tasks still diverges: look at steep directions.")
        if not grows(1.001 * rate):
            return _not_yet(3, f"A little above {rate:.4g} all tasks still converge: it could be larger.")
    return _correct(3, "2 over the largest curvature of any task: the steepest decides for all.")


def bandit_rule(function: Callable[..., Any], pulls: int, best: float, wanted: float = 0.999) -> Verdict:
    """Exercise 4: `function(paid, failed, left)` earns at least this share of the optimum on two uniform arms."""
    if function((0, 0), (0, 0), pulls) is None:
        return _blank(4, "Let the function return 0 or 1.")
    worth = exactly_earned(function, pulls)
    if worth is None:
        return _not_yet(4, "An arm is 0 or 1, a whole number.")
    if worth < wanted * best:
        hint = "at random it would be " + f"{pulls / 2:.3g}" if worth < 0.9 * best else "explore while pulls are left"
        return _not_yet(4, f"It earns {worth:.4f}, {100 * worth / best:.2f} % of {best:.4f}: {hint}.")
    return _correct(4, f"It earns {worth:.4f}, {100 * worth / best:.2f} % of the optimum.")


def exactly_earned(function: Callable[..., Any], pulls: int) -> float | None:
    """The expected reward of a rule for two arms, over all that can happen; None if it names another arm."""

    @cache
    def value(paid: tuple[int, int], failed: tuple[int, int]) -> float:
        left = pulls - sum(paid) - sum(failed)
        if left == 0:
            return 0.0
        arm = function(paid, failed, left)
        if arm not in (0, 1):
            return np.nan
        arm = int(arm)
        chance = (1 + paid[arm]) / (2 + paid[arm] + failed[arm])
        won = (paid[0] + (arm == 0), paid[1] + (arm == 1))
        lost = (failed[0] + (arm == 0), failed[1] + (arm == 1))
        return chance * (1 + value(won, failed)) + (1 - chance) * value(paid, lost)

    worth = value((0, 0), (0, 0))
    return None if np.isnan(worth) else float(worth)


def starts(theta: NDArray, after: Mapping[int, NDArray], found: Mapping[str, float]) -> None:
    """The mean loss against the start, before steps and after some; and the three starts."""
    with rc_context(STYLE):
        figure, axis = _canvas(1, 3.8)
        for (steps, losses), colour in zip(after.items(), _steps(len(after) + 1)[:-1], strict=True):  # no pale one
            axis.plot(theta, losses, color=colour)
            label = "no step" if steps == 0 else f"after {steps} step{'s' * (steps > 1)}"
            axis.text(theta[-1] + 0.03, losses[-1], label, color=colour, va="center")
            axis.plot(theta[losses.argmin()], losses.min(), "o", color=colour)
        for name, start in found.items():
            colour = COLOURS.get(name, GREEN)
            axis.axvline(start, color=colour, lw=1, ls="--")
            axis.text(start - 0.03, axis.get_ylim()[1], name, color=colour, rotation=90, ha="right", va="top")
        axis.set(xlabel="where to start", ylabel="mean loss of the two", xlim=(theta[0], theta[-1] + 0.5))
    _show(
        figure,
        "06-starts",
        "Mean loss of two tasks against the start, without a step and after one and three: the more steps, the "
        "flatter, and the lowest point moves from 1 towards the lenient task's 3. Lines mark the three starts.",
    )


def adapting(means: Mapping[str, NDArray]) -> None:
    """Error against steps of adaptation, from three starts."""
    with rc_context(STYLE):
        figure, axis = _canvas(1, 3.6)
        for name, errors in means.items():
            colour = COLOURS.get(name, GREEN)
            axis.plot(errors, "-o", ms=4, color=colour)
            axis.text(len(errors) - 0.8, errors[-1], name, color=colour, va="center")
        axis.set(xlabel="steps of adaptation", ylabel="mean squared error", ylim=(0, None), xlim=(-0.2, 12.5))
    _show(
        figure,
        "06-adapting",
        "Mean squared error on new curves against steps of adaptation: all three starts begin near 3; exact MAML falls "
        "most with the first step, first-order a little less, pretraining hardly.",
    )


def curve(
    x: NDArray,
    drawn: Mapping[tuple[str, int], NDArray],
    x_seen: NDArray,
    y_seen: NDArray,
    x_new: NDArray,
    y_new: NDArray,
) -> None:
    """One curve, and two networks before and after one step on ten of its points."""
    with rc_context(STYLE):
        figure, axes = _canvas(2, 3.6, sharey=True)
        for axis, name in zip(axes, ("pretraining", "exact"), strict=True):
            axis.plot(x_new, y_new, ".", color="#BBBBBB", ms=4)
            axis.plot(x_seen, y_seen, "o", color=ORANGE, ms=7)
            axis.plot(x, drawn[name, 0], color=GREY, ls="--")
            axis.plot(x, drawn[name, 1], color=COLOURS.get(name, GREEN))
            axis.set(xlabel="x", title=f"{name}: before (dashed) and after one step")
        axes[0].set(ylabel="y")
    _show(
        figure,
        "06-curve",
        "Ten points of a steep sinusoid and two networks. One step moves the pretrained network hardly at all, and the "
        "meta-trained one most of the way to the curve.",
    )


def explorer(rewards: NDArray, best: float, chance: float, right: NDArray, habit: Mapping[str, NDArray]) -> None:
    """Learning over trials, learning within a trial, and the habits behind it."""
    with rc_context(STYLE):
        figure, (left, middle, last) = _canvas(3, 3.4)
        left.plot(np.arange(len(rewards)), rewards, color=GREEN, lw=0.6, alpha=0.5)
        smooth = rewards[: len(rewards) // 5 * 5].reshape(-1, 5).mean(axis=1)
        left.plot(5 * np.arange(len(smooth)) + 2, smooth, color=GREEN)
        for level, name, place in ((best, "the best there can be", "bottom"), (chance, "at random", "top")):
            left.axhline(level, color=GREY, lw=1, ls="--")
            left.text(len(rewards), level + (0.3 if place == "bottom" else 0), name, color=GREY, ha="right", va=place)
        left.set(xlabel="updates of the weights", ylabel="reward of a trial", title="Over trials")
        left.set(ylim=(None, best + 0.5))
        pulls = np.arange(1, len(right) + 1)
        middle.plot(pulls, right, "-o", ms=4, color=GREEN)
        middle.set(xlabel="pull", ylabel="share who pull the better arm", ylim=(0.4, 1), title="Within a trial")
        for (name, share), colour, place in zip(habit.items(), (BLUE, RED), (1.04, 0.12), strict=True):
            last.plot(pulls[1:], share, "-o", ms=4, color=colour)
            last.text(pulls[-1], place, name, color=colour, ha="right")
        last.set(xlabel="pull", ylabel="share who stay", ylim=(0, 1.1), title="Habits")
    _show(
        figure,
        "06-explorer",
        "Left: the reward of a trial rises with updates from chance to near the optimum. Middle: within a trial the "
        "share who pull the better arm rises from a half. Right: it stays after a coin, and often leaves after "
        "nothing.",
    )
