"""Derivatives by central differences, to check exact ones against; for float64."""

from collections.abc import Callable

import numpy as np


def jacobian(function: Callable, x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """d function / d x, of shape (*output, len(x)).

    The error is step^2 / 6 times the third derivative, and rounding / step: about 1e-10 relative for functions of
    order one at the default step, if they are computed to the last digits of float64.
    """
    x = np.asarray(x, np.float64)
    columns = []
    for i in range(x.size):
        width = step * max(1.0, abs(x[i]))
        ahead, behind = x.copy(), x.copy()
        ahead[i] += width
        behind[i] -= width
        rise = np.asarray(function(ahead), np.float64) - np.asarray(function(behind), np.float64)
        columns.append(rise / (ahead[i] - behind[i]))
    return np.stack(columns, axis=-1)


def assert_close(exact: np.ndarray, numerical: np.ndarray, relative: float) -> None:
    """Compares entry by entry, relative to the largest entry (but at least to 1)."""
    exact, numerical = np.asarray(exact), np.asarray(numerical)
    np.testing.assert_allclose(exact, numerical, rtol=0, atol=relative * max(1.0, float(np.abs(numerical).max())))
