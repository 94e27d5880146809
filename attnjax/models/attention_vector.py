"""The network of *Metaverse* §5.2: a small CNN whose ten outputs are multiplied by a learned attention vector.

    3 x 32 x 32 -> conv 32 -> relu -> conv 64 -> relu -> dense 128 -> relu -> dense 10 -> times p

What keeps the document's code from running, and is corrected here (reproducibility/ERRATA.md, Metaverse-5 and -8):

- Nothing shrinks the images: two convolutions with padding leave 64 x 32 x 32 numbers each, and the document reshapes
  them to rows of 64 x 8 x 8. One image becomes sixteen rows, and outputs no longer match targets. Its 8 x 8 is what two
  poolings by 2 leave, one after each convolution; they are here.
- The squared error subtracts class indices (b,) from outputs (b, 10). Targets are one-hot here.

The attention vector adds nothing to what the network can represent: p * (W h + c) = (p * W) h + p * c, the same network
without it. It is neither non-negative nor spends a budget; attention that does is `attnjax.models.attention`.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.errors import fail

SHAPE = (32, 32, 3)


class AttentionVectorNet(nn.Module):
    """The document's network, with the two poolings that its dense layer's 64 x 8 x 8 inputs need.

    Attributes:
        num_classes: how many outputs, and the length of the attention vector.
        convolve: what convolves, as `jax.lax.conv_general_dilated` does, which is the default. `by_products` is for
            training on CPUs.

    >>> net = AttentionVectorNet()
    >>> images = jnp.zeros((2, 32, 32, 3))
    >>> net.apply(net.init(jax.random.key(0), images), images).shape
    (2, 10)
    """

    num_classes: int = 10
    convolve: Callable[..., Array] | None = None

    @nn.compact
    def __call__(self, images: Float[Array, "*batch 32 32 3"]) -> Float[Array, "*batch c"]:
        """The outputs (..., num_classes) for images (..., row, column, channel), scaled to [-1, 1] in the document.

        The gradient in the attention vector is the sum over images of outputs' gradients times what they multiply.

        Raises:
            UserError: for images of another shape.
        """
        if images.shape[-3:] != SHAPE:
            fail(
                "AttentionVectorNet",
                expected=f"images (..., {', '.join(map(str, SHAPE))}): row, column, channel",
                got=f"shape {images.shape}",
                advice="Move channels last; attnjax.data.on_colour_canvas gives grey images this shape.",
            )
        x = images
        for width in (32, 64):
            conv = nn.Conv(width, (3, 3), padding=1, conv_general_dilated=self.convolve, name=f"conv_{width}")
            x = nn.relu(conv(x))
            x = largest_of_four(x)
        x = nn.relu(nn.Dense(128, name="dense_128")(x.reshape(*x.shape[:-3], -1)))
        x = nn.Dense(self.num_classes, name="outputs")(x)
        attention = self.param("attention", nn.initializers.normal(1.0), (self.num_classes,))
        return x * attention.reshape((1,) * (x.ndim - 1) + (-1,))


def by_products(
    images: Float[Array, "b h w c"], kernel: Float[Array, "r s c f"], strides: Any, padding: Any, **_: Any
) -> Float[Array, "b p q f"]:
    """A convolution of stride 1 as one matrix product of all patches.

    The same numbers as `jax.lax.conv_general_dilated` to rounding. On CPUs XLA convolves slowly inside a loop, and a
    training epoch is one (jax-ml/jax, issue 12868). Costs r s copies of the images.

    Args:
        images: (b, h, w, c).
        kernel: (r, s, c, f).
        strides: (1, 1).
        padding: two pairs: before and after the rows, and the columns.

    Returns:
        (b, p, q, f).

    Raises:
        UserError: for another stride.

    >>> by_products(jnp.ones((1, 3, 3, 1)), jnp.ones((3, 3, 1, 1)), (1, 1), ((1, 1), (1, 1)))[0, :, :, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    if tuple(strides) != (1, 1):
        fail("by_products", expected="strides (1, 1)", got=str(tuple(strides)), advice="Leave convolve out.")
    height, width = kernel.shape[:2]
    images = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    rows, columns = images.shape[1] - height + 1, images.shape[2] - width + 1
    patches = [images[:, i : i + rows, j : j + columns] for i in range(height) for j in range(width)]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


@jax.custom_jvp
def largest_of_four(images: Float[Array, "*batch h w c"]) -> Float[Array, "*batch p q c"]:
    """Pools by two: the largest of each square of four places.

    The same bits as `flax.linen.max_pool(images, (2, 2), strides=(2, 2))`, and so are its derivatives: of several
    largest the first counts. XLA's derivative of a pooling takes a CPU ten times as long as this one.

    Args:
        images: (..., h, w, c), h and w even.

    Returns:
        (..., h / 2, w / 2, c).

    >>> largest_of_four(jnp.array([[[1.0], [2.0]], [[4.0], [3.0]]])).tolist()
    [[[4.0]]]
    """
    first, second, third, fourth = _places(images)
    return jnp.maximum(jnp.maximum(first, second), jnp.maximum(third, fourth))


@largest_of_four.defjvp
def _largest_of_four_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (images,), (change,) = primals, tangents
    largest = largest_of_four(images)
    left, chosen = jnp.ones(largest.shape, bool), []
    for place in _places(images):
        chosen.append(left & (place == largest))
        left = left & ~chosen[-1]
    rows = [jnp.stack(chosen[k : k + 2], axis=-2) for k in (0, 2)]
    return largest, jnp.sum(jnp.where(jnp.stack(rows, axis=-4), _squares(change), 0), axis=(-4, -2))


def _squares(images: Array) -> Array:
    """(..., h / 2, 2, w / 2, 2, c)."""
    *batch, height, width, channels = images.shape
    return images.reshape(*batch, height // 2, 2, width // 2, 2, channels)


def _places(images: Array) -> list[Array]:
    """The four places of each square, row by row."""
    squares = _squares(images)
    return [squares[..., row, :, column, :] for row in (0, 1) for column in (0, 1)]


def squared_error(outputs: Float[Array, "*batch c"], labels: Int[Array, "*batch"]) -> Float[Array, ""]:
    """The document's loss, the sum of squares over the whole batch, against one-hot targets.

    Args:
        outputs: (..., c).
        labels: (...), in [0, c).

    Raises:
        UserError: if there is not one label per row of outputs.

    >>> float(squared_error(jnp.array([[0.0, 2.0]]), jnp.array([1])))
    1.0
    """
    if outputs.shape[:-1] != labels.shape:
        fail(
            "squared_error",
            expected=f"one label per row of outputs, shape {outputs.shape[:-1]}",
            got=f"shape {labels.shape}",
            advice="Pass class indices, not one-hot rows.",
        )
    return jnp.sum((outputs - jax.nn.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype)) ** 2)


def without_attention(params: Any) -> Any:
    """Parameters of the same function whose attention vector is all ones: the last layer absorbs it.

    Args:
        params: of an `AttentionVectorNet`.

    Returns:
        A tree of the same shape.
    """
    attention = params["attention"]
    last = params["outputs"]
    absorbed = {"kernel": last["kernel"] * attention[None, :], "bias": last["bias"] * attention}
    return {**params, "outputs": absorbed, "attention": jnp.ones_like(attention)}
