"""The counterexamples of City in reproducibility/ERRATA.md that need a network, one test each."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.errors import ScopeParamShapeError

from attnjax.allocation import SquaredNorm
from attnjax.models import AttentionRule, ShareMLP, attend


def test_a_linear_last_layer_gives_no_shares():
    """Before training and after it on shares; with the operator they are shares at once."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)).astype(np.float32)
    targets = np.maximum(rng.dirichlet(np.ones(3), 64) - 0.15, 0).astype(np.float32)
    targets /= targets.sum(1, keepdims=True)
    linear, mended = ShareMLP(16, 3), ShareMLP(16, 3, AttentionRule(SquaredNorm()))
    params = jax.jit(linear.init)(jax.random.key(0), x)
    adam = optax.adam(1e-2)

    @jax.jit
    def train(params):
        def step(state, _):
            gradient = jax.grad(lambda p: jnp.mean((linear.apply(p, x) - targets) ** 2))(state[0])
            update, memory = adam.update(gradient, state[1])
            return (optax.apply_updates(state[0], update), memory), None

        return jax.lax.scan(step, (params, adam.init(params)), length=100)[0][0]

    for found in (linear.apply(params, x), linear.apply(train(params), x)):
        assert (found < 0).any()
        assert np.abs(found.sum(1) - 1).max() > 0.01
    shares = mended.apply(params, x)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)


def test_what_is_attended_to_most_may_not_matter():
    """Nearly all attention on the first token, which carries nothing: the second alone decides."""
    query, key, value = jnp.array([[4.0]]), jnp.array([[1.0], [0.0]]), jnp.array([[0.0], [5.0]])
    output, weights = attend(query, key, value)
    assert weights[0, 0] > 0.98
    changed = [attend(query, key, value.at[token].set(0.0))[0] - output for token in (0, 1)]
    assert float(jnp.abs(changed[0]).max()) == 0
    assert float(jnp.abs(changed[1]).max()) == float(jnp.abs(output).max()) > 0


def test_the_documents_network_fits_one_place():
    """It is linear wherever the same units are on, so nothing is weighed by the input; and its sizes are fixed."""
    net, x = ShareMLP(16, 3), jnp.ones((1, 6))
    params = net.init(jax.random.key(0), x)
    slope = jax.jacfwd(lambda x: net.apply(params, x)[0])
    np.testing.assert_allclose(slope(x), slope(2 * x), rtol=1e-5)
    with pytest.raises(ScopeParamShapeError):
        net.apply(params, jnp.ones((1, 7)))
