"""Settings of the whole suite: strict broadcasting, reproducible examples, double precision, programs compiled once."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import jax
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# A vector meeting a matrix by accident is a mistake more often than a wish.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tracing makes millions of small objects that stay: looking for cycles among them after every 700 takes a tenth of it.
gc.set_threshold(100_000, 50, 50)
# Nobody reads where in a source file an operation of a test's program comes from.
jax.config.update("jax_traceback_in_locations_limit", 0)

settings.register_profile(
    "attnjax",
    derandomize=True,
    deadline=None,
    max_examples=25,
    # The fixture `x64` holds for all examples of a test, as it should.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("attnjax")

PROGRAMS = "JAX_COMPILATION_CACHE_DIR"
MOST_MAPPINGS = 30_000
"""Of memory, in one process. Linux allows 65,530; every program takes some, and without them the compiler dies."""
MOST_MEMORY = 3 << 30
SLOWEST = (
    "test_tutorial_notebooks.py",
    "test_meta_tables.py",
    "test_cold_start.py",
    "test_newton_derivatives.py",
    "test_certificates.py",
    "test_large_markets.py",
    "test_newton.py",
    "test_market_solver_contract.py",
    "test_inner_loop_contract.py",
    "test_aggregator_contract.py",
    "test_environment_contract.py",
    "test_doctests.py",
    "test_sharding.py",
    "test_creator_promotion.py",
    "test_online_regret.py",
    "test_pareto_fronts.py",
    "test_movielens_market.py",
    "test_attention_vector_experiment.py",
    "test_next_item.py",
    "test_simulation.py",
    "test_city_signals.py",
    "test_city.py",
    "test_street_simulation.py",
    "test_street_dynamics.py",
    "test_traffic_environment.py",
)
"""These files begin first, in this order, so that at the end no worker waits long for the other."""


def pytest_configure(config: pytest.Config) -> None:
    """A folder for what this run compiles: workers and the processes that tests start take it from one another."""
    if PROGRAMS in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="attnjax-programs-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ |= {PROGRAMS: folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first; the order of tests within a file stays."""
    rank = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


class FilesAndNotebooks(LoadFileScheduling):
    """A worker takes a whole file, for what its tests share; of the notebooks, which share nothing, it takes one."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return test.partition("[")[2] if file.endswith("test_tutorial_notebooks.py") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """How tests go to workers, whatever `--dist` says."""
    return FilesAndNotebooks(config, log)


@pytest.fixture(autouse=True, scope="module")
def forget_programs() -> Iterator[None]:
    """Drops what was compiled once it is much: thousands of programs are gigabytes, and at last crash the compiler."""
    yield
    maps, pages = Path("/proc/self/maps"), Path("/proc/self/statm")
    if not maps.exists():
        jax.clear_caches()
        return
    memory = int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if memory > MOST_MEMORY or maps.read_text().count("\n") > MOST_MAPPINGS:
        jax.clear_caches()


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`setting(module, name, value)` for one test; programs traced before don't know it, so all are traced anew."""

    def change(module: ModuleType, name: str, value: object) -> None:
        monkeypatch.setattr(module, name, value)
        jax.clear_caches()

    yield change
    jax.clear_caches()


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision for one test; jit keeps separate programs for the two precisions, so nothing leaks."""
    with jax.enable_x64(True):
        yield
