"""Which leaves of a tree adapt: a tree of parameters in two halves, and whole again.

A half has the structure of the whole with `None` where a leaf belongs to the other half, so paths keep their meaning
and optimisers see only what they may move.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from attnjax.errors import fail

Tree = Any
Adapt = None | str | Sequence[str] | Callable[[str, Any], bool] | Tree


def paths(tree: Tree) -> list[str]:
    """The paths of the leaves, joined by slashes, in the order of `jax.tree.leaves`.

    >>> paths({"head": {"bias": 0.0, "kernel": 1.0}, "layers": [2.0]})
    ['head/bias', 'head/kernel', 'layers/0']
    """
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(tree)]


def is_inexact(leaf: Any) -> bool:
    """Whether a leaf has derivatives: counters, masks of integers and random keys do not."""
    return bool(jnp.issubdtype(getattr(leaf, "dtype", type(leaf)), jnp.inexact))


def chosen(tree: Tree, adapt: Adapt) -> list[bool]:
    """For each leaf of `tree`, whether `adapt` chooses it. Integers and keys never adapt.

    Args:
        tree: the parameters.
        adapt: `None` for all leaves; a path or a list of paths, each of which chooses itself and all below it; a
            function of path and leaf; or a tree of Python booleans with the structure of the parameters.

    Returns:
        One boolean per leaf, in the order of `jax.tree.leaves`.

    Raises:
        UserError: for a path that chooses nothing, a tree of another structure, or a choice without any leaf.

    >>> chosen({"body": 0.0, "head": {"bias": 0.0, "count": 3}}, "head")
    [False, True, False]
    """
    names, leaves = paths(tree), jax.tree.leaves(tree)
    if adapt is None:
        mask = [True] * len(leaves)
    elif callable(adapt):
        mask = [bool(adapt(name, leaf)) for name, leaf in zip(names, leaves, strict=True)]
    elif isinstance(adapt, str) or (isinstance(adapt, list | tuple) and all(isinstance(item, str) for item in adapt)):
        prefixes = [adapt] if isinstance(adapt, str) else list(adapt)
        for prefix in prefixes:
            if not any(_below(name, prefix) for name in names):
                fail(
                    "inner_loop",
                    expected="paths of leaves, or of trees of leaves, to adapt",
                    got=f"'{prefix}', which is not among {names}",
                    advice="Join keys by slashes, e.g. 'params/head'.",
                )
        mask = [any(_below(name, prefix) for prefix in prefixes) for name in names]
    else:
        wanted: Any = jax.tree.structure(tree)
        given: Any = jax.tree.structure(adapt)
        if given != wanted:
            fail(
                "inner_loop",
                expected=f"booleans in the structure of the parameters, {wanted}",
                got=str(given),
                advice="Make it with jax.tree.map over the parameters, or name paths instead.",
            )
        mask = [bool(choice) for choice in jax.tree.leaves(adapt)]
    mask = [choice and is_inexact(leaf) for choice, leaf in zip(mask, leaves, strict=True)]
    if not any(mask):
        fail(
            "inner_loop",
            expected="at least one leaf of floating point to adapt",
            got=f"none of {names}",
            advice="Choose leaves by `adapt`, or leave it out to adapt all of them.",
        )
    return mask


def halve(tree: Tree, mask: Sequence[bool]) -> tuple[Tree, Tree]:
    """The chosen leaves and the others, each with `None` in the place of the other half's leaves.

    >>> halve({"body": 1.0, "head": 2.0}, [False, True])
    ({'body': None, 'head': 2.0}, {'body': 1.0, 'head': None})
    """
    leaves: list[Any] = jax.tree.leaves(tree)
    structure: Any = jax.tree.structure(tree)
    inside = [leaf if choice else None for leaf, choice in zip(leaves, mask, strict=True)]
    outside = [None if choice else leaf for leaf, choice in zip(leaves, mask, strict=True)]
    return structure.unflatten(inside), structure.unflatten(outside)


def whole(inside: Tree, outside: Tree) -> Tree:
    """The two halves as one tree again; no leaf is computed with, so each keeps its bits.

    >>> whole(*halve({"body": 1.0, "head": 2.0}, [False, True]))
    {'body': 1.0, 'head': 2.0}
    """
    return jax.tree.map(
        lambda one, other: other if one is None else one, inside, outside, is_leaf=lambda node: node is None
    )


def floats(tree: Tree) -> tuple[list[Any], list[Any], Callable[[list[Any], list[Any]], Tree]]:
    """The leaves that have derivatives, the others, and the function that makes a tree of two such lists.

    >>> values, others, join = floats({"count": 3, "mean": 1.0})
    >>> values, others, join([5.0], others)
    ([1.0], [3], {'count': 3, 'mean': 5.0})
    """
    leaves: list[Any] = jax.tree.leaves(tree)
    structure: Any = jax.tree.structure(tree)
    mask = [is_inexact(leaf) for leaf in leaves]

    def join(values: list[Any], others: list[Any]) -> Tree:
        sources = iter(values), iter(others)
        return structure.unflatten([next(sources[0] if inexact else sources[1]) for inexact in mask])

    values = [leaf for leaf, inexact in zip(leaves, mask, strict=True) if inexact]
    return values, [leaf for leaf, inexact in zip(leaves, mask, strict=True) if not inexact], join


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix.rstrip("/") + "/")
