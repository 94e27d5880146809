import json
import subprocess

import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.reproduction import Outcome, load_experiment, read_record, run_experiment
from attnjax.reproduction.provenance import Commit, commit, difference, fingerprint
from attnjax.reproduction.records import SCHEMA, checked_outcome, summarise, write_record


@pytest.fixture
def ran(project):
    return run_experiment(project, load_experiment(project, "toy"), "smoke", say=lambda line: None)


def test_a_record_is_read_as_it_was_written(ran, tmp_path):
    write_record(tmp_path / "r.json", ran.record)
    assert read_record(tmp_path / "r.json", "r.json") == ran.record == read_record(ran.path, "x")


def test_a_record_says_where_its_numbers_come_from(ran):
    record = ran.record
    assert record.schema == SCHEMA
    assert record.config == {"seed": 0, "repetitions": 6, "budget": 1.0}
    assert set(record.versions) == {"python", "jax", "jaxlib", "flax", "optax", "numpy", "attnjax"}
    assert record.device["platform"] == "cpu"
    assert record.commit is None
    assert record.dirty is None
    assert record.summary["rule.best"]["size"] == 6
    assert record.seconds >= 0
    assert record.peak_memory_mb > 1
    assert set(record.stages) == {"solve", "repeat"}
    assert not (ran.path.parent / "stages").exists()


def test_an_entry_is_found_with_and_without_its_section(ran):
    assert ran.record.get("values.rule.gini") == ran.record.get("rule.gini") == 0.25
    assert ran.record.get("rule.best.mean") == ran.record.summary["rule.best"]["mean"]
    assert ran.record.get("certificates.bounds.upper.1") == 2.0
    assert ran.record.get("values") == ran.record.values
    with pytest.raises(KeyError, match=r"values\.welfare"):
        ran.record.get("wellfare")


def mangle(path, change):
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.write_text(p.read_text()[:50]), "does not read"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00"), "does not read"),
        (lambda p: p.write_text("[1, 2]"), "another kind"),
        (lambda p: mangle(p, lambda r: r.update(schema=99)), "schema 99"),
        (lambda p: mangle(p, lambda r: r.pop("seed")), "without seed"),
        (lambda p: mangle(p, lambda r: r.update(extra=1)), "unknown extra"),
        (lambda p: mangle(p, lambda r: r.update(values=3)), "values is no table"),
    ],
)
def test_a_half_or_foreign_file_is_refused_and_a_run_replaces_it(ran, project, damage, message):
    damage(ran.path)
    with pytest.raises(UserError, match=message):
        read_record(ran.path, "runs/toy/smoke/record.json")
    said = []
    again = run_experiment(project, load_experiment(project, "toy"), "smoke", say=said.append)
    assert not again.reused
    assert any("not reused" in line for line in said)
    assert again.record.values == ran.record.values


def test_summaries_are_intervals_over_seeds():
    found = summarise({"a": [1.0, 2.0, 3.0]})["a"]
    assert found["mean"] == 2.0
    assert found["low"] < 2.0 < found["high"]
    assert summarise({}) == {}


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (3, "an Outcome"),
        (Outcome({}, {"a": []}), "one number per seed"),
        (Outcome({}, {"a": [True]}), "one number per seed"),
        (Outcome({}, {"a": [[1.0]]}), "one number per seed"),
        (Outcome({"a": {"b": float("nan")}}), r"values\.a\.b"),
        (Outcome({}, {"a": np.array([np.inf])}), r"per_seed\.a\.0"),
    ],
)
def test_what_an_experiment_returns_is_checked(outcome, message):
    with pytest.raises(UserError, match=message):
        checked_outcome(outcome, "toy")


def test_a_fingerprint_says_what_differs(project):
    experiment = load_experiment(project, "toy")
    now = fingerprint(experiment, experiment.presets["smoke"], project)
    assert difference(now, now) == ""
    for change, reason in (
        ({"config": {**now.config, "seed": 1}}, "seed: 1 -> 0"),
        ({"code": "x"}, "the code changed"),
        ({"data": {"movies": {}}}, "the data changed (movies)"),
        ({"versions": {**now.versions, "jax": "0.1"}}, "jax: 0.1 -> "),
        ({"device": {**now.device, "kind": "H100"}}, "kind: H100 -> cpu"),
        ({"x64": True}, "precision"),
    ):
        assert reason in difference(now._replace(**change), now)
        assert now._replace(**change).digest() != now.digest()


def git(project, *words):
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(project.root), *name, *words], check=True, capture_output=True)


def test_the_commit_and_whether_the_tree_differs(project, monkeypatch):
    assert commit(project) == Commit(None, None)
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "x")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    clean = commit(project)
    assert len(clean.sha) == 40
    assert clean.dirty is False
    kept = project.kept("toy", "paper")
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    assert commit(project).dirty is False
    (project.root / "new.py").write_text("")
    assert commit(project).dirty is True


def test_without_git_nothing_is_known_of_the_commit(project, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit(project) == Commit(None, None)


def test_checksums_come_from_the_data_package(project, monkeypatch):
    import dataclasses

    from attnjax import data

    experiment = dataclasses.replace(load_experiment(project, "toy"), data=("movies",))
    monkeypatch.setattr(data, "checksums", lambda name: {f"{name}.csv": "ab12"}, raising=False)
    assert fingerprint(experiment, experiment.presets["smoke"], project).data == {"movies": {"movies.csv": "ab12"}}
    monkeypatch.delattr(data, "checksums")
    with pytest.raises(UserError, match="movies"):
        fingerprint(experiment, experiment.presets["smoke"], project)
