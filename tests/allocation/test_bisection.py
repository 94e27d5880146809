import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.allocation.bisection import bisect

run = jax.jit(lambda target, low, high: bisect(lambda x: x <= target, low, high))
reals = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@given(ends=st.lists(reals, min_size=3, max_size=3).map(sorted))
def test_it_ends_at_the_target_and_its_upper_neighbour(ends):
    """On intervals of any sign and width: negative, across zero, over 60 orders of magnitude."""
    low, target, high = (np.float32(x) for x in ends)
    below, above = (np.float32(x) for x in run(target, low, high))
    tiny = np.finfo(np.float32).tiny
    if low < high:
        wanted = min(target, np.nextafter(high, np.float32(-np.inf)))
        # XLA counts subnormal numbers as 0, so any of them is as good.
        assert below == wanted or max(abs(below), abs(wanted)) < tiny
        assert above == np.nextafter(below, np.float32(np.inf)) or abs(above) <= tiny
    else:
        assert below == above == low


@pytest.mark.parametrize(
    ("low", "target", "high"),
    [(-3.0, -2.5, -2.0), (-1e300, 1e-300, 1e300), (-1e300, -1e-300, 1e300), (0.0, 1 / 3, 1.0), (-5.0, 2.0, 1e308)],
)
@pytest.mark.usefixtures("x64")
def test_double_precision_takes_sixty_four_steps_to_neighbours(low, target, high):
    below, above = run(target, low, high)
    assert float(below) == target
    assert float(above) == np.nextafter(target, np.inf)


def test_a_condition_that_changes_outside_the_interval_gives_an_end():
    ends = run(jnp.float32(9), jnp.float32(1), jnp.float32(2))
    assert float(ends[1]) == 2
    assert float(ends[0]) == np.nextafter(np.float32(2), np.float32(0))
    ends = run(jnp.float32(-9), jnp.float32(1), jnp.float32(2))
    assert float(ends[0]) == 1


def test_it_is_elementwise_and_batches():
    targets = jnp.array([[0.1, -0.2], [7.0, 1e-20]])
    low, high = jnp.full((2, 2), -10.0), jnp.full((2, 2), 10.0)
    below, _ = run(targets, low, high)
    np.testing.assert_array_equal(below, targets)
    np.testing.assert_array_equal(jax.vmap(run)(targets, low, high)[0], targets)
