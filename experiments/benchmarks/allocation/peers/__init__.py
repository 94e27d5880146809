"""The solvers that are compared: one module each, imported only in the process that runs it.

A module has `PRECISION` ("float32" or "float64"), `settings(task)`, the tolerances to try from loose to tight, and
`prepare(task, problem, setting, threads)`, which does all that is not solving and returns a `Prepared`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.benchmarks.allocation.tasks import Array

Setting = dict[str, Any]


class Answer(NamedTuple):
    """What a solver found.

    Attributes:
        attention: (u, n); None if it says that it found nothing.
        prices: (c,), what one more unit of exposure is worth to the objective, if it says so.
        info: its status, iterations and the like; plain values.
    """

    attention: Array | None
    prices: Array | None
    info: dict[str, Any]


class Prepared(NamedTuple):
    """A problem in a solver's own form.

    Attributes:
        run: solves it; this is what is timed.
        read: turns what `run` returned into an answer.
        briefly: compiles what `run` needs and does little else; none where nothing is compiled.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Answer]
    briefly: Callable[[], Any] | None = None


class Solver(NamedTuple):
    """Who solves.

    Attributes:
        title: its name for a reader.
        module: in this package.
        packages: whose versions are recorded.
        own_environment: whether it needs the peers' environment.
    """

    title: str
    module: str
    packages: tuple[str, ...]
    own_environment: bool = True


OURS = "attnjax"

SOLVERS: dict[str, Solver] = {
    OURS: Solver("attnjax", "ours", ("attnjax", "jax", "jaxlib", "numpy"), own_environment=False),
    "highs-ipm": Solver("HiGHS interior point", "highs_ipm", ("highspy",)),
    "highs-simplex": Solver("HiGHS simplex", "highs_simplex", ("highspy",)),
    "pdlp": Solver("OR-tools PDLP", "pdlp", ("ortools",)),
    "clarabel": Solver("Clarabel", "clarabel", ("clarabel", "cvxpy")),
    "scs": Solver("SCS", "scs", ("scs", "cvxpy")),
    "ott-sinkhorn": Solver("ott-jax Sinkhorn", "ott_sinkhorn", ("ott-jax", "jax")),
    "mpax": Solver("MPAX", "mpax", ("mpax", "jax")),
    "kdd22": Solver("KDD'22 programme (SCS)", "kdd22", ("scs", "cvxpy")),
    "kdd22-as-written": Solver("KDD'22 programme as written (SCS)", "kdd22_as_written", ("scs", "cvxpy")),
    "numpy-bisection": Solver("NumPy bisection", "numpy_bisection", ("numpy",), own_environment=False),
    "numpy-bisection-full": Solver(
        "NumPy bisection, all digits", "numpy_bisection_full", ("numpy",), own_environment=False
    ),
}
"""Every solver by name; ours first."""
