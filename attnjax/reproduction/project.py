"""Finding the project, and the experiments in it.

Experiments, claims and kept records live beside the package, in a clone of the repository. The commands find that
folder from the working directory upwards, or beside an editable installation.
"""

import difflib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import attnjax
from attnjax.errors import UserError, fail
from attnjax.reproduction.experiment import Experiment


class Project(NamedTuple):
    """The folder that holds `experiments/` and `reproducibility/claims.toml`.

    Attributes:
        root: that folder, absolute.
    """

    root: Path

    @property
    def claims(self) -> Path:
        """Where the claims are written."""
        return self.root / "reproducibility" / "claims.toml"

    @property
    def runs(self) -> Path:
        """Where runs leave their records; not committed."""
        return self.root / "runs"

    @property
    def reports(self) -> Path:
        """Where the report is written; not committed."""
        return self.root / "reports"

    def run_folder(self, name: str, variant: str) -> Path:
        """Where one experiment's run of one preset (or variant of it) lives."""
        return self.runs / name / variant

    def kept(self, name: str, preset: str) -> Path:
        """Where a record worth keeping is committed."""
        return self.root / "reproducibility" / "records" / name / f"{preset}.json"

    def bands(self, name: str, preset: str) -> Path:
        """Where the bands from independent seed batches are committed."""
        return self.root / "reproducibility" / "bands" / name / f"{preset}.json"

    def show(self, path: Path) -> str:
        """A path as it is printed: relative to the project's root."""
        return path.relative_to(self.root).as_posix()


def find_project(start: Path | None = None) -> Project:
    """Finds the project from a folder upwards, else beside the installed package.

    Args:
        start: where to begin; the working directory by default.

    Returns:
        The project.

    Raises:
        UserError: if there is none.
    """
    begin = (start or Path.cwd()).resolve()
    beside = Path(attnjax.__file__).resolve().parent.parent
    for folder in (begin, *begin.parents, beside):
        if (folder / "experiments").is_dir() and (folder / "reproducibility" / "claims.toml").is_file():
            return Project(folder)
    return fail(
        "attnjax",
        expected="to run inside a clone of the project (a folder with experiments/ and reproducibility/claims.toml)",
        got="a folder outside of one",
        advice="Clone the repository, change into it, and run the command there.",
    )


def experiment_names(project: Project) -> list[str]:
    """Lists the folders that hold an experiment.

    Args:
        project: where to look.

    Returns:
        Their names, sorted; folders that start with an underscore or a dot are left out.
    """
    return sorted(
        init.parent.name
        for init in (project.root / "experiments").glob("*/__init__.py")
        if not init.parent.name.startswith(("_", "."))
    )


def load_experiment(project: Project, name: str) -> Experiment:
    """Imports one experiment.

    Args:
        project: where it lives.
        name: its folder's name.

    Returns:
        What its `EXPERIMENT` says.

    Raises:
        UserError: if there is no such folder, it does not import, or it defines no matching `EXPERIMENT`.
    """
    names = experiment_names(project)
    if name not in names:
        fail(
            "attnjax",
            expected="the name of an experiment",
            got=repr(name),
            advice=suggest(name, names, "'attnjax list' shows them all."),
        )
    _enter(project)
    where = f"experiments/{name}"
    try:
        module = importlib.import_module(f"experiments.{name}")
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except Exception as error:
        raise UserError(
            f"{where}: expected a folder that imports, got {type(error).__name__}: {error}. "
            f"Mend experiments/{name}/__init__.py; 'python -c \"import experiments.{name}\"' shows the whole story."
        ) from error
    found = getattr(module, "EXPERIMENT", None)
    if not isinstance(found, Experiment):
        fail(
            where,
            expected="__init__.py to define EXPERIMENT = Experiment(...)",
            got="none" if found is None else type(found).__name__,
            advice="Define it, or begin the folder's name with an underscore if it holds no experiment.",
        )
    if found.name != name:
        fail(
            where,
            expected=f"EXPERIMENT.name to be {name!r}",
            got=repr(found.name),
            advice="Give both the same name.",
        )
    return found


def load_experiments(project: Project) -> list[Experiment]:
    """Imports every experiment.

    Args:
        project: where they live.

    Returns:
        The experiments in their order, then by name.

    Raises:
        UserError: if one of them does not import.
    """
    found = [load_experiment(project, name) for name in experiment_names(project)]
    return sorted(found, key=lambda experiment: (experiment.order, experiment.name))


def suggest(word: str, known: Iterable[str], otherwise: str) -> str:
    """Returns advice for a mistyped word: the nearest known one, and where to see them all.

    >>> suggest("metaverce", ["metaverse", "city"], "See 'attnjax list'.")
    "Did you mean 'metaverse'? See 'attnjax list'."
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean '{near[0]}'? {otherwise}" if near else otherwise


def _enter(project: Project) -> None:
    """Makes `experiments` mean this project's folder, whatever else of that name the import path holds."""
    root = str(project.root)
    if sys.path[:1] != [root]:
        sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]
    folder = project.root / "experiments"
    package = sys.modules.get("experiments")
    if package is not None and list(package.__path__)[:1] == [str(folder)]:
        return
    for name in [name for name in sys.modules if name == "experiments" or name.startswith("experiments.")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location("experiments", init, submodule_search_locations=[str(folder)])
    else:
        # A folder without __init__.py would give way to any other package of that name on the path.
        spec = importlib.machinery.ModuleSpec("experiments", None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["experiments"] = module
    if spec.loader is not None:
        spec.loader.exec_module(module)
