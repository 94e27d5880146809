"""The build script: what it leaves out, what it calls stale, and that a failure harms nothing."""

import shutil

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

TINY = """# %% [markdown]
# # A tiny tutorial

# %% [markdown] tags=["instructor"]
# > Ask first.

# %%
from checks import claim

claim("answer", 42)

# %% tags=["exercise"]
answer = None

# %% tags=["solution"]
answer = 42
"""


@pytest.fixture
def tiny(tmp_path, folder):
    home = tmp_path / "tutorials"
    (home / "src").mkdir(parents=True)
    (home / "src" / "07_tiny.py").write_text(TINY, encoding="utf-8")
    for helper in ("checks.py", "pictures.py"):
        shutil.copy(folder / helper, home / helper)
    return home


def quiet(line):
    pass


def test_builds_checks_and_serves_both_audiences(tiny, build, tmp_path):
    said = []
    assert build.main(["--check"], tiny, said.append) == 1
    assert "stale, it does not exist" in said[0]
    assert build.main([], tiny, said.append) == 0
    assert any("cell 2 of 2" in line for line in said)
    assert build.main(["--check"], tiny, quiet) == 0
    reader = nbformat.read(tiny / "07_tiny.ipynb", as_version=4)
    assert [cell.metadata.get("tags", []) for cell in reader.cells] == [[], [], ["exercise"]]

    assert build.main(["07", "--instructor", str(tmp_path / "mine")], tiny, quiet) == 0
    educator = nbformat.read(tmp_path / "mine" / "07_tiny.ipynb", as_version=4)
    assert [t for cell in educator.cells for t in cell.metadata.get("tags", [])] == [
        "instructor",
        "exercise",
        "solution",
    ]
    assert build.main(["--check"], tiny, quiet) == 0

    stored = (tiny / "07_tiny.ipynb").read_bytes()
    source = tiny / "src" / "07_tiny.py"
    source.write_text(TINY.replace('claim("answer", 42)', "1 / 0"), encoding="utf-8")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        build.main([], tiny, quiet)
    assert (tiny / "07_tiny.ipynb").read_bytes() == stored
    assert build.main(["--check"], tiny, quiet) == 1


@pytest.fixture
def copied(tmp_path, folder):
    home = tmp_path / "copy"
    shutil.copytree(folder, home, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    return home


def test_a_copy_is_up_to_date(copied, build):
    assert build.main(["--check"], copied, quiet) == 0


@pytest.mark.parametrize("made_from", ["src/01_attention_as_allocation.py", "checks.py", "pictures.py"])
def test_a_change_of_what_it_is_made_from_makes_it_stale(copied, build, made_from):
    changed = copied / made_from
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# one more line\n", encoding="utf-8")
    said = []
    assert build.main(["--check"], copied, said.append) == 1
    assert "has changed since it was built" in said[0]


def test_a_helper_of_one_tutorial_makes_only_that_one_stale(copied, build):
    changed = copied / "tradeoffs.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# one more line\n", encoding="utf-8")
    said = []
    assert build.main(["--check"], copied, said.append) == 1
    assert [line.split(":")[0] for line in said if "stale" in line] == ["03_whose_attention_is_it"]


def edit_a_cell(notebook):
    notebook.cells[2].source += "\n"


def drop_a_cell(notebook):
    del notebook.cells[-1]


def forget_a_run(notebook):
    next(cell for cell in notebook.cells if cell.cell_type == "code").execution_count = None


@pytest.mark.parametrize(
    ("edit", "reason"),
    [(edit_a_cell, "edited by hand"), (drop_a_cell, "edited by hand"), (forget_a_run, "not executed")],
)
def test_a_change_of_the_notebook_makes_it_stale(copied, build, edit, reason):
    path = copied / "01_attention_as_allocation.ipynb"
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)
    said = []
    assert build.main(["--check"], copied, said.append) == 1
    assert reason in said[0]


def test_what_is_no_notebook_is_stale(copied, build):
    (copied / "01_attention_as_allocation.ipynb").write_text("{", encoding="utf-8")
    assert build.main(["--check"], copied, quiet) == 1


def test_refuses_an_unknown_name_and_to_overwrite_the_readers(copied, build, capsys):
    with pytest.raises(SystemExit, match="Known: 01_attention_as_allocation"):
        build.main(["42"], copied, quiet)
    with pytest.raises(SystemExit):
        build.main(["--instructor", str(copied)], copied, quiet)
    assert "would overwrite" in capsys.readouterr().err
