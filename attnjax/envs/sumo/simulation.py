"""One run of SUMO under a controller: observe, give each junction its seconds of green, observe again.

An action is the next budget: whole seconds per junction and phase, the same total T for every junction. A phase with
zero seconds is skipped and costs no yellow; `attnjax.envs.sumo.timetable` says what is shown when. RESCO's choice of
one phase is the window that holds all seconds.

SUMO runs in the process that imports it, one simulation at a time; `attnjax.envs.sumo.processes` gives each its own.
"""

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from attnjax.envs.sumo.backend import connect
from attnjax.envs.sumo.layout import read_layout
from attnjax.envs.sumo.measures import Measures, measure, read_flows, read_schedule, read_trips
from attnjax.envs.sumo.observation import FAR, NEAR, STANDING, Observation
from attnjax.envs.sumo.scenario import Scenario
from attnjax.envs.sumo.timetable import Show, cycle, timetable
from attnjax.errors import fail

LEAST, GREATEST = 5.0, 50.0
"""Bounds of an actuated phase's green, in seconds."""
PROGRAM = "attnjax"


class Episode(NamedTuple):
    """A finished run.

    Attributes:
        measures: what it is judged by.
        flows: vehicles per hour over each lane's stop line.
        queues: vehicles standing before signals, every `decision` seconds.
        longest_wait: the most seconds that a vehicle was seen standing at a stretch; NaN where nobody looked.
        seconds: wall time from loading to the end.
    """

    measures: Measures
    flows: Float[NDArray[np.float64], "j l"]
    queues: Float[NDArray[np.float64], " k"]
    longest_wait: float
    seconds: float


class Simulation:
    """A run that has begun.

    Args:
        scenario: what is simulated.
        seed: of SUMO's drivers; RESCO draws one from the clock (`--random`), with which no run can be repeated.
        backend: `libsumo` or `traci`; the first that is there if None.

    Attributes:
        layout: junctions, lanes and phases.

    Raises:
        UserError: if SUMO is not installed, or refuses the scenario.
    """

    def __init__(self, scenario: Scenario, seed: int, backend: str | None = None) -> None:
        self._began = time.monotonic()
        self._scenario = scenario
        self._sumo = connect(backend)
        self._folder = tempfile.TemporaryDirectory(prefix="attnjax-sumo-")
        self._running = False
        try:
            self._load(seed)
            self._running = True
            self.layout = read_layout(self._sumo, scenario)
        except BaseException:
            self.close()
            raise
        lights = self._sumo.api.trafficlight
        showing = [lights.getRedYellowGreenState(name) for name in self.layout.junctions]
        self._phase = np.array(
            [own.index(state) if state in own else 0 for own, state in zip(self.layout.states, showing, strict=True)]
        )
        self._age = np.zeros(len(showing), int)
        self._red = np.zeros(self.layout.lane_mask.shape, int)
        self._longest_wait = float("nan")
        self._time = 0
        self._queues: list[float] = []
        self._stopped: set[str] = set()

    @property
    def done(self) -> bool:
        """Whether the scenario's end is reached."""
        return self._time >= self._scenario.end - self._scenario.begin

    def observe(self) -> Observation:
        """What is seen now."""
        api, layout = self._sumo.api, self.layout
        near, far, halting, queue, waiting, longest, downstream = (np.zeros(layout.lane_mask.shape) for _ in range(7))
        stopped: set[str] = set()
        standing: dict[str, int] = {}
        for junction, lanes in enumerate(layout.lanes):
            for place, lane in enumerate(lanes):
                at = junction, place
                for vehicle in api.lane.getLastStepVehicleIDs(lane):
                    left = layout.length[at] - api.vehicle.getLanePosition(vehicle)
                    if left <= FAR:
                        far[at] += 1
                        near[at] += left <= NEAR
                        halting[at] += api.vehicle.getSpeed(vehicle) < STANDING
                        waited = api.vehicle.getWaitingTime(vehicle)
                        waiting[at] += waited
                        longest[at] = max(longest[at], waited)
                        if waited > 0 or vehicle in self._stopped:
                            queue[at] += 1
                            stopped.add(vehicle)
                behind = layout.behind[junction][place]
                for target in behind:
                    if target not in standing:
                        standing[target] = api.lane.getLastStepHaltingNumber(target)
                downstream[at] = sum(standing[target] for target in behind) / max(len(behind), 1)
        self._stopped = stopped
        self._longest_wait = float(np.fmax(self._longest_wait, longest.max()))
        state = self._phase.copy(), self._age.copy(), self._red.copy()
        return Observation(self._time, near, far, halting, queue, waiting, longest, downstream, *state)

    def act(self, windows: ArrayLike) -> None:
        """Lets the next budget pass.

        Args:
            windows: (j, p) whole seconds; every junction's sum to the same T, and a phase that is switched to has more
                than the seconds of yellow. What lies beyond the end is not run.

        Raises:
            UserError: for other windows, or after the end.
        """
        shown = self._timetables(np.asarray(windows))
        budget = sum(show.seconds for show in shown[0])
        plans = [[(show.state, show.phase) for show in one for _ in range(show.seconds)] for one in shown]
        before = [""] * len(plans)
        for second in range(budget):
            if self.done:
                return
            for junction, (name, plan) in enumerate(zip(self.layout.junctions, plans, strict=True)):
                state, phase = plan[second]
                if state != before[junction]:
                    self._sumo.api.trafficlight.setRedYellowGreenState(name, state)
                    before[junction] = state
                if phase is not None and phase != self._phase[junction]:
                    self._phase[junction], self._age[junction] = phase, 0
            self._step()
            self._age += 1
            self._red += self.layout.lane_mask
            for junction, plan in enumerate(plans):
                if plan[second][1] is not None:
                    self._red[junction, self.layout.green[junction, self._phase[junction]]] = 0

    def run_program(self, windows: ArrayLike | None = None, *, actuated: bool = False) -> None:
        """Lets SUMO steer the signals by itself until the end.

        Args:
            windows: (j, p) whole seconds of a plan that repeats itself, each junction with a cycle of its own; the net
                file's own plan if None.
            actuated: whether detectors stretch the net file's phases between 5 and 50 s, as SUMO does.

        Raises:
            UserError: for windows that don't fit the junctions.
        """
        if windows is not None or actuated:
            lights = self._sumo.api.trafficlight
            plans = None if windows is None else self._timetables(np.asarray(windows), repeated=True)
            for junction, name in enumerate(self.layout.junctions):
                if plans is None:
                    own = lights.getAllProgramLogics(name)[0].phases
                    phases = [
                        (phase.duration, phase.state, LEAST, GREATEST)
                        if phase.state in self.layout.states[junction]
                        else (phase.duration, phase.state, phase.duration, phase.duration)
                        for phase in own
                    ]
                else:
                    phases = [(show.seconds, show.state, show.seconds, show.seconds) for show in plans[junction]]
                lights.setProgramLogic(name, self._sumo.logic(PROGRAM, phases, actuated=actuated))
                lights.setProgram(name, PROGRAM)
        while not self.done:
            self._step()

    def finish(self) -> Episode:
        """Ends the run, where it stands, and reads what SUMO wrote of it."""
        scenario, layout = self._scenario, self.layout
        now = scenario.begin + self._time
        self._running = False
        self._sumo.api.close()
        schedule = read_schedule(scenario.routes, scenario.begin, now)
        queue = float(np.mean(self._queues)) if self._queues else float("nan")
        measures = measure(schedule, read_trips(self._path("trips.xml")), now, queue)
        left = read_flows(self._path("lanes.xml"))
        flows = np.zeros(layout.lane_mask.shape)
        for junction, lanes in enumerate(layout.lanes):
            flows[junction, : len(lanes)] = [left.get(lane, 0.0) * 3600 / max(self._time, 1) for lane in lanes]
        self.close()
        return Episode(measures, flows, np.array(self._queues), self._longest_wait, time.monotonic() - self._began)

    def close(self) -> None:
        """Ends the run without a result; a second time, or after `finish`, it does nothing."""
        if self._running:
            self._running = False
            self._sumo.api.close()
        self._folder.cleanup()

    def _load(self, seed: int) -> None:
        scenario = self._scenario
        errors = Path(self._path("errors.txt"))
        try:
            self._sumo.start(
                [
                    *("--net-file", scenario.net, "--route-files", scenario.routes),
                    *("--begin", str(scenario.begin), "--step-length", "1"),
                    *("--seed", str(seed), "--time-to-teleport", "-1"),
                    *("--tripinfo-output", self._path("trips.xml"), "--tripinfo-output.write-unfinished"),
                    *("--lanedata-output", self._path("lanes.xml"), "--error-log", str(errors)),
                ]
            )
        except Exception as error:
            told = errors.read_text(encoding="utf-8").strip() if errors.is_file() else ""
            fail(
                f"SUMO on {scenario.name}",
                expected="a road network and trips that it can load",
                got=(told or str(error)).replace("\n", "; "),
                advice="Check the two files of the scenario.",
            )

    def _path(self, name: str) -> str:
        return str(Path(self._folder.name) / name)

    def _step(self) -> None:
        """One second; the queue is looked at every `decision` seconds."""
        self._sumo.api.simulationStep()
        self._time += 1
        if self._time % self._scenario.decision == 0:
            halting = self._sumo.api.lane.getLastStepHaltingNumber
            self._queues.append(float(sum(halting(lane) for lanes in self.layout.lanes for lane in lanes)))

    def _timetables(self, windows: NDArray, repeated: bool = False) -> list[list[Show]]:
        """What each junction shows."""
        layout, where = self.layout, f"SUMO on {self._scenario.name}"
        if self.done or windows.shape != layout.phase_mask.shape or (windows[~layout.phase_mask] != 0).any():
            fail(
                where,
                expected=f"windows of shape {layout.phase_mask.shape} before the end, zero where no phase is",
                got=f"shape {windows.shape} at {self._time} s",
                advice="Multiply by layout.phase_mask.",
            )
        totals = windows.sum(axis=1)
        if (windows < 0).any() or (windows != np.round(windows)).any() or (not repeated and np.ptp(totals) != 0):
            fail(
                where,
                expected="whole seconds, none below 0, with the same sum for every junction",
                got=f"sums {sorted({float(total) for total in totals})}",
                advice="attnjax.envs.signal_controllers.windows_of turns shares into such seconds.",
            )
        try:
            return [
                cycle(states, row, layout.yellow) if repeated else timetable(states, now, row, layout.yellow)
                for states, now, row in zip(layout.states, self._phase, windows.astype(int), strict=True)
            ]
        except ValueError as error:
            return fail(
                where,
                expected="more seconds than yellow for a phase that is switched to",
                got=str(error),
                advice="Give it more, or nothing.",
            )
