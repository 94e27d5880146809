"""Each simulation in a process of its own, driven from here or left alone with a controller; many seeds at once.

libsumo holds one simulation per process, and when SUMO fails for good it takes its process along. So it is imported
in child processes only; one that dies is told with its job, and the next job gets a fresh one.

A controller is left alone with the simulation where it can be pickled: `run_episodes` sends it to the children, which
is quickest. `RemoteSimulation` keeps the controller here and sends observations and windows back and forth.
"""

import multiprocessing
import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from numpy.typing import ArrayLike

from attnjax.envs.sumo.observation import Layout, Observation
from attnjax.envs.sumo.scenario import Scenario
from attnjax.envs.sumo.simulation import Episode, Simulation
from attnjax.errors import UserError, fail

PATIENCE = 7200.0
"""Seconds that a child may take for one answer before it is taken for hung; a machine that sleeps is not."""


class SimulationError(RuntimeError):
    """A simulation that failed, with the text of what it said last."""


class Controller(Protocol):
    """What steers a run: called once with a simulation that has begun, it returns when the end is reached.

    Instances are pickled, so they are frozen dataclasses of numbers and arrays.
    """

    def __call__(self, simulation: Simulation) -> None:
        """Runs the simulation to its end."""
        ...


class Job(NamedTuple):
    """One run.

    Attributes:
        scenario: what is simulated.
        controller: what steers it.
        seed: of SUMO.
    """

    scenario: Scenario
    controller: Controller
    seed: int


class Failure(NamedTuple):
    """A run without a result.

    Attributes:
        job: which.
        error: why.
    """

    job: Job
    error: str


class RemoteSimulation:
    """A simulation in a child process, with the methods of `Simulation`; a context manager.

    Args:
        backend: `libsumo` or `traci`; the first that is there if None.

    Raises:
        UserError: from `begin`, if SUMO is not installed or refuses the scenario.
        SimulationError: from any method, if the simulation failed or its process died.
    """

    def __init__(self, backend: str | None = None) -> None:
        self._backend = backend
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "RemoteSimulation":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """The child's process number."""
        return self._process.pid

    def begin(self, scenario: Scenario, seed: int) -> tuple[Layout, Observation]:
        """Starts a run, ending one that was under way.

        Args:
            scenario: what is simulated.
            seed: of SUMO.

        Returns:
            Junctions, lanes and phases, and what is seen first.
        """
        return self._ask("begin", scenario, seed, self._backend)

    def act(self, windows: ArrayLike) -> tuple[Observation, bool]:
        """Lets the next budget pass.

        Args:
            windows: as for `Simulation.act`.

        Returns:
            What is seen then, and whether the end is reached.
        """
        return self._ask("act", windows)

    def finish(self) -> Episode:
        """Ends the run and measures it."""
        return self._ask("finish")

    def play(self, job: Job) -> Episode:
        """A whole run with its controller in the child.

        Args:
            job: the run.
        """
        return self._ask("play", job, self._backend)

    def close(self) -> None:
        """Ends the child, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            self._pipe.send((method, arguments))
            if not self._pipe.poll(PATIENCE):
                self._process.kill()
                self._process.join()
                raise SimulationError(f"no answer within {PATIENCE:.0f} s")
            kind, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise SimulationError(f"the simulation's process ended (exit code {self._process.exitcode})") from None
        if kind == "refused":
            raise UserError(answer)
        if kind == "failed":
            raise SimulationError(answer)
        return answer


def run_episodes(
    jobs: Sequence[Job],
    processes: int = 2,
    *,
    backend: str | None = None,
    done: Callable[[int], None] = lambda count: None,
) -> list[Episode | Failure]:
    """Runs jobs side by side; none is lost, and one that fails doesn't stop the others.

    Args:
        jobs: the runs.
        processes: how many at once.
        backend: `libsumo` or `traci`; the first that is there if None.
        done: told, from a thread, how many are finished whenever one is.

    Returns:
        An episode or a failure for each job, in the order of the jobs.

    Raises:
        UserError: for no processes, or if SUMO is not installed.
    """
    if processes < 1:
        fail("run_episodes", expected="processes >= 1", got=str(processes), advice="One per core is quickest.")
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(jobs)):
        waiting.put(index)
    found: dict[int, Episode | Failure] = {}
    refused: list[UserError] = []
    stop = threading.Event()
    children: dict[int, RemoteSimulation] = {}

    def work(place: int) -> None:
        while not stop.is_set():
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            if place not in children or not children[place].alive:
                children[place] = RemoteSimulation(backend)
            try:
                found[index] = children[place].play(jobs[index])
            except SimulationError as error:
                found[index] = Failure(jobs[index], str(error))
            except UserError as error:
                refused.append(error)
                stop.set()
            if not stop.is_set():
                done(len(found))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(min(processes, len(jobs)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
        for child in list(children.values()):
            child.close()
        for thread in threads:
            thread.join()
    if refused:
        raise refused[0]
    return [found[index] for index in range(len(jobs))]


def _serve(pipe: Any) -> None:
    """The child: answers one request after the other until the parent is gone."""
    simulation: Simulation | None = None

    def begin(scenario: Scenario, seed: int, backend: str | None) -> tuple[Layout, Observation]:
        nonlocal simulation
        if simulation is not None:
            simulation.close()
        simulation = Simulation(scenario, seed, backend)
        return simulation.layout, simulation.observe()

    def running() -> Simulation:
        if simulation is None:
            fail("RemoteSimulation", expected="a run that has begun", got="none", advice="Call begin first.")
        return simulation

    def act(windows: ArrayLike) -> tuple[Observation, bool]:
        running().act(windows)
        return running().observe(), running().done

    def finish() -> Episode:
        nonlocal simulation
        episode = running().finish()
        simulation = None
        return episode

    def play(job: Job, backend: str | None) -> Episode:
        begin(job.scenario, job.seed, backend)
        job.controller(running())
        return finish()

    methods: dict[str, Callable[..., Any]] = {"begin": begin, "act": act, "finish": finish, "play": play}
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            method, arguments = pipe.recv()
            try:
                answer = "done", methods[method](*arguments)
            except UserError as error:
                answer = "refused", str(error)
            except Exception:
                answer = "failed", traceback.format_exc(limit=-3)
            pipe.send(answer)
