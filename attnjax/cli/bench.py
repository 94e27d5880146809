"""`attnjax bench`: what is measured against peers, each contest in a process of its own."""

import subprocess
import sys
from collections.abc import Sequence

from attnjax.errors import fail
from attnjax.reproduction.project import find_project

MODULES = {
    "aggregation": "experiments.benchmarks.aggregation",
    "allocation": "experiments.benchmarks.allocation",
    "meta": "experiments.benchmarks.meta",
}
"""What is started, by contest."""


def bench_command(contest: str, words: Sequence[str]) -> int:
    """Runs a benchmark in a process of its own, so that nothing of this one is timed with it.

    Args:
        contest: which.
        words: its options.

    Returns:
        The exit code.

    Raises:
        UserError: if the project has no such benchmark. What the benchmark refuses it prints itself.
    """
    project, module = find_project(), MODULES[contest]
    if not (project.root / module.replace(".", "/")).is_dir():
        fail(
            f"attnjax bench {contest}",
            expected=f"a project with {module.replace('.', '/')}/",
            got=f"{project.root.name}/ without it",
            advice="Change into a clone of the repository and run the command there.",
        )
    return subprocess.run([sys.executable, "-m", module, *words], cwd=project.root, check=False).returncode
