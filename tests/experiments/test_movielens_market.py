"""The real market in small: what must hold of its record whatever the seeds."""

import numpy as np
import pytest

from attnjax.reproduction import find_project, read_record

REGIMES = ("uniform", "user_optimal", "linear", "nash", "floors")


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "movielens_market", "--preset", "smoke"]) == 0
        path = find_project().run_folder("movielens_market", "smoke") / "record.json"
        return read_record(path, path.name)


def test_every_market_is_solved_and_certified(record):
    for name, found in record.certificates.items():
        assert found["all_converged"], name
        assert 0 <= found["largest_relative_gap"] <= record.config["tol"]


def test_the_relevance_model_beats_the_item_mean(record):
    assert record.summary["rmse_reduction"]["low"] > 0.05


def test_each_party_fares_best_under_the_allocation_made_for_it(record):
    mean = {name: found["mean"] for name, found in record.summary.items()}
    assert all(mean["user_optimal_user_welfare"] >= mean[f"{name}_user_welfare"] for name in REGIMES)
    assert all(mean["linear_platform_income"] >= mean[f"{name}_platform_income"] for name in REGIMES)
    assert mean["nash_gini"] < mean["floors_gini"] < mean["user_optimal_gini"] < mean["linear_gini"]


def test_uniform_attention_sees_every_film(record):
    assert record.summary["uniform_films_in_effect"]["mean"] == pytest.approx(
        record.values["films_with_director"], rel=1e-4
    )


def test_lorenz_curves_and_groups_are_of_one_whole(record):
    for name in REGIMES:
        curve = np.asarray(record.values["lorenz"][name])
        assert curve[0] == 0
        assert curve[-1] == pytest.approx(1, abs=1e-4)
        assert (np.diff(curve) >= 0).all()
        assert np.mean(record.values["group_exposure"][name]) == pytest.approx(1, abs=2e-3)


def test_the_floor_is_met(record):
    least = min(record.values["group_exposure"]["floors"])
    assert least >= record.config["floor"] * (1 - 1e-5)


def test_gainers_and_losers_are_named(record):
    moved = record.values["moved_most"]
    assert len({row["film"] for row in moved}) == len(moved) == 10
    assert [row["after"] > row["before"] for row in moved] == [True] * 5 + [False] * 5


def test_tables_and_figures_come_from_the_record(record):
    from experiments.movielens_market.show import figures, tables

    shown = tables(record)
    assert [len(table.rows) for table in shown] == [5, 3, 10, 4]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    for figure in figures(record):
        figure.build().draw_without_rendering()


def test_a_market_without_a_weight_is_refused(call):
    code, _, err = call("run movielens_market --preset smoke -- --nash-weight 0")
    assert code == 2
    assert "weights above 0" in err
