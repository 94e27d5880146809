"""The fronts in small: units, what is read off logs, measures, and what must hold of the record whatever the seeds."""

import types

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from attnjax.allocation import Creators
from attnjax.errors import UserError
from attnjax.reproduction import find_project, read_record
from experiments.pareto_fronts.measures import Planes, ceiling, measure, most_above, slack
from experiments.pareto_fronts.optimisers import gains_each
from experiments.pareto_fronts.problem import Sides, gains_of, make_problem
from experiments.pareto_fronts.show import MARKETS, WAYS, figures, tables
from experiments.pareto_fronts.sides import CLICKLESS, HASHES, click_rates, mean_propensity, segments_of


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "pareto_fronts", "--preset", "smoke"]) == 0
        path = find_project().run_folder("pareto_fronts", "smoke") / "record.json"
        return read_record(path, path.name)


@pytest.fixture(scope="module")
def problem():
    draw = np.random.default_rng(0)
    made = Creators.of([0, 0, 1, 2, 3], [0, 1, 1, 1, 2], num_items=4, num_creators=3)
    scores, budgets = draw.random((5, 4), np.float32), np.array([1.0, 2.0, 1.0, 3.0, 1.0], np.float32)
    sides = Sides(scores, budgets, made, jnp.array([1.0, 4.0, 2.0]), scores, scores.T, {})
    return sides, make_problem(sides)


def test_uniform_attention_is_the_origin_for_users_and_platform_and_fair_to_all(problem):
    _, made = problem
    np.testing.assert_allclose(gains_of(made.market, jnp.full((5, 4), 0.25)), [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(made.claims, 5 / 4 * np.array([0.5, 2.5, 1.0]), rtol=1e-6)


def test_one_is_the_most_a_party_can_get(problem):
    """The best item of each user, and the items that earn most, found by hand; no draw of attention gets beyond."""
    sides, made = problem
    own = np.eye(4, dtype=np.float32)[sides.scores.argmax(axis=1)]
    assert float(gains_of(made.market, jnp.asarray(own))[0]) == pytest.approx(1, abs=1e-6)
    earns = np.tile(np.eye(4, dtype=np.float32)[1], (5, 1))  # items 1 and 2 are all of creator 1, who pays 4
    assert float(gains_of(made.market, jnp.asarray(earns))[2]) == pytest.approx(1, abs=1e-6)
    draws = np.random.default_rng(1).dirichlet(np.full(4, 0.3), (50, 5)).astype(np.float32)
    gains = np.asarray(gains_each(made.market, jnp.asarray(draws)))
    assert gains.max() <= 1 + 1e-5
    share = np.array([[0.5, 0.5, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    exposure = np.einsum("u,kun,nc->kc", sides.budgets / sides.budgets.mean(), draws, share)
    np.testing.assert_allclose(gains[:, 1], np.minimum(exposure, made.claims).sum(axis=1) / 5, atol=1e-5)


def test_logged_propensities_give_the_exposure_of_a_policy_that_moves():
    """The mean of what was logged is far off: likely shows are on record more often."""
    draw = np.random.default_rng(0)
    moods = np.array([[0.6, 0.3, 0.1], [0.05, 0.3, 0.65], [0.05, 0.3, 0.65]])
    policy = np.repeat(moods, 5000, axis=0)
    item = (draw.random(len(policy))[:, None] > policy.cumsum(axis=1)).sum(axis=1)
    propensity = policy[np.arange(len(policy)), item]
    position = draw.integers(0, 2, len(policy))
    truth, logged = moods.mean(axis=0), np.bincount(item, propensity) / np.bincount(item)
    found = mean_propensity(item, position, propensity, 4)
    np.testing.assert_allclose(found, [*truth, 0], atol=0.02)
    assert np.abs(logged / logged.sum() - truth).max() > 0.1


def test_a_random_policy_shows_all_alike_whatever_was_drawn():
    item = np.array([0, 1, 1, 1, 2, 2])
    np.testing.assert_allclose(mean_propensity(item, np.zeros(6, int), np.full(6, 1 / 3), 3), 1 / 3)


def test_clicks_count_as_under_a_random_policy():
    """A show counts 1 / propensity, but no more than 4, which is what it counts where four items are shown alike."""
    group, click = np.array([0, 0, 1, 1]), np.array([1, 0, 0, 1])
    propensity = np.array([1 / 2, 1 / 8, 1 / 100, 1 / 4])
    prior, rate = CLICKLESS * 4, (2 + 4) / (2 + 4 + 4 + 4)
    expected = [(2 + prior * rate) / (6 + prior), (4 + prior * rate) / (8 + prior)]
    np.testing.assert_allclose(click_rates(group, click, propensity, 4), expected)


def test_segments_are_numbered_by_their_size_over_all_logs():
    def log(*values):
        return types.SimpleNamespace(rounds=pd.DataFrame({name: list(values) for name in HASHES}))

    logs = [log("a", "b", "c"), log("b", "c", "b", "d")]
    assert segments_of(logs, 2).tolist() == [-1, 0, 1, 0, 1, 0, -1]
    with pytest.raises(UserError, match="at most 4 segments"):
        segments_of(logs, 5)


def test_planes_leave_the_volume_below_them():
    """x + y + z <= 1 leaves a sixth of the cube, 2 x <= 1 a half of that and more."""
    one = Planes(np.full((1, 3), 1 / 3), np.array([1 / 3]))
    assert ceiling(one) == pytest.approx(1 / 6, abs=0.02)
    np.testing.assert_allclose(slack(np.array([[0.2, 0.2, 0.3], [1.0, 0.5, 0.0]]), one), [0.1, -1 / 6], atol=1e-9)
    both = Planes(np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, 0]]), np.array([1 / 3, 1 / 2]))
    assert ceiling(both) == pytest.approx(1 / 6 - 1 / 48, abs=0.02)
    assert ceiling(Planes(np.eye(3)[:1], np.array([0.5]))) == pytest.approx(1 / 2)
    assert most_above(one, [np.array([[0.5, 0.5, 0.3]]), np.full((1, 3), np.nan)]) == pytest.approx(0.1)


def test_measures_count_what_failed_and_what_is_found():
    planes = Planes(np.full((1, 3), 1 / 3), np.array([1.0]))
    exact = np.ones((1, 3))
    points = np.array([[0.5, 0.5, 0.5], [np.nan, 0, 0], [0.1, 0.5, 0.5], [-1.0, 0.9, 2.0]])
    found = measure(points, exact, planes)
    assert found["hypervolume"] == pytest.approx(0.125, abs=1e-6)
    assert found["distance"] == pytest.approx(0.75**0.5, rel=1e-5)
    assert (found["found"], found["failed"]) == (3, 1)
    assert found["room"] == pytest.approx(np.mean([0.5, 1 - 1.1 / 3, 1 - 1.9 / 3]))
    assert measure(points[1:2], exact, planes)["hypervolume"] == 0
    assert measure(np.array([[0.0, 1.0, 0.0]]), exact, planes)["hypervolume"] == 0


def test_markets_are_solved_and_nothing_is_above_a_certificate(record):
    """Where one party has nearly all the weight the solver may give up; that is counted, and such points left out."""
    assert len(record.certificates) == 4
    for name, found in record.certificates.items():
        assert found["unsolved"] <= 0.2 * found["markets"], name
        assert 0 <= found["largest_gap"] <= record.config["tol"]
    for market in MARKETS:
        assert max(record.per_seed[f"{market}_most_above"]) < 1e-4


def test_linear_programs_reach_the_same_optima(record):
    """HiGHS knows nothing of the solver; weighted gains agree to the tolerance, points only where optima are unique."""
    for market in MARKETS:
        assert 0 < max(record.per_seed[f"{market}_programs_apart"]) <= record.config["tol"]


def test_no_optimiser_beats_the_ceiling(record):
    """Few weightings may fill less than other sets do: they find corners of this front, not its faces."""
    for market in MARKETS:
        volume = {
            name: record.summary[f"{market}_{name}_hypervolume"]["mean"] for name in record.values[market]["points"]
        }
        top = record.summary[f"{market}_ceiling_hypervolume"]["mean"]
        assert all(found <= top + 0.02 for found in volume.values())
        assert volume["linear_programs"] == pytest.approx(volume["weights"], abs=0.02)
        assert volume["nsga2"] < 0.5 * volume["weights"]
        assert record.per_seed[f"{market}_network_failed"] == [0]


def test_floors_are_kept_and_weights_promise_nothing(record):
    for market in MARKETS:
        found = record.values[market]["fairness"]
        for floor, row in zip(record.config["floors"], found["floors"], strict=True):
            assert row["worst"] >= floor * (1 - 1e-4)
        granted = [row["granted"]["mean"] for row in found["granted"]]
        assert granted == sorted(granted)
        both = [row["users"]["mean"] + row["platform"]["mean"] for row in found["floors"]]
        assert both == sorted(both, reverse=True)


def test_the_logged_policies_stand_where_their_propensities_put_them(record):
    points = record.values["open_bandit"]["points"]
    np.testing.assert_allclose(points["logged_random"], [[0, 1, 0]], atol=1e-3)
    assert 0.5 < points["logged_bts"][0][1] < 0.9


def test_tables_and_figures_come_from_the_record(record):
    shown = tables(record)
    assert len(shown) == 5
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    knobs = sum(len(record.config["floors" if way == "floors" else "weights"]) for way in WAYS)
    assert [len(table.rows) for table in shown[1::2]] == [knobs, knobs]
    for figure in figures(record):
        figure.build().draw_without_rendering()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--population 2", "population of at least 4"),
        ("--least 0.5", "0 < least < 1/3"),
        ("--floors 0.1 0.5", "begin with 0"),
        ("--aggregators upgrad", "'mean' among"),
    ],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run pareto_fronts --preset smoke -- {option}")
    assert code == 2
    assert message in err
