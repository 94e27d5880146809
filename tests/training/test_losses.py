"""Penalties are their formulas, decay is where it is said to be, and low precision leaves parameters alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from central_differences import assert_close, jacobian

from attnjax.errors import UserError
from attnjax.training import in_precision, named, penalised

TREE = {"dense": {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([3.0])}, "embedding": jnp.array([-0.5])}


def _square(params, batch):
    return 0.5 * sum(jnp.sum((leaf - batch) ** 2) for leaf in jax.tree.leaves(params))


def test_leaves_are_found_by_their_path():
    assert named(TREE, "kernel|embedding") == {"dense": {"kernel": True, "bias": False}, "embedding": True}
    assert named(TREE, "^dense/") == {"dense": {"kernel": True, "bias": True}, "embedding": False}
    with pytest.raises(UserError, match=r"'kernal', and the paths dense/bias, dense/kernel, embedding"):
        named(TREE, "kernal")


def test_penalties_are_their_formulas():
    plain = _square(TREE, 0.0)
    for pattern, l1, square in (("", 6.5, 14.25), ("kernel", 3.0, 5.0)):
        value = penalised(_square, l1=0.1, l2=0.3, pattern=pattern)(TREE, 0.0)
        assert float(value) == pytest.approx(float(plain) + 0.1 * l1 + 0.15 * square, rel=1e-6)
    with pytest.raises(UserError, match="l2 of at least 0, got -1"):
        penalised(_square, l2=-1)


def test_their_gradient_is_the_central_difference(x64):
    loss = penalised(lambda w, _: jnp.sum(jnp.sin(w)), l1=0.7, l2=0.2)
    w = np.array([0.5, -1.5, 2.0])
    assert_close(jax.grad(loss)(jnp.asarray(w), None), jacobian(lambda w: loss(jnp.asarray(w), None), w), 1e-9)
    assert jax.grad(loss)(jnp.zeros(1), None) == 1.0  # of sin; the penalties' is 0 at 0


def _descend(optimizer, loss, params, steps=20):
    memory = optimizer.init(params)
    for _ in range(steps):
        update, memory = optimizer.update(jax.grad(loss)(params, 0.3), memory, params)
        params = optax.apply_updates(params, update)
    return params


def test_decoupled_decay_is_an_l2_term_under_gradient_descent_and_not_under_adam():
    def mask(params):
        return named(params, "kernel")

    term = penalised(_square, l2=0.5, pattern="kernel")
    decayed = optax.chain(optax.add_decayed_weights(0.5, mask), optax.sgd(0.1))
    one, other = _descend(optax.sgd(0.1), term, TREE), _descend(decayed, _square, TREE)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), one, other)
    one = _descend(optax.adam(0.1), term, TREE)
    other = _descend(optax.adamw(0.1, weight_decay=0.5, mask=mask), _square, TREE)
    assert abs(one["dense"]["kernel"] - other["dense"]["kernel"]).max() > 0.01
    np.testing.assert_allclose(one["dense"]["bias"], other["dense"]["bias"], rtol=1e-6)


def test_low_precision_computes_low_and_keeps_parameters_high():
    seen = []

    def loss(params, batch):
        seen.append([leaf.dtype for leaf in jax.tree.leaves((params, batch))])
        return jnp.mean((params["w"] * batch["x"]) ** 2, dtype=jnp.float32) + 0 * jnp.sum(batch["who"])

    params, batch = {"w": jnp.linspace(0.5, 1.5, 64)}, {"x": jnp.linspace(-1, 1, 64), "who": jnp.arange(64)}
    value, gradient = jax.value_and_grad(in_precision(loss))(params, batch)
    assert seen[0] == [jnp.bfloat16, jnp.int32, jnp.bfloat16]  # w, who, x
    assert value.dtype == gradient["w"].dtype == jnp.float32
    exact, high = jax.value_and_grad(loss)(params, batch)
    assert float(value) == pytest.approx(float(exact), rel=2e-2)
    assert float(value) != float(exact)
    np.testing.assert_allclose(gradient["w"], high["w"], atol=2e-2 * float(abs(high["w"]).max()))
    noisy = in_precision(lambda w, x, key: jnp.sum(w * x * jax.random.bernoulli(key, 1.0, x.shape)))
    assert float(noisy(jnp.ones(4), jnp.ones(4), jax.random.key(0))) == 4
    with pytest.raises(UserError, match="float16 needs a scaled loss"):
        in_precision(loss, jnp.float16)
