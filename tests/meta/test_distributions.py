"""Distributions over actions agree with SciPy's and with their own draws."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from attnjax.meta.rl import Categorical, Normal

DRAW = np.random.default_rng(0)


def test_a_categorical_is_a_softmax(x64):
    one = Categorical(DRAW.normal(size=(3, 5)))
    p = np.exp(one.logits) / np.exp(one.logits).sum(-1, keepdims=True)
    action = np.array([4, 0, 2])
    np.testing.assert_allclose(one.log_prob(action), np.log(p[np.arange(3), action]), rtol=1e-12)
    np.testing.assert_allclose(one.entropy(), [scipy.stats.entropy(row) for row in p], rtol=1e-12)
    np.testing.assert_array_equal(one.mode(), p.argmax(-1))
    draws = jax.vmap(one.sample)(jax.random.split(jax.random.key(0), 20_000))
    found = np.stack([(np.asarray(draws) == k).mean(0) for k in range(5)], axis=-1)
    np.testing.assert_allclose(found, p, atol=0.015)  # four standard errors


def test_a_normal_is_independent_in_each_dimension(x64):
    one = Normal(DRAW.normal(size=(3, 2)), DRAW.normal(size=(3, 2)) / 2)
    scale = np.exp(one.log_scale)
    action = DRAW.normal(size=(3, 2))
    reference = scipy.stats.norm(one.mean, scale)
    np.testing.assert_allclose(one.log_prob(action), reference.logpdf(action).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(one.entropy(), reference.entropy().sum(-1), rtol=1e-12)
    draws = np.asarray(jax.vmap(one.sample)(jax.random.split(jax.random.key(0), 20_000)))
    np.testing.assert_allclose((draws.mean(0) - one.mean) / scale, 0, atol=0.03)
    np.testing.assert_allclose(draws.std(0) / scale, 1, atol=0.03)
    np.testing.assert_array_equal(one.mode(), one.mean)


def test_an_impossible_action_has_no_nan_in_its_neighbours_gradient():
    """A logit of -inf masks an action; the others keep their derivatives."""
    logits = jnp.array([0.0, 1.0, -jnp.inf])
    gradient = jax.grad(lambda logits: Categorical(logits).log_prob(jnp.int32(1)))(logits)
    np.testing.assert_allclose(gradient[:2], [-jax.nn.sigmoid(-1.0), jax.nn.sigmoid(-1.0)], rtol=1e-6)
