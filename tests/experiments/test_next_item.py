"""Next-item recommendation in small: the splits, what training is shown, and what must hold of the record."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.models import PAD
from attnjax.reproduction import find_project, read_record
from experiments.benchmarks.recommendation.measure import TOP, recommender, setting
from experiments.next_item.baselines import coverage
from experiments.next_item.logs import CENTRE, Log, events, matrix, parts_of, targets
from experiments.next_item.model import _clearly_best, _hide_later, _hide_some
from experiments.next_item.show import figures, tables

SMALL = ["--users", "80", "--splits", "random", "--variants", "allocation", "--max-epochs", "2"]
SMALL += ["--features", "8", "--window", "10", "--draws", "1", "--batch-size", "40"]
METHODS = ("popularity", "item_knn", "ease", "als", "allocation")


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "next_item", "--preset", "smoke", "--", *SMALL]) == 0
        (path,) = find_project().runs.glob("next_item/*/record.json")
        return read_record(path, path.name)


@pytest.fixture(scope="module")
def log():

    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(6), [3, 4, 9, 5, 3, 6]).astype(np.int32)
    item = np.concatenate([rng.permutation(12)[:n] for n in np.bincount(user)]).astype(np.int32)
    rows = len(user)
    times = rng.integers(100, 130, rows)
    return Log(np.arange(rows), user, item, rng.integers(1, 6, rows).astype(np.float32), times, 6, 12)


def test_every_interaction_is_in_one_part_and_by_time_none_judged_lies_before_one_known(log):

    for split in ("time", "random"):
        parts = parts_of(log, split, seed=3)
        together = np.concatenate([parts.train, parts.validation, parts.test])
        np.testing.assert_array_equal(np.sort(together), np.arange(len(log.user)))
        np.testing.assert_array_equal(np.sort(np.concatenate([parts.train, parts.validation])), parts.known)
        for rows in (parts.validation, parts.test):
            np.testing.assert_array_equal(log.user[rows], np.arange(6))
        assert (matrix(log, parts.known)[np.arange(6), targets(log, parts.test)] == 0).all()
    by_time = parts_of(log, "time", seed=3)
    for user in range(6):
        known = log.timestamp[by_time.known[log.user[by_time.known] == user]]
        assert (known <= log.timestamp[by_time.test[user]]).all()


def test_histories_end_at_the_right_in_the_order_of_time(log):

    rows = np.arange(1, len(log.user))
    found = events(log, rows, length=7)
    for user in range(6):
        own = rows[log.user[rows] == user]
        own = own[np.argsort(log.timestamp[own], kind="stable")][-7:]
        np.testing.assert_array_equal(found.items[user], [PAD] * (7 - len(own)) + log.item[own].tolist())
        np.testing.assert_array_equal(found.times[user, 7 - len(own) :], log.timestamp[own])
        np.testing.assert_array_equal(found.ratings[user, 7 - len(own) :] + CENTRE, log.rating[own])


def test_training_never_shows_what_is_to_be_named(log):
    """By time nothing hidden or later is shown; at random all but what is hidden."""

    whole = jax.tree.map(jnp.asarray, events(log, np.arange(len(log.user)), length=9))
    hidden_once = set()
    for seed in range(20):
        shown, hidden = _hide_later(jax.random.key(seed), whole, 2, 4)
        for user in range(6):
            before = shown.items[user][shown.items[user] != PAD].tolist()
            named = hidden[user][hidden[user] != PAD].tolist()
            own = whole.items[user][whole.items[user] != PAD].tolist()
            assert 1 <= len(named) <= 2
            assert before + named == own[: len(before) + len(named)]
            assert len(own) - len(before) <= 4
            hidden_once |= {(user, item) for item in named}
        shown, hidden = _hide_some(jax.random.key(seed), whole, 2, 4)
        for user in range(6):
            own, named = set(whole.items[user].tolist()), set(hidden[user].tolist())
            assert set(shown.items[user].tolist()) - {PAD} == own - named - {PAD}
            assert named <= own - {PAD}
    assert {(user, int(whole.items[user, -1])) for user in range(6)} <= hidden_once


def test_what_is_not_clearly_better_than_the_start_is_not_kept():

    start, noise = np.zeros(100), np.tile([1.0, -1.0], 50)
    assert _clearly_best([start, start - 0.1, noise + 0.05]) == 0
    assert _clearly_best([start, noise + 0.2, start + 0.1]) == 1


def test_coverage_counts_what_anybody_is_shown():

    scores = np.array([[3.0, 2.0, 1.0, 0.0], [3.0, 2.0, 1.0, 0.0]])
    seen = np.array([[1, 0, 0, 0], [0, 0, 0, 0]])
    assert coverage(scores, seen, 1) == 0.5
    assert coverage(scores, seen, 2) == 0.75


def test_measures_are_shares_and_differences_are_of_them(record):
    found = record.values["random"]
    for name in METHODS:
        mean = record.summary[f"random_{name}_ndcg"]["mean"]
        assert 0 < mean < record.summary[f"random_{name}_hit_rate"]["mean"] < 1
        assert found["measures"][name]["ndcg"]["mean"] == pytest.approx(mean, rel=1e-5)
        assert 0 < record.summary[f"random_{name}_coverage"]["mean"] <= 1
        if name != "allocation":
            ours = record.summary["random_allocation_ndcg"]["mean"]
            assert found["gain"][name]["mean"] == pytest.approx(ours - mean, abs=1e-6)
    assert found["measures"]["ease"]["ndcg"]["mean"] > found["measures"]["popularity"]["ndcg"]["mean"]


def test_each_baseline_has_the_settings_that_validation_liked_best(record):
    for name, space in record.values["search_space"].items():
        validation = record.values["random"]["validation"][name]
        assert len(validation) == len(space)
        assert record.values["random"]["chosen"][name] == [int(np.argmax(validation))]


def test_the_model_begins_as_ease_ranks_and_keeps_what_did_best(record):
    """The start's validation nDCG is that of the EASE that validation chose, but for the user's own part in it."""
    training = record.values["random"]["training"]["allocation"]
    assert training["best"] >= training["start"] > 0
    assert len(training["first_seed"]["validation"]) == training["epochs"][0] + 1
    assert set(training["shares"]) <= {0, 0.25, 0.5, 0.75, 1}
    assert training["start"] == pytest.approx(max(record.values["random"]["validation"]["ease"]), abs=0.03)


def test_tables_and_figures_come_from_the_record(record):

    shown = tables(record)
    tried = sum(len(space) for space in record.values["search_space"].values())
    assert [len(table.rows) for table in shown] == [5, 4, tried, 1]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    for figure in figures(record):
        figure.build().draw_without_rendering()


def test_what_is_recommended_is_the_best_of_what_is_unseen(clone):
    """The function that the benchmark times."""

    of = setting(users=50)
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), of.params)
    of = of._replace(params=drawn)
    several = of.history(np.arange(3))
    scores = np.array(jax.jit(of.model.apply)(of.params, several, of.about.films).scores)
    for row, items in zip(scores, several.items, strict=True):
        row[items[items != PAD]] = -np.inf
    np.testing.assert_array_equal(recommender(of)(several), np.argsort(-scores, axis=1)[:, :TOP])


@pytest.mark.parametrize(
    ("option", "message"),
    [("--users 3", "of at least 50"), ("--space all", "full or small"), ("--variants softmax", "allocation among")],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run next_item --preset smoke -- {option}")
    assert code == 2
    assert message in err
