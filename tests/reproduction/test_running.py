import dataclasses
import os
import stat

import pytest
from toy_project import calls

from attnjax.atomic import only_writer, sweep, write_bytes, write_text
from attnjax.errors import UserError
from attnjax.reproduction import Outcome, keep, load_experiment, read_record, run_experiment
from attnjax.reproduction.bands import batch_seeds, make_bands, prediction_band, read_bands
from attnjax.reproduction.records import write_record
from attnjax.reproduction.runner import preset_config, variant_name, with_seed


def quiet(line):
    pass


@pytest.fixture
def toy(project):
    return load_experiment(project, "toy")


def test_a_finished_record_is_reused_and_says_so(project, toy):
    said = []
    first = run_experiment(project, toy, "smoke", say=said.append)
    second = run_experiment(project, toy, "smoke", say=said.append)
    assert (first.reused, second.reused) == (False, True)
    assert second.record == first.record
    assert "reusing the finished record runs/toy/smoke/record.json" in said[-1]
    assert calls(project) == ["solve", "repeat"]


def test_a_changed_program_or_preset_is_computed_again_with_the_reason(project, toy):
    run_experiment(project, toy, "smoke", say=quiet)
    (project.root / "experiments" / "toy" / "more.py").write_text("")
    said = []
    assert not run_experiment(project, toy, "smoke", say=said.append).reused
    assert "not reused: the code changed" in said[0]
    changed = dataclasses.replace(toy, presets={**toy.presets, "smoke": toy.config(repetitions=3)})
    run_experiment(project, changed, "smoke", say=said.append)
    assert any("repetitions: 6 -> 3" in line for line in said)


def test_force_computes_from_the_beginning(project, toy):
    run_experiment(project, toy, "smoke", say=quiet)
    assert not run_experiment(project, toy, "smoke", force=True, say=quiet).reused
    assert calls(project) == ["solve", "repeat"] * 2


def test_other_settings_have_a_folder_of_their_own(project, toy):
    config = with_seed(toy, preset_config(toy, "smoke"), 7)
    ran = run_experiment(project, toy, "smoke", config=config, say=quiet)
    assert ran.path.parent.name == variant_name(toy, "smoke", config) != "smoke"
    assert ran.record.seed == 7
    assert not project.run_folder("toy", "smoke").exists()


def test_wrong_presets_and_seeds_are_refused(toy):
    with pytest.raises(UserError, match="Did you mean 'smoke'"):
        preset_config(toy, "smok")
    with pytest.raises(UserError, match="from 0 to"):
        with_seed(toy, preset_config(toy, "smoke"), -1)


def test_an_interrupted_run_goes_on_behind_its_last_stage(project, toy):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    interrupted = dataclasses.replace(toy, run=lambda config, key, context: toy.run(config, key, Halting(context)))
    with pytest.raises(KeyboardInterrupt):
        run_experiment(project, interrupted, "smoke", say=quiet)
    ran = run_experiment(project, toy, "smoke", say=quiet)
    assert calls(project) == ["solve", "repeat"]
    assert ran.record.resumed == ["solve"]


class Halting:
    """A context that is interrupted at the second stage."""

    def __init__(self, context):
        self._context, self._count = context, 0

    def stage(self, name, function):
        self._count += 1
        if self._count == 2:
            raise KeyboardInterrupt
        return self._context.stage(name, function)


def test_the_key_and_the_precision_are_the_runs_own(project, toy):
    import jax
    import jax.numpy as jnp

    def run(config, key, context):
        assert key == jax.random.key(config.seed)
        return Outcome({"dtype": str(jnp.zeros(1).dtype)})

    double = dataclasses.replace(toy, run=run, x64=True)
    assert run_experiment(project, double, "smoke", force=True, say=quiet).record.values == {"dtype": "float64"}
    single = dataclasses.replace(toy, run=run)
    assert run_experiment(project, single, "smoke", force=True, say=quiet).record.values == {"dtype": "float32"}


def test_only_clean_records_are_kept(project, toy):
    with pytest.raises(UserError, match="attnjax run toy --preset smoke"):
        keep(project, toy, "smoke")
    ran = run_experiment(project, toy, "smoke", say=quiet)
    with pytest.raises(UserError, match="outside a git clone"):
        keep(project, toy, "smoke")
    write_record(ran.path, ran.record._replace(commit="a" * 40, dirty=True))
    with pytest.raises(UserError, match="no commit holds"):
        keep(project, toy, "smoke")
    assert keep(project, toy, "smoke", force=True) == project.kept("toy", "smoke")
    write_record(ran.path, ran.record._replace(commit="a" * 40, dirty=False))
    assert read_record(keep(project, toy, "smoke"), "kept").dirty is False


def test_one_process_writes_a_run_at_a_time(tmp_path):
    with only_writer(tmp_path / "run"), pytest.raises(UserError, match="another one"), only_writer(tmp_path / "run"):
        pass
    with only_writer(tmp_path / "run"):
        pass


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file"
    write_text(path, "old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert path.read_text() == "old"


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_sweep_removes_what_a_killed_process_left(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".record.json.x1.partial").write_text("{")
    (tmp_path / "a" / "record.json").write_text("{}")
    assert sweep(tmp_path) == 1
    assert sweep(tmp_path / "absent") == 0
    assert (tmp_path / "a" / "record.json").exists()


def test_bands_are_prediction_intervals_of_a_fresh_batch():
    import numpy as np

    generator = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        low, high = prediction_band(list(generator.normal(size=6)))
        inside.append(low <= generator.normal() <= high)
    assert 0.91 < np.mean(inside) < 0.98
    assert prediction_band([0.5, 0.5]) == [0.5, 0.5]
    assert prediction_band([0.0, 0.0]) == [0.0, 0.0]


def test_bands_are_rounded_outwards():
    low, high = prediction_band([0.123456789, 0.123456791, 0.1234567895])
    assert low <= 0.123456789
    assert high >= 0.123456791
    assert low == 0.12345
    assert high == 0.12346


def test_bands_come_from_independent_batches_and_resume(project, toy):
    found, path = make_bands(project, toy, "smoke", 4, say=quiet)
    assert read_bands(path, "bands") == found
    assert found.seeds == batch_seeds(0, 4)
    assert len({*found.seeds, 0}) == 5
    assert set(found.bands) == {"rule.equal", "rule.best"}
    assert found.bands["rule.equal"][0] < 0.5 < found.bands["rule.equal"][1]
    assert calls(project) == ["solve", "repeat"] * 4
    make_bands(project, toy, "smoke", 4, say=quiet)
    assert calls(project) == ["solve", "repeat"] * 4


def test_bands_refuse_what_they_cannot_do(project, toy, tmp_path):
    with pytest.raises(UserError, match="at least 4"):
        make_bands(project, toy, "smoke", 2, say=quiet)
    silent = dataclasses.replace(toy, run=lambda config, key, context: Outcome({}))
    with pytest.raises(UserError, match="per-seed"):
        make_bands(project, silent, "smoke", 4, say=quiet)
    for text in ("{", "[]", '{"kind": "other"}', '{"kind": "attnjax bands"}'):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(UserError, match="file of bands"):
            read_bands(tmp_path / "b.json", "b.json")
