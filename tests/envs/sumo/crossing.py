"""The project's own small network as a scenario, and controllers that fail, importable in child processes."""

import dataclasses
import os
from pathlib import Path

from attnjax.envs.sumo import Scenario, Simulation

FILES = Path(__file__).parents[2] / "data" / "road_networks"
NET, ROUTES = FILES / "crossing.net.xml", FILES / "crossing.rou.xml"


def crossing(end: int = 600, **settings: int) -> Scenario:
    return Scenario("crossing", str(NET), str(ROUTES), 0, end, **settings)


@dataclasses.dataclass(frozen=True)
class Stumbles:
    def __call__(self, simulation: Simulation) -> None:
        raise KeyError("no such junction")


@dataclasses.dataclass(frozen=True)
class Dies:
    def __call__(self, simulation: Simulation) -> None:
        os._exit(3)


@dataclasses.dataclass(frozen=True)
class KeepsWhatIsShown:
    """The phase that is green at the start, to the end: by windows, or by a program of SUMO's."""

    as_program: bool

    def __call__(self, simulation: Simulation) -> None:
        shown = simulation.observe().phase
        windows = [[20 * (phase == now) for phase in range(3)] for now in shown]
        if self.as_program:
            simulation.run_program(windows)
        while not simulation.done:
            simulation.act(windows)
