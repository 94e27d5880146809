"""The belief is the Gaussian conditional, whatever the order; adaptation can be differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.models import LinearGaussian, believe, expected, uncertainty
from tests.central_differences import assert_close, jacobian

N, D = 7, 3
RNG = np.random.default_rng(0)
OFFSET, FEATURES, NOISE = RNG.normal(size=N), RNG.normal(size=(N, D)), 0.4
ITEM, VALUE, MASK = np.array([5, 0, 2, 1]), RNG.normal(size=4), np.array([True, True, False, True])


def model():
    return LinearGaussian(jnp.asarray(OFFSET), jnp.asarray(FEATURES), jnp.asarray(NOISE))


def test_it_is_what_conditioning_the_joint_gaussian_gives(x64):
    """Answers to all items and noisy ones to some are jointly Gaussian; Schur's complement knows the rest."""
    held = ITEM[MASK]
    prior = FEATURES @ FEATURES.T
    gain = prior[:, held] @ np.linalg.inv(prior[np.ix_(held, held)] + NOISE * np.eye(3))
    belief = believe(model(), jnp.asarray(ITEM), jnp.asarray(VALUE), jnp.asarray(MASK))
    np.testing.assert_allclose(expected(model(), belief), OFFSET + gain @ (VALUE[MASK] - OFFSET[held]), rtol=1e-10)
    left = prior - gain @ prior[held]
    np.testing.assert_allclose(uncertainty(model(), belief), np.sqrt(np.diag(left)), rtol=1e-9)


def test_order_and_padding_do_not_count():
    order = np.array([3, 2, 0, 1])
    first = believe(model(), ITEM, VALUE, MASK)
    changed = np.where(MASK, VALUE, 99.0)
    np.testing.assert_allclose(first.mean, believe(model(), ITEM[order], changed[order], MASK[order]).mean, atol=1e-5)


def test_an_answer_makes_nothing_less_certain():
    before = believe(model(), ITEM, VALUE, np.zeros(4, bool))
    after = believe(model(), ITEM, VALUE, MASK)
    np.testing.assert_array_less(uncertainty(model(), after), uncertainty(model(), before) + 1e-6)
    np.testing.assert_allclose(expected(model(), before), OFFSET, rtol=1e-5)


def test_the_gradient_through_adaptation_is_that_of_differences(x64):
    def loss(flat):
        offset, features, noise = flat[:N], flat[N:-1].reshape(N, D), jnp.exp(flat[-1])
        theta = LinearGaussian(offset, features, noise)
        belief = believe(theta, jnp.asarray(ITEM), jnp.asarray(VALUE), jnp.asarray(MASK))
        return jnp.sum(jnp.sin(expected(theta, belief)) + uncertainty(theta, belief))

    flat = np.concatenate([OFFSET, FEATURES.ravel(), [np.log(NOISE)]])
    assert_close(jax.grad(loss)(jnp.asarray(flat)), jacobian(jax.jit(loss), flat), 1e-7)


def test_a_row_of_vmap_and_jit_agree_with_eager():
    values = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
    mapped = jax.jit(jax.vmap(lambda value: expected(model(), believe(model(), ITEM, value, MASK))))(values)
    for row in range(3):
        one = expected(model(), believe(model(), ITEM, values[row], MASK))
        np.testing.assert_allclose(mapped[row], one, rtol=1e-5)


def test_mistakes_are_refused():
    with pytest.raises(UserError, match=r"one shape \(k,\), got shapes \(4,\), \(3,\)"):
        believe(model(), jnp.zeros(4, int), jnp.zeros(3), jnp.ones(4, bool))
