"""Checks and figures of tutorial 03; what `checks.py` and `pictures.py` are to the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from checks import Verdict, _blank, _correct, _not_yet, _number, _vector
from matplotlib import colormaps, rc_context
from matplotlib.patches import Wedge
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from pictures import BLUE, GREEN, GREY, ORANGE, PINK, RED, STYLE, _canvas, _show

RULES = {"mean": RED, "MGDA": ORANGE, "PCGrad": PINK, "UPGrad": BLUE}
WAYS = {"a weight": RED, "Nash": ORANGE, "alpha 8": GREEN, "a constraint": BLUE}


def weight_by_hand(answer: Any) -> Verdict:
    """Exercise 1: weight, losses and rate at x = 1/2 where users lose x^2 and Yuri 2 (1 - x)^2."""
    if answer is None:
        return _blank(1, "Put four numbers where None stands.")
    given, wrong = _vector(answer, 4)
    if wrong:
        return _not_yet(1, wrong)
    weight, users, yuri, rate = given
    if not 0 < weight < 1:
        return _not_yet(1, "A weight lies between 0 and 1.")
    best = 2 * (1 - weight) / (weight + 2 * (1 - weight))
    if abs(best - 0.5) > 1e-6:
        return _not_yet(1, f"With the weight {weight:.4g} the weighted sum is least at x = {best:.4g}, not at 1/2.")
    if abs(users - 0.25) > 1e-6 or abs(yuri - 0.5) > 1e-6:
        return _not_yet(1, "The losses at x = 1/2 are other numbers: put x into both formulas.")
    if abs(rate - weight / (1 - weight)) > 1e-6:
        return _not_yet(1, "The rate is the slope of the front, and the weight knows it: what balances at the optimum?")
    return _correct(1, "A weight of 2/3 says that two units of Yuri's loss are worth one of users'.")


def weights_for_a_point(function: Callable[..., Any]) -> Verdict:
    """Exercise 2: `function(point, ideal)` gives the weights with which Tchebycheff chooses the point of a front."""
    generator = np.random.default_rng(8)
    for trial in range(40):
        count = 2 + trial % 3
        # The front is where sum_i t_i^p = 1 for t = f - z over its range: bent inwards, straight or bent outwards.
        power, span = (0.5, 1.0, 2.0)[trial // 3 % 3], generator.uniform(0.5, 3, count)
        ideal = generator.normal(size=count)
        points = ideal + span * generator.dirichlet(np.ones(count), 400) ** (1 / power)
        point = points[0]
        answer = function(point.copy(), ideal.copy())
        if answer is None:
            return _blank(2, "Let the function return the weights.")
        weights, wrong = _vector(answer, count)
        if wrong:
            return _not_yet(2, wrong)
        if (weights <= 0).any() or abs(weights.sum() - 1) > 1e-9:
            return _not_yet(2, "Weights on the simplex are above 0 and sum to 1: divide them by their sum.")
        worst = (weights * (points - ideal)).max(axis=1)
        if worst.min() < worst[0] * (1 - 1e-9):
            return _not_yet(
                2,
                f"With losses {point.round(2).tolist()} above the ideal {ideal.round(2).tolist()} your weights choose "
                f"{points[worst.argmin()].round(2).tolist()}. Which loss may fall without the worst one rising?",
            )
    return _correct(2, "40 fronts, bent either way: at the point all weighted losses are equal, so nothing is better.")


def shortest_vector(function: Callable[..., Any]) -> Verdict:
    """Exercise 3: `function(first, second)` is the shortest vector on the segment between two gradients."""
    generator = np.random.default_rng(9)
    for trial in range(60):
        first, second = generator.normal(size=(2, 2 + trial % 4)) * np.array([[10.0 ** (trial % 3)], [1.0]])
        if trial % 5 == 4:
            second = 0.3 * first  # the shorter one itself, and not the foot of the perpendicular
        answer = function(first.copy(), second.copy())
        if answer is None:
            return _blank(3, "Let the function return the direction.")
        direction, wrong = _vector(answer, first.size)
        if wrong:
            return _not_yet(3, wrong)
        size = float(direction @ direction)
        # The shortest vector d of a convex set: <g, d> is at least <d, d> for each g of it, and d belongs to it.
        apart = first - second
        along = float((direction - second) @ apart / (apart @ apart))
        off = np.linalg.norm(second + np.clip(along, 0, 1) * apart - direction)
        if off > 1e-6 * (1 + np.linalg.norm(first)):
            return _not_yet(3, "Your direction is not on the segment between the two: its ends are the gradients.")
        if min(first @ direction, second @ direction) < size - 1e-6 * (1 + size):
            return _not_yet(
                3,
                f"For {first.round(2).tolist()} and {second.round(2).tolist()} there is a shorter one on the segment "
                f"than yours, of length {size**0.5:.4g}.",
            )
    return _correct(3, "60 pairs: no direction on the segment is shorter, and it hurts neither.")


def promised_share(answer: Any, share: Callable[[float], float], wanted: float, within: float = 0.01) -> Verdict:
    """Exercise 4: the weight at which the `share` is the one wanted."""
    if answer is None:
        return _blank(4, "Put a weight, in stars per unit of exposure, where None stands.")
    weight, wrong = _number(answer)
    if wrong:
        return _not_yet(4, wrong)
    got = share(weight)
    if abs(got - wanted) > within:
        way = "lower" if got > wanted else "higher"
        return _not_yet(4, f"With the weight {weight:.4g} the others get {got:.3f} of all attention: go {way}.")
    return _correct(4, f"The others get {got:.3f} of all attention. It is the price of the constraint.")


def two_fronts(curves: Sequence[NDArray], sums: Sequence[NDArray], worst: Sequence[NDArray]) -> None:
    """A front that bends inwards and one that bends outwards, and what two scalarisers find of each."""
    with rc_context(STYLE):
        figure, axes = _canvas(2, 4.2)
        titles = "An evening: every weight finds its point", "Half a series: a sum finds the ends"
        for axis, title, curve, by_sum, by_worst in zip(axes, titles, curves, sums, worst, strict=True):
            axis.plot(*curve, color="#AAAAAA")
            axis.plot(*by_worst.T, "s", color=BLUE, ms=7)
            axis.plot(*by_sum.T, "o", color=RED, ms=11, mfc="none", mew=2)
            axis.set(title=title, aspect="equal", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
        left, right = axes
        left.set(xlabel="loss of users", ylabel="loss of Yuri")
        right.set(xlabel="loss of Xenia", ylabel="loss of Yuri")
        left.text(0.35, 0.9, "○ weighted sum", color=RED, transform=left.transAxes)
        left.text(0.35, 0.82, "■ Tchebycheff", color=BLUE, transform=left.transAxes)
        right.plot([0, 1], [1, 0], color=GREEN, lw=1.6, ls=(0, (4, 3)))
        right.text(0.42, 0.42, "a coin, on average", color=GREEN, rotation=-45, ha="center", va="center")
        right.text(0.76, 0.8, "half each", color=BLUE, ha="left")
    _show(
        figure,
        "03-two-fronts",
        "Left: a front that bends towards the origin; the weighted sum and Tchebycheff both find points all along it. "
        "Right: a front that bends away from the origin; the weighted sum finds its two ends only, Tchebycheff finds "
        "points all along it, and a dashed straight line between the ends, a coin's average, lies below it.",
    )


def gradients_and_walks(
    gradients: NDArray,
    directions: Mapping[str, NDArray],
    walks: Mapping[str, NDArray],
    stationary: NDArray,
    bottoms: NDArray,
) -> None:
    """Two gradients with the cone that is good for both and what rules make of them; and where the rules walk."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 4.4, [1, 1.25])
        angles = np.degrees(np.arctan2(gradients[:, 1], gradients[:, 0]))
        left.add_patch(Wedge((0, 0), 9, angles[1] - 90, angles[0] + 90, color=GREEN, alpha=0.12, lw=0))
        left.text(1.35, 2.75, "good for both", color=GREEN, ha="center")
        for name, arrow in zip(("$g_1$", "$g_2$"), gradients, strict=True):
            left.annotate("", arrow, (0, 0), arrowprops={"arrowstyle": "-|>", "color": "#222222", "lw": 2})
            left.text(*(arrow + np.array([-0.1, 0.14])), name, ha="right", va="bottom")
        for name, arrow in directions.items():
            left.annotate("", arrow, (0, 0), arrowprops={"arrowstyle": "-|>", "color": RULES[name], "lw": 2})
            side = -1 if name == "MGDA" else 1  # off UPGrad's arrow
            left.text(
                arrow[0] + 0.08 * side, arrow[1], name, color=RULES[name], va="center", ha=("left", "right")[side < 0]
            )
        left.set(xlim=(-1.4, 3.2), ylim=(-0.6, 3.1), aspect="equal", title="Two gradients in conflict")
        right.plot(*stationary.T, color="#BBBBBB", lw=6, solid_capstyle="round", zorder=0)
        for name, paths in walks.items():
            for path in paths:
                right.plot(*path.T, color=RULES[name], lw=1.8)
                right.plot(*path[-1], "o", color=RULES[name], ms=7, mec="white", zorder=4)
        for start in next(iter(walks.values()))[:, 0]:
            right.plot(*start, "k+", ms=10, mew=2)
        for name, bottom in zip(("steep", "shallow"), bottoms, strict=True):
            right.plot(*bottom, "x", color="#222222", ms=8, mew=2)
            right.annotate(f"{name} bowl", bottom, xytext=(6, -14), textcoords="offset points", color="#222222")
        for k, name in enumerate(walks):
            right.text(0.02, 0.97 - 0.07 * k, name, color=RULES[name], transform=right.transAxes, va="top")
        right.set(aspect="equal", xlim=(-2.1, 2.0), ylim=(-0.95, 2.25), title="Walking down two bowls, from +")
    _show(
        figure,
        "03-gradients-and-walks",
        "Left: two gradients at an obtuse angle, the shaded cone of directions good for both, and four directions: "
        "MGDA, PCGrad and UPGrad lie in it, the mean does not. Right: walks from three starts over two bowls. All end "
        "on a grey curve between the bottoms; the mean's end at one point, the others' where they first meet it.",
    )


def three_parties(front: NDArray, before: NDArray, after: Mapping[str, NDArray], equal: NDArray) -> None:
    """The exact front of three parties from two sides, and where training begins and ends; rows are points."""
    names = ("users: stars each", "creators: Nash welfare each", "platform: income each")
    with rc_context(STYLE):
        figure, axes = _canvas(2, 4.5)
        for axis, (x, y, shade) in zip(axes, ((0, 1, 2), (0, 2, 1)), strict=True):
            dots = axis.scatter(front[:, x], front[:, y], c=front[:, shade], cmap=colormaps["cividis"], s=46, lw=0)
            figure.colorbar(dots, ax=axis, location="top", shrink=0.7, label=names[shade], ticks=MaxNLocator(5))
            axis.plot(before[:, x], before[:, y], "+", color=GREY, ms=9, mew=2)
            for name, points in after.items():
                axis.plot(points[:, x], points[:, y], "D", color=RULES[name], ms=7, mec="white")
            axis.plot(equal[x], equal[y], "o", color="#222222", ms=15, mfc="none", mew=1.6)
            axis.set(xlabel=names[x], ylabel=names[y])
        for k, (name, colour) in enumerate(
            (("+ starts of training", GREY), *((f"◆ {name}", RULES[name]) for name in after))
        ):
            axes[0].text(0.03, 0.4 - 0.075 * k, name, color=colour, transform=axes[0].transAxes)
        axes[0].text(0.03, 0.4 - 0.075 * (len(after) + 1), "○ equal weights", transform=axes[0].transAxes)
    _show(
        figure,
        "03-three-parties",
        "Two views of one front: creators and then the platform against users, 66 certified points coloured by the "
        "third party. What users gain the others lose. Training runs start far below; the mean's end on the point of "
        "equal weights, those of UPGrad in different places.",
    )


def prices_and_quantities(
    ages: NDArray, shares: Mapping[str, NDArray], costs: Mapping[str, NDArray], alone: NDArray
) -> None:
    """The others' share and what users pay for it, by each way of asking; entry 0 is today's crowd, the rest by age."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 4.0)
        left.plot(ages[1:], alone[1:], color=GREY, lw=1.4, ls=(0, (4, 3)))
        left.text(ages[-1] + 0.6, alone[-1], "left alone", color=GREY, va="center")
        for name, share in shares.items():
            left.plot(ages[1:], share[1:], color=WAYS[name])
            right.plot(ages[1:], costs[name][1:], color=WAYS[name])
        for k, name in enumerate(shares):
            right.text(0.98, 0.95 - 0.08 * k, name, color=WAYS[name], ha="right", va="top", transform=right.transAxes)
        for axis, today in ((left, shares), (right, costs)):
            axis.plot(ages[0], today["a weight"][0], "*", color="#222222", ms=16, mec="white", zorder=5)
            axis.set(xlabel="mean age of the crowd", xlim=(None, ages[1:].max() + 9))
        left.set(ylabel="the others' share of all attention", title="★ today. What is kept of the share")
        right.set(ylabel="cost to users, stars each", title="What it costs", ylim=(0, None))
    _show(
        figure,
        "03-prices-and-quantities",
        "Left: the others' share against the mean age of a crowd. Left alone it rises with age, not evenly; under a "
        "weight it runs parallel above, under Nash and alpha 8 ever flatter, under the constraint flat at a half. "
        "Right: what users pay; under the weight nearly the same for all, under the constraint most by the youngest.",
    )
