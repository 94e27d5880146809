"""Bands: where the mean of a fresh batch of seeds is expected to fall, from independent batches.

`attnjax bands NAME` runs an experiment B times, each time from a seed of its own, and takes the batch means
m_1 ... m_B of every per-seed quantity. If they are roughly normal, the mean of one more batch falls into

    mean(m) +- t(0.975, B - 1) * std(m) * sqrt(1 + 1/B)

with probability 0.95 (the prediction interval of one further observation). That is the band a statistical claim
compares with; it is written to `reproducibility/bands/<experiment>/<preset>.json`, and a claim whose band differs
from that file is refused, so that no band is widened by hand.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from attnjax.atomic import write_text
from attnjax.errors import fail
from attnjax.extras import need
from attnjax.reproduction.code import code_digest
from attnjax.reproduction.experiment import Experiment
from attnjax.reproduction.project import Project
from attnjax.reproduction.runner import Say, preset_config, run_experiment, say_on_stderr
from attnjax.reproduction.values import dumps, plain

LEVEL = 0.95


class Bands(NamedTuple):
    """The bands of one experiment at one preset.

    Attributes:
        experiment: its name.
        preset: the preset the batches were run at.
        config: that preset's settings.
        seeds: the seed of each batch.
        code: digest of the code that made them.
        level: the nominal probability that a fresh batch's mean falls inside.
        means: for each per-seed quantity, the mean of each batch.
        bands: for each, the lower and the upper end.
    """

    experiment: str
    preset: str
    config: dict[str, Any]
    seeds: list[int]
    code: str
    level: float
    means: dict[str, list[float]]
    bands: dict[str, list[float]]


def batch_seeds(seed: int, batches: int) -> list[int]:
    """Returns a seed for each batch, independent of each other and of the record's own.

    Args:
        seed: the preset's seed.
        batches: how many.

    >>> len(set(batch_seeds(0, 8)))
    8
    """
    import numpy as np

    children = np.random.SeedSequence(seed).spawn(batches)
    return [int(child.generate_state(1)[0] >> 1) for child in children]


def prediction_band(means: list[float]) -> list[float]:
    """Returns the band that one further batch mean is expected in, rounded outwards to five digits.

    Args:
        means: the mean of each batch, at least two.

    Returns:
        The lower and the upper end.
    """
    special = need("scipy.special", "attnjax bands")
    count = len(means)
    centre = math.fsum(means) / count
    spread = math.sqrt(math.fsum((mean - centre) ** 2 for mean in means) / (count - 1))
    reach = float(special.stdtrit(count - 1, (1 + LEVEL) / 2)) * spread * math.sqrt(1 + 1 / count)
    return [_outwards(centre - reach, -1), _outwards(centre + reach, +1)]


def make_bands(
    project: Project, experiment: Experiment, preset: str, batches: int, *, say: Say = say_on_stderr
) -> tuple[Bands, Path]:
    """Runs independent seed batches and writes the bands; an interrupted call resumes at the batch it was in.

    Args:
        project: where the experiment lives.
        experiment: what to run.
        preset: at which settings.
        batches: how many, at least 4.
        say: prints a line of progress.

    Returns:
        The bands, and the file they were written to.

    Raises:
        UserError: if there are too few batches, or the experiment measures nothing per seed.
    """
    where = f"attnjax bands {experiment.name}"
    if batches < 4:
        fail(where, expected="at least 4 batches", got=str(batches), advice="A spread needs more; 8 is the default.")
    config = preset_config(experiment, preset)
    means: dict[str, list[float]] = {}
    seeds = batch_seeds(config.seed, batches)
    for index, seed in enumerate(seeds):
        say(f"batch {index + 1} of {batches}, seed {seed}")
        record = run_experiment(
            project,
            experiment,
            preset,
            config=dataclasses.replace(config, seed=seed),
            variant=f"{preset}-batch-{index:02d}",
            say=say,
        ).record
        for name, summary in record.summary.items():
            means.setdefault(name, []).append(summary["mean"])
    if not means:
        fail(
            where,
            expected="an experiment with per-seed quantities",
            got="none",
            advice="Return them in Outcome.per_seed; a single value takes a numerical claim instead.",
        )
    found = Bands(
        experiment=experiment.name,
        preset=preset,
        config=plain(config, "config"),
        seeds=seeds,
        code=code_digest(project, experiment.name),
        level=LEVEL,
        means=means,
        bands={name: prediction_band(numbers) for name, numbers in means.items()},
    )
    path = project.bands(experiment.name, preset)
    write_text(path, dumps(plain({"kind": "attnjax bands", **found._asdict()}, "bands")))
    return found, path


def read_bands(path: Path, shown: str) -> Bands:
    """Reads a file of bands.

    Args:
        path: where it lies.
        shown: how messages name it.

    Raises:
        UserError: if it is no whole file of bands.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("kind") == "attnjax bands":
            return Bands(**found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    return fail(
        shown,
        expected="a file of bands",
        got="another or damaged one",
        advice="Make it again with 'attnjax bands', or restore it from git.",
    )


def _outwards(value: float, direction: int) -> float:
    """Rounds to five significant digits, away from the band's middle."""
    if value == 0:
        return 0.0
    digits = 4 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    if (rounded - value) * direction < 0:
        rounded = round(rounded + direction * 10.0**-digits, digits)
    return rounded
