"""Signals as SUMO writes them, one letter per link: which phases are green, and what lies between two of them.

A link's letter is `G` (green, with right of way), `g` (green, but gives way), `y` (yellow), `r` (red), `s` (stop, then
go where free). Between phase p and phase q a link that loses its green is yellow, and all others stay as they were.

Source: Ault and Sharon (2021), §4; SUMO's documentation of traffic lights.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from attnjax.data.road_networks import GREEN, is_choice


def green_phases(states: Sequence[str]) -> list[str]:
    """The phases a controller chooses from (`attnjax.data.road_networks.is_choice`), each once.

    Args:
        states: a program's states, in its order.

    >>> green_phases(["GGrr", "yyrr", "rrGg", "rryy", "GGrr", "rrrr"])
    ['GGrr', 'rrGg']
    """
    return [state for state in dict.fromkeys(states) if is_choice(state)]


def yellow_between(before: str, after: str) -> str | None:
    """The state between two phases, or None where no link loses its green.

    Args:
        before: the state that ends.
        after: the state that follows.

    >>> yellow_between("GGgrr", "rGrGG")
    'yGyrr'
    >>> yellow_between("rrGG", "GGGG") is None
    True
    """
    if len(before) != len(after):
        raise ValueError(f"states of {len(before)} and {len(after)} links")
    loses = [one in GREEN and other in "rs" for one, other in zip(before, after, strict=True)]
    if not any(loses):
        return None
    return "".join("y" if lost else letter for lost, letter in zip(loses, before, strict=True))


def lanes_served(
    states: Sequence[str], lane_of_link: Sequence[int], lanes: int
) -> tuple[Bool[NDArray[np.bool_], "p l"], Bool[NDArray[np.bool_], "p l"]]:
    """Which phase lets which lane go: at least one of its links, and with right of way.

    Args:
        states: p green phases.
        lane_of_link: for each link the number of the lane it leaves, or -1 for a link without one.
        lanes: how many lanes there are.

    Returns:
        Two tables: green of any kind, and green with right of way.

    >>> green, protected = lanes_served(["Ggr", "rrG"], [0, 1, 1], lanes=2)
    >>> green.tolist(), protected.tolist()
    ([[True, True], [False, True]], [[True, False], [False, True]])
    """
    green = np.zeros((len(states), lanes), bool)
    protected = np.zeros_like(green)
    for phase, state in enumerate(states):
        for lane, letter in zip(lane_of_link, state, strict=True):
            if lane >= 0:
                green[phase, lane] |= letter in GREEN
                protected[phase, lane] |= letter == "G"
    return green, protected
