"""Settings of the whole suite: strict broadcasting, reproducible random examples, double precision on request."""

from collections.abc import Iterator

import jax
import pytest
from hypothesis import HealthCheck, settings

# A vector meeting a matrix by accident is a mistake more often than a wish.
jax.config.update("jax_numpy_rank_promotion", "raise")

settings.register_profile(
    "attnjax",
    derandomize=True,
    deadline=None,
    max_examples=25,
    # The fixture `x64` holds for all examples of a test, as it should.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("attnjax")


@pytest.fixture(autouse=True, scope="module")
def forget_programs() -> Iterator[None]:
    """Drops what a file compiled: thousands of programs are gigabytes, and at last crash the compiler."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision for one test; jit keeps separate programs for the two precisions, so nothing leaks."""
    with jax.enable_x64(True):
        yield
