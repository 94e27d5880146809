"""Checks and figures of tutorial 04; what `checks.py` and `pictures.py` are to the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from checks import Verdict, _blank, _correct, _not_yet, _number, _vector
from matplotlib import rc_context
from numpy.typing import NDArray
from pictures import BLUE, GREEN, GREY, ORANGE, PINK, RED, STYLE, _canvas, _show

SHARES, SAYS = np.array([0.6, 0.3, 0.1]), np.array([1.0, 4.0, -2.0])


def deletions_by_hand(answer: Any) -> Verdict:
    """Exercise 1: what the read-out loses when each of three events is deleted."""
    if answer is None:
        return _blank(1, "Put three numbers where None stands.")
    lost, wrong = _vector(answer, SHARES.size)
    if wrong:
        return _not_yet(1, wrong)
    whole = SHARES @ SAYS
    left = [(whole - a * v) / (1 - a) for a, v in zip(SHARES, SAYS, strict=True)]
    if np.allclose(lost, SHARES * SAYS, atol=1e-3):
        return _not_yet(
            1, "That is attention times what is said. When an event is gone, the others share its attention."
        )
    if np.allclose(lost, left, atol=1e-3):
        return _not_yet(1, f"That is what is left, of a read-out of {whole:.3g}. Take it off.")
    if np.allclose(lost, left - whole, atol=1e-3):
        return _not_yet(1, "The other way round: a loss is what was there less what is left.")
    if not np.allclose(lost, whole - left, atol=1e-3):
        return _not_yet(
            1, f"The read-out is {whole:.3g}. Strike one event, divide the rest by what they sum to, read again."
        )
    return _correct(1, "The event that is read most is the one without which the read-out would be larger.")


def last_rows(function: Callable[..., Any]) -> Verdict:
    """Exercise 2: `function(user, moment, generator)` gives one row of each user's last moment, ties at random."""
    draw = np.random.default_rng(2)
    for trial in range(20):
        user = draw.permutation(np.repeat(np.arange(4), [1, 3, 5, 6]))
        moment = draw.integers(0, 3, user.size)
        chosen: set[int] = set()
        for seed in range(40):
            answer = function(user.copy(), moment.copy(), np.random.default_rng([trial, seed]))
            if answer is None:
                return _blank(2, "Let the function return rows.")
            rows = np.asarray(answer)
            if rows.ndim != 1 or rows.dtype.kind not in "iu" or not ((rows >= 0) & (rows < user.size)).all():
                return _not_yet(2, f"Expected numbers of rows, integers from 0 to {user.size - 1}.")
            if sorted(user[rows]) != [0, 1, 2, 3]:
                return _not_yet(2, f"One row of each of the users 0 to 3 was asked for; yours are of {user[rows]}.")
            for row in rows:
                if moment[row] < moment[user == user[row]].max():
                    return _not_yet(
                        2, f"Row {row} is not of its user's last moment: what is learned from lies after it."
                    )
            chosen |= set(rows.tolist())
        tied = {int(k) for k in range(user.size) if moment[k] == moment[user == user[k]].max()}
        if chosen != tied:
            return _not_yet(2, "Of several rows at the last moment some are never drawn: the file's order decides.")
    return _correct(2, "No row of the past is judged, and the file's order decides nothing.")


def deletion_area(function: Callable[..., Any]) -> Verdict:
    """Exercise 3: `function(value, attribution)` is the area under the deletion curve."""
    draw = np.random.default_rng(3)

    def area(value: Callable, order: NDArray) -> float:
        kept = np.ones(order.size, bool)
        path = [value(kept.copy())]
        for unit in order:
            kept[unit] = False
            path.append(value(kept.copy()))
        return float(np.mean((np.array(path)[1:] + np.array(path)[:-1]) / 2))

    for trial in range(30):
        units = 2 + trial % 5
        alone, pairs = draw.normal(size=units), draw.normal(size=(units, units))

        def value(kept: NDArray, alone: NDArray = alone, pairs: NDArray = pairs) -> float:
            return float(alone @ kept + kept @ pairs @ kept)

        attribution = draw.permutation(units) + draw.uniform(-0.3, 0.3, units)
        answer = function(value, attribution.copy())
        if answer is None:
            return _blank(3, "Let the function return the area.")
        found, wrong = _number(answer)
        if wrong:
            return _not_yet(3, wrong)
        order = np.argsort(-attribution)
        right = area(value, order)
        if abs(found - right) <= 1e-6 * max(1, abs(right)):
            continue
        others = {
            "That deletes the least important first, or inserts the most important.": area(value, order[::-1]),
            "That sums the curve; the share of what is deleted runs from 0 to 1, so take the mean.": units * right,
        }
        for hint, other in others.items():
            if abs(found - other) <= 1e-6 * max(1, abs(other)):
                return _not_yet(3, hint)
        return _not_yet(
            3,
            f"With {units} units your area is {found:.4f}, it should be {right:.4f}: the mean of the {units} trapezia "
            "between the output with everything and with nothing.",
        )
    return _correct(3, "30 functions, all areas right: you can now test an explanation that you did not make.")


def set_aside(function: Callable[..., Any]) -> Verdict:
    """Exercise 4: `function(before, even, floors)` is the smallest share to set aside that grants all floors."""
    draw = np.random.default_rng(4)
    for trial in range(40):
        creators = 1 + trial % 5
        floors = draw.uniform(0.5, 1.5, creators)
        before = floors * draw.uniform(0.1, 0.95 if trial % 3 else 1.6, creators)
        if trial % 8 == 0:
            before = floors * draw.uniform(1, 2, creators)
        even = floors * draw.uniform(1.05, 3, creators)
        answer = function(before.copy(), even.copy(), floors.copy())
        if answer is None:
            return _blank(4, "Let the function return the share.")
        share, wrong = _number(answer)
        if wrong or not 0 <= share <= 1:
            return _not_yet(
                4, wrong or f"A share lies from 0 to 1, yours is {share:.4g}: who has the floor already lacks nothing."
            )
        lacking = floors - ((1 - share) * before + share * even)
        if (lacking > 1e-9).any():
            return _not_yet(
                4,
                f"With a share of {share:.4g} a creator still lacks {lacking.max():.3g}: all count, not the mean.",
            )
        if share > 1e-6 and (floors - ((1 - share + 1e-6) * before + (share - 1e-6) * even) <= 1e-12).all():
            return _not_yet(4, f"A share a little below {share:.4g} grants all floors as well.")
    return _correct(4, "One number for all: the creator who is furthest behind decides it. Prices ask each apart.")


def training(measures: Sequence[float], levels: Mapping[str, float], later: NDArray, memory: NDArray) -> None:
    """Validation by epoch beside what is simpler; and how well an event is remembered, by how many came after it."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 3.7, [1.2, 1])
        epochs = np.arange(len(measures))
        left.plot(epochs, measures, "o-", color=BLUE, ms=4)
        for (name, level), colour in zip(levels.items(), (GREY, ORANGE), strict=True):
            left.axhline(level, color=colour, lw=1.6, ls=(0, (4, 3)))
            left.text(epochs[-1], level, name, color=colour, ha="right", va="bottom")
        left.text(1.2, measures[1], "user attention", color=BLUE, va="bottom")
        left.set(xlabel="epoch", ylabel="surprise at the next film, nats", xticks=epochs)
        left.set_title("Training, judged on films held out")
        right.axhline(1, color=GREY, lw=1.6, ls=(0, (4, 3)))
        right.text(later[-1], 1, "EASE: all alike", color=GREY, ha="right", va="bottom")
        right.plot(later, memory, color=BLUE)
        right.set(xscale="symlog", xlabel="events since", ylabel="weight in the links", ylim=(0, None))
        right.set_title("What is remembered")
    _show(
        figure,
        "04-training",
        "Left: the mean surprise at the held-out film falls over the epochs, from that of EASE, well below that of "
        "popularity. Right: the learned weight of an event by the number of events since: recent ones count more.",
    )


def choice(titles: Sequence[str], parts: Mapping[str, NDArray], film: str) -> None:
    """One user's last films, and what three explanations say of them; each scaled to its largest."""
    with rc_context({**STYLE, "font.size": 9.5}):
        figure, panels = _canvas(len(parts), 0.9 + 0.27 * len(titles), sharey=True)
        rows = np.arange(len(titles))
        for axes, (name, values), colour in zip(panels, parts.items(), (BLUE, GREEN, ORANGE, PINK), strict=True):
            axes.barh(rows, values / np.abs(values).max(), color=[colour if v >= 0 else RED for v in values])
            axes.axvline(0, color="#444444", lw=0.8)
            axes.set(xticks=[], title=name)
        panels[0].set_yticks(rows, titles)
        panels[0].invert_yaxis()
    _show(
        figure,
        "04-choice",
        f"The films that one user saw last, and how much each counts for {film} being on top, as told by "
        f"{', '.join(parts)}. They differ.",
    )


def deletion(panels: Mapping[str, Mapping[str, NDArray]], share: NDArray) -> None:
    """Mean deletion curves of several explanations, and of random orders, per output explained."""
    with rc_context(STYLE):
        figure, axes = _canvas(len(panels), 3.9)
        colours = {"attention": BLUE, "links": GREEN, "occlusion": ORANGE, "recency": PINK, "random": GREY}
        for axis, (title, curves) in zip(axes, panels.items(), strict=True):
            for k, (name, curve) in enumerate(curves.items()):
                axis.plot(share, curve, color=colours[name], ls=(0, (4, 3)) if name == "random" else "-")
                axis.text(0.04, 0.04 + 0.08 * k, name, color=colours[name], transform=axis.transAxes)
            axis.set(xlabel="share of events deleted, most important first", title=title, xlim=(0, 1))
        axes[0].set_ylabel("change of the film's score, nats")
    _show(
        figure,
        "04-deletion",
        "Deletion curves: the mean change of the score of the film on top when a user's last events are deleted in the "
        "order of attention, of links, of occlusion, and at random; on the left for the whole score, on the right for "
        "the encoder's part of it alone.",
    )
