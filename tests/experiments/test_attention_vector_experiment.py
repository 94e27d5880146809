"""The document's network in small, on drawn images: what must hold of its record whatever the seeds."""

import jax
import numpy as np
import pytest
from drawn_digits import drawn_digits

from attnjax.reproduction import find_project, read_record
from experiments.attention_vector import Config, compute
from experiments.attention_vector.compute import load, start
from experiments.attention_vector.show import figures, tables

ARMS = ("learned", "frozen", "removed")
SEEDS = 1
SMALL = ["--seeds", str(SEEDS), "--validation", "100", "--test", "250"]


@pytest.fixture(scope="module", autouse=True)
def no_download():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnjax.data.mnist.read_files", drawn_digits)
        yield


@pytest.fixture(scope="module")
def record(clone):
    from attnjax.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        assert main(["run", "attention_vector", "--preset", "smoke", "--", *SMALL]) == 0
        (path,) = find_project().runs.glob("attention_vector/*/record.json")
        return read_record(path, path.name)


def test_every_network_learns(record):
    for arm in ARMS:
        assert len(record.per_seed[f"{arm}_accuracy"]) == SEEDS
        assert min(record.per_seed[f"{arm}_accuracy"]) > 0.25  # chance is 0.1, after 100 steps of 16 images
        assert np.array(record.values["validation"][arm]).shape == (SEEDS, record.config["epochs"])


def test_the_last_layer_absorbs_the_learned_vector(record):
    assert min(record.per_seed["agreement_when_absorbed"]) > 0.99


def test_only_the_learned_vector_moves_and_arms_are_paired(record):
    start, end = ({arm: np.array(record.values[what][arm]) for arm in ARMS} for what in ("start", "end"))
    np.testing.assert_array_equal(start["learned"], start["frozen"])
    np.testing.assert_array_equal(start["removed"], 1)
    for arm in ("frozen", "removed"):
        np.testing.assert_array_equal(end[arm], start[arm])
    assert (end["learned"] != start["learned"]).all()
    paired = np.subtract(record.per_seed["learned_accuracy"], record.per_seed["removed_accuracy"])
    np.testing.assert_allclose(record.per_seed["learned_less_removed_accuracy"], paired)


def test_accuracy_is_the_mean_of_what_classes_have(record):

    labels = load(Config(**record.config))["test"].labels
    share = np.bincount(labels, minlength=10) / labels.size
    for arm in ARMS:
        found = np.array(record.values["recall"][arm]) @ share
        np.testing.assert_allclose(found, record.per_seed[f"{arm}_accuracy"], rtol=1e-6)


def test_arms_start_alike_but_for_the_vector(clone):

    learned, removed = (start(jax.random.key(0), arm) for arm in ("learned", "removed"))
    assert not np.array_equal(learned["attention"], start(jax.random.key(1), "learned")["attention"])
    for name, part in learned.items():
        if name != "attention":
            jax.tree.map(np.testing.assert_array_equal, part, removed[name])


def test_parts_of_the_images_do_not_overlap(monkeypatch):
    from attnjax.data import Cifar10

    images = np.arange(50).astype(np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    labels = np.arange(50).astype(np.int32) % 10
    small = Cifar10(images, labels, images[:20], labels[:20], (), None)
    monkeypatch.setattr(compute, "load_cifar10", lambda: small)
    parts = compute.load(Config(images="cifar-10", training=40, validation=10, test=20, batch_size=8))
    seen = [parts[name].images[:, 0, 0, 0].tolist() for name in ("train", "validation", "test")]
    assert seen == [list(range(40)), list(range(40, 50)), list(range(20))]
    with pytest.raises(ValueError, match=r"expected at most 50 training and validation images.*got 45, 10 and 20"):
        compute.load(Config(images="cifar-10", training=45, validation=10, test=20, batch_size=8))


def test_tables_and_figures_come_from_the_record(record):

    shown = tables(record)
    assert [len(table.rows) for table in shown] == [3, 3, 2]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    assert "MNIST" in shown[0].note
    for figure in figures(record):
        figure.build().draw_without_rendering()


@pytest.mark.parametrize(
    ("option", "message"),
    [("--images svhn", "images out of mnist, cifar-10"), ("--training 10", "a batch of training")],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run attention_vector --preset smoke -- {option}")
    assert code == 2
    assert message in err
