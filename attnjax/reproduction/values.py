"""Plain values: what a record may hold, how it is written, and how one number in it is named.

A record is JSON, and JSON has no NaN, no infinity, no arrays and no tuples. `plain` turns what an experiment
computes into what JSON has and refuses the rest, naming the entry; `dumps` writes it with one line per list of
numbers, so that a committed record has a readable diff; `lookup` finds an entry by its dotted path.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from attnjax.errors import fail

Plain = Any
"""JSON's values: None, bool, int, float, str, lists and dictionaries of them."""


def plain(value: Any, where: str = "record") -> Plain:
    """Turns numbers, arrays, tuples, NamedTuples and dataclasses into JSON's own values.

    Args:
        value: what to convert. Arrays (NumPy or JAX) become nested lists, tuples become lists.
        where: the dotted path of the value, for messages.

    Returns:
        The same content as None, bool, int, float, str, list and dict.

    Raises:
        UserError: if a number is NaN or infinite, a key is not a string without dots, or a type has no place in JSON.

    >>> plain({"shares": (0.25, 0.75), "rounds": 3})
    {'shares': [0.25, 0.75], 'rounds': 3}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            fail(
                "record",
                expected="finite numbers (JSON has neither NaN nor infinity)",
                got=f"{value} at {where}",
                advice="Find where it arises; if it is meant, leave the entry out or say it in words.",
            )
        return float(value)
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, f"{where}.{key}") for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict(), where)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}.{index}") for index, item in enumerate(value)]
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return plain(value.tolist(), where)
    return fail(
        "record",
        expected="numbers, strings, lists, dictionaries or arrays",
        got=f"{type(value).__name__} at {where}",
        advice="Convert it to one of those before returning it.",
    )


def dumps(value: Plain) -> str:
    """Writes plain values as JSON, one line per entry, with lists of scalars kept on one line.

    Args:
        value: what `plain` returned.

    Returns:
        The text, ending with a line break.

    >>> print(dumps({"gini": [0.1, 0.2], "users": 2}), end="")
    {
      "gini": [0.1, 0.2],
      "users": 2
    }
    """
    return _lines(value, "") + "\n"


def bits(value: Plain) -> str:
    """Returns the text that two values share exactly when they are the same to the last bit and of the same type.

    Args:
        value: a plain value.

    >>> bits(1) == bits(1.0), bits([0.1]) == bits([0.1])
    (False, True)
    """
    return json.dumps(value, sort_keys=True, allow_nan=False)


def lookup(tree: Plain, path: str) -> Plain:
    """Finds an entry by its dotted path. A key may itself contain dots (`nash.gini`): the longest match wins.

    Args:
        tree: nested dictionaries and lists.
        path: for example `nash.gini` or `prices.0`.

    Returns:
        The entry.

    Raises:
        KeyError: if there is none; the message lists what is there at the last step that exists.

    >>> lookup({"nash": {"gini": 0.3}}, "nash.gini")
    0.3
    """
    if isinstance(tree, list) and tree:
        head, _, rest = path.partition(".")
        if head.isdecimal() and int(head) < len(tree):
            return lookup(tree[int(head)], rest) if rest else tree[int(head)]
        raise KeyError(f"'{head}' (there is: 0 to {len(tree) - 1})")
    if isinstance(tree, dict):
        parts = path.split(".")
        for count in range(len(parts), 0, -1):
            head, rest = ".".join(parts[:count]), ".".join(parts[count:])
            if head in tree:
                return lookup(tree[head], rest) if rest else tree[head]
        raise KeyError(f"'{path}' (there is: {', '.join(sorted(tree)) or 'nothing'})")
    raise KeyError(f"'{path}' (a single value has no entries)")


def short(value: Plain) -> str:
    """Returns a value as a person reads it in a table: six significant digits, long lists cut.

    >>> short(0.333333333), short([1, 2]), short(10000000)
    ('0.333333', '[1, 2]', '10000000')
    """
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = [short(item) for item in value[:4]] + (["..."] if len(value) > 4 else [])
        return f"[{', '.join(shown)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {short(item)}" for key, item in value.items()) + "}"
    return str(value)


def precise(value: Plain) -> str:
    """Returns a value with the ten digits that a tolerance may be about.

    >>> precise(0.9999546021312976), precise([0.25, 0.75])
    ('0.9999546021', '[0.25, 0.75]')
    """
    return f"{value:.10g}" if isinstance(value, float) else short(value)


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun.

    >>> counted(1, "claim"), counted(2, "claim")
    ('1 claim', '2 claims')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _key(key: Any, where: str) -> str:
    """Returns a dictionary's key if JSON has it."""
    if not isinstance(key, str) or not key:
        fail(
            "record",
            expected="keys that are non-empty strings",
            got=f"{key!r} at {where}",
            advice="Name the entry with a word.",
        )
    return key


def _lines(value: Plain, indent: str) -> str:
    """Returns the JSON text of a value that stands at some depth."""
    if isinstance(value, dict) and value:
        inner = indent + "  "
        items = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {_lines(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        inner = indent + "  "
        return "[\n" + ",\n".join(inner + _lines(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
