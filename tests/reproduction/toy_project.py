"""A small project in a temporary folder: one experiment that needs no JAX, its claims, its test, its bands."""

import textwrap
from pathlib import Path

from attnjax.reproduction.project import Project

TOY = '''
"""A toy: a budget of one shared between two uses, measured with noise."""

import dataclasses
import os
import signal
import time

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, Figure, Outcome, Table


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the toy."""

    seed: int = 0
    repetitions: int = 6
    budget: float = 1.0

    def __post_init__(self):
        if self.repetitions < 1:
            fail("Config", expected="at least 1 repetition", got=str(self.repetitions), advice="Ask for more.")


def gain(share):
    """What a share is worth."""
    return share * (2.0 - share)


def measure(config, key, context):
    """Solves, then measures."""
    import numpy as np

    def solve():
        note("solve")
        return {"shares": np.array([0.25, 0.75]) * config.budget, "rounds": 3}

    solved = context.stage("solve", solve)

    def repeat():
        note("repeat")
        noise = np.random.default_rng(config.seed).normal(0.0, 0.01, config.repetitions)
        return {"equal": 0.5 + noise, "best": 0.6 + noise}

    repeated = context.stage("repeat", repeat)
    for _ in context.progress(range(3), "looking"):
        pass
    welfare = float(sum(gain(share) for share in solved["shares"]))
    return Outcome(
        values={"shares": solved["shares"], "rounds": solved["rounds"], "welfare": welfare, "rule": {"gini": 0.25}},
        per_seed={"rule.equal": repeated["equal"], "rule.best": repeated["best"]},
        certificates={"gap": 1e-9, "met": True, "bounds": {"upper": [1.0, 2.0]}},
    )


def note(stage):
    """Leaves a line that a test can count."""
    with open(os.path.join(os.path.dirname(__file__), "calls.log"), "a") as file:
        file.write(stage + "\\n")


def tables(record):
    rows = [[name, summary["mean"], summary["low"], None] for name, summary in record.summary.items()]
    return [Table("Welfare by rule", ["rule", "mean", "low", "none"], rows, "Six <repetitions> & their mean.")]


def figures(record):
    def build():
        from matplotlib.figure import Figure as Canvas

        figure = Canvas()
        axes = figure.subplots()
        axes.bar(["bus", "tram"], record.values["shares"])
        axes.set_ylabel("share of the budget")
        return figure

    return [Figure("Shares", "The tram gets <three> quarters of the budget.", build)]


EXPERIMENT = Experiment(
    name="toy",
    title="A toy market",
    question="How is a budget of one shared between a bus & a tram?",
    source="Toy §1",
    config=Config,
    presets={"smoke": Config(), "paper": Config(repetitions=12)},
    cost={"smoke": Cost(0.01, 0.2), "paper": Cost(0.02, 0.3)},
    run=measure,
    tables=tables,
    figures=figures,
    main_job=True,
    order=1,
)
'''

CLAIM = """
[[claim]]
id = "{id}"
statement = "{statement}"
source = "Toy §1"
function = "experiments.toy:gain"
test = "tests/test_toy.py::test_gain"
tutorial = ""
experiment = "toy"
tier = "{tier}"
level = "{level}"
relation = "{relation}"
value = {value}
{rest}
"""


def claim(
    id: str,
    level: str,
    relation: str,
    value: str,
    rest: str = "",
    tier: str = "smoke",
    statement: str = "It is so & <not> otherwise.",
) -> str:
    """One claim as TOML; `value` and `rest` are TOML text."""
    return CLAIM.format(id=id, level=level, relation=relation, value=value, rest=rest, tier=tier, statement=statement)


WELFARE = claim(
    "toy.welfare",
    "numerical",
    "equals",
    '"values.welfare"',
    'expected = 1.375\ntolerance = 1e-9\nwhy = "three operations in float64"',
)
ROUNDS = claim("toy.rounds", "exact", "equals", '"values.rounds"', "expected = 3")
REPEATS = claim("toy.repeats", "exact", "repeats", '"values.shares"')
ORDER = claim("toy.order", "statistical", "order", '["rule.equal", "<", "rule.best"]')
PAPER = claim("toy.paper", "statistical", "at_most", '"summary.rule.equal"', "expected = 0.6", tier="paper")
ALL = WELFARE + ROUNDS + REPEATS + ORDER + PAPER


def write_claims(project: Project, *claims: str) -> None:
    """Writes claims.toml."""
    project.claims.write_text("schema = 1\n" + "".join(claims), encoding="utf-8")


def make_project(root: Path, claims: str = ALL) -> Project:
    """Makes the project under a folder."""
    (root / "experiments" / "toy").mkdir(parents=True)
    (root / "experiments" / "_helper").mkdir()
    (root / "experiments" / "_helper" / "__init__.py").write_text("raise RuntimeError('never imported')\n")
    (root / "experiments" / "toy" / "__init__.py").write_text(TOY, encoding="utf-8")
    (root / "reproducibility").mkdir()
    (root / "tests").mkdir()
    (root / "tests" / "test_toy.py").write_text(
        textwrap.dedent(
            """
            def test_gain():
                assert True


            class TestMore:
                def test_inside(self):
                    assert True
            """
        )
    )
    project = Project(root.resolve())
    write_claims(project, claims)
    return project


def calls(project: Project) -> list[str]:
    """Which stages were computed, in order."""
    path = project.root / "experiments" / "toy" / "calls.log"
    return path.read_text().split() if path.is_file() else []
