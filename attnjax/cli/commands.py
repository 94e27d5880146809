"""What each command does. Each takes its options and returns an exit code; heavy imports are inside."""

import argparse
import sys
from collections.abc import Callable

from attnjax.errors import fail
from attnjax.reproduction.experiment import PRESETS


def list_experiments(options: argparse.Namespace) -> int:
    """Prints the experiments, what each preset takes, and which records there are."""
    from attnjax.reproduction.project import find_project, load_experiments

    project = find_project()
    experiments = load_experiments(project)
    if not experiments:
        print(f"No experiments yet: a folder experiments/NAME/ with an __init__.py makes one. ({project.root.name})")
        return 0
    for experiment in experiments:
        mark = "  [main job]" if experiment.main_job else ""
        print(f"{experiment.name}{mark}\n    {experiment.title} ({experiment.source})\n    {experiment.question}")
        for preset in PRESETS:
            cost = experiment.cost[preset]
            there = [
                label
                for label, path in (
                    ("local record", project.run_folder(experiment.name, preset) / "record.json"),
                    ("kept record", project.kept(experiment.name, preset)),
                )
                if path.is_file()
            ]
            state = ", ".join(there) or "not run"
            print(f"    {preset:<6} about {cost.minutes:g} min, {cost.memory_gb:g} GB; {state}")
        print()
    print("Run one with: attnjax run NAME --preset smoke")
    return 0


def run(options: argparse.Namespace) -> int:
    """Runs one experiment and prints where its record lies and what is in its summary."""
    from attnjax.reproduction.project import find_project, load_experiment
    from attnjax.reproduction.runner import keep, preset_config, run_experiment, variant_name, with_seed

    project = find_project()
    experiment = load_experiment(project, options.name)
    config = preset_config(experiment, options.preset)
    if options.overrides:
        from attnjax.cli.overrides import override

        config = override(experiment, config, options.overrides)
    if options.seed is not None:
        config = with_seed(experiment, config, options.seed)
    variant = variant_name(experiment, options.preset, config)
    if options.keep and variant != options.preset:
        fail(
            f"attnjax run {experiment.name}",
            expected="--keep with a preset's own settings",
            got="settings that differ from it",
            advice="Leave out --keep, or put the settings into the preset.",
        )
    ran = run_experiment(project, experiment, options.preset, config=config, force=options.recompute)
    for name, summary in ran.record.summary.items():
        interval = f"[{summary['low']:.6g}, {summary['high']:.6g}]"
        print(f"{name}: {summary['mean']:.6g} {interval} over {summary['size']} repetitions")
    print(f"record: {project.show(ran.path)}{' (reused)' if ran.reused else ''}")
    if options.keep:
        print(f"kept: {project.show(keep(project, experiment, options.preset, force=options.force))}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Checks the claims and prints one row for each."""
    from attnjax.reproduction.judge import FAILS
    from attnjax.reproduction.project import find_project
    from attnjax.reproduction.verify import table
    from attnjax.reproduction.verify import verify as check

    if options.records == "kept" and options.recompute:
        fail(
            "attnjax verify",
            expected="--recompute with local records",
            got="--records kept",
            advice="Leave out one of the two: committed records are compared as they are.",
        )
    verdicts = check(
        find_project(),
        tier=options.tier,
        only=options.claim,
        source=options.records,
        recompute=options.recompute,
    )
    print(table(verdicts))
    return 1 if any(verdict.outcome == FAILS for verdict in verdicts) else 0


def report(options: argparse.Namespace) -> int:
    """Writes the report and says what to open."""
    from attnjax.reproduction.project import find_project
    from attnjax.reproduction.report import write_report

    project = find_project()
    path = write_report(project, preset=options.preset)
    print(f"Open {project.show(path)}")
    return 0


def reproduce(options: argparse.Namespace) -> int:
    """Runs the main job and says what to open."""
    from attnjax.reproduction.judge import FAILS
    from attnjax.reproduction.main_job import reproduce as main_job
    from attnjax.reproduction.project import find_project
    from attnjax.reproduction.values import counted
    from attnjax.reproduction.verify import table

    project = find_project()
    done = main_job(project, preset=options.preset, recompute=options.recompute)
    print(table(done.verdicts))
    reused = sum(ran.reused for ran in done.runs)
    print(f"\n{counted(len(done.runs), 'experiment')}, {reused} from finished records, in {done.seconds:.0f} s.")
    failed = [verdict.claim.id for verdict in done.verdicts if verdict.outcome == FAILS]
    if failed:
        print(f"These claims fail here: {', '.join(failed)}. The report shows what was expected and what came.")
    print(f"Open {project.show(done.report)} in a browser.")
    return 1 if failed else 0


def keep_record(options: argparse.Namespace) -> int:
    """Copies a finished record to where committed ones live."""
    from attnjax.reproduction.project import find_project, load_experiment
    from attnjax.reproduction.runner import keep

    project = find_project()
    path = keep(project, load_experiment(project, options.name), options.preset, force=options.force)
    print(f"kept: {project.show(path)} (commit it)")
    return 0


def bands(options: argparse.Namespace) -> int:
    """Runs independent seed batches and prints the bands as they go into claims.toml."""
    from attnjax.reproduction.bands import make_bands
    from attnjax.reproduction.project import find_project, load_experiment

    project = find_project()
    found, path = make_bands(project, load_experiment(project, options.name), options.preset, options.batches)
    for name, (low, high) in found.bands.items():
        print(f'value = "summary.{name}"\nband = [{low!r}, {high!r}]')
    print(f"# {options.batches} batches; written to {project.show(path)} (commit it)")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Measures ours against its peers."""
    from attnjax.cli.bench import bench_command

    words = ["--preset", options.preset, *(["--keep"] if options.keep else [])]
    if options.contest == "allocation":
        words += ["--only", *options.only] if options.only else []
    else:
        words += ["--no-peers"] if options.no_peers else []
        for name in ("peers_python", "simulators_python"):
            given = getattr(options, name, None)
            words += [f"--{name.replace('_', '-')}", given] if given else []
    return bench_command(options.contest, words)


def data(options: argparse.Namespace) -> int:
    """Lists or fetches data sets."""
    from attnjax.cli import data as jobs

    if options.job == "list":
        jobs.list_command()
    else:
        jobs.fetch_command(options.names)
    return 0


def version(options: argparse.Namespace) -> int:
    """Prints the version."""
    import attnjax

    print(f"attnjax {attnjax.__version__} (Python {sys.version.split()[0]})")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": list_experiments,
    "run": run,
    "verify": verify,
    "report": report,
    "reproduce": reproduce,
    "keep": keep_record,
    "bands": bands,
    "bench": bench,
    "data": data,
    "version": version,
}
