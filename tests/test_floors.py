"""Each floor of the house imports only from the floors below it: the contracts of pyproject.toml hold."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def lint_imports(root: pathlib.Path) -> subprocess.CompletedProcess[str]:
    command = pathlib.Path(sys.executable).with_name("lint-imports")
    return subprocess.run([str(command), "--no-cache"], cwd=root, capture_output=True, text=True, timeout=300)


def test_the_floors_hold():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("floor", "statement"),
    [("allocation", "import attnjax.objectives"), ("objectives", "import flax")],
    ids=["an upward import", "Flax in objectives"],
)
def test_a_broken_floor_is_noticed(tmp_path, floor, statement):
    shutil.copytree(ROOT / "attnjax", tmp_path / "attnjax", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "attnjax" / floor / "upward.py").write_text(f'"""A mistake."""\n\n{statement}  # noqa: F401\n')
    assert lint_imports(tmp_path).returncode != 0
