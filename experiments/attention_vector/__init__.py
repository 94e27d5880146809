"""The document's own network: a small CNN whose ten outputs are multiplied by a learned attention vector.

Asks:     how accurate the corrected network is, and whether its attention vector adds anything: whether the same
          network without it is as accurate after as many steps, and whether the last layer can absorb the trained
          vector without changing a prediction. No paper record is committed yet.
Command:  attnjax run attention_vector --preset paper
Cost:     about 13 minutes for each of 15 networks on one core, so more than 3 hours; a killed run goes on behind the
          last finished network. `-- --training 1920` shows the order in ten minutes. float32 on CPU.

As stated in *Metaverse* §5.2: Adam at 0.001, batches of 64, 10 epochs, the sum of squares, images scaled to [-1, 1].
Not as stated: the corrections of ERRATA.md (Metaverse-5 and -8); MNIST on CIFAR-10's canvas, since no package carries
CIFAR-10 (`--images cifar-10` takes it where it is in the cache); and the epoch is chosen on validation images kept from
training, where the document takes the last.
"""

import dataclasses
from typing import Any

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily

IMAGES = ("mnist", "cifar-10")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each draws parameters, the vector and the order of images anew.
        seeds: how many.
        images: which: `mnist` or `cifar-10`.
        training: training images, the first of the set's.
        validation: images kept from training to choose the epoch, the set's last.
        test: test images, the first of the set's.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam.
    """

    seed: int = 0
    seeds: int = 5
    images: str = "mnist"
    training: int = 55_000
    validation: int = 5_000
    test: int = 10_000
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.images not in IMAGES:
            fail("attention_vector", expected=f"images out of {', '.join(IMAGES)}", got=self.images, advice="Pick one.")
        check_training("attention_vector", self)


def check_training(experiment: str, config: Any) -> None:
    """Refuses settings with which nothing can be trained or judged."""
    if min(config.seeds, config.validation, config.test, config.epochs) < 1 or config.training < config.batch_size:
        fail(
            experiment,
            expected="at least one seed, epoch, validation and test image, and a batch of training images",
            got=str(config),
            advice="Mend the settings.",
        )
    if not config.learning_rate > 0:
        fail(
            experiment,
            expected="a learning rate above 0",
            got=str(config.learning_rate),
            advice="The document's is 0.001.",
        )


EXPERIMENT = Experiment(
    name="attention_vector",
    title="The document's attention vector",
    question="How accurate is the document's own network, and what does its attention vector contribute?",
    source="Metaverse §5.2",
    config=Config,
    presets={
        "smoke": Config(seeds=2, training=800, validation=250, test=500, epochs=2, batch_size=16),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=0.9, memory_gb=1.2), "paper": Cost(minutes=200, memory_gb=2.5)},
    run=lazily("experiments.attention_vector.compute:run"),
    tables=lazily("experiments.attention_vector.show:tables"),
    figures=lazily("experiments.attention_vector.show:figures"),
    data=IMAGES,
    order=31,
)
