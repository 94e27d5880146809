"""The network of Metaverse §5.2: as in the document where that runs, corrected where it does not."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.models import AttentionVectorNet
from attnjax.models.attention_vector import by_products, largest_of_four, squared_error, without_attention

NET = AttentionVectorNet()
IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
LABELS = np.array([3, 0, 9])


@pytest.fixture(scope="module")
def params():
    return jax.jit(NET.init)(jax.random.key(0), IMAGES)["params"]


@pytest.fixture(scope="module")
def outputs(params):
    return jax.jit(lambda p, x: NET.apply({"params": p}, x))


def test_layers_have_the_documents_sizes(params):
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(part)) for name, part in params.items()}
    assert sizes == {
        "conv_32": 32 * 3 * 9 + 32,
        "conv_64": 64 * 32 * 9 + 64,
        "dense_128": 64 * 8 * 8 * 128 + 128,
        "outputs": 128 * 10 + 10,
        "attention": 10,
    }


def test_a_batch_is_its_images(params, outputs):
    together = outputs(params, IMAGES)
    assert together.shape == (3, 10)
    np.testing.assert_allclose(together[1], NET.apply({"params": params}, IMAGES[1]), rtol=1e-4, atol=1e-5)


def test_the_documents_reshape_makes_sixteen_rows_of_an_image():
    """Two convolutions with padding 1 keep 32 x 32; `view(-1, 64 * 8 * 8)` then tears each image apart."""
    images = jnp.zeros((64, 32, 32, 3))
    kernel = {"first": jnp.zeros((3, 3, 3, 32)), "second": jnp.zeros((3, 3, 32, 64))}

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    kept = jax.eval_shape(lambda x: convolve(convolve(x, kernel["first"]), kernel["second"]), images)
    assert kept.shape == (64, 32, 32, 64)
    rows = jax.eval_shape(lambda x: x.reshape(-1, 64 * 8 * 8), kept).shape[0]
    assert rows == 16 * 64
    with pytest.raises(UserError, match=r"squared_error: expected one label per row of outputs, shape \(1024,\)"):
        squared_error(jnp.zeros((rows, 10)), jnp.zeros(64, int))


def test_the_gradient_of_the_attention_vector_is_outputs_gradients_times_what_it_multiplies(params, outputs):
    gradient = jax.jit(jax.grad(lambda p: squared_error(NET.apply({"params": p}, IMAGES), LABELS)))(params)
    ones = {**params, "attention": jnp.ones(10)}
    multiplied = outputs(ones, IMAGES)
    error = 2 * (multiplied * params["attention"][None, :] - np.eye(10)[LABELS])
    np.testing.assert_allclose(gradient["attention"], (error * multiplied).sum(0), rtol=1e-3, atol=1e-4)


def test_the_attention_vector_adds_nothing_to_what_the_network_can_represent(params, outputs):
    plain = without_attention(params)
    np.testing.assert_array_equal(plain["attention"], 1)
    np.testing.assert_allclose(outputs(plain, IMAGES), outputs(params, IMAGES), rtol=1e-4, atol=1e-5)


def test_convolving_by_products_is_convolving():
    """Outputs and derivatives, to rounding, for kernels and padding without symmetry."""
    rng = np.random.default_rng(2)
    images, kernel = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(3, 2, 3, 4))
    padding = ((1, 0), (2, 1))
    numbers = ("NHWC", "HWIO", "NHWC")

    def directly(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, (1, 1), padding, dimension_numbers=numbers)

    def weighed(convolve):
        def total(images, kernel):
            found = convolve(images, kernel)
            return jnp.sum(found * jnp.sin(jnp.arange(found.size)).reshape(found.shape)), found

        return jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(images, kernel)

    expected = weighed(directly)
    found = weighed(lambda images, kernel: by_products(images, kernel, (1, 1), padding))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match=r"by_products: expected strides \(1, 1\), got \(2, 2\)"):
        by_products(images, kernel, (2, 2), padding)


def test_the_loss_is_the_sum_of_squares_against_one_hot():
    values = np.random.default_rng(1).normal(size=(3, 10))
    by_hand = sum((values[row, c] - (c == LABELS[row])) ** 2 for row in range(3) for c in range(10))
    assert float(squared_error(jnp.asarray(values), jnp.asarray(LABELS))) == pytest.approx(by_hand, rel=1e-5)


def test_channels_first_is_refused():
    with pytest.raises(UserError, match=r"AttentionVectorNet: expected images.*got shape \(2, 3, 32, 32\).*Move"):
        jax.eval_shape(NET.init, jax.random.key(0), jnp.zeros((2, 3, 32, 32)))


def test_pooling_and_its_derivatives_have_the_bits_of_flax():
    def pooled(images):
        return nn.max_pool(images, (2, 2), strides=(2, 2))

    images = np.random.default_rng(1).normal(size=(2, 6, 4, 3)).astype(np.float32)
    for given in (images, np.round(images), np.zeros_like(images)):  # few ties, many, and nothing else
        ours, back = jax.vjp(largest_of_four, given)
        theirs, their_back = jax.vjp(pooled, given)
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(back(1 + ours)[0], their_back(1 + ours)[0])
        _, forward = jax.jvp(largest_of_four, (given,), (images,))
        np.testing.assert_allclose(np.vdot(forward, ours), np.vdot(back(ours)[0], images), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(largest_of_four(images[0]), pooled(images)[0])
