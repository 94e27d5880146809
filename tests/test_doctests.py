"""Every example in a docstring of the package does what it shows; one test per module."""

import doctest
import importlib
import pkgutil

import pytest

import attnjax


def examples() -> list[str]:
    """The modules of the package, without importing them."""
    return ["attnjax", *(module.name for module in pkgutil.walk_packages(attnjax.__path__, "attnjax."))]


@pytest.mark.parametrize("name", [name for name in examples() if not name.endswith("__main__")])
def test_the_examples_of(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples failed; see the captured output"


def test_the_operator_has_examples_at_all():
    finder = doctest.DocTestFinder(exclude_empty=True)
    operator = importlib.import_module("attnjax.allocation.operator")
    assert any(test.examples for test in finder.find(operator.allocate, globs={}))
