"""Pickles as inert records: what a pickle would call is written down, and nothing of it is called.

A pickle is a program, and reading one with the usual reader runs it. Here every class and function that a
pickle may name becomes a record of that name, its arguments and its state; any other name is refused. So
nothing of NumPy or pandas is needed to read what they wrote, whatever their versions, and no warning about an
old one arises.
"""

import io
import pickle
from collections.abc import Collection
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

ARRAY_NAMES = frozenset(
    f"{module}.{name}"
    for module, name in (
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"),
    )
)
"""What a pickle names to build an array."""


class Record:
    """What a pickle would have called or built.

    Attributes:
        name: the full name of the class or function.
        arguments: what it would have been called with.
        state: what the result would have been set up with afterwards; `None` where nothing was.
    """

    name = ""
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any):
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


def read_records(content: bytes, names: Collection[str], user: str, encoding: str = "ASCII") -> Any:
    """Reads a pickle of plain values and of records, and runs nothing.

    Args:
        content: the pickle.
        names: the full names that it may ask for.
        user: what needs no other name, for the error, such as `"no table of films"`.
        encoding: how strings of Python 2 are read; `"bytes"` leaves them as bytes.

    Returns:
        The value; whatever is not a plain value is a `Record`.

    Raises:
        ValueError: it is damaged, or asks for any other name.

    >>> read_records(pickle.dumps({"a": [1, 2]}), (), "no example")
    {'a': [1, 2]}
    >>> read_records(pickle.dumps(print), (), "no example")
    Traceback (most recent call last):
    ...
    ValueError: a pickle cannot be read: it asks for builtins.print, which no example needs
    """
    try:
        return _Reader(content, names, user, encoding).load()
    except Exception as error:
        # A damaged pickle can fail in any way that its opcodes can be combined.
        raise ValueError(f"a pickle cannot be read: {error}") from None


class _Reader(pickle.Unpickler):
    def __init__(self, content: bytes, names: Collection[str], user: str, encoding: str):
        super().__init__(io.BytesIO(content), encoding=encoding)
        self.known = {name: type("Record", (Record,), {"name": name}) for name in names}
        self.user = user

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in self.known:
            raise pickle.UnpicklingError(f"it asks for {full}, which {self.user} needs")
        return self.known[full]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to an object outside itself")


def read_array(record: Any, kind: str) -> NDArray[Any]:
    """Builds the array that a record describes.

    Args:
        record: what `read_records` gave for an array.
        kind: the type that its entries must have: `"u1"`, `"i8"`, `"f8"`, or `"O8"` for objects.

    Returns:
        The array.

    Raises:
        ValueError: the record is no array, or one of another type or size.
    """
    try:
        if record.name.endswith("._frombuffer"):  # bytes, type, shape, order: how protocol 5 writes an array
            content, dtype, shape, order = record.arguments
        else:  # version, shape, type, whether by columns, bytes or objects
            _, shape, dtype, by_columns, content = record.state
            order = "F" if by_columns else "C"
        found = dtype.arguments[0]
        if (found.decode() if isinstance(found, bytes) else found) != kind or dtype.state[1] in (">", b">"):
            raise TypeError
        if kind == "O8":
            flat = np.empty(len(content), dtype=object)
            flat[:] = content
        else:
            flat = np.frombuffer(content, dtype=f"<{kind}")
        return flat.reshape(shape, order=order)
    except (AttributeError, IndexError, TypeError, ValueError):
        raise ValueError(f"an array is not one of type {kind}, or not of the size that it claims") from None
