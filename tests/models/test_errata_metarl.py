"""The counterexamples of MetaRL in reproducibility/ERRATA.md, one test each."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from drawn_digits import two_sets

from attnjax.errors import UserError
from attnjax.meta import Tasks, maml
from attnjax.models import DigitNet, DigitPolicy
from attnjax.models.digit_networks import REPRESENTATION, cross_entropy

ROOT = Path(__file__).parents[2]
AS_WRITTEN = DigitNet(num_classes=1, squashed=True)
NET, POLICY = DigitNet(), DigitPolicy()
IMAGES = np.random.default_rng(0).uniform(0, 1, (8, 28, 28)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 7])
see, decide = jax.jit(NET.apply), jax.jit(POLICY.apply)


@pytest.fixture(scope="module")
def params():
    return jax.jit(NET.init)(jax.random.key(0), IMAGES)


@pytest.fixture(scope="module")
def policy():
    return jax.jit(POLICY.init)(jax.random.key(1), *np.zeros((2, 1, REPRESENTATION), np.float32))


@pytest.fixture(scope="module")
def trained(params):
    """Trains the corrected network on images, all at once: how accurate it is on them, and on others."""

    def loss(params, images, labels):
        return cross_entropy(NET.apply(params, images).outputs, labels)

    @jax.jit
    def train(images, labels):
        adam = optax.adam(3e-3)

        def step(state, _):
            gradient = jax.grad(loss)(state[0], images, labels)
            update, memory = adam.update(gradient, state[1])
            return (optax.apply_updates(state[0], update), memory), None

        return jax.lax.scan(step, (params, adam.init(params)), length=400)[0][0]

    def accuracy(images, labels, other_images, other_labels):
        found = train(images, labels)
        pairs = ((images, labels), (other_images, other_labels))
        return [np.mean(np.argmax(see(found, x).outputs, axis=-1) == y) for x, y in pairs]

    return accuracy


def digits(count):
    """Drawn digits to train on, and others."""
    return [(images.astype(np.float32) / 255, labels.astype(np.int32)) for images, labels in two_sets((count, count))]


def interaction(scores):
    """What of scores (users, items, ...) is not a part of the user plus a part of the item."""
    return scores - scores[:1] - scores[:, :1] + scores[:1, :1]


def test_one_sigmoid_has_no_cross_entropy_over_ten_digits(params):
    written = jax.jit(AS_WRITTEN.init)(jax.random.key(0), IMAGES)

    @jax.jit
    def log_chances(params):
        return jax.nn.log_softmax(AS_WRITTEN.apply(params, IMAGES).outputs)

    only = np.asarray(log_chances(written))
    assert only.shape == (8, 1)
    with pytest.raises(IndexError, match="out of bounds"):
        np.take_along_axis(only, LABELS[:, None], axis=1)
    # Zeros alone have a loss. It is 0, and so is its gradient in every parameter: the softmax of one number is 1.
    assert not only.any()
    slope = jax.jit(jax.grad(lambda p: -jnp.mean(log_chances(p)[:, 0])))(written)
    assert all(not leaf.any() for leaf in jax.tree.leaves(slope))
    with pytest.raises(UserError, match="cross_entropy: expected at least two outputs, one per class, got 1"):
        cross_entropy(only, np.zeros(8, int))

    mended = jax.jit(jax.grad(lambda p: cross_entropy(NET.apply(p, IMAGES).outputs, LABELS)))(params)
    assert all(leaf.any() for leaf in jax.tree.leaves(mended))
    # With ten outputs a sigmoid before the softmax keeps the loss of perfect answers far from 0.
    perfect = np.eye(10, dtype=np.float32)[LABELS]
    assert float(cross_entropy(perfect, LABELS)) == pytest.approx(np.log(9 + np.e) - 1, rel=1e-5)
    assert float(cross_entropy(30 * perfect, LABELS)) < 1e-6


def test_the_policy_takes_64_numbers_and_would_receive_two():
    def shapes(net):
        return jax.eval_shape(lambda: net.apply(net.init(jax.random.key(0), IMAGES), IMAGES))

    written = shapes(AS_WRITTEN).outputs
    joined = jax.eval_shape(lambda: jnp.concatenate([jnp.zeros(written.shape)] * 2, axis=1))
    assert joined.shape == (8, 2)
    first_layer = jnp.zeros((64, 128))
    with pytest.raises(TypeError, match="contract"):
        jax.eval_shape(jnp.dot, joined, first_layer)

    seen = shapes(NET).representation
    joined = jax.eval_shape(lambda: jnp.concatenate([jnp.zeros(seen.shape)] * 2, axis=1))
    assert jax.eval_shape(jnp.dot, joined, first_layer).shape == (8, 128)
    policy = jax.eval_shape(POLICY.init, jax.random.key(0), seen, seen)
    assert policy["params"]["dense_128"]["kernel"].shape == (2 * REPRESENTATION, 128) == first_layer.shape


def test_the_policy_takes_two_arguments_and_is_given_one(params, policy):
    def loss(net, params, inputs):
        return cross_entropy(net.apply(params, *inputs).outputs, LABELS)

    seen = see(params, IMAGES).representation
    assert jax.eval_shape(lambda: loss(NET, params, (IMAGES,))).shape == ()
    for given in (IMAGES, seen):
        with pytest.raises(TypeError, match="argument"):
            loss(POLICY, policy, (given,))
    slopes = jax.jit(jax.grad(lambda both: loss(POLICY, policy, both)))((seen, seen + 1))
    assert all(slope.any() for slope in slopes)


def test_without_test_images_memory_looks_like_accuracy(trained):
    """No images to test on are loaded. On those at hand, a network is right about labels that mean nothing."""
    (images, labels), (others, other_labels) = digits(200)
    by_lot = np.random.default_rng(1).permutation(labels)
    remembered, known = trained(images, by_lot, others, other_labels)
    assert remembered > 0.8
    assert known < 0.3


def test_one_output_says_zero_whatever_was_learned(trained):
    @jax.jit
    def written(key, images):
        params = jax.tree.map(lambda x: 9 * x, AS_WRITTEN.init(key, images))
        return AS_WRITTEN.apply(params, images).outputs

    (images, labels), (others, other_labels) = digits(200)
    for seed in range(3):
        says = np.argmax(written(jax.random.key(seed), others), axis=-1)
        assert not says.any()
        assert np.mean(says == other_labels) == np.mean(other_labels == 0) < 0.2
    _, accuracy = trained(images, labels, others, other_labels)
    assert accuracy > 0.9


def test_the_loss_knows_no_tasks_and_no_rewards(params):
    """For the last layer, on what the network sees."""
    seen, start = np.asarray(see(params, IMAGES).representation), jnp.zeros((REPRESENTATION, 10))

    def loss(layer, rows):
        inputs, labels = rows
        return cross_entropy(inputs @ layer, labels)

    def tasks(order):
        """Two of them, with two images each to adapt on and two to be judged by."""
        inputs, labels = 10 * seen[order].reshape(2, 2, 2, REPRESENTATION), LABELS[order].reshape(2, 2, 2)
        return Tasks((inputs[:, 0], labels[:, 0]), (inputs[:, 1], labels[:, 1]))

    orders = np.arange(8), np.array([4, 1, 2, 3, 0, 5, 6, 7])
    taught = [jax.grad(loss)(start, (seen[order], LABELS[order])) for order in orders]
    np.testing.assert_allclose(*taught, rtol=1e-4, atol=1e-6)
    learner = maml(loss, optax.sgd(1.0), steps=1)
    slope = jax.jit(lambda tasks: learner.gradient(learner.init(start), tasks)[1].theta)
    one, other = (np.asarray(slope(tasks(order))) for order in orders)
    assert np.abs(one - other).max() > 0.1 * np.abs(one).max()

    # Taught, an output learns the digit that was not said; rewarded, only whether what was said is right.
    logits, said = jnp.arange(10.0), 3
    rewarded = jax.jit(jax.grad(lambda logits, digit: (said == digit) * jax.nn.log_softmax(logits)[said]))
    assert jnp.array_equal(rewarded(logits, 5), rewarded(logits, 7))
    assert rewarded(logits, said).any()
    corrected = jax.jit(jax.grad(lambda logits, digit: cross_entropy(logits[None], digit[None])))
    assert not jnp.array_equal(corrected(logits, jnp.array(5)), corrected(logits, jnp.array(7)))


def test_added_networks_rank_alike_for_all_users(params, policy):
    seen = 10 * np.asarray(see(params, IMAGES).representation)
    user, item = np.meshgrid(range(3), range(3, 8), indexing="ij")
    users, items = seen[user], seen[item]
    composed = np.asarray(decide(policy, users.reshape(15, -1), items.reshape(15, -1)).outputs).reshape(3, 5, 10)
    with pytest.raises(ValueError, match="broadcast"):
        _ = users + items + composed
    added = (users + items) @ np.random.default_rng(2).normal(size=REPRESENTATION)
    assert np.abs(interaction(added)).max() < 1e-5 * np.ptp(added)
    assert (np.argsort(added, axis=1) == np.argsort(added, axis=1)[:1]).all()
    assert np.abs(interaction(composed[..., 0])).max() > 0.05 * np.ptp(composed[..., 0])


def test_a_hidden_softmax_costs_a_dimension_and_hides_interaction(policy):
    """§4.3 with representations of k numbers, 50 users and 20 items of 12 features each, ten recommendations."""
    k, rng = 4, np.random.default_rng(3)
    users, items = rng.normal(size=(50, 12)), rng.normal(size=(20, 12))

    def softmax(scores):
        return np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)

    def relu(scores):
        return np.maximum(scores, 0)

    def pairs(represent, width):
        """Every user with every item, (1000, width) each."""
        first, second = rng.normal(size=(2, 12, width))
        return represent(users @ first).repeat(20, axis=0), np.tile(represent(items @ second), (50, 1))

    def log_odds(outputs):
        return np.asarray(outputs - outputs[:, :1], float).reshape(50, 20, 10)

    def rank(scores):
        return np.linalg.matrix_rank(scores - scores.mean(0), rtol=1e-4)

    last = rng.normal(size=(2 * k, 10))
    as_written, rectified = (log_odds(np.concatenate(pairs(f, k), axis=1) @ last) for f in (softmax, relu))
    assert rank(as_written[:, 0]) == k - 1  # what differs between users, for one item
    assert rank(rectified[:, 0]) == k
    assert np.abs(interaction(as_written)).max() < 1e-9  # and it is the same for every item

    mended = log_odds(decide(policy, *pairs(relu, REPRESENTATION)).outputs)
    assert rank(mended[:, 0]) > k
    assert np.abs(interaction(mended)).max() > 0.05 * np.ptp(mended)


def test_no_paper_of_a_doubtful_address_is_cited():
    """Two titles of §7.3 share the first address; the second is that of another paper than the third title's."""
    addresses = ("2006.03536", "2106.06858")
    written = [*ROOT.glob("attnjax/**/*.py"), *ROOT.glob("experiments/**/*.py"), *ROOT.glob("tutorials/src/*.py")]
    assert len(written) > 100
    for path in written:
        assert not re.search("|".join(map(re.escape, addresses)), path.read_text(encoding="utf-8")), path


def test_one_adam_for_three_networks_moves_those_that_are_done():
    """Gradients set to zero, as PyTorch did before 2.0, are not the absence of gradients."""
    adam = optax.adam(1e-3)
    three = {name: jnp.zeros(3) for name in ("user", "item", "policy")}
    memory = adam.init(three)
    gradient = jax.tree.map(jnp.zeros_like, three)
    update, memory = adam.update({**gradient, "user": jnp.ones(3)}, memory)
    trained = optax.apply_updates(three, update)
    update, memory = adam.update({**gradient, "item": jnp.ones(3)}, memory)
    after = optax.apply_updates(trained, update)
    assert (after["user"] < trained["user"]).all()  # the user's, while the item's network is trained
    assert jnp.array_equal(after["policy"], three["policy"])
