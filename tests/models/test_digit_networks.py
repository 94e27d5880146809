"""The networks of MetaRL §5.2, corrected: layers, loss, derivatives and refusals."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.models import DigitNet, DigitPolicy
from attnjax.models.digit_networks import REPRESENTATION, WIDTHS, cross_entropy

NET, POLICY = DigitNet(), DigitPolicy()
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 1, (3, 28, 28)).astype(np.float32)
SEEN = RNG.uniform(0, 1, (2, 3, REPRESENTATION)).astype(np.float32)
LABELS = np.array([3, 0, 9])


@pytest.fixture(scope="module")
def params():
    return jax.jit(NET.init)(jax.random.key(0), IMAGES)["params"]


@pytest.fixture(scope="module")
def policy():
    return jax.jit(POLICY.init)(jax.random.key(1), *SEEN)["params"]


def by_hand(params, x):
    """The same layers in NumPy and float64: outputs, and the third layer."""
    seen = []
    for width in WIDTHS:
        layer = params[f"dense_{width}"]
        x = np.maximum(x @ np.asarray(layer["kernel"], float) + np.asarray(layer["bias"], float), 0)
        seen.append(x)
    return x @ np.asarray(params["outputs"]["kernel"], float) + np.asarray(params["outputs"]["bias"], float), seen[2]


def test_layers_have_the_documents_sizes(params, policy):
    for tree, inputs in ((params, 784), (policy, 64)):
        widths = (inputs, 128, 64, 32, 16, 10)
        sizes = [sum(leaf.size for leaf in jax.tree.leaves(part)) for part in tree.values()]
        assert sorted(sizes) == sorted(before * after + after for before, after in itertools.pairwise(widths))


def test_networks_are_five_dense_layers(params, policy):
    for net, tree, inputs, row in (
        (NET, params, (IMAGES,), IMAGES.reshape(3, -1)),
        (POLICY, policy, tuple(SEEN), np.concatenate(SEEN, axis=1)),
    ):
        run = jax.jit(lambda p, *x, net=net: net.apply({"params": p}, *x))
        found = run(tree, *inputs)
        outputs, representation = by_hand(tree, row)
        np.testing.assert_allclose(found.outputs, outputs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.representation, representation, rtol=1e-4, atol=1e-5)
        assert found.representation.shape == (3, REPRESENTATION)
        rows = jax.vmap(run, in_axes=(None, *[0] * len(inputs)))(tree, *inputs)
        np.testing.assert_allclose(rows.outputs, found.outputs, rtol=1e-4, atol=1e-5)
        assert run._cache_size() <= 2  # a batch and a row


def test_squashed_outputs_are_the_sigmoid_of_the_others(params):
    found, squashed = (
        jax.jit(DigitNet(squashed=squashed).apply)({"params": params}, IMAGES) for squashed in (False, True)
    )
    np.testing.assert_allclose(squashed.outputs, 1 / (1 + np.exp(-found.outputs)), rtol=1e-5)
    np.testing.assert_array_equal(squashed.representation, found.representation)


def test_parameters_start_uniform_within_one_over_the_root_of_the_inputs(params):
    for inputs, width in zip((784, *WIDTHS), (*WIDTHS, None), strict=True):
        layer = params["outputs" if width is None else f"dense_{width}"]
        bound = inputs**-0.5
        for leaf in layer.values():
            assert np.abs(leaf).max() <= bound
        kernel = np.sort(np.asarray(layer["kernel"]).ravel())
        expected = np.linspace(-bound, bound, kernel.size)
        assert np.abs(kernel - expected).max() < 4 * bound / np.sqrt(kernel.size)
        assert layer["bias"].any()


def test_the_loss_is_the_mean_of_minus_log_chances():
    outputs = np.random.default_rng(1).normal(size=(3, 10))
    by_hand = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(outputs, LABELS, strict=True)])
    assert float(cross_entropy(jnp.asarray(outputs), jnp.asarray(LABELS))) == pytest.approx(by_hand, rel=1e-5)


def test_the_losss_gradient_is_chances_less_truth():
    outputs = np.random.default_rng(2).normal(size=(3, 10))
    gradient = jax.jit(jax.grad(cross_entropy))(outputs.astype(np.float32), LABELS)
    chances = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    np.testing.assert_allclose(gradient, (chances - np.eye(10)[LABELS]) / 3, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jax.eval_shape(NET.init, jax.random.key(0), jnp.zeros((2, 784))), r"DigitNet: .*\(2, 784\).*MNIST's"),
        (
            lambda: jax.eval_shape(POLICY.init, jax.random.key(0), jnp.zeros((2, 1)), jnp.zeros((2, 1))),
            r"DigitPolicy: expected two .*32\), got shapes \(2, 1\) and \(2, 1\)",
        ),
        (
            lambda: cross_entropy(jnp.zeros((2, 10)), jnp.zeros((2, 10), int)),
            r"one label per row.*\(2, 10\)",
        ),
        (lambda: cross_entropy(jnp.zeros((2, 1)), jnp.zeros(2, int)), r"at least two outputs, one per class, got 1"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
