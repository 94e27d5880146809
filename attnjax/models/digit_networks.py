"""The three networks of *MetaRL* §5.2, made to run: digit classifiers of five dense layers.

    user, item     28 x 28 = 784 -> 128 -> 64 -> 32 -> 16 -> 10                  relu in between
    policy         [user's 32, item's 32] = 64 -> 128 -> 64 -> 32 -> 16 -> 10

What keeps the document's code from running, and is corrected here (reproducibility/ERRATA.md, MetaRL-1 to -3):

- Each network ends in one sigmoid unit, and is asked for a cross-entropy over ten digits. Here it ends in ten logits;
  `squashed` keeps the sigmoid over them, so that its price can be measured.
- The policy takes 64 numbers and would receive two, one output of each network. 64 is twice the width of their third
  layer: that layer is the representation here, and all of the document's widths stand.
- The policy is called with one batch of images where it takes two representations.

Parameters start as PyTorch's do, uniform within 1 / sqrt(inputs), since the document's code leaves them so. Nothing
here knows of users, items, rewards or tasks; `attnjax.models.policies` and `attnjax.meta` do.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.errors import fail

WIDTHS = (128, 64, 32, 16)
"""Of the hidden layers, in all three networks."""
SHAPE = (28, 28)
REPRESENTATION = 32
"""The width of the layer that the policy sees of each network."""


class Recognised(NamedTuple):
    """What a network makes of an image.

    Attributes:
        outputs: (..., c), logits of the classes, or numbers in (0, 1) where they are squashed.
        representation: (..., 32), the third layer, non-negative.
    """

    outputs: Float[Array, "*batch c"]
    representation: Float[Array, "*batch 32"]


class DigitNet(nn.Module):
    """The user network, and the item network: in the document they are the same, on the same images.

    Attributes:
        num_classes: how many outputs; the document has one.
        squashed: whether outputs go through a sigmoid, as in the document.

    >>> net = DigitNet()
    >>> found = net.apply(net.init(jax.random.key(0), jnp.zeros((2, 28, 28))), jnp.zeros((2, 28, 28)))
    >>> found.outputs.shape, found.representation.shape
    ((2, 10), (2, 32))
    """

    num_classes: int = 10
    squashed: bool = False

    @nn.compact
    def __call__(self, images: Float[Array, "*batch 28 28"]) -> Recognised:
        """What is seen in images (..., row, column), scaled to [0, 1] in the document.

        Raises:
            UserError: for images of another shape.
        """
        if images.shape[-2:] != SHAPE:
            fail(
                "DigitNet",
                expected="images (..., 28, 28): row, column",
                got=f"shape {images.shape}",
                advice="Pass MNIST's as they are, over 255.",
            )
        return _five_layers(images.reshape(*images.shape[:-2], -1), self.num_classes, self.squashed)


class DigitPolicy(nn.Module):
    """The policy network, on what a user and an item network represent.

    Attributes:
        num_classes: as in `DigitNet`.
        squashed: likewise.

    >>> policy = DigitPolicy()
    >>> user, item = jnp.ones((2, 32)), jnp.zeros((2, 32))
    >>> policy.apply(policy.init(jax.random.key(0), user, item), user, item).outputs.shape
    (2, 10)
    """

    num_classes: int = 10
    squashed: bool = False

    @nn.compact
    def __call__(self, user: Float[Array, "*batch 32"], item: Float[Array, "*batch 32"]) -> Recognised:
        """What is decided from the representations of a user and an item, (..., 32) each.

        The gradient reaches both; stop it there to train the policy alone.

        Raises:
            UserError: for representations of other shapes.
        """
        if user.shape != item.shape or user.shape[-1:] != (REPRESENTATION,):
            fail(
                "DigitPolicy",
                expected=f"two representations of one shape (..., {REPRESENTATION})",
                got=f"shapes {user.shape} and {item.shape}",
                advice="Pass the `representation` of a DigitNet, not its outputs.",
            )
        return _five_layers(jnp.concatenate([user, item], axis=-1), self.num_classes, self.squashed)


def _five_layers(x: Array, num_classes: int, squashed: bool) -> Recognised:
    layers = []
    for width in WIDTHS:
        x = nn.relu(_dense(width, x.shape[-1], f"dense_{width}")(x))
        layers.append(x)
    outputs = _dense(num_classes, x.shape[-1], "outputs")(x)
    return Recognised(nn.sigmoid(outputs) if squashed else outputs, layers[WIDTHS.index(REPRESENTATION)])


def _dense(features: int, inputs: int, name: str) -> nn.Dense:
    """A layer that starts as PyTorch's."""
    bound = inputs**-0.5

    def start(key: Array, shape: Any, dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nn.Dense(features, kernel_init=start, bias_init=start, name=name)


def cross_entropy(outputs: Float[Array, "*batch c"], labels: Int[Array, "*batch"]) -> Float[Array, ""]:
    """The document's loss: minus the mean log-probability that a softmax of the outputs gives to the right class.

        mean over images of  log sum_c exp(o_c) - o_label

    Its gradient in an image's outputs is softmax(o) - onehot(label), over the number of images. Outputs in (0, 1), as a
    sigmoid leaves them, keep it above log(c - 1 + e) - 1, which is 1.46 for ten classes.

    Args:
        outputs: (..., c), at least two of them.
        labels: (...), in [0, c).

    Raises:
        UserError: if there is not one label per row of outputs, or only one output: the softmax of one number is 1,
            so the loss would be 0 whatever the network computes.

    >>> round(float(cross_entropy(jnp.zeros((5, 10)), jnp.arange(5))), 4)  # log 10
    2.3026
    """
    if outputs.shape[:-1] != labels.shape:
        fail(
            "cross_entropy",
            expected=f"one label per row of outputs, shape {outputs.shape[:-1]}",
            got=f"shape {labels.shape}",
            advice="Pass class indices, not one-hot rows.",
        )
    if outputs.shape[-1] < 2:
        fail(
            "cross_entropy",
            expected="at least two outputs, one per class",
            got=str(outputs.shape[-1]),
            advice="Make the last layer as wide as there are classes.",
        )
    chances = jax.nn.log_softmax(outputs)
    return -jnp.mean(jnp.take_along_axis(chances, labels[..., None], axis=-1))
