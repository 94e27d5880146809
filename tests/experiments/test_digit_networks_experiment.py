"""The document's three networks in small, on drawn images: what must hold of the record whatever the seeds."""

import jax
import numpy as np
import pytest
from drawn_digits import drawn_digits, two_sets

from attnjax.models import DigitNet
from attnjax.reproduction import find_project, read_record
from experiments.digit_networks import Config, compute
from experiments.digit_networks.show import figures, tables

ARMS, NETWORKS = ("logits", "sigmoid"), ("user", "item", "policy")
SEEDS = 1


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
        assert main(["run", "digit_networks", "--preset", "smoke"]) == 0
        (path,) = find_project().runs.glob("digit_networks/*/record.json")
        return read_record(path, path.name)


def test_every_network_learns(record):
    for arm in ARMS:
        for name in NETWORKS:
            assert len(record.per_seed[f"{arm}_{name}_accuracy"]) == SEEDS
            assert min(record.per_seed[f"{arm}_{name}_accuracy"]) > 0.5  # chance is 0.1
            assert np.array(record.values["validation"][arm][name]).shape == (SEEDS, record.config["epochs"])


def test_the_epoch_is_chosen_on_validation_images(record):
    for arm in ARMS:
        for name in NETWORKS:
            validation = np.array(record.values["validation"][arm][name])
            assert (validation.argmax(1) + 1 == record.per_seed[f"{arm}_{name}_best_epoch"]).all()


def test_one_output_is_right_about_zeros_only(record):
    labels = two_sets()[1][1]
    np.testing.assert_allclose(record.per_seed["one_accuracy"], np.mean(labels == 0), rtol=1e-6)


def test_differences_are_of_the_same_seed(record):
    for name in NETWORKS:
        paired = np.subtract(*(record.per_seed[f"{arm}_{name}_accuracy"] for arm in ARMS))
        np.testing.assert_allclose(record.per_seed[f"logits_less_sigmoid_{name}"], paired)
    user, item = (record.per_seed[f"logits_{name}_accuracy"] for name in ("user", "item"))
    np.testing.assert_allclose(record.per_seed["logits_user_less_item"], np.subtract(user, item))


def test_starts_differ_between_networks_and_agree_between_outputs():
    rows = compute.load(Config(training=9, validation=9, test=9, batch_size=9))["train"]
    one = compute.start(jax.random.key(0), DigitNet(), rows)
    jax.tree.map(np.testing.assert_array_equal, one, compute.start(jax.random.key(0), DigitNet(squashed=True), rows))
    other = compute.start(jax.random.key(1), DigitNet(), rows)
    assert not any(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def test_the_policy_is_given_the_same_image_as_both_networks_represent_it():
    net, parts = DigitNet(), compute.load(Config(training=9, validation=9, test=9, batch_size=9))
    see = jax.jit(net.apply)
    user, item = (compute.start(jax.random.key(seed), net, parts["train"]) for seed in (0, 1))
    found = compute.represented(net, (user, item), parts)
    for name, rows in parts.items():
        for params, seen in zip((user, item), found[name].inputs, strict=True):
            expected = see({"params": params}, rows.inputs[0]).representation
            np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found[name].labels, rows.labels)


def test_parts_of_the_images_do_not_overlap():
    (images, labels), (test_images, _) = two_sets()
    parts = compute.load(Config(training=1000, validation=100, test=500))
    for part, expected in (("train", images[:1000]), ("validation", images[1000:]), ("test", test_images)):
        np.testing.assert_allclose(parts[part].inputs[0], expected / 255, rtol=1e-6)
    np.testing.assert_array_equal(parts["validation"].labels, labels[1000:])
    with pytest.raises(ValueError, match=r"at most 1100 training and validation images.*got 1050, 100 and 500"):
        compute.load(Config(training=1050, validation=100, test=500))


def test_tables_and_figures_come_from_the_record(record):
    shown = tables(record)
    assert [len(table.rows) for table in shown] == [3, 3, 3]
    assert all(len(row) == len(table.columns) for table in shown for row in table.rows)
    assert [row[1] for row in shown[0].rows] == ["about 90", "about 85", "about 78"]
    for figure in figures(record):
        figure.build().draw_without_rendering()


@pytest.mark.parametrize(
    ("option", "message"),
    [("--training 10", "a batch of training"), ("--learning-rate 0", "a learning rate above 0")],
)
def test_settings_that_make_no_sense_are_refused(call, option, message):
    code, _, err = call(f"run digit_networks --preset smoke -- {option}")
    assert code == 2
    assert message in err
