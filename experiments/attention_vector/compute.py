"""What `attention_vector` computes: the document's network three times per seed, and its accuracy on test images.

    learned    the vector drawn from a standard normal and trained with the rest, as in the document
    frozen     the same draw, never trained
    removed    ones, never trained: the network without a vector

A seed's three networks share all other parameters' draws and the order of the images, so they are compared in pairs.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from attnjax.data import load_cifar10, load_mnist, on_colour_canvas
from attnjax.errors import fail
from attnjax.models import AttentionVectorNet
from attnjax.models.attention_vector import by_products, squared_error, without_attention
from attnjax.reproduction import Context, Outcome
from attnjax.training import fit, named

INIT, TRAIN = 1, 2
"""Streams of a seed's key."""

ARMS = ("learned", "frozen", "removed")
PAIRS = (("learned", "removed"), ("frozen", "removed"), ("learned", "frozen"))
AT_ONCE = 250
"""Images whose outputs are computed together where nothing is trained."""

NET = AttentionVectorNet(convolve=by_products)


class Rows(NamedTuple):
    """Images (n, 32, 32, 3) uint8 and labels (n,)."""

    images: Any
    labels: Any


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Trains every arm of every seed; each is a stage."""
    parts = load(config)
    runs = [(seed, arm) for seed in range(config.seed, config.seed + config.seeds) for arm in ARMS]
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for seed, arm in context.progress(runs, "networks"):
        own = jax.random.fold_in(key, seed)
        found[arm].append(context.stage(f"seed_{seed}_{arm}", functools.partial(train, config, own, arm, parts)))
    per_seed: dict[str, list[float]] = {}
    for arm, rows in found.items():
        per_seed[f"{arm}_accuracy"] = [row["accuracy"] for row in rows]
        per_seed[f"{arm}_first_epoch"] = [float(row["validation"][0]) for row in rows]
        per_seed[f"{arm}_last_epoch"] = [float(row["validation"][-1]) for row in rows]
        per_seed[f"{arm}_best_epoch"] = [float(row["best_epoch"]) for row in rows]
    for one, other in PAIRS:
        for what in ("accuracy", "first_epoch"):
            pairs = zip(per_seed[f"{one}_{what}"], per_seed[f"{other}_{what}"], strict=True)
            per_seed[f"{one}_less_{other}_{what}"] = [a - b for a, b in pairs]
    per_seed["agreement_when_absorbed"] = [row["agreement"] for row in found["learned"]]
    per_seed["vector_moved"] = [float(np.mean(np.abs(row["end"] - row["start"]))) for row in found["learned"]]
    return Outcome(
        values={
            what: {arm: [row[what].tolist() for row in rows] for arm, rows in found.items()}
            for what in ("validation", "recall", "start", "end")
        },
        per_seed=per_seed,
    )


def load(config: Any) -> dict[str, Rows]:
    """Training, validation and test images, on CIFAR-10's shape."""
    if config.images == "mnist":
        mnist = load_mnist()
        train = Rows(on_colour_canvas(mnist.train_images), mnist.train_labels)
        test = Rows(on_colour_canvas(mnist.test_images), mnist.test_labels)
    else:
        cifar = load_cifar10()
        train, test = Rows(cifar.train_images, cifar.train_labels), Rows(cifar.test_images, cifar.test_labels)
    learned, kept, judged = slices("attention_vector", config.images, config, len(train.labels), len(test.labels))
    return {
        "train": Rows(*(x[learned] for x in train)),
        "validation": Rows(*(x[kept] for x in train)),
        "test": Rows(*(x[judged] for x in test)),
    }


def slices(experiment: str, images: str, config: Any, training: int, test: int) -> tuple[slice, slice, slice]:
    """Which images are learned from, choose the epoch, and judge.

    Args:
        experiment: whose settings they are.
        images: the data set's name.
        config: with how many `training`, `validation` and `test` images.
        training: how many training images there are; the first are learned from, the last choose.
        test: how many test images.

    Raises:
        UserError: if there are fewer.
    """
    if config.training + config.validation > training or config.test > test:
        fail(
            experiment,
            expected=f"at most {training} training and validation images, and {test} test images",
            got=f"{config.training}, {config.validation} and {config.test}",
            advice=f"{images} has no more; take fewer with --training and --test.",
        )
    return slice(config.training), slice(training - config.validation, training), slice(config.test)


def outputs(params: Any, images: Any) -> jax.Array:
    """The network's ten outputs for images (n, 32, 32, 3) in bytes."""
    return jnp.asarray(NET.apply({"params": params}, images.astype(jnp.float32) / 127.5 - 1))


def loss(params: Any, rows: Rows) -> jax.Array:
    """The document's: the sum of squares over the batch."""
    return squared_error(outputs(params, rows.images), rows.labels)


def predictions(params: Any, images: Any) -> jax.Array:
    """The class of the largest output, some images at a time."""
    return jax.lax.map(lambda image: jnp.argmax(outputs(params, image)), images, batch_size=AT_ONCE)


def error(params: Any, rows: Rows) -> jax.Array:
    """The share of images put into a wrong class."""
    return jnp.mean(predictions(params, rows.images) != rows.labels)


_predict, _init = jax.jit(predictions), jax.jit(NET.init)


def start(key: Any, arm: str) -> Any:
    """A seed's parameters; arms differ in the vector only."""
    params = _init(jax.random.fold_in(key, INIT), jnp.zeros((32, 32, 3)))["params"]
    return {**params, "attention": jnp.ones_like(params["attention"])} if arm == "removed" else params


@functools.cache
def optimiser(learning_rate: float, learned: bool) -> optax.GradientTransformation:
    """Adam, which leaves the vector alone but where it is learned; one object, so that seeds share a program."""
    adam = optax.adam(learning_rate)
    if learned:
        return adam
    return optax.chain(adam, optax.masked(optax.set_to_zero(), lambda params: named(params, "attention")))


def train(config: Any, key: Any, arm: str, parts: dict[str, Rows]) -> dict[str, Any]:
    """One network: trained, and judged on test images it never saw."""
    params = start(key, arm)
    found = fit(
        Partial(loss),
        Partial(error),
        params,
        optimiser(config.learning_rate, arm == "learned"),
        parts["train"],
        parts["validation"],
        key=jax.random.fold_in(key, TRAIN),
        batch_size=config.batch_size,
        max_epochs=config.epochs,
        patience=config.epochs,
    )
    images, labels = (np.asarray(x) for x in parts["test"])
    predicted = np.asarray(_predict(found.params, images))
    absorbed = np.asarray(_predict(without_attention(found.params), images))
    right = predicted == labels
    classes = len(params["attention"])
    return {
        "accuracy": float(right.mean()),
        "recall": np.bincount(labels, right, classes) / np.maximum(np.bincount(labels, minlength=classes), 1),
        "validation": 1 - np.array(found.measures),
        "best_epoch": found.best_epoch,
        "start": np.asarray(params["attention"]),
        "end": np.asarray(found.params["attention"]),
        "agreement": float((predicted == absorbed).mean()),
    }
