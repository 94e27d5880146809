"""Floors for newcomers in small: who is new, what floors cost, and what must hold of both ways of training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import Creators
from attnjax.reproduction import find_project, read_record
from experiments.creator_promotion.promotion import Stage, market_of, newcomers, set_aside
from experiments.creator_promotion.show import figures, tables
from experiments.next_item.logs import Log

SMALL = ["--users", "90", "--features", "8", "--learners", "30", "--steps", "40"]
LEVELS = ("none", "quarter", "half", "equal")
CASES = ("partial", "complete", "movielens")


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "creator_promotion", "--preset", "smoke", "--", *SMALL]) == 0
        (path,) = find_project().runs.glob("creator_promotion/*/record.json")
        return read_record(path, path.name)


def test_every_decision_is_certified(record):
    for name, found in record.certificates.items():
        assert found["all_converged"], name
        assert 0 <= found["largest_relative_gap"] <= record.config["tol"]


def test_floors_are_met_at_the_least_cost(record):
    """Costs grow with the floor, and setting a share aside, which grants the same, costs no less."""
    mean = {name: found["mean"] for name, found in record.summary.items()}
    lost = [mean[f"{level}_floors_users_lose"] for level in LEVELS]
    assert lost[0] == pytest.approx(0, abs=1e-5)
    assert lost == sorted(lost)
    assert lost[-1] > 0
    for level in LEVELS[1:]:
        floor = record.values["levels"][level]
        for way in ("floors", "set_aside"):
            assert mean[f"{level}_{way}_least_new"] >= floor * (1 - 1e-4)
        assert mean[f"{level}_saved"] >= -1e-3
        assert mean[f"{level}_saved"] == pytest.approx(
            mean[f"{level}_set_aside_users_lose"] - mean[f"{level}_floors_users_lose"], abs=1e-6
        )


def test_nobody_decides_better_than_who_knows_the_truth(record):
    for case in CASES:
        found = {what: record.per_seed[f"{case}_{what}"][0] for what in ("two_stage_regret", "decision_focused_regret")}
        assert min(found.values()) > -1e-3
        assert record.per_seed[f"{case}_gain"][0] == pytest.approx(
            found["two_stage_regret"] - found["decision_focused_regret"]
        )
        assert record.per_seed[f"{case}_two_stage_missing"][0] < 1e-4
        assert record.per_seed[f"{case}_decision_focused_missing"][0] < 1e-4
    assert record.per_seed["complete_two_stage_regret"][0] < 0.2 * record.per_seed["partial_two_stage_regret"][0]


def test_who_is_new_began_late(monkeypatch):
    from attnjax.data import make_incidence

    made = make_incidence([0, 1, 2, 3], [0, 0, 1, 2], ["Ada", "Bo", "Cy"], num_items=4)
    times = np.array([0, 90, 100, 40])
    log = Log(np.arange(4), np.zeros(4, int), np.array([0, 1, 2, 0]), np.ones(4), times, 1, 4)
    # Ada's second film is late, her first was not; Bo begins late; Cy was never watched.
    assert newcomers(log, np.arange(4), made, 0.5).tolist() == [False, True, False]
    assert newcomers(log, np.array([1, 2]), made, 0.5).tolist() == [False, True, False]


def test_a_share_set_aside_is_the_smallest_that_grants_the_floors():

    scores = np.array([[0.0, 1.0, -3.0], [1.0, 0.0, -np.inf], [0.5, 0.5, -2.0]], np.float32)
    new = np.array([False, False, True])
    stage = Stage(np.arange(3), Creators.one_per_item(3), new, scores, np.zeros((3, 3), bool))
    market = market_of(stage, 0.0)
    attention = jax.nn.softmax(jnp.asarray(scores))
    mixed, share = set_aside(stage, market, attention, 0.5)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)
    assert float(mixed[:, 2].sum()) == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_allclose(mixed[1], attention[1], rtol=1e-6)
    assert 0 < share < 1
    assert set_aside(stage, market, jnp.full((3, 3), 1 / 3), 0.5)[1] == 0


def test_tables_and_figures_come_from_the_record(record):

    shown = tables(record)
    assert [len(table.rows) for table in shown] == [7, 3, 3, 7]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    for figure in figures(record):
        figure.build().draw_without_rendering()


@pytest.mark.parametrize(
    ("option", "message"), [("--floor 2", "floor in"), ("--items 41", "divide"), ("--users 170", "three times as many")]
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run creator_promotion --preset smoke -- {option}")
    assert code == 2
    assert message in err
