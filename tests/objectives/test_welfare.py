"""Welfare: its limits, its order of allocations, and what transfers do to it."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnjax.errors import UserError
from attnjax.objectives import gini, gini_weights, leximin_weights, sorted_welfare, welfare

pytestmark = pytest.mark.usefixtures("x64")
UTILITIES = np.array([0.4, 1.0, 2.5, 1.7])
WEIGHTS = np.array([1.0, 0.5, 2.0, 1.5])


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 2, 5])
def test_alpha_fair_welfare_is_the_formula(alpha):
    def formula(x):
        return (WEIGHTS * (np.log(x) if alpha == 1 else (x ** (1 - alpha) - 1) / (1 - alpha))).sum()

    # Utilitarian welfare is not shifted: it is defined for any utilities.
    shift = WEIGHTS.sum() if alpha == 0 else 0
    assert float(welfare(UTILITIES, alpha, WEIGHTS)) == pytest.approx(formula(UTILITIES) + shift, rel=1e-12)
    gradient = jax.grad(welfare)(jnp.asarray(UTILITIES), alpha, WEIGHTS)
    np.testing.assert_allclose(gradient, WEIGHTS * UTILITIES**-alpha, rtol=1e-10)


def test_the_ends_of_the_family():
    assert float(welfare(UTILITIES, 0)) == pytest.approx(UTILITIES.sum())
    assert float(welfare(UTILITIES, jnp.inf)) == pytest.approx(UTILITIES.min())
    assert float(welfare(-UTILITIES, 0)) == pytest.approx(-UTILITIES.sum())
    with pytest.raises(UserError, match="alpha >= 0"):
        welfare(UTILITIES, -1)


def test_gini_weights_give_the_mean_less_inequality():
    value = sorted_welfare(jnp.asarray(UTILITIES), gini_weights(4))
    assert float(value) == pytest.approx(UTILITIES.mean() * (1 - float(gini(jnp.asarray(UTILITIES)))))
    assert float(gini_weights(7).sum()) == pytest.approx(1)


@given(arrays(np.int64, (2, 4), elements=st.integers(0, 5)))
def test_leximin_weights_order_as_leximin_does(pair):
    """Utilities that differ by at least 1, by at most 5: a ratio of 0.15 is small enough."""
    first, second = (sorted(row.tolist()) for row in pair)
    weights = leximin_weights(4, 0.15)
    values = [float(sorted_welfare(jnp.asarray(row, float), weights)) for row in pair]
    assert (values[0] > values[1] + 1e-12) == (first > second)


@given(arrays(np.float64, 5, elements=st.floats(0, 10)), st.floats(0.01, 0.49))
def test_a_transfer_to_the_worse_off_never_lowers_welfare(utilities, part):
    rich, poor = int(np.argmax(utilities)), int(np.argmin(utilities))
    moved = utilities.copy()
    amount = part * (utilities[rich] - utilities[poor])
    moved[rich] -= amount
    moved[poor] += amount
    for weights in (gini_weights(5), leximin_weights(5)):
        assert sorted_welfare(moved, weights) >= sorted_welfare(utilities, weights) - 1e-12


def test_its_gradient_is_the_weight_of_the_place():
    exact = jax.grad(sorted_welfare)(jnp.asarray(UTILITIES), leximin_weights(4))
    numerical = central_differences.jacobian(lambda x: sorted_welfare(x, leximin_weights(4)), UTILITIES)
    central_differences.assert_close(exact, numerical, 1e-9)


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="as many weights"):
        sorted_welfare(jnp.ones(3), jnp.ones(2))
    for ratio in (0.0, 1.1):
        with pytest.raises(UserError, match="a ratio"):
            leximin_weights(3, ratio)
