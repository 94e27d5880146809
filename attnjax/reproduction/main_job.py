"""The main job: run the experiments that the project's report is about, verify, write the report.

Each part leaves whole files and is skipped while they still stand, so the job can be stopped at any moment and
started again.
"""

import time
from pathlib import Path
from typing import NamedTuple

from attnjax.errors import fail
from attnjax.reproduction.experiment import Experiment
from attnjax.reproduction.judge import Verdict
from attnjax.reproduction.project import Project, load_experiments
from attnjax.reproduction.report import write_report
from attnjax.reproduction.runner import Ran, Say, run_experiment, say_on_stderr
from attnjax.reproduction.values import counted
from attnjax.reproduction.verify import verify


class Reproduced(NamedTuple):
    """What the main job did.

    Attributes:
        runs: one per experiment, in order.
        verdicts: one per claim.
        report: the page to open.
        seconds: wall time of this call.
    """

    runs: list[Ran]
    verdicts: list[Verdict]
    report: Path
    seconds: float


def main_experiments(project: Project) -> list[Experiment]:
    """Returns the experiments of the main job, in order.

    Args:
        project: where they live.

    Raises:
        UserError: if there is none.
    """
    found = [experiment for experiment in load_experiments(project) if experiment.main_job]
    if not found:
        fail(
            "attnjax reproduce",
            expected="an experiment with main_job=True under experiments/",
            got="none",
            advice="'attnjax list' shows what there is; 'attnjax run NAME' runs one.",
        )
    return found


def reproduce(
    project: Project, *, preset: str = "paper", recompute: bool = False, say: Say = say_on_stderr
) -> Reproduced:
    """Runs the main job.

    Args:
        project: whose.
        preset: at which size.
        recompute: compute anew even where finished records stand.
        say: prints a line of progress.

    Returns:
        The runs, the verdicts and the report's path.

    Raises:
        UserError: if there is no main job, or a part of it can't be done as asked.
    """
    begin = time.monotonic()
    experiments = main_experiments(project)
    minutes = sum(experiment.cost[preset].minutes for experiment in experiments)
    memory = max(experiment.cost[preset].memory_gb for experiment in experiments)
    say(
        f"== main job: {counted(len(experiments), 'experiment')} at preset {preset}, about {minutes:g} min "
        f"and {memory:g} GB where nothing is finished yet"
    )
    runs = []
    for index, experiment in enumerate(experiments, start=1):
        say(f"== [{index}/{len(experiments)}] {experiment.title}")
        runs.append(run_experiment(project, experiment, preset, force=recompute, say=say))
    say("== claims")
    verdicts = verify(project, tier=preset, experiments=[experiment.name for experiment in experiments], say=say)
    say("== report")
    report = write_report(project, preset=preset, verdicts=verdicts, say=say)
    return Reproduced(runs, verdicts, report, time.monotonic() - begin)
