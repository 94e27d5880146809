import dataclasses

import pytest
from toy_project import make_project

from attnjax.errors import UserError
from attnjax.reproduction import Cost, Experiment, find_project, load_experiment, load_experiments
from attnjax.reproduction import project as module
from attnjax.reproduction.project import experiment_names


def test_the_project_is_found_from_a_folder_inside_it(project):
    assert find_project(project.root / "experiments" / "toy") == project
    assert find_project() == project


def test_outside_a_clone_the_one_beside_the_package_is_found(tmp_path):
    assert (find_project(tmp_path).root / "pyproject.toml").is_file()


def test_without_any_project_the_error_says_to_clone(tmp_path, monkeypatch):
    monkeypatch.setattr(module.attnjax, "__file__", str(tmp_path / "site" / "attnjax" / "__init__.py"))
    with pytest.raises(UserError, match="Clone the repository"):
        find_project(tmp_path)


def test_experiments_are_folders_without_underscore(project):
    assert experiment_names(project) == ["toy"]
    assert [experiment.name for experiment in load_experiments(project)] == ["toy"]


def test_two_projects_do_not_share_modules(project, tmp_path):
    other = make_project(tmp_path / "other")
    file = other.root / "experiments" / "toy" / "__init__.py"
    file.write_text(file.read_text().replace('title="A toy market"', 'title="Another"'))
    assert load_experiment(project, "toy").title == "A toy market"
    assert load_experiment(other, "toy").title == "Another"
    assert load_experiment(project, "toy").title == "A toy market"


def test_an_unknown_name_gets_the_nearest_one(project):
    with pytest.raises(UserError, match="Did you mean 'toy'"):
        load_experiment(project, "tyo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module", "experiments/broken: .*ModuleNotFoundError"),
        ("x = 1", "got none"),
        ("EXPERIMENT = 3", "got int"),
        ("from experiments.toy import EXPERIMENT", "EXPERIMENT.name to be 'broken'"),
        ("from attnjax.errors import fail\nfail('x', expected='a', got='b', advice='c')", "experiments/broken: x"),
    ],
)
def test_a_folder_that_does_not_import_is_named(project, text, message):
    (project.root / "experiments" / "broken").mkdir()
    (project.root / "experiments" / "broken" / "__init__.py").write_text(text)
    with pytest.raises(UserError, match=message):
        load_experiments(project)


@dataclasses.dataclass(frozen=True)
class Good:
    seed: int = 0


@dataclasses.dataclass
class Thawed:
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Seedless:
    rate: float = 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Bad-Name"}, "lower-case"),
        ({"config": Thawed}, "frozen"),
        ({"config": int}, "frozen"),
        ({"config": Seedless}, "seed"),
        ({"presets": {"smoke": Good()}}, "smoke and paper"),
        ({"presets": {"smoke": Good(), "paper": 3}}, r"presets\['paper'\]"),
        ({"cost": {}}, "none"),
    ],
)
def test_an_experiment_checks_itself(change, message):
    cost = {"smoke": Cost(1, 1), "paper": Cost(1, 1)}
    given = {
        "name": "good",
        "title": "t",
        "question": "q",
        "source": "s",
        "config": Good,
        "presets": {"smoke": Good(), "paper": Good()},
        "cost": cost,
        "run": lambda config, key, context: None,
    }
    made = Experiment(**given)
    assert made.tables(None) == made.figures(None) == ()
    with pytest.raises(UserError, match=message):
        Experiment(**{**given, **change})
