"""What all benchmarks' commands do alike: exit codes, and finding an interpreter that has the peers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from attnjax.errors import UserError, fail
from attnjax.reproduction.project import Project


def exit_code(job: Callable[[], object]) -> int:
    """Does a job; returns 0 done, 2 a mistake that the user can mend, 130 interrupted.

    Args:
        job: of no arguments.
    """
    try:
        job()
    except UserError as error:
        message = str(error)
        print(message if message.startswith("attnjax") else f"attnjax: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def interpreter_with(project: Project, contest: str, packages: str, given: Path | None) -> Path:
    """The interpreter of the peers' environment.

    Args:
        project: where it lives.
        contest: the benchmark, such as "meta".
        packages: that it must import, separated by commas.
        given: what the command line names; by default that of .venv-bench.

    Raises:
        UserError: if it can't import them.
    """
    python = given or project.root / ".venv-bench" / "bin" / "python"
    # Not resolved: a virtual environment's interpreter is a link, and is known by where the link lies.
    there = python.is_file()
    if (
        not there
        or subprocess.run([str(python), "-c", f"import {packages}"], capture_output=True, check=False).returncode
    ):
        fail(
            f"attnjax bench {contest}",
            expected=f"an interpreter that imports {packages}",
            got=f"{python} without" if there else f"no {python}",
            advice=f"Make the environment that experiments/benchmarks/{contest}/__init__.py describes and name its "
            "interpreter by --peers-python, or measure ours alone by --no-peers.",
        )
    return python
