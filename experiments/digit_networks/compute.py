"""What `digit_networks` computes: the document's three networks, twice per seed, and their accuracy on test images.

    logits     ten outputs into the cross-entropy
    sigmoid    ten outputs, and the document's sigmoid between them and the cross-entropy
    one        the document's one output: it can't be trained, and its largest output is always the first

A seed's networks of one name share their draws and the order of the images, so outputs are compared in pairs.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from attnjax.data import load_mnist
from attnjax.models import DigitNet, DigitPolicy, Recognised
from attnjax.models.digit_networks import cross_entropy
from attnjax.reproduction import Context, Outcome
from attnjax.training import fit
from experiments.attention_vector.compute import slices

INIT, TRAIN = 1, 2
"""Streams of a network's key."""

NETWORKS = ("user", "item", "policy")
ARMS = ("logits", "sigmoid")
GAPS = (("user", "item"), ("item", "policy"), ("policy", "user"))


_init = jax.jit(lambda net, key, *inputs: net.init(key, *inputs), static_argnums=0)


class Rows(NamedTuple):
    """What a network is given, one array or two, with a row per image; and labels (n,)."""

    inputs: Any
    labels: Any


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Trains the three networks of every seed with both kinds of outputs; each kind is a stage."""
    parts = load(config)
    runs = [(seed, arm) for seed in range(config.seed, config.seed + config.seeds) for arm in ARMS]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {(arm, name): [] for arm in ARMS for name in NETWORKS}
    per_seed: dict[str, list[float]] = {"one_accuracy": []}
    for seed, arm in context.progress(runs, "seeds, with and without the sigmoid"):
        own = jax.random.fold_in(key, seed)
        three = context.stage(f"seed_{seed}_{arm}", functools.partial(train, config, own, arm, parts))
        for name in NETWORKS:
            found[arm, name].append(three[name])
        if arm == ARMS[0]:
            per_seed["one_accuracy"].append(one_output(own, parts["test"]))
    for (arm, name), rows in found.items():
        per_seed[f"{arm}_{name}_accuracy"] = [row["accuracy"] for row in rows]
        per_seed[f"{arm}_{name}_first_epoch"] = [float(row["validation"][0]) for row in rows]
        per_seed[f"{arm}_{name}_best_epoch"] = [float(row["best_epoch"]) for row in rows]
    for arm in ARMS:
        for one, other in GAPS:
            per_seed[f"{arm}_{one}_less_{other}"] = _less(per_seed, f"{arm}_{one}", f"{arm}_{other}")
    for name in NETWORKS:
        per_seed[f"logits_less_sigmoid_{name}"] = _less(per_seed, f"logits_{name}", f"sigmoid_{name}")
    validation = {
        arm: {name: [row["validation"].tolist() for row in found[arm, name]] for name in NETWORKS} for arm in ARMS
    }
    return Outcome(values={"validation": validation}, per_seed=per_seed)


def _less(per_seed: dict[str, list[float]], one: str, other: str) -> list[float]:
    """The differences of two accuracies, seed by seed."""
    return [a - b for a, b in zip(per_seed[f"{one}_accuracy"], per_seed[f"{other}_accuracy"], strict=True)]


def load(config: Any) -> dict[str, Rows]:
    """Training, validation and test images, in [0, 1]."""
    mnist = load_mnist()
    learned, kept, judged = slices("digit_networks", "MNIST", config, len(mnist.train_labels), len(mnist.test_labels))
    return {
        "train": _rows(mnist.train_images[learned], mnist.train_labels[learned]),
        "validation": _rows(mnist.train_images[kept], mnist.train_labels[kept]),
        "test": _rows(mnist.test_images[judged], mnist.test_labels[judged]),
    }


def _rows(images: Any, labels: Any) -> Rows:
    return Rows((jnp.asarray(images, jnp.float32) / 255,), jnp.asarray(labels))


def train(config: Any, key: Any, arm: str, parts: dict[str, Rows]) -> dict[str, Any]:
    """One seed's three networks: the user's, the item's, then the policy on what these two represent."""
    net, policy = (kind(squashed=arm == "sigmoid") for kind in (DigitNet, DigitPolicy))
    keys = {name: jax.random.fold_in(key, stream) for stream, name in enumerate(NETWORKS)}
    user, user_found = train_one(config, keys["user"], net, parts)
    item, item_found = train_one(config, keys["item"], net, parts)
    _, policy_found = train_one(config, keys["policy"], policy, represented(net, (user, item), parts))
    return {"user": user_found, "item": item_found, "policy": policy_found}


@functools.partial(jax.jit, static_argnums=0)
def see(net: Any, params: Any, *inputs: Any) -> Recognised:
    """What a network makes of images, or of representations of them."""
    return net.apply({"params": params}, *inputs)


def represented(net: Any, networks: tuple[Any, ...], parts: dict[str, Rows]) -> dict[str, Rows]:
    """The same images, as trained networks represent them: what the policy is given."""

    def seen(rows: Rows) -> Rows:
        both = (see(net, params, *rows.inputs).representation for params in networks)
        return Rows(tuple(both), rows.labels)

    return {name: seen(rows) for name, rows in parts.items()}


def start(key: Any, net: Any, rows: Rows) -> Any:
    """A network's parameters before training."""
    return _init(net, jax.random.fold_in(key, INIT), *(x[:1] for x in rows.inputs))["params"]


@functools.partial(jax.jit, static_argnums=0)
def error(net: Any, params: Any, rows: Rows) -> jax.Array:
    """The share of images for which the largest output is not the digit's."""
    return jnp.mean(jnp.argmax(see(net, params, *rows.inputs).outputs, axis=-1) != rows.labels)


@functools.cache
def _training(net: Any, learning_rate: float) -> tuple[Partial, Partial, optax.GradientTransformation]:
    """Loss, measure and optimizer: the same objects for all seeds, so that these share one program."""

    def loss(params: Any, rows: Rows) -> Any:
        return cross_entropy(see(net, params, *rows.inputs).outputs, rows.labels)

    return Partial(loss), Partial(functools.partial(error, net)), optax.adam(learning_rate)


def train_one(config: Any, key: Any, net: Any, parts: dict[str, Rows]) -> tuple[Any, dict[str, Any]]:
    """One network: its parameters after the best epoch, and how well it does on test images it never saw."""
    loss, measure, optimizer = _training(net, config.learning_rate)
    found = fit(
        loss,
        measure,
        start(key, net, parts["train"]),
        optimizer,
        parts["train"],
        parts["validation"],
        key=jax.random.fold_in(key, TRAIN),
        batch_size=config.batch_size,
        max_epochs=config.epochs,
        patience=config.epochs,
    )
    return found.params, {
        "accuracy": 1 - float(error(net, found.params, parts["test"])),
        "validation": 1 - np.array(found.measures),
        "best_epoch": found.best_epoch,
    }


def one_output(key: Any, test: Rows) -> float:
    """The accuracy of the document's network as it stands, with one output, on test images."""
    net = DigitNet(num_classes=1, squashed=True)
    return 1 - float(error(net, start(key, net, test), test))
