"""SUMO from Python: libsumo, which runs inside this process, or TraCI, which talks to a `sumo` program.

Both offer the same modules (`simulation`, `trafficlight`, `lane`, `vehicle`), so that nothing else knows which one it
has. libsumo is two to five times as fast and holds one simulation per process: import it in a process of its own.
"""

import importlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attnjax.errors import fail

BACKENDS = ("libsumo", "traci")
QUIET = ("--no-step-log", "--no-warnings", "--duration-log.disable", "--xml-validation", "never")


class Backend(NamedTuple):
    """A connected SUMO.

    Attributes:
        name: `libsumo` or `traci`.
        api: the module; `api.trafficlight` and its kind are functions of it.
        program: what stands first in SUMO's command line.
    """

    name: str
    api: Any
    program: str

    def start(self, arguments: Sequence[str]) -> None:
        """Loads a simulation.

        Args:
            arguments: SUMO's options, without the program.
        """
        self.api.start([self.program, *arguments, *QUIET])

    def logic(self, name: str, phases: Sequence[tuple[float, str, float, float]], *, actuated: bool = False) -> Any:
        """A signal program.

        Args:
            name: its own.
            phases: duration, state, least and greatest duration of each.
            actuated: whether detectors stretch phases between their bounds.
        """
        light = self.api.trafficlight
        kind = self.api.constants.TRAFFICLIGHT_TYPE_ACTUATED if actuated else 0
        return light.Logic(name, kind, 0, [light.Phase(*phase) for phase in phases])


def connect(name: str | None = None) -> Backend:
    """Finds SUMO.

    Args:
        name: `libsumo` or `traci`; the first that is there if None.

    Returns:
        It, with nothing loaded.

    Raises:
        UserError: if neither is installed, or the name is another.
    """
    if name is not None and name not in BACKENDS:
        fail("attnjax.envs.sumo", expected=" or ".join(BACKENDS), got=repr(name), advice="Leave it out to choose.")
    for candidate in BACKENDS if name is None else (name,):
        program = "sumo" if candidate == "libsumo" else _sumo_program()
        if program is not None:
            try:
                return Backend(candidate, importlib.import_module(candidate), program)
            except ModuleNotFoundError as error:
                if error.name != candidate:
                    raise
    return fail(
        "attnjax.envs.sumo",
        expected="the simulator SUMO (the package libsumo, or traci with a `sumo` program)",
        got="an environment without it",
        advice="Install it with: pip install 'attnjax[city]'",
    )


def _sumo_program() -> str | None:
    """Where the `sumo` program is: on the path, or in SUMO_HOME."""
    home = os.environ.get("SUMO_HOME")
    inside = Path(home) / "bin" / "sumo" if home else None
    return shutil.which("sumo") or (str(inside) if inside is not None and inside.is_file() else None)
