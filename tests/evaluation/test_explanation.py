"""Attributions are what they are known to be: complete, exact for polynomials, 0 for what is not read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.evaluation.explanation import attention_map, attention_rollout, integrated_gradients, occlusion
from attnjax.models import MultiHeadAttention

RNG = np.random.default_rng(0)


def test_a_linear_models_attributions_are_its_terms(x64):
    weights = {"a": RNG.normal(size=(3, 2)), "b": RNG.normal(size=4)}
    inputs, baseline = (jax.tree.map(lambda w: RNG.normal(size=w.shape), weights) for _ in range(2))

    def function(x):
        return 7.0 + jnp.sum(weights["a"] * x["a"]) + jnp.sum(weights["b"] * x["b"])

    found = integrated_gradients(function, inputs, baseline, nodes=1)
    for name, weight in weights.items():
        np.testing.assert_allclose(found.values[name], weight * (inputs[name] - baseline[name]), rtol=1e-13)
    assert abs(float(found.gap)) < 1e-13


def test_a_product_is_shared_equally_and_what_is_not_read_gets_nothing(x64):
    """By symmetry: x0 x1 x2 from a baseline of 0; degree 3 in t needs 2 nodes, and 1 shows the quadrature's gap."""
    x = jnp.array([2.0, 3.0, 0.5, 9.0])

    def function(x):
        return x[0] * x[1] * x[2]

    np.testing.assert_allclose(integrated_gradients(function, x, nodes=2).values, [1, 1, 1, 0], atol=1e-14)
    one = integrated_gradients(function, x, nodes=1)
    assert float(one.gap) == pytest.approx(3 - 3 * 3 / 4)


def test_attributions_through_attention_add_up_in_float64(x64):
    layer = MultiHeadAttention(num_heads=2)
    x, baseline = 2 * RNG.normal(size=(2, 5, 4)), RNG.normal(size=(5, 4))
    mask = jnp.array([True] * 4 + [False])
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), jax.jit(layer.init)(jax.random.key(0), x[0]))

    def explain(x):
        def function(x):
            return jnp.tanh(layer.apply(params, x, mask=mask).output[3, 0])

        return integrated_gradients(function, x, baseline, nodes=48)

    found = jax.jit(jax.vmap(explain))(x)
    assert (abs(found.change) > 0.05).all()
    np.testing.assert_allclose(found.values.sum((1, 2)), found.change, atol=1e-6)
    np.testing.assert_allclose(found.gap, found.change - found.values.sum((1, 2)), atol=1e-12)
    np.testing.assert_array_equal(found.values[:, 4], 0)  # masked


def test_the_integral_is_that_of_many_small_steps_and_jit_changes_nothing():
    matrix, row = RNG.normal(size=(6, 4)).astype(np.float32), RNG.normal(size=6).astype(np.float32)

    def function(x):
        return row @ jnp.tanh(matrix @ x)

    x = RNG.normal(size=4).astype(np.float32)
    found = integrated_gradients(function, x)
    middles = (np.arange(20_000) + 0.5) / 20_000
    slopes = (row[None] * (1 - np.tanh(middles[:, None] * (matrix @ x)[None]) ** 2)) @ matrix
    np.testing.assert_allclose(found.values, slopes.mean(0) * x, rtol=1e-4, atol=1e-5)
    compiled = jax.jit(lambda x: integrated_gradients(function, x))(x)
    np.testing.assert_allclose(compiled.values, found.values, rtol=1e-5, atol=1e-6)
    assert found.values.dtype == jnp.float32


def test_occlusion_sees_each_cause_that_has_no_substitute():
    lost = jax.jit(lambda: occlusion(lambda kept: 2.0 * kept[3] + 1.0 * (kept[70] | kept[71]), 100))()
    expected = np.zeros(100)
    expected[3] = 2
    np.testing.assert_array_equal(lost, expected)


def test_maps_are_means_over_heads():
    weights = jax.nn.softmax(RNG.normal(size=(2, 3, 4, 5, 5)))
    np.testing.assert_allclose(attention_map(weights, layer=1), weights[:, 1].mean(1), rtol=1e-6)
    np.testing.assert_allclose(attention_map(weights), weights[:, 2].mean(1), rtol=1e-6)


def test_rollout_multiplies_layers_and_keeps_to_causes():
    weights = np.tril(RNG.random((2, 3, 2, 4, 4)))
    weights = weights / weights.sum(-1, keepdims=True)
    weights[:, :, :, 1] = 0  # a position that reads nothing
    found = np.asarray(attention_rollout(weights))
    steps = weights.mean(2) + np.eye(4)
    steps = steps / steps.sum(-1, keepdims=True)
    np.testing.assert_allclose(found, steps[:, 2] @ steps[:, 1] @ steps[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    assert (found[:, np.triu_indices(4, 1)[0], np.triu_indices(4, 1)[1]] == 0).all()
    np.testing.assert_array_equal(found[:, 1], np.eye(4)[1][None].repeat(2, 0))


def test_what_cannot_be_explained_is_refused():
    x = jnp.ones(3)
    with pytest.raises(UserError, match=r"integrated_gradients: expected a baseline.*float32\[3\].*float32\[2\]"):
        integrated_gradients(jnp.sum, x, jnp.ones(2))
    with pytest.raises(UserError, match=r"expected floating-point inputs, got int32\[3\].*embeddings"):
        integrated_gradients(jnp.sum, jnp.arange(3))
    with pytest.raises(UserError, match=r"expected a function whose value is a scalar, got shape \(3,\)"):
        integrated_gradients(lambda x: 2 * x, x)
    with pytest.raises(UserError, match="expected nodes >= 1"):
        integrated_gradients(jnp.sum, x, nodes=0)
    with pytest.raises(UserError, match="occlusion: expected at least 1 unit"):
        occlusion(jnp.sum, 0)
    with pytest.raises(UserError, match=r"attention_map: expected attention weights .* got none"):
        attention_map(None)
    with pytest.raises(UserError, match="expected one of 2 layers, got 2"):
        attention_map(jnp.ones((2, 1, 3, 3)), layer=2)
    with pytest.raises(UserError, match="attention_rollout: expected self-attention"):
        attention_rollout(jnp.ones((1, 1, 2, 3)))
