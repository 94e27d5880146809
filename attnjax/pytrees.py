"""Dataclasses as pytrees, each class a structure of its own.

In jaxlib 0.10.2 the tree structures of two classes registered with `jax.tree_util.register_dataclass` compare equal
whenever their fields do, whatever the classes; `flax.struct.dataclass` builds on the same. `jit` finds compiled
programs by structure, so a program made for one class may then run for another: softmax for sparsemax. Here the class
is part of the structure.
"""

import dataclasses
from typing import Any, TypeVar

import jax

Class = TypeVar("Class", bound=type)


def register(cls: Class, *, static: tuple[str, ...] = ()) -> Class:
    """Registers a dataclass as a pytree.

    Args:
        cls: a dataclass; its instances are rebuilt without calling `__init__`, so that tracers are not validated.
        static: the fields that are part of the structure: hashable, and compared by value. All others are leaves or
            trees of leaves.

    Returns:
        The class, so that this can be used as a decorator through `functools.partial`.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Point:
    ...     x: float
    ...     label: str
    >>> _ = register(Point, static=("label",))
    >>> jax.tree.map(lambda x: 2 * x, Point(1.0, "a"))
    Point(x=2.0, label='a')
    """
    names = [field.name for field in dataclasses.fields(cls) if field.name not in static]

    def flatten_with_keys(instance: Any) -> tuple[list[tuple[Any, Any]], tuple]:
        children = [(jax.tree_util.GetAttrKey(name), getattr(instance, name)) for name in names]
        return children, (cls, *(getattr(instance, name) for name in static))

    def flatten(instance: Any) -> tuple[list[Any], tuple]:
        return [getattr(instance, name) for name in names], (cls, *(getattr(instance, name) for name in static))

    def unflatten(structure: tuple, children: Any) -> Any:
        instance: Any = object.__new__(cls)
        for name, value in zip((*names, *static), (*children, *structure[1:]), strict=True):
            object.__setattr__(instance, name, value)
        return instance

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
