import dataclasses
import json
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.errors import UserError
from attnjax.reproduction.values import bits, dumps, lookup, plain, short

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=20,
)


class Pair(NamedTuple):
    a: float
    b: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float = 0.5


@given(json_values)
def test_what_is_written_is_read_back(value):
    assert json.loads(dumps(plain(value))) == value


@given(json_values)
def test_plain_leaves_plain_values_alone(value):
    assert bits(plain(value)) == bits(value)


def test_arrays_tuples_records_and_settings_become_plain():
    value = {"a": np.float32(0.5), "b": np.arange(3), "c": Pair(1.0, (2, 3)), "d": Settings(), "e": np.bool_(True)}
    assert plain(value) == {
        "a": 0.5,
        "b": [0, 1, 2],
        "c": {"a": 1.0, "b": [2, 3]},
        "d": {"rate": 0.5},
        "e": True,
    }


def test_jax_arrays_become_plain():
    import jax.numpy as jnp

    assert plain(jnp.array([1.0, 2.0])) == [1.0, 2.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.array([1.0, -np.inf]), np.float32("nan")])
def test_nan_and_infinity_are_refused_by_their_path(bad):
    with pytest.raises(UserError, match=r"record\.nash\.gini"):
        plain({"nash": {"gini": bad}})


@pytest.mark.parametrize("bad", [{1: 2}, {"": 2}, {"a": object()}, {"a": Settings}])
def test_what_json_has_not_is_refused(bad):
    with pytest.raises(UserError):
        plain(bad)


def test_lists_of_numbers_stay_on_one_line():
    assert dumps({"a": [1, 2], "b": [{"c": 1}], "d": {}}).splitlines() == [
        "{",
        '  "a": [1, 2],',
        '  "b": [',
        "    {",
        '      "c": 1',
        "    }",
        "  ],",
        '  "d": {}',
        "}",
    ]


def test_a_path_may_cross_keys_with_dots_and_lists():
    tree = {"nash.gini": {"mean": 0.5}, "nash": {"users": [3, {"name": "x"}]}}
    assert lookup(tree, "nash.gini.mean") == 0.5
    assert lookup(tree, "nash.users.1.name") == "x"
    assert lookup(tree, "nash.users.0") == 3


@pytest.mark.parametrize(
    ("path", "message"), [("rash", "nash"), ("nash.users.2", "0 to 1"), ("nash.users.0.x", "single value")]
)
def test_a_wrong_path_says_what_there_is(path, message):
    with pytest.raises(KeyError, match=message):
        lookup({"nash": {"users": [3, 4]}}, path)


def test_short_values():
    assert short(True) == "true"
    assert short(None) == "null"
    assert short([1, 2, 3, 4, 5]) == "[1, 2, 3, 4, ...]"
    assert short({"a": 0.5}) == "{a: 0.5}"
    assert short("x") == "x"
