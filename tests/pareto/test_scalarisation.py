"""What the scalarisers' formulas promise: bounds, optimality of weights, and where their minimisers lie."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.pareto import (
    AverageState,
    dynamic_weights,
    famo_init,
    famo_loss,
    famo_update,
    geometric_mean,
    linear,
    penalty_boundary,
    smooth_tchebycheff,
    tchebycheff,
    uncertainty,
)

LOSSES = np.array([0.7, 2.0, 1.1])
WEIGHTS = np.array([0.5, 0.2, 0.3])
pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    "scalarise",
    [
        lambda f: linear(f, WEIGHTS),
        lambda f: tchebycheff(f, WEIGHTS, 0.1),
        lambda f: smooth_tchebycheff(f, WEIGHTS, 0.1),
        lambda f: penalty_boundary(f, WEIGHTS, 0.1),
        geometric_mean,
        lambda f: uncertainty(f, jnp.array([0.1, -0.3, 0.5])),
    ],
)
def test_gradients_by_central_differences(scalarise):
    exact = jax.grad(scalarise)(jnp.asarray(LOSSES))
    central_differences.assert_close(exact, central_differences.jacobian(scalarise, LOSSES), 1e-8)


def test_the_smooth_maximum_bounds_the_sharp_one():
    for width in (0.3, 0.03, 0.003):
        gap = smooth_tchebycheff(LOSSES, WEIGHTS, width=width) - tchebycheff(LOSSES, WEIGHTS)
        assert 0 <= gap <= width * np.log(3)


def test_a_weighted_sum_misses_the_concave_front_and_tchebycheff_does_not():
    """The front f_1^2 + f_2^2 = 1 bulges outwards: every linear minimiser is an end of it."""
    angles = np.linspace(0, np.pi / 2, 1001)
    front = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    for first in (0.3, 0.5, 0.6):
        weights = jnp.array([first, 1 - first])
        by_sum = front[jnp.argmin(jax.vmap(lambda f, w=weights: linear(f, w))(front))]
        by_worst = front[jnp.argmin(jax.vmap(lambda f, w=weights: tchebycheff(f, w))(front))]
        assert float(by_sum.min()) < 1e-12
        np.testing.assert_allclose(by_worst[0] * weights[0], by_worst[1] * weights[1], rtol=5e-3)


def test_penalty_boundary_on_its_ray_is_the_distance():
    for length in (0.0, 0.5, 3.0):
        on_ray = length * WEIGHTS / np.linalg.norm(WEIGHTS)
        assert float(penalty_boundary(on_ray, WEIGHTS, penalty=100.0)) == pytest.approx(length, abs=1e-5)
    assert np.isfinite(jax.grad(penalty_boundary)(jnp.asarray(WEIGHTS), WEIGHTS)).all()


def test_uncertainty_at_the_best_variances():
    best = jnp.log(LOSSES)
    np.testing.assert_allclose(jax.grad(uncertainty, argnums=1)(jnp.asarray(LOSSES), best), np.zeros(3), atol=1e-12)
    assert float(uncertainty(LOSSES, best)) == pytest.approx(np.log(LOSSES).sum() + 3)


def test_dynamic_weights_favour_what_falls_slowly():
    weights = dynamic_weights(AverageState(jnp.array([0.9, 0.5, 0.0]), jnp.array([1.0, 1.0, 0.0])), 1.0)
    assert float(weights.sum()) == pytest.approx(1)
    assert weights[2] > weights[0] > weights[1]


def test_famo_brings_the_logarithms_down_together():
    """Two independent losses, one a hundred times steeper in logarithm: alone its rate would run ahead."""

    def losses(w):
        return jnp.array([1.0, 1.0]) * jnp.exp(-jnp.array([1.0, 0.1]) * w)

    def falls(rate):
        def step(carry, _):
            w, state = carry
            before = losses(w)
            w = w - 0.05 * jax.grad(lambda w: famo_loss(losses(w), state))(w) / before.mean()
            return (w, famo_update(state, before, losses(w), rate)), -jnp.log(losses(w))

        (_, state), fallen = jax.lax.scan(step, (jnp.zeros(2), famo_init(2)), None, length=200)
        return fallen[-1], state

    (plain, _), (balanced, state) = falls(0.0), falls(50.0)
    assert state.logits[1] > state.logits[0]
    assert balanced[1] / balanced[0] > 3 * plain[1] / plain[0]
    np.testing.assert_allclose(state.logits.sum(), 0, atol=1e-9)


def test_famos_gradient_weights_are_a_convex_combination():
    state = famo_update(famo_init(3), jnp.asarray(LOSSES), jnp.asarray(LOSSES) * jnp.array([0.5, 0.9, 0.8]), 1.0)
    weights = jax.grad(famo_loss)(jnp.asarray(LOSSES), state)
    assert float(weights.sum()) == pytest.approx(1)
    np.testing.assert_allclose(weights * LOSSES / (weights * LOSSES).sum(), jax.nn.softmax(state.logits))


def test_bad_input_is_refused():
    for call, message in (
        (lambda: linear(LOSSES, [0.5, 0.5]), "as many weights"),
        (lambda: tchebycheff(LOSSES, [0.5, 0.6, 0.2]), "on the simplex"),
        (lambda: tchebycheff(LOSSES, WEIGHTS, np.zeros(2)), "ideal value for each loss"),
        (lambda: smooth_tchebycheff(LOSSES, WEIGHTS, width=0.0), "width above 0"),
        (lambda: uncertainty(LOSSES, jnp.zeros(2)), "one log-variance per loss"),
        (lambda: famo_loss(LOSSES, famo_init(2)), "2 losses"),
    ):
        with pytest.raises(UserError, match=message):
            call()
