"""Controllers for `run_episodes`: each runs a simulation to its end by the rules of `attnjax.envs.signal_controllers`.

They are frozen dataclasses of numbers, so that they can be sent to another process.
"""

import abc
import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnjax.envs.signal_controllers import (
    LEAST_GREEN,
    greedy_phase,
    max_pressure_phase,
    phase_scores,
    proportional_shares,
    sparse_shares,
    starved,
    windows_of,
)
from attnjax.envs.sumo.observation import Layout, Observation
from attnjax.envs.sumo.simulation import Simulation


@dataclasses.dataclass(frozen=True)
class NetPlan:
    """The plan that the net file brings along: fixed phases, yellow and offsets."""

    def __call__(self, simulation: Simulation) -> None:
        """Leaves the signals alone."""
        simulation.run_program()


@dataclasses.dataclass(frozen=True)
class Actuated:
    """SUMO's own actuated control: a phase goes on, between 5 and 50 s, while vehicles pass its detectors."""

    def __call__(self, simulation: Simulation) -> None:
        """Changes the net file's programs to actuated ones."""
        simulation.run_program(actuated=True)


@dataclasses.dataclass(frozen=True)
class FixedPlan:
    """A plan that repeats itself at every junction.

    Attributes:
        windows: for each junction the whole seconds of each phase, yellow included.
    """

    windows: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, windows: NDArray[np.integer]) -> "FixedPlan":
        """From an array (j, p)."""
        return cls(tuple(tuple(int(seconds) for seconds in row) for row in windows))

    def __call__(self, simulation: Simulation) -> None:
        """Writes the plan into the signals."""
        simulation.run_program(np.array(self.windows))


class Rolling(abc.ABC):
    """A controller that decides anew for every budget."""

    @abc.abstractmethod
    def windows(self, layout: Layout, seen: Observation) -> Any:
        """Whole seconds (j, p) for the next budget."""

    def __call__(self, simulation: Simulation) -> None:
        """Observes and acts until the end."""
        while not simulation.done:
            simulation.act(self.windows(simulation.layout, simulation.observe()))


def _all_to(phase: Any, layout: Layout) -> Any:
    """RESCO's action: the whole budget to one phase."""
    return layout.decision * np.eye(layout.phase_mask.shape[1], dtype=int)[phase]


@dataclasses.dataclass(frozen=True)
class Greedy(Rolling):
    """The phase with the most vehicles within 50 m, at every decision.

    Attributes:
        cap: seconds after which a lane on which someone waits is served first; infinite as RESCO measures it.
    """

    cap: float = np.inf

    def windows(self, layout: Layout, seen: Observation) -> Any:
        """All to one phase."""
        chosen = greedy_phase(seen.near, layout.green, layout.phase_mask)
        return _all_to(_starved_first(self.cap, layout, seen, chosen), layout)


@dataclasses.dataclass(frozen=True)
class MaxPressure(Rolling):
    """The phase with the highest pressure, at every decision.

    Attributes:
        cap: as for `Greedy`.
    """

    cap: float = np.inf

    def windows(self, layout: Layout, seen: Observation) -> Any:
        """All to one phase."""
        chosen = max_pressure_phase(seen.queue, seen.downstream, layout.green, layout.phase_mask)
        return _all_to(_starved_first(self.cap, layout, seen, chosen), layout)


def _starved(cap: float, layout: Layout, seen: Observation) -> Any:
    return starved(seen.red, seen.longest, seen.far, layout.green, layout.protected, cap)


def _starved_first(cap: float, layout: Layout, seen: Observation, chosen: Any) -> Any:
    """The chosen phases, but for junctions where someone has waited for too long."""
    late = _starved(cap, layout, seen)
    return np.where(late.any(axis=1), late.argmax(axis=1), chosen)


@dataclasses.dataclass(frozen=True)
class CyclicShares(Rolling):
    """All phases in turn, each with a share of the cycle in proportion to the vehicles it lets go.

    Attributes:
        cycle: T, in seconds.
        least: seconds of green for each phase at least; a junction whose phases don't fit in T leaves out the emptiest.
    """

    cycle: int = 60
    least: int = LEAST_GREEN

    def windows(self, layout: Layout, seen: Observation) -> Any:
        """Every phase gets its share, and what it needs at least."""
        shares = proportional_shares(phase_scores(layout.green, seen.far), layout.phase_mask)
        return windows_of(
            shares, self.cycle, seen.phase, seen.age, layout.yellow, least=self.least, must=layout.phase_mask
        )


@dataclasses.dataclass(frozen=True)
class SparseShares(Rolling):
    """Shares of a short budget by sparsemax of the vehicles that each phase lets go, those that stand counting more.

        s_p = sum_l m_pl (n_l + age h_l)        n_l: vehicles within 50 m,  h_l: seconds they have stood, summed

    Attributes:
        budget: T, in seconds; two phases share it only where each gets its yellow and its least green.
        temperature: in vehicles; smaller is greedier.
        age: vehicles that a vehicle counts more for each second it has stood.
        least: seconds of green at least.
        cap: seconds after which a lane on which someone waits is served.
    """

    budget: int = 13
    temperature: float = 1.0
    age: float = 0.03
    least: int = LEAST_GREEN
    cap: float = 120.0

    def windows(self, layout: Layout, seen: Observation) -> Any:
        """Some phases get a share, the others nothing."""
        scores = phase_scores(layout.green, seen.near + self.age * seen.waiting)
        return windows_of(
            np.asarray(sparse_shares(scores, layout.phase_mask, self.temperature), float),
            self.budget,
            seen.phase,
            seen.age,
            layout.yellow,
            least=self.least,
            must=_starved(self.cap, layout, seen),
        )
