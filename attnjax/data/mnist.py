"""MNIST: 60,000 and 10,000 grey images of handwritten digits.

The files are in the IDX format: two zero bytes, the type of the entries (8: unsigned byte), the number of
axes, the length of each axis as a big-endian 32-bit integer, then the entries.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnjax.data.fetching import read_files
from attnjax.errors import fail

SOURCE = "mnist"


class Mnist(NamedTuple):
    """Images and labels.

    Attributes:
        train_images: (60000, 28, 28) uint8, 0 is background.
        train_labels: (60000,) int32, the digit.
        test_images: (10000, 28, 28) uint8.
        test_labels: (10000,) int32.
        frame: one row per image, training images first: part (`train` or `test`), index within it, label.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int32]
    frame: pd.DataFrame


def load_mnist() -> Mnist:
    """Loads MNIST, fetching it first where it is not in the cache.

    Returns:
        All 70,000 images.

    Raises:
        UserError: a file can be had nowhere, or the cache cannot be written to.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, 1998.
    """
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return parse_mnist(*read_files(SOURCE, *(f"{name}-ubyte" for name in names)))


def parse_mnist(train_images: bytes, train_labels: bytes, test_images: bytes, test_labels: bytes) -> Mnist:
    """Reads the four IDX files.

    Args:
        train_images: three axes.
        train_labels: one axis.
        test_images: three axes.
        test_labels: one axis.

    Returns:
        The data set.

    Raises:
        ValueError: a file is not in the IDX format.
    """
    train, test = parse_idx(train_labels).astype(np.int32), parse_idx(test_labels).astype(np.int32)
    return Mnist(
        train_images=parse_idx(train_images),
        train_labels=train,
        test_images=parse_idx(test_images),
        test_labels=test,
        frame=label_frame(train, test),
    )


def parse_idx(content: bytes) -> NDArray[np.uint8]:
    """Reads an IDX file of unsigned bytes.

    Args:
        content: the file.

    Returns:
        The array, with the axes that the file names.

    Raises:
        ValueError: the file is of another format or type, or its length is not what its axes say.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    array([7, 9], dtype=uint8)
    """
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError("not an IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"an IDX file of {content[3]} axes ends inside its head")
    shape = tuple(int(length) for length in np.frombuffer(content[4:start], dtype=">u4"))
    if len(content) - start != math.prod(shape):
        raise ValueError(f"an IDX file that says {shape} holds {len(content) - start} entries")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()


def label_frame(train: NDArray[np.int32], test: NDArray[np.int32]) -> pd.DataFrame:
    """Tabulates labels, training part first.

    Args:
        train: (m,) labels.
        test: (n,) labels.

    Returns:
        (m + n) rows: part, index within the part, label.

    >>> label_frame(np.array([5]), np.array([7]))["part"].tolist()
    ['train', 'test']
    """
    return pd.DataFrame(
        {
            "part": pd.Categorical(["train"] * len(train) + ["test"] * len(test), categories=["train", "test"]),
            "index": np.concatenate([np.arange(len(train)), np.arange(len(test))]).astype(np.int32),
            "label": np.concatenate([train, test]).astype(np.int32),
        }
    )


def on_colour_canvas(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Places grey 28 x 28 images on the shape of CIFAR-10's: a margin of two pixels, three equal channels.

    A stand-in where CIFAR-10 cannot be had; whoever reports on it must call it MNIST.

    Args:
        images: (n, 28, 28) uint8.

    Returns:
        (n, 32, 32, 3) uint8.

    Raises:
        UserError: the images have another shape.

    >>> on_colour_canvas(np.ones((5, 28, 28), np.uint8)).shape
    (5, 32, 32, 3)
    """
    if np.ndim(images) != 3 or np.shape(images)[1:] != (28, 28):
        fail(
            "on_colour_canvas",
            expected="images of shape (n, 28, 28)",
            got=f"shape {np.shape(images)}",
            advice="Pass `load_mnist().train_images`, or a part of it.",
        )
    return np.repeat(np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None], 3, axis=-1)
