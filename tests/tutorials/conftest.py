import importlib.util
import sys
from pathlib import Path
from types import ModuleType

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
