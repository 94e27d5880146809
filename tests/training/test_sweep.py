"""A row of a sweep is the run that `fit` makes of its point; a table survives an interruption and no mix-up."""

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

from attnjax.errors import UserError
from attnjax.training import Candidate, Range, fit, grid, penalised, read_trials, run_key, search, sweep

RANDOM = np.random.default_rng(0)
ROWS = {"x": RANDOM.normal(size=(96, 4)), "y": RANDOM.normal(size=96)}
ROWS = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), ROWS)
TRAIN, VALIDATION = (jax.tree.map(lambda leaf, part=part: leaf[part], ROWS) for part in (slice(64), slice(64, 96)))
OPTIONS = {"key": jax.random.key(5), "batch_size": 16, "max_epochs": 25, "patience": 3}


def _error(params, batch):
    return jnp.mean((jnp.tanh(batch["x"] @ params["one"]) @ params["two"] - batch["y"]) ** 2)


def _build(point):
    one, two = jax.random.split(jax.random.key(point["seed"]))
    params = {"one": jax.random.normal(one, (4, 8)), "two": jax.random.normal(two, (8,))}

    def loss(params, batch, key):
        batch = batch | {"x": batch["x"] * jax.random.bernoulli(key, 0.9, batch["x"].shape)}
        return _error(params, batch)

    return Candidate(
        penalised(loss, l2=point["l2"]),
        _error,
        params,
        optax.adamw(point["rate"], weight_decay=point["decay"]),
    )


POINTS = grid(rate=[0.003, 0.05], decay=[0.0, 0.1], l2=[0.01], seed=[0, 1])


@pytest.fixture(scope="module")
def table():
    return sweep(_build, POINTS, TRAIN, VALIDATION, stochastic=True, **OPTIONS)


def test_a_row_is_a_single_run(table):
    assert len(table) == 8
    assert not table["diverged"].any()
    for row in (0, 6):
        point = {name: values[row] for name, values in POINTS.items()}
        single = fit(
            *_build(point),
            train=TRAIN,
            validation=VALIDATION,
            stochastic=True,
            **OPTIONS | {"key": run_key(OPTIONS["key"], point)},
        )
        assert table["best"][row] == pytest.approx(single.best, rel=2e-5)
        assert (table["best_epoch"][row], table["epochs"][row]) == (single.best_epoch, len(single.losses))
    assert table["epochs"].nunique() > 1  # so that some have stopped while others went on


def _level(point):
    def loss(level, batch):
        return jnp.mean((level - batch["y"]) ** 2)

    return Candidate(loss, loss, 1.0 * point["seed"], optax.sgd(point["rate"]))


def test_a_sweep_goes_on_where_it_was_killed(tmp_path):
    class Killed(Exception):
        pass

    def progress(batches):
        for count, batch in enumerate(batches):
            if count == 2:
                raise Killed
            yield batch

    points = grid(rate=[0.003, 0.05, 0.2], seed=[0, 1, 2])
    options = OPTIONS | {"at_once": 3, "settings": {"model": "level"}}
    whole = sweep(_level, points, TRAIN, VALIDATION, **options)
    options["folder"] = tmp_path
    with pytest.raises(Killed):
        sweep(_level, points, TRAIN, VALIDATION, progress=progress, **options)
    about, found = read_trials(tmp_path)
    assert about["points"]["rate"] == points["rate"].tolist()
    assert found.equals(whole[:6])
    batches = []
    again = sweep(
        _level, points, TRAIN, VALIDATION, progress=lambda left: batches.extend(left) or iter(batches), **options
    )
    assert batches == [6]
    assert again.equals(whole)
    assert read_trials(tmp_path)[1].equals(whole)
    for changes, words in (
        ({"settings": {"model": "relu"}}, "trials made with another settings"),
        ({"patience": 4}, "trials made with another loop"),
    ):
        with pytest.raises(UserError, match=words):
            sweep(_level, points, TRAIN, VALIDATION, **options | changes)
    (tmp_path / "trials.json").write_text("{}")
    with pytest.raises(UserError, match=r"a table of the format attnjax\.trials 1, got another file"):
        sweep(_level, points, TRAIN, VALIDATION, **options)


def test_a_point_that_diverges_spoils_no_other(tmp_path):
    points = {"rate": [0.1, 1e30], "seed": [0, 0]}

    found = sweep(_level, points, TRAIN, VALIDATION, folder=tmp_path, **OPTIONS)
    assert found["diverged"].tolist() == [False, True]
    assert found["best"][1] == math.inf
    assert math.isfinite(found["best"][0])
    assert read_trials(tmp_path)[1]["best"].tolist() == found["best"].tolist()


@pytest.mark.parametrize(
    ("points", "changes", "words"),
    [
        ({"rate": [0.1], "seed": [0, 1]}, {}, r"shapes \[\(1,\), \(2,\)\]"),
        ({"rate": []}, {}, "points of one length"),
        ({"rate": [0.1]}, {"at_once": -1}, "at_once of at least 1"),
        ({"best": [0.1]}, {}, "names other than best"),
        ({"rate": [0.1]}, {"batch_size": 7, "accumulate": 2}, "sweep: expected a batch_size that accumulate"),
        ({"rate": [0.1]}, {"settings": {"model": _build}}, "some that JSON can't say"),
    ],
)
def test_mistakes_are_refused(points, changes, words):
    with pytest.raises(UserError, match=words):
        sweep(_build, points, TRAIN, VALIDATION, **OPTIONS | changes)


def test_ranges_are_checked():
    for low, high, log in ((1.0, 0.0, False), (0.0, 1.0, True), (0.0, math.inf, False)):
        with pytest.raises(UserError, match="Range: expected"):
            Range(low, high, log)


def test_a_search_needs_optuna_and_a_space(monkeypatch):
    with pytest.raises(UserError, match="at least one value per name, and trials >= 1"):
        search(lambda point: 0.0, {"layers": []}, trials=1)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"the package 'optuna'.*attnjax\[search\]"):
        search(lambda point: 0.0, {"layers": [1]}, trials=1)


def test_a_search_finds_the_minimum_and_goes_on_as_if_it_had_not_been_killed(tmp_path):
    space = {"rate": Range(1e-4, 1.0, log=True), "layers": Range(1, 4), "kind": ["a", None]}
    tried = []

    def objective(point):
        tried.append(point)
        if len(tried) == 3:
            return math.nan
        return (math.log10(point["rate"]) + 2) ** 2 + (point["layers"] - 3) ** 2 + (point["kind"] == "a")

    whole = search(objective, space, trials=40, seed=1, folder=tmp_path / "whole", settings={"a": 1})
    assert whole["value"][2] == math.inf
    best = whole.loc[whole["value"].idxmin()]
    assert best["layers"] == 3
    assert pd.isna(best["kind"])  # None, as a frame says it
    assert best["value"] < 0.1
    assert all(1e-4 <= point["rate"] <= 1 and isinstance(point["layers"], int) for point in tried)
    tried.clear()
    search(objective, space, trials=15, seed=1, folder=tmp_path / "parts", settings={"a": 1})
    parts = search(objective, space, trials=40, seed=1, folder=tmp_path / "parts", settings={"a": 1})
    assert len(tried) == 40
    assert parts.equals(whole)
    about, rows = read_trials(tmp_path / "parts")
    assert about["space"]["rate"] == {"low": 1e-4, "high": 1.0, "log": True}
    assert len(rows) == 40
    with pytest.raises(UserError, match="trials made with another space"):
        search(objective, {"rate": [1]}, trials=1, seed=1, folder=tmp_path / "parts", settings={"a": 1})
