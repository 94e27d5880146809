"""The code's digest: what it follows, what it leaves out, and that both are files as they are now."""

import pytest

from attnjax.reproduction import code
from attnjax.reproduction.code import code_digest

PACKAGE = {
    "__init__.py": "",
    "cli/__init__.py": "",
    "cli/parser.py": "",
    "solvers/__init__.py": "from attnjax.solvers.newton import solve\nfrom attnjax.solvers.other import other\n",
    "solvers/newton.py": "from attnjax.tiles import tile\ndef solve(): ...\n",
    "solvers/other.py": "def other(): ...\n",
    "tiles.py": "def tile():\n    import attnjax.late\n",
    "late.py": "",
    "settings/__init__.py": "from attnjax.settings.aside import X\nY = X\n",
    "settings/aside.py": "X = 1\n",
    "settings/inner.py": "Z = 1\n",
    "unseen.py": "",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in the place of this one: a function that writes a file of it."""

    def write(name, content):
        (tmp_path / "attnjax" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "attnjax" / name).write_text(content)

    for name, content in PACKAGE.items():
        write(name, content)
    monkeypatch.setattr(code.attnjax, "__file__", str(tmp_path / "attnjax" / "__init__.py"))
    return write


def experiment(project, name, content):
    folder = project.root / "experiments" / name
    folder.mkdir(exist_ok=True)
    (folder / "more.py").write_text(content)


@pytest.mark.parametrize(
    ("imports", "followed"),
    [
        ("from attnjax.solvers import solve", {"solvers/newton.py", "tiles.py", "late.py"}),
        ("from attnjax.solvers.other import other", {"solvers/other.py"}),
        ("from attnjax import tiles", {"tiles.py", "late.py"}),
        ("import attnjax.tiles as t", {"tiles.py", "late.py"}),
        ("from attnjax import solvers", {"solvers/__init__.py", "solvers/newton.py", "solvers/other.py", "tiles.py"}),
        ("def f():\n    from attnjax.late import x", {"late.py"}),
        # This package does more than pass names on, so it counts whatever is imported from it.
        ("from attnjax.settings.inner import Z", {"settings/__init__.py", "settings/inner.py", "settings/aside.py"}),
        ("from attnjax.cli.parser import parse", set()),
        ("import json", set()),
    ],
)
def test_imports_are_followed_and_nothing_else(project, package, imports, followed):
    (project.root / "experiments" / "toy" / "__init__.py").write_text("")
    experiment(project, "toy", imports)
    before = code_digest(project, "toy")
    assert code_digest(project, "toy") == before
    moved = set()
    for name, content in PACKAGE.items():
        package(name, content + "# changed\n")
        if code_digest(project, "toy") != before:
            moved.add(name)
        package(name, content)
    assert moved - {"late.py"} == followed - {"late.py"}
    assert ("late.py" in moved) == bool({"late.py", "tiles.py"} & followed)


def test_what_is_said_does_not_count_and_what_is_done_does(project):
    code_of = '"""A module."""\n\ndef f():\n    """A function,\n\n    of two lines.\n    """\n    return "{text}"\n'
    experiment(project, "toy", code_of.format(text="a"))
    before = code_digest(project, "toy")
    experiment(project, "toy", code_of.format(text="a").replace("two", "many").replace("A module", "Modules"))
    assert code_digest(project, "toy") == before
    experiment(project, "toy", code_of.format(text="b"))
    assert code_digest(project, "toy") != before


def test_the_whole_folder_of_the_experiment_counts_but_only_its_code(project):
    before = code_digest(project, "toy")
    (project.root / "experiments" / "toy" / "notes.txt").write_text("2")
    assert code_digest(project, "toy") == before
    experiment(project, "toy", "")
    assert code_digest(project, "toy") != before


def test_what_is_imported_from_other_experiments_counts(project):
    experiment(project, "base", "X = 1")
    experiment(project, "middle", "from experiments.base.more import X")
    experiment(project, "aside", "X = 1")
    experiment(project, "toy", "def f():\n    from experiments.middle.more import X\n")
    before = code_digest(project, "toy")
    experiment(project, "aside", "X = 2")
    assert code_digest(project, "toy") == before
    experiment(project, "base", "X = 2")
    assert code_digest(project, "toy") != before
