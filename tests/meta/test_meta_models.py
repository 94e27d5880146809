"""Any pure `apply` will do: plain functions, Flax's linen, its NNX after a split. One network, the same numbers."""

import central_differences
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from inner_loop_cases import batches, loss, parameters, tasks

from attnjax.meta import Tasks, inner_loop, maml, over_tasks

WIDTH = 3


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1, name="head")(jnp.tanh(nn.Dense(WIDTH, name="body")(x)))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.body, self.head = nnx.Linear(1, WIDTH, rngs=rngs), nnx.Linear(WIDTH, 1, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.body(x)))


def squared_error(apply, params, batch):
    errors = batch["here"][:, None] * (apply(params, batch["x"]) - batch["y"]) ** 2
    return jnp.sum(errors) / jnp.sum(batch["here"])


def linen():
    model = Linen()
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 1)))
    theta = {"params": parameters()}
    assert jax.tree.structure(shapes) == jax.tree.structure(theta)
    return theta, lambda params, batch: squared_error(model.apply, params, batch), "params/head"


def nnx_split():
    graph, theta = nnx.split(Nnx(nnx.Rngs(0)), nnx.Param)
    assert [jnp.shape(leaf) for leaf in jax.tree.leaves(theta)] == [x.shape for x in jax.tree.leaves(parameters())]
    theta = jax.tree.unflatten(jax.tree.structure(theta), jax.tree.leaves(parameters()))
    return theta, lambda params, batch: squared_error(lambda p, x: nnx.merge(graph, p)(x), params, batch), "head"


@pytest.mark.parametrize("model", [linen, nnx_split], ids=["linen", "nnx"])
def test_a_flax_model_adapts_and_is_meta_learned_as_a_plain_function_is(model, x64):
    theta, model_loss, head = model()
    found, wanted = [], []
    for out, (params, objective, path) in ((found, (theta, model_loss, head)), (wanted, (parameters(), loss, "head"))):
        learner = maml(objective, optax.sgd(0.2), 2, adapt=path)
        meta = learner.init(params)
        (value, _), slope = jax.jit(learner.gradient)(meta, tasks())
        phi, _ = learner.adapt(meta, batches(1))
        out.extend([value, *jax.tree.leaves(slope), *jax.tree.leaves(phi)])
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    assert jax.tree.structure(phi) == jax.tree.structure(parameters())


def test_an_optimiser_may_be_learned(x64):
    """A network of two weights per unit that sees gradient and parameter; its meta-gradient by central differences."""

    def network(eta):
        def update(gradient, memory, params):
            def step(g, p):
                return -jnp.tanh(jnp.stack([g, p], axis=-1) @ eta[:2]) @ eta[2]

            return jax.tree.map(step, gradient, params), memory

        return optax.GradientTransformation(lambda params: (), update)

    eta = np.random.default_rng(0).normal(size=(3, 4)) * 0.3
    for way in ("exact", "forward_over_reverse"):
        meta_loss = over_tasks(inner_loop(loss, network, 3, grad=way), loss)
        value = jax.jit(lambda flat, f=meta_loss: f(parameters(), flat.reshape(eta.shape), Tasks(*tasks()))[0])
        slope = central_differences.jacobian(value, eta.ravel())
        found = jax.jit(jax.grad(value))(jnp.asarray(eta.ravel()))
        np.testing.assert_allclose(found, slope, rtol=0, atol=1e-6 * np.abs(slope).max())
