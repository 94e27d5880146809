"""The interpretability loss: its ends, its gradient, and that descent on it does what it says."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import SquaredNorm, allocate
from attnjax.errors import UserError
from attnjax.objectives import interpretability_loss, moved, spread

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)


def test_spread_counts_the_uses_that_share_evenly():
    for count in range(1, 7):
        attention = jnp.where(jnp.arange(6) < count, 2.5, 0.0)
        assert float(spread(attention)) == pytest.approx((count - 1) / 5)
    assert float(spread(jnp.zeros(6))) == 0
    assert np.isfinite(jax.grad(spread)(jnp.zeros(6))).all()


def test_moved_is_a_distance_without_unit():
    draws = np.random.default_rng(0).dirichlet(np.ones(4), size=3)
    a, b, c = draws
    assert float(moved(a, 3 * a)) == pytest.approx(0, abs=1e-15)
    assert float(moved(a, b)) == pytest.approx(float(moved(b, a)))
    assert float(moved(a, c)) <= float(moved(a, b) + moved(b, c)) + 1e-15
    assert float(moved(jnp.array([1.0, 0.0]), jnp.array([0.0, 5.0]))) == 1


def test_gradients_by_central_differences():
    a, b = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.4, 0.2])
    for measure in (spread, lambda x: moved(x, b)):
        exact = jax.grad(measure)(jnp.asarray(a))
        central_differences.assert_close(exact, central_differences.jacobian(measure, a), 1e-8)


def test_sharper_attention_is_sparser_and_less_stable():
    """Scores times a temperature's inverse: what the two parts of the loss trade."""
    state = jnp.array([0.3, 0.1, -0.2, 0.0])

    def loss(sharpness, **parts):
        return float(
            interpretability_loss(
                lambda x: allocate(sharpness * x, regularizer=SquaredNorm()).weights, state, KEY, noise=0.05, **parts
            )
        )

    assert loss(10.0, stability=0.0) < loss(1.0, stability=0.0)
    assert loss(3.0, sparsity=0.0) > loss(0.5, sparsity=0.0) > loss(0.0, sparsity=0.0) == 0


def test_descent_on_it_makes_attention_sparse():
    state = jnp.linspace(-1.0, 1.0, 5)

    def loss(weights):
        return interpretability_loss(lambda x: jax.nn.softmax(weights @ x), state, KEY)

    weights = 0.1 * jax.random.normal(jax.random.key(1), (4, 5))
    step = jax.jit(lambda w: w - 0.5 * jax.grad(loss)(w))
    before = float(loss(weights))
    for _ in range(60):
        weights = step(weights)
    assert float(loss(weights)) < 0.5 * before


def test_bad_input_is_refused():
    for call in (
        lambda: spread(jnp.ones(1)),
        lambda: moved(jnp.ones(2), jnp.ones(3)),
        lambda: interpretability_loss(lambda x: x, jnp.ones(2), KEY, draws=0),
    ):
        with pytest.raises(UserError):
            call()
