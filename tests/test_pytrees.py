import dataclasses
import itertools

import jax
import jax.numpy as jnp
import pytest

from attnjax.allocation import Entropy, Floors, Linear, Nash, Power, SquaredNorm, Tsallis
from attnjax.pytrees import register


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *itertools.combinations([Entropy(), SquaredNorm(), Tsallis(1.5), Power(3)], 2),
        *itertools.combinations([Nash(1.0), Linear(1.0), Floors(1.0)], 2),
        (Power(3), Power(2)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_classes_and_static_fields_are_part_of_the_structure(one, other):
    """Else a program compiled for one may run for the other."""
    assert jax.tree.structure(one) != jax.tree.structure(other)


def test_many_leafless_classes_never_get_each_others_program():
    @jax.jit
    def index(instance):
        return jnp.asarray(instance.number)

    for k in range(100):
        kind = dataclasses.make_dataclass(f"Kind{k}", [], frozen=True, namespace={"number": k})
        register(kind)
        assert index(kind()) == k


def test_leaves_are_named_and_instances_are_rebuilt_without_validation():
    (path, _), *_ = jax.tree_util.tree_leaves_with_path(Tsallis(1.5))
    assert jax.tree_util.keystr(path) == ".alpha"
    assert jax.tree.map(lambda _: "not a number", Tsallis(1.5)).alpha == "not a number"


def test_equal_instances_share_a_program():
    calls = []

    @jax.jit
    def traced(regularizer):
        calls.append(regularizer)
        return regularizer.alpha * 2

    traced(Tsallis(1.5))
    traced(Tsallis(1.7))
    assert len(calls) == 1
