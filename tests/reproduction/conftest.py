import pytest
from toy_project import make_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A toy project that the working directory lies in."""
    made = make_project(tmp_path / "clone")
    monkeypatch.chdir(made.root)
    return made
