"""Running an experiment: reuse the finished record where it still stands, else compute it, resuming if interrupted."""

import dataclasses
import hashlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from attnjax.atomic import only_writer, write_bytes
from attnjax.errors import UserError, fail
from attnjax.reproduction.context import Context
from attnjax.reproduction.experiment import PRESETS, Experiment
from attnjax.reproduction.project import Project, suggest
from attnjax.reproduction.provenance import Fingerprint, MemoryMeter, commit, difference, fingerprint
from attnjax.reproduction.records import SCHEMA, Record, checked_outcome, read_record, summarise, write_record
from attnjax.reproduction.values import bits, plain

Say = Callable[[str], None]


class Ran(NamedTuple):
    """A finished run.

    Attributes:
        record: what it found.
        path: where the record lies.
        reused: whether it was there already and still stood.
    """

    record: Record
    path: Path
    reused: bool


def say_on_stderr(message: str) -> None:
    """Prints a line about the progress of a command."""
    print(message, file=sys.stderr, flush=True)


def preset_config(experiment: Experiment, preset: str) -> Any:
    """Returns the settings of a preset.

    Args:
        experiment: whose.
        preset: `smoke` or `paper`.

    Raises:
        UserError: if there is no such preset.
    """
    if preset not in experiment.presets:
        fail(
            f"attnjax run {experiment.name}",
            expected=f"a preset ({' or '.join(PRESETS)})",
            got=repr(preset),
            advice=suggest(preset, PRESETS, "Pass --preset smoke for a quick look."),
        )
    return experiment.presets[preset]


def variant_name(experiment: Experiment, preset: str, config: Any) -> str:
    """Returns the name of a run: the preset's, or with the digest of settings that differ from it.

    Args:
        experiment: whose run.
        preset: the preset it started from.
        config: its settings.
    """
    settings = bits(plain(config, "config"))
    if settings == bits(plain(preset_config(experiment, preset), "config")):
        return preset
    return f"{preset}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def with_seed(experiment: Experiment, config: Any, seed: int) -> Any:
    """Returns the settings with another seed.

    Args:
        experiment: whose settings.
        config: the settings.
        seed: a whole number from 0 to 2^31 - 1.

    Raises:
        UserError: if the seed is out of range.
    """
    if not 0 <= seed < 2**31:
        fail(
            f"attnjax run {experiment.name}",
            expected="a seed from 0 to 2147483647",
            got=str(seed),
            advice="Pass --seed with such a number.",
        )
    return dataclasses.replace(config, seed=seed)


def finished_record(project: Project, experiment: Experiment, variant: str, wanted: Fingerprint) -> Record | str:
    """Returns the finished record of a run if it still stands, else why not.

    Args:
        project: where it lives.
        experiment: whose run.
        variant: the run's name.
        wanted: what must be the same.

    Returns:
        The record; or the reason in words; or an empty string if there is none.
    """
    path = project.run_folder(experiment.name, variant) / "record.json"
    if not path.is_file():
        return ""
    try:
        record = read_record(path, project.show(path))
    except UserError as error:
        return str(error)
    return difference(record.fingerprint, wanted) or record


def run_experiment(
    project: Project,
    experiment: Experiment,
    preset: str,
    *,
    config: Any = None,
    variant: str | None = None,
    force: bool = False,
    say: Say = say_on_stderr,
) -> Ran:
    """Runs an experiment, or reuses its finished record.

    A record is reused while settings, code, data, versions and device are the same. An interrupted run is resumed
    behind its last finished stage. Nothing is ever left half-written.

    Args:
        project: where it lives.
        experiment: what to run.
        preset: `smoke` or `paper`.
        config: settings other than the preset's.
        variant: the run's name, if not the one that preset and settings give.
        force: compute from the beginning, whatever is there.
        say: prints a line of progress.

    Returns:
        The record, where it lies, and whether it was reused.

    Raises:
        UserError: if the settings are wrong, the run is being written by another process, or what the experiment
            returns can't be recorded. Whatever the experiment raises passes through.
    """
    config = preset_config(experiment, preset) if config is None else config
    variant = variant or variant_name(experiment, preset, config)
    wanted = fingerprint(experiment, config, project)
    folder = project.run_folder(experiment.name, variant)
    title = f"{experiment.name} ({variant})"
    with only_writer(folder):
        found = finished_record(project, experiment, variant, wanted)
        context = Context(folder, wanted.digest())
        path = folder / "record.json"
        if isinstance(found, Record) and not force:
            context.forget()
            say(f"{title}: reusing the finished record {project.show(path)} of {found.finished}")
            return Ran(found, path, True)
        if force:
            context.forget()
        elif found and not isinstance(found, Record):
            say(f"{title}: the record there is not reused: {found}")
        cost = experiment.cost[preset]
        say(f"{title}: running, about {cost.minutes:g} min and {cost.memory_gb:g} GB")
        record = _compute(project, experiment, variant, config, wanted, context)
        write_record(path, record)
        context.forget()
        say(f"{title}: done in {record.seconds:.1f} s, {record.peak_memory_mb:.0f} MB; {project.show(path)}")
        return Ran(record, path, False)


def keep(project: Project, experiment: Experiment, preset: str, *, force: bool = False) -> Path:
    """Copies a finished record to where committed records live.

    Args:
        project: where it lives.
        experiment: whose record.
        preset: which.
        force: keep it even if its commit does not say what made it.

    Returns:
        Where it was written.

    Raises:
        UserError: if there is no record, or it was made from a tree that differs from its commit.
    """
    preset_config(experiment, preset)
    where = f"attnjax keep {experiment.name}"
    source = project.run_folder(experiment.name, preset) / "record.json"
    if not source.is_file():
        fail(
            where,
            expected=f"a finished record {project.show(source)}",
            got="none",
            advice=f"Make it with: attnjax run {experiment.name} --preset {preset}",
        )
    record = read_record(source, project.show(source))
    if not force and record.dirty is not False:
        fail(
            where,
            expected="a record made from a clean, committed tree",
            got="one made with changes that no commit holds" if record.dirty else "one made outside a git clone",
            advice="Commit, run it again, and keep that one; --force keeps it as it is.",
        )
    target = project.kept(experiment.name, preset)
    write_bytes(target, source.read_bytes())
    return target


def _compute(
    project: Project, experiment: Experiment, variant: str, config: Any, wanted: Fingerprint, context: Context
) -> Record:
    """Runs the experiment and makes the record of it."""
    import jax

    state = commit(project)
    meter, begin = MemoryMeter(), time.monotonic()
    with jax.enable_x64(experiment.x64):
        returned = experiment.run(config, jax.random.key(config.seed), context)
        outcome = checked_outcome(returned, experiment.name)
    seconds = time.monotonic() - begin + sum(context.seconds[name] for name in context.resumed)
    return Record(
        schema=SCHEMA,
        experiment=experiment.name,
        preset=variant,
        config=wanted.config,
        seed=config.seed,
        versions=wanted.versions,
        device=wanted.device,
        x64=wanted.x64,
        commit=state.sha,
        dirty=state.dirty,
        code=wanted.code,
        data=wanted.data,
        values=dict(outcome.values),
        per_seed={name: list(numbers) for name, numbers in outcome.per_seed.items()},
        summary=summarise(dict(outcome.per_seed)),  # type: ignore[arg-type]
        certificates=dict(outcome.certificates),
        seconds=round(seconds, 3),
        stages={name: round(taken, 3) for name, taken in context.seconds.items()},
        resumed=list(context.resumed),
        peak_memory_mb=meter.peak_mb(),
        finished=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
