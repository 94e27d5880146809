import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from attnjax.reproduction.experiment import PRESETS
from experiments.benchmarks.allocation.peers import OURS, SOLVERS
from experiments.benchmarks.allocation.tasks import PAPER, SMOKE, Task, make_problem, tasks

SMALL = tasks("smoke")
KINDS = [*SMALL.values(), dataclasses.replace(SMALL["sparse"], candidates=0, name="lp-floors-caps")]
PEERS = Path(__file__).parents[2] / "experiments" / "benchmarks" / "allocation" / "peers"


def arrays(problem):
    return [value for value in problem if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("task", KINDS, ids=lambda task: task.name)
def test_the_same_seed_gives_the_same_problem_and_another_another(task):
    first, again = arrays(make_problem(task)), arrays(make_problem(task))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    other = make_problem(dataclasses.replace(task, seed=1))
    assert not np.array_equal(first[0], other.scores)


@pytest.mark.parametrize("task", KINDS, ids=lambda task: task.name)
def test_float32_has_all_of_its_numbers(task):
    for array in arrays(make_problem(task)):
        assert np.array_equal(array, array.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize("users", [40, 2_000, 100_000])
def test_tight_caps_sum_to_the_budgets_exactly(users):
    problem = make_problem(dataclasses.replace(SMALL["lp-tight"], users=users, items=7))
    assert problem.caps.sum() == problem.budgets.sum() == users
    assert problem.caps.astype(np.float32).sum(dtype=np.float64) == users
    assert problem.caps.min() > 0


def test_candidates_of_a_user_differ():
    problem = make_problem(SMALL["sparse"])
    assert all(np.unique(row).size == row.size for row in problem.candidates)
    assert 0 <= problem.candidates.min() <= problem.candidates.max() < SMALL["sparse"].items


def test_a_task_survives_json():
    for task in PAPER:
        assert Task.from_plain(json.loads(json.dumps(dataclasses.asdict(task)))) == task


def test_the_presets_name_known_solvers_and_compare_with_their_own_peers():
    assert set(SMOKE) <= {task.name for task in PAPER}
    for preset in PRESETS:
        for name, task in tasks(preset).items():
            assert name == task.name
            assert set(task.peers) <= set(SOLVERS) - {OURS}
            assert {target.peer for target in task.targets} <= {"", *task.peers}
            assert preset == "paper" or not task.targets
    assert next(iter(SOLVERS)) == OURS
    assert all((PEERS / f"{solver.module}.py").is_file() for solver in SOLVERS.values())
