import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tutorials"


def _load(name: str) -> ModuleType:
    """A helper module of the tutorials, under a name that no package has."""
    unique = f"attnjax_tutorials_{name}"
    if unique not in sys.modules:
        spec = importlib.util.spec_from_file_location(unique, FOLDER / f"{name}.py")
        sys.modules[unique] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[unique])
    return sys.modules[unique]


@pytest.fixture(scope="session")
def folder() -> Path:
    return FOLDER


@pytest.fixture(scope="session")
def build() -> ModuleType:
    return _load("build")


@pytest.fixture(scope="session")
def checks() -> ModuleType:
    return _load("checks")


@pytest.fixture(scope="module")
def exercises(folder: Path, request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The checks that the test's `CHECKS` names, imported as the notebook imports them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module(request.module.CHECKS)


@pytest.fixture
def accepts() -> Callable[[Callable[[Any], Any], Any], None]:
    """Asserts that a check accepts an answer, and calls an empty one not attempted."""

    def accepts(check: Callable[[Any], Any], answer: Any) -> None:
        verdict = check(answer)
        assert verdict.outcome == "correct", verdict
        assert check((lambda *_: None) if callable(answer) else None).outcome == "not attempted"

    return accepts


@pytest.fixture
def mends() -> Callable[[Callable[[Any], Any], Any, str], None]:
    """Asserts that a check refuses an answer in whole sentences that hold the hint."""

    def mends(check: Callable[[Any], Any], answer: Any, hint: str) -> None:
        verdict = check(answer)
        assert verdict.outcome == "not yet"
        assert hint in verdict.message
        assert verdict.message.endswith((".", "?"))

    return mends
