"""What an experiment is: a question, two sizes of it, a function that answers, and how the answer is shown.

An experiment is a folder `experiments/<name>/` whose `__init__.py` defines `EXPERIMENT = Experiment(...)`. Its
`run` computes numbers and returns an `Outcome`; the package turns that into a record. Its `tables` and `figures`
see the record and nothing else, so that what is printed is what was computed.
"""

import dataclasses
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attnjax.errors import fail

if TYPE_CHECKING:
    from attnjax.reproduction.context import Context
    from attnjax.reproduction.records import Record

PRESETS = ("smoke", "paper")
"""The sizes every experiment has: one that runs in seconds, and the one whose numbers are reported."""


class Cost(NamedTuple):
    """What a preset is expected to take on two CPU cores.

    Attributes:
        minutes: wall time, in minutes.
        memory_gb: peak memory, in gigabytes (10^9 bytes).
    """

    minutes: float
    memory_gb: float


class Outcome(NamedTuple):
    """What an experiment computed.

    Attributes:
        values: nested dictionaries of numbers, strings, lists or arrays: whatever has one value per run.
        per_seed: for each quantity that was measured once per seed, its values in the order of the seeds. The
            record adds the mean and its bootstrap interval under `summary`.
        certificates: bounds, gaps, iterations and whether tolerances were met.
    """

    values: Mapping[str, Any]
    per_seed: Mapping[str, Sequence[float]] = {}
    certificates: Mapping[str, Any] = {}


class Table(NamedTuple):
    """A table as plain data.

    Attributes:
        title: what the table shows.
        columns: the heads, with units.
        rows: one entry per column; numbers are formatted by the report, strings stand as they are.
        note: what a reader must know to read it; may be empty.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


class Figure(NamedTuple):
    """A figure that can be drawn.

    Attributes:
        title: a short name; also names the files.
        caption: what a reader sees in it, in one or two sentences.
        build: draws it and returns a `matplotlib.figure.Figure`.
    """

    title: str
    caption: str
    build: Callable[[], Any]


def lazily(path: str) -> Callable[..., Any]:
    """Names a function of an experiment's module without importing it before it is called.

    Args:
        path: "module:function", e.g. "experiments.toy.compute:run".

    Returns:
        A function that imports the module when called, and passes everything on.

    >>> lazily("math:sqrt")(4.0)
    2.0
    """
    module, name = path.split(":")

    def call(*args: Any, **keywords: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **keywords)

    return call


def with_interval(found: Mapping[str, float], digits: int = 3, scale: float = 1.0) -> str:
    """A table's cell: a mean with its interval, or alone where there is one seed.

    Args:
        found: `mean`, `low` and `high`, and `size` where known, as in a record's summary.
        digits: after the point.
        scale: all are multiplied by it, e.g. 100 for per cent.

    >>> with_interval({"mean": 0.5, "low": 0.4, "high": 0.6, "size": 5}, 1, 100)
    '50.0 [40.0, 60.0]'
    """
    mean, low, high = (f"{scale * found[name]:.{digits}f}" for name in ("mean", "low", "high"))
    return mean if found.get("size") == 1 else f"{mean} [{low}, {high}]"


def _nothing(record: "Record") -> Sequence[Any]:
    """Shows nothing: the default of an experiment without tables or figures."""
    return ()


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment and all that the command line, the records and the report need to know of it.

    Name the functions by `lazily`, so that `attnjax list` imports neither JAX nor matplotlib.

    Attributes:
        name: the folder's name.
        title: the name a reader sees.
        question: the question it answers or the claim it tests, in one line.
        source: where it comes from: a document's section, or a paper.
        config: the frozen dataclass of its settings; it validates itself and has a field `seed: int`.
        presets: the settings of `smoke` and of `paper`.
        cost: what each preset is expected to take.
        run: `run(config, key, context)` computes and returns an `Outcome`; `key` is `jax.random.key(config.seed)`.
        tables: `tables(record)` makes tables from a record.
        figures: `figures(record)` makes figures from a record.
        data: names of the sources in `attnjax.data` that it reads; their checksums go into the record.
        x64: whether it runs in double precision.
        main_job: whether `attnjax reproduce` runs it.
        order: its place in listings and in the report; lower comes first.
    """

    name: str
    title: str
    question: str
    source: str
    config: type
    presets: Mapping[str, Any]
    cost: Mapping[str, Cost]
    run: Callable[[Any, Any, "Context"], Outcome]
    tables: Callable[["Record"], Sequence[Table]] = _nothing
    figures: Callable[["Record"], Sequence[Figure]] = _nothing
    data: tuple[str, ...] = ()
    x64: bool = False
    main_job: bool = False
    order: int = 100

    def __post_init__(self) -> None:
        where = f"Experiment({self.name!r})"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            fail(
                where,
                expected="a name of lower-case letters, digits and underscores",
                got=repr(self.name),
                advice="Use the name of the experiment's folder.",
            )
        if not (dataclasses.is_dataclass(self.config) and self.config.__dataclass_params__.frozen):  # type: ignore[attr-defined]
            fail(
                where,
                expected="`config` to be a frozen dataclass",
                got=repr(self.config),
                advice="Decorate the class with @dataclasses.dataclass(frozen=True).",
            )
        if "seed" not in {field.name for field in dataclasses.fields(self.config)}:
            fail(
                where,
                expected="a field `seed: int` in the configuration",
                got="none",
                advice="Add it: every random stream of a run starts from it.",
            )
        for what, given in (("presets", self.presets), ("cost", self.cost)):
            if set(given) != set(PRESETS):
                fail(
                    where,
                    expected=f"`{what}` for exactly {' and '.join(PRESETS)}",
                    got=", ".join(sorted(given)) or "none",
                    advice="Give one entry for each.",
                )
        for preset, config in self.presets.items():
            if not isinstance(config, self.config):
                fail(
                    where,
                    expected=f"presets[{preset!r}] to be a {self.config.__name__}",
                    got=type(config).__name__,
                    advice="Build it from the class given as `config`.",
                )
