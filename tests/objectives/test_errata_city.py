"""The counterexamples of City in reproducibility/ERRATA.md that need no network, one test each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Concave, split
from attnjax.objectives import Delay

# Compiled quickly, what its contributions share is computed anew at every use: minutes instead of seconds.
pytestmark = pytest.mark.compiled_in_full


def test_minimising_the_effect_starves_the_better_use():
    better = split(Concave(lambda w, a: a * w, (jnp.array([2.0, 1.0]),)))
    worse = split(Concave(lambda w, a: -a * w, (jnp.array([2.0, 1.0]),)))  # what "min F" asks for
    assert better.shares.tolist() == [1, 0]
    assert worse.shares.tolist() == [0, 1]
    # With contributions that fall off the least effect is in a corner, and the most is not.
    effect = jax.vmap(lambda w: jnp.sqrt(w) + jnp.sqrt(1 - w))(jnp.linspace(0, 1, 101))
    assert int(jnp.argmin(effect)) in (0, 100)
    assert int(jnp.argmax(effect)) == 50


def test_the_linear_model_is_an_eigenvector_without_data():
    hidden = np.random.default_rng(0).normal(size=(3, 3))
    only = np.linalg.solve(np.eye(3) - hidden.T, np.zeros(3))
    assert not only.any()  # no shares: they would sum to 0
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    for size in (1, 7):  # where there is a solution, it has no size
        np.testing.assert_array_equal(swap.T @ np.full(2, size), np.full(2, size))


def test_equal_errors_have_unequal_regret():
    delay = Delay(jnp.array([0.05, 0.35]), 0.5, 60.0, 0.9)
    best = split(delay, lower=0.05)
    error = 0.1
    costs = [float(best.value - jnp.sum(delay.value(best.shares + jnp.array([e, -e])))) for e in (error, -error)]
    assert min(costs) > 0
    assert max(costs) > 3 * min(costs)


def test_without_a_state_one_split_is_best_for_ever():
    flows = jnp.array([[0.1, 0.2], [0.2, 0.1]])
    stateless = jax.vmap(lambda _: split(Concave(lambda w, a: a * jnp.sqrt(w), (jnp.array([1.0, 2.0]),))).shares)(flows)
    assert jnp.array_equal(stateless[0], stateless[1])
    with_state = jax.vmap(lambda flow: split(Delay(flow, 0.5, 60.0, 0.9), lower=0.1).shares)(flows)
    np.testing.assert_allclose(with_state[0], with_state[1, ::-1], atol=1e-5)
    assert abs(with_state[0, 0] - with_state[1, 0]) > 0.1


@pytest.mark.parametrize("phase", [0, 1])
def test_speed_in_other_units_moves_the_split(phase):
    """Phase 0 gains speed, phase 1 throughput, both with diminishing returns."""

    def best(per_second):
        speed, throughput = jnp.array([10.0 * per_second, 0.0]), jnp.array([0.0, 10.0])
        return split(Concave(lambda w, v, q: (v + q) * jnp.sqrt(w), (speed, throughput))).shares

    in_metres, in_kilometres = best(1.0), best(3.6)
    np.testing.assert_allclose(in_metres, 0.5, atol=1e-5)
    assert abs(in_kilometres[phase] - in_metres[phase]) > 0.4
