"""From seconds per phase to what a signal shows at each moment: order, yellow, and what is skipped."""

from collections.abc import Sequence
from typing import NamedTuple

from attnjax.envs.sumo.signals import yellow_between


class Show(NamedTuple):
    """A state and how long it is shown.

    Attributes:
        state: as SUMO writes it.
        seconds: at least 1.
        phase: the green phase it belongs to; None while one gives way to the next.
    """

    state: str
    seconds: int
    phase: int | None


def timetable(states: Sequence[str], current: int, windows: Sequence[int], yellow: int) -> list[Show]:
    """What one junction shows in the next budget.

    Phases with a window follow one another in the program's order, from the current one on. A phase that is switched
    to gives the first seconds of its window to yellow; where nobody loses green, the phase before stays for that long.

    Args:
        states: the junction's green phases.
        current: the one that is green now.
        windows: whole seconds for each; the phases that get none are skipped.
        yellow: seconds that a switch takes.

    Returns:
        States in order; their seconds sum to that of the windows.

    Raises:
        ValueError: a phase is switched to for no longer than the yellow, or nothing is given to any.

    >>> [tuple(show) for show in timetable(["GGr", "rrG", "rGr"], current=0, windows=[4, 6, 0], yellow=3)]
    [('GGr', 4, 0), ('yyr', 3, None), ('rrG', 3, 1)]
    >>> [show.state for show in timetable(["GGr", "rrG", "rGr"], current=1, windows=[5, 0, 5], yellow=3)]
    ['rry', 'rGr', 'rGr', 'GGr']
    """
    if not any(windows):
        raise ValueError("no phase has a second of green")
    shown = []
    before = current
    for phase in [*range(current, len(states)), *range(current)]:
        seconds = int(windows[phase])
        if not seconds:
            continue
        if phase != before and yellow:
            if seconds <= yellow:
                raise ValueError(f"phase {phase} has {seconds} s, and {yellow} s of them are yellow")
            shown.append(Show(yellow_between(states[before], states[phase]) or states[before], yellow, None))
            seconds -= yellow
        shown.append(Show(states[phase], seconds, phase))
        before = phase
    return shown


def cycle(states: Sequence[str], windows: Sequence[int], yellow: int) -> list[Show]:
    """One turn of a plan that repeats itself: as `timetable`, with every phase switched to from the one before it.

    Args:
        states: the junction's green phases.
        windows: whole seconds for each.
        yellow: seconds that a switch takes.

    >>> [(show.state, show.seconds) for show in cycle(["Gr", "rG"], [10, 20], 3)]
    [('yr', 3), ('rG', 17), ('ry', 3), ('Gr', 7)]
    """
    first = next((phase for phase, seconds in enumerate(windows) if seconds), 0)
    alone = [seconds if phase == first else 0 for phase, seconds in enumerate(windows)]
    others = [0 if phase == first else seconds for phase, seconds in enumerate(windows)]
    if not any(others):
        return timetable(states, first, windows, yellow)
    shown = timetable(states, first, others, yellow)
    last = next(show.phase for show in reversed(shown) if show.phase is not None)
    return shown + timetable(states, last, alone, yellow)
