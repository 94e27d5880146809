"""What a controller sees of the streets: arrays padded to the largest junction, the same for every map.

j junctions, p phases, l lanes; an entry beyond a junction's own phases or lanes is masked and zero.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

NEAR = 50.0
"""Metres before the stop line that a camera at the junction sees; greedy control uses these."""
FAR = 200.0
"""Metres that detectors upstream see; max-pressure uses these."""
STANDING = 0.1
"""A vehicle slower than this, in m/s, is halting."""


class Layout(NamedTuple):
    """What does not change during a run.

    Attributes:
        junctions: the signals' names, j of them.
        lanes: for each junction the names of the lanes that it lets go.
        states: for each junction its green phases, as SUMO writes them.
        lane_mask: which lanes there are.
        phase_mask: which phases there are.
        green: whether a phase lets a lane go, at least to one side.
        protected: whether it does so with right of way.
        loses: [j, p, q]: whether going from phase p to phase q takes green from someone, and so needs yellow.
        plan: seconds of green that the net file's own program gives to each phase in one cycle.
        length: of each lane, in metres.
        speed_limit: of each lane, in m/s.
        links: [j, l, k]: whether vehicles go from lane l of junction j straight into a lane of junction k.
        decision: seconds between decisions.
        yellow: seconds of yellow at the front of a phase that is switched to.
    """

    junctions: tuple[str, ...]
    lanes: tuple[tuple[str, ...], ...]
    states: tuple[tuple[str, ...], ...]
    lane_mask: Bool[NDArray[np.bool_], "j l"]
    phase_mask: Bool[NDArray[np.bool_], "j p"]
    green: Bool[NDArray[np.bool_], "j p l"]
    protected: Bool[NDArray[np.bool_], "j p l"]
    loses: Bool[NDArray[np.bool_], "j p p"]
    plan: Float[NDArray[np.float64], "j p"]
    length: Float[NDArray[np.float64], "j l"]
    speed_limit: Float[NDArray[np.float64], "j l"]
    links: Bool[NDArray[np.bool_], "j l j"]
    decision: int
    yellow: int


class Observation(NamedTuple):
    """What is seen at a decision.

    Attributes:
        time: seconds since the run began.
        near: vehicles on each lane within 50 m of its stop line.
        far: vehicles within 200 m.
        halting: of those, how many stand.
        waiting: seconds that the vehicles within 200 m have stood since they last moved, summed.
        downstream: vehicles that stand on the lane behind the junction; the mean over a lane's links.
        phase: the green phase of each junction.
        age: seconds that it has been green.
        unserved: seconds since each phase was last green; 0 for the current one.
    """

    time: int
    near: Float[NDArray[np.float64], "j l"]
    far: Float[NDArray[np.float64], "j l"]
    halting: Float[NDArray[np.float64], "j l"]
    waiting: Float[NDArray[np.float64], "j l"]
    downstream: Float[NDArray[np.float64], "j l"]
    phase: Int[NDArray[np.int64], " j"]
    age: Int[NDArray[np.int64], " j"]
    unserved: Int[NDArray[np.int64], "j p"]
