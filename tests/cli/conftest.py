import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "reproduction"))

from toy_project import make_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A toy project that the working directory lies in."""
    made = make_project(tmp_path / "clone")
    monkeypatch.chdir(made.root)
    return made
