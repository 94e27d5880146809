"""Regret in small: what must hold of its record whatever the seeds."""

import jax
import numpy as np
import pytest

from attnjax.reproduction import find_project, read_record

MARKETS = ("nash", "floors", "caps", "caps_without_variety")


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        settings = ["--seeds", "3", "--largest", "1000", "--creators", "10"]
        assert main(["run", "online_regret", "--preset", "smoke", "--", *settings]) == 0
        (path,) = find_project().runs.glob("online_regret/*/record.json")
        return read_record(path, path.name)


def test_hindsight_is_certified_and_nobody_beats_it(record):
    for name in MARKETS:
        assert record.certificates[name]["all_converged"]
        assert record.certificates[name]["largest_relative_gap"] <= record.config["tol"]
    assert record.values["least_regret"] > 0


def test_regret_grows_slower_than_the_users_when_their_order_is_random(record):
    """One decade of few users shows no more; the exponents of the paper preset are in its record."""
    assert record.values["sizes"] == [100, 1000]
    for name in MARKETS:
        random, ordered = (np.array(record.values["regret"][name][how]) for how in ("random", "sorted"))
        assert random[-1].mean() < 0.5 * 10 * random[0].mean()
        assert random[-1].mean() < ordered[-1].mean()
        assert record.summary[f"{name}_warm_regret"]["mean"] < record.summary[f"{name}_random_regret"]["mean"]


def test_bounds_hold_and_caps_are_kept(record):
    for name in MARKETS:
        one, two = (np.array(record.per_seed[f"{name}_{what}_pass"]) for what in ("one", "two"))
        assert (one >= two).all()
        assert (two >= -record.config["tol"]).all()
        assert max(record.per_seed[f"{name}_cap_used"]) <= 1
    assert max(record.per_seed["floors_shortfall"]) < 0.05


def test_exponents_are_slopes():
    from experiments.online_regret.compute import exponents

    counts = np.array([100, 1000, 10_000])
    table = np.stack([3 * counts**0.5, 7.0 * counts], axis=1)
    np.testing.assert_allclose(exponents(counts, table), [0.5, 1])


def test_sorted_users_are_the_same_users(x64):
    from experiments.online_regret import Config
    from experiments.online_regret.compute import draw

    random, ordered, _ = draw(Config(creators=4), jax.random.key(0), 50)
    np.testing.assert_array_equal(np.sort(random, axis=0), np.sort(ordered, axis=0))
    assert not np.array_equal(random, ordered)


def test_tables_and_figures_come_from_the_record(record):
    from experiments.online_regret.show import figures, tables

    shown = tables(record)
    assert [len(table.rows) for table in shown] == [12, 12, 4]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    for figure in figures(record):
        figure.build().draw_without_rendering()


@pytest.mark.parametrize(("option", "message"), [("--largest 500", "largest >= 1000"), ("--cap 0.9", "1 < cap")])
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run online_regret --preset smoke -- {option}")
    assert code == 2
    assert message in err
