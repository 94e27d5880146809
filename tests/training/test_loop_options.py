"""Pieces and devices change a step by rounding only; noise has a stream of its own; schedules see every step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attnjax.errors import UserError
from attnjax.training import NOISE, SHUFFLE, count_steps, fit, in_precision

RANDOM = np.random.default_rng(0)
ROWS = {"x": RANDOM.normal(size=(96, 4)), "y": RANDOM.normal(size=96)}
ROWS = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), ROWS)
PARAMS = {"w": jnp.zeros(4), "level": jnp.zeros(())}


def _error(params, batch):
    return jnp.mean((batch["x"] @ params["w"] + params["level"] - batch["y"]) ** 2)


def _fit(loss=_error, **changes):
    options = {
        "params": PARAMS,
        "optimizer": optax.adam(0.05),
        "train": ROWS,
        "validation": ROWS,
        "key": jax.random.key(0),
        "batch_size": 24,
        "max_epochs": 5,
        "patience": 5,
    } | changes
    return fit(loss, _error, **options)


def test_pieces_of_a_batch_add_up_to_it():
    whole = _fit()
    for accumulate in (2, 24):
        parts = _fit(accumulate=accumulate)
        np.testing.assert_allclose(parts.params["w"], whole.params["w"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-6)


def test_eight_devices_agree_with_one_and_resume_in_the_same_bits(tmp_path):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    script = Path(__file__).with_name("spread_run.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "out").read_text())
    assert found["devices"] == 8
    assert found["difference"] <= 2e-6
    np.testing.assert_allclose(*found["losses"], rtol=2e-6)
    assert found["resumed"] == 4
    assert found["same_bits"]


def test_noise_is_drawn_from_its_own_stream_anew_for_each_piece():
    """With a rate of 0 each step's loss is the mean of its draws; the streams are the documented ones."""

    def drawn(params, batch, key):
        return jax.random.uniform(key) + 0 * params["level"]

    key, steps = jax.random.key(3), 4
    for accumulate in (1, 2):
        found = _fit(
            drawn, optimizer=optax.sgd(0.0), key=key, stochastic=True, accumulate=accumulate, max_epochs=2, patience=2
        )
        for epoch, loss in enumerate(found.losses, 1):
            stream = jax.random.fold_in(jax.random.fold_in(key, NOISE), epoch)
            draws = [jax.random.uniform(jax.random.fold_in(stream, k)) for k in range(steps * accumulate)]
            assert loss == pytest.approx(float(np.mean(draws)), rel=1e-6)
    assert NOISE != SHUFFLE


def test_noise_changes_no_shuffle():
    quiet, noisy = _fit(), _fit(lambda params, batch, key: _error(params, batch), stochastic=True)
    assert quiet.losses == noisy.losses


def test_a_schedule_sees_every_step():
    steps = count_steps(96, 24, 5)
    assert steps == 20
    ends = optax.piecewise_constant_schedule(0.1, {steps - 1: 0.0})  # the last step alone has a rate of 0
    one = _fit(optimizer=optax.sgd(ends))
    other = _fit(optimizer=optax.sgd(optax.piecewise_constant_schedule(0.1, {steps: 0.0})))
    assert one.losses == other.losses
    assert one.measures[:-1] == other.measures[:-1]
    assert one.measures[-1] != other.measures[-1]


def test_low_precision_trains_high_parameters():
    high, low = _fit(max_epochs=20, patience=20), _fit(in_precision(_error), max_epochs=20, patience=20)
    assert low.params["w"].dtype == jnp.float32
    np.testing.assert_allclose(low.params["w"], high.params["w"], atol=0.02)
    assert low.losses != high.losses


def test_numpy_rows_and_plain_numbers_are_taken_like_jax_arrays():
    rows = {"x": np.asarray(ROWS["x"]), "y": np.asarray(ROWS["y"])}
    plain = _fit(params={"w": np.zeros(4, np.float32), "level": 0.0}, train=rows, validation=rows, max_epochs=2)
    assert plain.losses == _fit(max_epochs=2).losses


def test_an_epoch_is_compiled_once():
    traced = []

    def loss(params, batch):
        traced.append(1)
        return _error(params, batch)

    _fit(loss, max_epochs=6, patience=6)
    assert len(traced) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accumulate": 5}, "batch_size that accumulate times the number of devices divides"),
        ({"accumulate": 0}, "batch_size 24, accumulate 0, 1 devices"),
        ({"devices": []}, "0 devices"),
        ({"train": {"x": ROWS["x"], "y": jnp.zeros(())}}, r"lengths \[0, 96\]"),
    ],
)
def test_what_does_not_divide_is_refused(changes, words):
    with pytest.raises(UserError, match=words):
        _fit(**changes)
