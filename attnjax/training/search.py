"""A search over settings that change shapes or models, one trial after the other, steered by Optuna.

Where settings change no shape, `attnjax.training.sweep` trains many at once. Here each trial is a call of its own;
Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) proposes what to try next from what was found so far.
The sampler of trial k is seeded by `seed + k` and sees the table alone, so a search that was killed and started again
proposes what it would have proposed.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from attnjax.atomic import only_writer
from attnjax.errors import fail
from attnjax.extras import need
from attnjax.training.tables import Trials


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included.

    Attributes:
        low: the lower end; an int, like `high`, for whole numbers.
        high: the upper end.
        log: whether to search in the logarithm.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            fail("Range", expected="finite low <= high", got=f"{self.low} and {self.high}", advice="Swap or mend them.")
        if self.log and self.low <= 0:
            fail("Range", expected="low > 0 with log", got=str(self.low), advice="Take log=False, or a positive end.")


Space = Mapping[str, Range | Sequence[Any]]


def search(
    objective: Callable[[dict[str, Any]], float],
    space: Space,
    *,
    trials: int,
    seed: int = 0,
    folder: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> pd.DataFrame:
    """Minimises an objective over a space of settings.

    Args:
        objective: takes a point, returns a number to minimise; one that is not finite counts as infinite.
        space: names to a `Range`, or to a list of choices (numbers, strings, booleans, None).
        trials: how many points are tried in all, those of an interrupted search included.
        seed: of the proposals.
        folder: keeps the table after each trial, so that a killed search goes on; None keeps nothing.
        settings: what the objective is made of, as JSON can say it; a table of other settings is refused.
        progress: wraps the range of trials.

    Returns:
        One row per trial, in order: its point, and `value`.

    Raises:
        UserError: for an empty space, fewer than one trial, a folder of another search, or without Optuna.

    Source: T. Akiba et al., Optuna, KDD 2019.
    """
    if not space or trials < 1 or any(not isinstance(axis, Range) and not len(axis) for axis in space.values()):
        fail(
            "search",
            expected="a space with at least one value per name, and trials >= 1",
            got=f"{dict(space)} and {trials}",
            advice="Give each name a Range or a list of choices.",
        )
    optuna = need("optuna", "search", "search")
    plain = {name: dataclasses.asdict(axis) if isinstance(axis, Range) else list(axis) for name, axis in space.items()}
    distributions = {name: _distribution(optuna, axis) for name, axis in space.items()}
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with contextlib.nullcontext() if folder is None else only_writer(Path(folder)):
            about = {"space": plain, "seed": seed, "settings": dict(settings or {})}
            table = Trials(folder, about, list(space))
            for number in progress(range(len(table.rows), trials)):
                point = _proposal(optuna, distributions, table.rows, seed + number)
                value = float(objective(dict(point)))
                table.add([point | {"value": value if math.isfinite(value) else math.inf}])
            return table.frame()[:trials]
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(optuna: Any, axis: Range | Sequence[Any]) -> Any:
    if not isinstance(axis, Range):
        return optuna.distributions.CategoricalDistribution(list(axis))
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return optuna.distributions.IntDistribution(axis.low, axis.high, log=axis.log)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)


def _proposal(optuna: Any, distributions: dict[str, Any], rows: Sequence[Mapping[str, Any]], seed: int) -> Any:
    """What to try next. A new study each time: an old one also remembers what the table does not say."""
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    for row in rows:
        value = row["value"] if math.isfinite(row["value"]) else 1e300  # Optuna's models want finite numbers
        point = {name: row[name] for name in distributions}
        study.add_trial(optuna.trial.create_trial(params=point, distributions=distributions, value=value))
    return study.ask(distributions).params
