"""CIFAR-10: 60,000 small colour images in ten classes, from its authors' Python archive.

The archive holds six pickles. A pickle is a program, and reading one with the usual reader runs it; so this
module reads them as records (`attnjax.data.pickles`), which admits the names that make up an array, calls none
of them, and refuses every other.
"""

import io
import tarfile
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnjax.data.fetching import read_files
from attnjax.data.mnist import label_frame
from attnjax.data.pickles import ARRAY_NAMES, Record, read_array, read_records

SOURCE = "cifar-10"
_FOLDER = "cifar-10-batches-py"
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))


class Cifar10(NamedTuple):
    """Images and labels.

    Attributes:
        train_images: (50000, 32, 32, 3) uint8: row, column, channel (red, green, blue).
        train_labels: (50000,) int32 in [0, 10).
        test_images: (10000, 32, 32, 3) uint8.
        test_labels: (10000,) int32.
        class_names: the ten classes.
        frame: one row per image, training images first: part (`train` or `test`), index within it, label,
            class_name.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int32]
    class_names: tuple[str, ...]
    frame: pd.DataFrame


def load_cifar10() -> Cifar10:
    """Loads CIFAR-10, fetching its archive first where it is not in the cache.

    No package carries CIFAR-10: where its own address is out of reach, the error says where to place the
    archive by hand, and `attnjax.data.mnist.on_colour_canvas` makes a stand-in of the same shape.

    Returns:
        All 60,000 images.

    Raises:
        UserError: the archive cannot be had, or the cache cannot be written to.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    return parse_cifar10(*read_files(SOURCE, "cifar-10-python.tar.gz"))


def parse_cifar10(archive: bytes) -> Cifar10:
    """Reads the archive, without unpacking it to disk and without running anything in it.

    Args:
        archive: a tar archive with `data_batch_1` to `data_batch_5`, `test_batch` and `batches.meta`.

    Returns:
        The data set.

    Raises:
        ValueError: a member is missing, or is not what CIFAR-10's pickles are.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as box:
        parts = [_batch(_member(box, name)) for name in _TRAIN]
        test_images, test_labels = _batch(_member(box, "test_batch"))
        meta = read_pickle(_member(box, "batches.meta"))
    if not isinstance(meta, dict) or b"label_names" not in meta:
        raise ValueError("batches.meta names no classes")
    class_names = tuple(name.decode() for name in meta[b"label_names"])
    train_images = np.concatenate([images for images, _ in parts])
    train_labels = np.concatenate([labels for _, labels in parts])
    frame = label_frame(train_labels, test_labels)
    frame["class_name"] = pd.Categorical.from_codes(frame["label"], categories=list(class_names))
    return Cifar10(train_images, train_labels, test_images, test_labels, class_names, frame)


def _member(box: tarfile.TarFile, name: str) -> bytes:
    try:
        handle = box.extractfile(f"{_FOLDER}/{name}")
    except KeyError:
        handle = None
    if handle is None:
        raise ValueError(f"the archive has no {_FOLDER}/{name}")
    return handle.read()


def _batch(content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    batch = read_pickle(content)
    if not isinstance(batch, dict) or not isinstance(batch.get(b"data"), Record):
        raise ValueError("a batch holds no array of images")
    rows, labels = read_array(batch[b"data"], "u1"), np.asarray(batch.get(b"labels"), dtype=np.int32)
    if rows.shape != (len(labels), 3072):
        raise ValueError(f"a batch of {labels.size} labels holds images of shape {rows.shape}")
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def read_pickle(content: bytes) -> Any:
    """Reads a pickle of plain values and arrays, and runs nothing.

    Args:
        content: the pickle; strings of Python 2 become bytes.

    Returns:
        The value; arrays in it are records (`attnjax.data.pickles.read_array` reads one).

    Raises:
        ValueError: it is damaged, or asks for any name but those of an array.
    """
    return read_records(content, ARRAY_NAMES, "no batch of CIFAR-10", encoding="bytes")
