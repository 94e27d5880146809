"""A killed run ends in the same bits, and what is not this run's checkpoint is never loaded."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attnjax.errors import UserError
from attnjax.training import Checkpoints, fit, read_lines
from attnjax.training.checkpoints import open_checkpoints

SCRIPT = Path(__file__).with_name("killed_run.py")


def start(folder, what):
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), what], capture_output=True, text=True, env=environment, timeout=300
    )
    return done.returncode, done.stderr


def steps(folder):
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())


def test_killed_twice_and_resumed_gives_the_same_bits(tmp_path):
    """Once between two checkpoints, once when one was written but had no final name."""
    code, _ = start(tmp_path, "straight")
    assert code == -signal.SIGKILL
    assert steps(tmp_path / "killed") == [2, 4]  # of 5 epochs, one is lost: less than an interval
    assert [line["step"] for line in read_lines(tmp_path / "killed.jsonl")] == [1, 2, 3, 4, 5]
    code, _ = start(tmp_path, "save")
    assert code == -signal.SIGKILL
    assert steps(tmp_path / "killed") == [4, 6]
    assert list((tmp_path / "killed").glob("8*tmp*"))
    code, said = start(tmp_path, "finish")
    assert code == 0, said
    assert "a checkpoint that was cut short; removed, not loaded" in said
    assert steps(tmp_path / "killed") == [10, 11] == steps(tmp_path / "straight")
    straight, finished = np.load(tmp_path / "straight.npz"), np.load(tmp_path / "finish.npz")
    assert finished["resumed"] == 6
    for name in ("one", "two", "losses", "best"):
        np.testing.assert_array_equal(straight[name], finished[name], err_msg=name)
    told = [
        [{name: line[name] for name in ("step", "loss", "measure")} for line in read_lines(tmp_path / f"{run}.jsonl")]
        for run in ("straight", "killed")
    ]
    assert told[0] == told[1]
    assert [line["step"] for line in told[1]] == list(range(1, 12))


ROWS = {"x": jnp.linspace(-1, 1, 32), "y": jnp.linspace(-2, 2, 32) ** 2}
PARAMS = {"slope": jnp.zeros(()), "level": jnp.zeros(()), "none": jnp.zeros((0, 2))}


def _line(params, batch):
    return jnp.mean((params["slope"] * batch["x"] + params["level"] - batch["y"]) ** 2)


def _fit(folder, *, settings=None, every=1, keep=3, **changes):
    options = {
        "params": PARAMS,
        "optimizer": optax.adam(0.1),
        "train": ROWS,
        "validation": ROWS,
        "key": jax.random.key(0),
        "batch_size": 8,
        "max_epochs": 6,
        "patience": 20,
    } | changes
    kept = Checkpoints(folder, settings or {"rate": 0.1, "layers": (1, 2)}, every, keep)
    return fit(_line, _line, checkpoints=kept, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, _fit(folder)


def test_more_epochs_go_on_where_the_first_ended(tmp_path):
    whole = _fit(tmp_path / "whole", max_epochs=9)
    _fit(tmp_path / "parts", every=4)
    assert steps(tmp_path / "parts") == [4, 6]
    longer = _fit(tmp_path / "parts", max_epochs=9)
    assert longer.resumed == 6
    assert longer.losses == whole.losses
    assert longer.params["slope"] == whole.params["slope"]
    assert longer.params["none"].shape == (0, 2)


def test_random_keys_empty_arrays_and_low_precision_come_back(tmp_path):
    """What optimizers remember: `optax.add_noise` a key, for one."""
    tree = {f"{k}": jnp.full(k, 0.1 * k, jnp.bfloat16) for k in range(12)} | {
        "key": jax.random.key(7),
        "step": jnp.array(3),
    }
    numbers = {"best": 0.1 + 0.2, "losses": [1e-300, 1 / 3]}
    with open_checkpoints(Checkpoints(tmp_path, {}), {}) as keeper:
        keeper.save(5, tree, numbers)
        found = keeper.latest(tree)
    assert (found.epoch, found.numbers) == (5, numbers)
    assert jax.tree.structure(found.arrays) == jax.tree.structure(tree)
    for one, other in zip(jax.tree.leaves(found.arrays), jax.tree.leaves(tree), strict=True):
        assert one.dtype == other.dtype
        assert (one == other).all()


def test_a_run_that_had_stopped_early_stays_stopped(tmp_path):
    away = {"x": ROWS["x"], "y": 0 * ROWS["y"]}
    first = _fit(tmp_path, validation=away, patience=2, max_epochs=50, every=100)
    again = _fit(tmp_path, validation=away, patience=2, max_epochs=50, every=100)
    assert again.resumed == len(first.measures) == len(again.measures) < 50
    assert again.best_epoch == first.best_epoch
    more = _fit(tmp_path, validation=away, patience=4, max_epochs=50, every=100)
    assert len(more.measures) == len(first.measures) + 2


def test_other_settings_are_refused_and_named(tmp_path, finished):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    before = sorted(path.name for path in tmp_path.iterdir())
    small = {"x": ROWS["x"][:8], "y": ROWS["y"][:8]}
    wide = {"slope": jnp.zeros(()), "level": jnp.zeros(()), "none": jnp.zeros((0, 3))}
    for changes, words in (
        ({"settings": {"rate": 0.2, "layers": [1, 2]}}, r"caller\.rate = 0\.1 there, 0\.2 here"),
        ({"settings": {"rate": 0.1}}, r"caller\.layers = \[1, 2\] there, null here"),
        ({"batch_size": 16}, r"loop\.batch_size = 8 there, 16 here"),
        ({"accumulate": 2}, r"loop\.accumulate = 1 there, 2 here"),
        ({"key": jax.random.key(1)}, r"loop\.key ="),
        ({"train": small}, r"loop\.rows ="),
        ({"params": PARAMS | {"level": jnp.ones(())}}, r"loop\.start ="),
        ({"params": wide}, r"parameters or optimizer memory: .*\[0, 2\].* there, .*\[0, 3\].* here"),
        ({"optimizer": optax.sgd(0.1)}, r"parameters or optimizer memory"),
    ):
        with pytest.raises(UserError, match=words):
            _fit(tmp_path, **changes)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert _fit(tmp_path).resumed == 6


def _spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _change_number(path):
    about = json.loads(path.read_text())
    about["numbers"]["best"] -= 1.0
    path.write_text(json.dumps(about))


def _about(folder):
    return folder / "about" / "metadata"


DAMAGES = {
    "a byte of the arrays": lambda folder: [
        _spoil(path) for path in folder.glob("arrays/**/d/*") if path.stat().st_size > 50
    ],
    "half of the arrays": lambda folder: [
        path.write_bytes(path.read_bytes()[:20]) for path in folder.glob("arrays/**/d/*")
    ],
    "no arrays": lambda folder: shutil.rmtree(folder / "arrays"),
    "half of the description": lambda folder: _about(folder).write_bytes(_about(folder).read_bytes()[:100]),
    "a changed number": lambda folder: _change_number(_about(folder)),
}


# A failed read leaves futures of tensorstore behind, whose errors Python reports when it collects them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_taken(tmp_path, finished, damage):
    folder, whole = finished
    shutil.copytree(folder, tmp_path / "run")
    damage(tmp_path / "run" / "6")
    with pytest.warns(UserWarning, match=r"6: .*not loaded"):
        again = _fit(tmp_path / "run")
    assert again.resumed == 5
    assert again.losses == whole.losses
    assert again.params["level"] == whole.params["level"]
    assert steps(tmp_path / "run") == [4, 5, 6]
    with warnings.catch_warnings():  # what was damaged has been replaced
        warnings.simplefilter("error")
        with open_checkpoints(Checkpoints(tmp_path / "run", {}), {}) as keeper:
            assert keeper._read(tmp_path / "run" / "6", 6, "about", None)["numbers"]["best"] == whole.best
    gc.collect()


def test_what_is_foreign_is_refused(tmp_path):
    other = tmp_path / "files"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"nothing but this run's checkpoints, got thesis\.txt"):
        _fit(other)
    numbered = tmp_path / "numbered"
    (numbered / "3").mkdir(parents=True)
    with pytest.raises(UserError, match=r"one of the format attnjax\.training 1, got a foreign one"):
        _fit(numbered)
    newer = tmp_path / "newer"
    _fit(newer, max_epochs=1)
    about = json.loads(_about(newer / "1").read_text())
    _about(newer / "1").write_text(json.dumps(about | {"version": 2}))
    with pytest.raises(UserError, match="start anew after a change of the format"):
        _fit(newer)


def test_another_machine_s_checkpoint_is_loaded_with_a_warning(tmp_path, finished, monkeypatch):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(jax, "__version__", "0.0.1")
    with pytest.warns(UserWarning, match="the result may differ in the last bits"):
        assert _fit(tmp_path).resumed == 6


def test_one_process_at_a_time_and_options_in_range(tmp_path):
    with open_checkpoints(Checkpoints(tmp_path, {}), {}), pytest.raises(UserError, match="another one at work on it"):
        _fit(tmp_path)
    for changes, words in (
        ({"every": 0}, "every >= 1 and keep >= 1"),
        ({"keep": 0}, "every >= 1 and keep >= 1"),
        ({"settings": {"rate": float("nan")}}, "settings that JSON can't say"),
        ({"settings": {"rate": jnp.zeros(())}}, "settings that JSON can't say"),
    ):
        with pytest.raises(UserError, match=words):
            _fit(tmp_path, **changes)
