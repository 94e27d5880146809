"""`attnjax bench allocation`: the market solver against its peers."""

import subprocess
import sys
from collections.abc import Sequence

from attnjax.errors import fail
from attnjax.reproduction.project import find_project

MODULE = "experiments.benchmarks.allocation"


def allocation_command(preset: str, only: Sequence[str], *, keep: bool) -> int:
    """Runs the benchmark in a process of its own, so that nothing of this one is timed with it.

    Args:
        preset: `smoke` or `paper`.
        only: tasks and solvers to measure; all if empty.
        keep: whether to copy the record to where committed ones live.

    Returns:
        The exit code.

    Raises:
        UserError: if the project has no such benchmark. What the benchmark refuses it prints itself.
    """
    project = find_project()
    if not (project.root / MODULE.replace(".", "/")).is_dir():
        fail(
            "attnjax bench allocation",
            expected=f"a project with {MODULE.replace('.', '/')}/",
            got=f"{project.root.name}/ without it",
            advice="Change into a clone of the repository and run the command there.",
        )
    words = ["--preset", preset, *(["--only", *only] if only else []), *(["--keep"] if keep else [])]
    return subprocess.run([sys.executable, "-m", MODULE, *words], cwd=project.root, check=False).returncode
