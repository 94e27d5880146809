"""Every tracker gets every number once, also over an interruption."""

import json
import sys
import types

import jax
import jax.numpy as jnp
import optax
import pytest

from attnjax.errors import UserError
from attnjax.training import JsonLines, Several, TensorBoard, WeightsAndBiases, fit, progress_bar, read_lines


def test_json_lines_come_back_and_a_broken_one_is_dropped(tmp_path):
    path = tmp_path / "deep" / "run.jsonl"
    with JsonLines(path) as tracker:
        tracker.resume(0)
        for step in (1, 2, 3):
            tracker.log(step, {"loss": 1 / step})
    assert read_lines(path) == [{"step": step, "loss": 1 / step} for step in (1, 2, 3)]
    path.write_text(path.read_text() + '{"step": 4, "lo')
    assert len(read_lines(path)) == 3
    JsonLines(path).resume(2)
    assert [line["step"] for line in read_lines(path)] == [1, 2]
    assert path.read_text().endswith("}\n")
    path.write_text("not JSON\n{}\n")
    with pytest.raises(json.JSONDecodeError):
        read_lines(path)
    assert read_lines(tmp_path / "nothing") == []


class Memory:
    def __init__(self):
        self.told = []

    def resume(self, step):
        self.told.append(("resume", step))

    def log(self, step, values):
        self.told.append((step, dict(values)))

    def close(self):
        self.told.append(("close",))


def test_fit_tells_every_epoch_to_every_tracker():
    one, other = Memory(), Memory()
    rows = jnp.arange(8.0)

    def loss(level, x):
        return jnp.mean((level - x) ** 2)

    with Several([one, other]) as tracker:
        found = fit(
            loss,
            loss,
            jnp.zeros(()),
            optax.sgd(0.1),
            rows,
            rows,
            key=jax.random.key(0),
            batch_size=4,
            max_epochs=3,
            patience=3,
            progress=progress_bar("test"),
            tracker=tracker,
        )
    assert one.told == other.told
    assert one.told[0] == ("resume", 0)
    assert one.told[-1] == ("close",)
    assert [(step, values["loss"], values["measure"]) for step, values in one.told[1:-1]] == [
        (k + 1, found.losses[k], found.measures[k]) for k in range(3)
    ]
    assert all(values["seconds"] > 0 for _, values in one.told[1:-1])


class Recorder:
    """Stands for both packages: keeps what was called."""

    def __init__(self):
        self.calls = []

    def __call__(self, *values, **options):
        self.calls.append(("open", values, options))
        return self

    def __getattr__(self, name):
        return lambda *values, **options: self.calls.append((name, values, options))


def test_what_is_said_to_tensorboard_and_wandb(tmp_path, monkeypatch):
    board, wandb = Recorder(), Recorder()
    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=board))
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=wandb))
    with Several([TensorBoard(tmp_path / "board"), WeightsAndBiases(tmp_path / "w", "p", {"rate": 0.1})]) as tracker:
        tracker.resume(4)
        tracker.log(5, {"loss": jnp.float32(0.5)})
    assert board.calls == [
        ("open", (str(tmp_path / "board"),), {"purge_step": 5}),
        ("add_scalar", ("loss", 0.5, 5), {}),
        ("close", (), {}),
    ]
    options = {"dir": str(tmp_path / "w"), "project": "p", "config": {"rate": 0.1}, "mode": "offline"}
    assert wandb.calls == [("open", (), options), ("log", ({"loss": 0.5},), {"step": 5}), ("finish", (), {})]


def test_tensorboard_files_can_be_read(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    with TensorBoard(tmp_path) as tracker:
        tracker.log(1, {"loss": 0.5})
        tracker.log(2, {"loss": 0.25})
    content = next(tmp_path.glob("events*")).read_bytes()
    found, place = [], 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + size])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        place += 16 + size
    assert found == [(1, "loss", 0.5), (2, "loss", 0.25)]


def test_weights_and_biases_stays_offline(tmp_path):
    pytest.importorskip("wandb", reason="not in the locked environment; its calls are checked above")
    with WeightsAndBiases(tmp_path, "attnjax", {"rate": 0.1}) as tracker:
        tracker.log(1, {"loss": 0.5})
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


@pytest.mark.parametrize(
    ("module", "make"),
    [("tensorboardX", lambda: TensorBoard("x")), ("wandb", lambda: WeightsAndBiases("x", "p", {}))],
)
def test_what_is_not_installed_is_named(module, make, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"the package '{module}'.*attnjax\[trackers\]"):
        make()


def test_without_tqdm_there_is_no_bar(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert list(progress_bar("x")(range(2))) == [0, 1]
