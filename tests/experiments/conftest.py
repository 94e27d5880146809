import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """The project's own experiments and claims, in a folder where runs may be left."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("experiments", "reproducibility", "tests", "tutorials"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def call(clone, monkeypatch, capsys):
    """Calls the command line in the clone: exit code, standard output, standard error."""
    from attnjax.cli import main

    monkeypatch.chdir(clone)

    def run(command):
        code = main(command.split())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
