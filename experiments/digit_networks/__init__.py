"""The document's own code: a user, an item and a policy network that are three classifiers of digits.

Claim:    the corrected user and item networks are right about 97.4 % of MNIST's test images and the policy about
          97.9 %, where the document has 90, 85 and 78 %; the user's is less than half a point above the item's; the
          sigmoid that the document puts before its cross-entropy costs the user's network 0.3 points at least.
Command:  attnjax run digit_networks --preset paper
Cost:     about 5 minutes, 1.4 GB; float32 on CPU. A killed run goes on behind the last finished seed.

As stated in *MetaRL* §5.2: the layers, Adam at its default 0.001, batches of 64, 10 epochs, one network after the
other, pixels in [0, 1], and what the code leaves to PyTorch, the draw of the parameters.
Not as stated: the corrections of ERRATA.md (MetaRL-1 to -4). The policy sees each image twice, as the user network and
as the item network represent it; those two are trained before it and stay as they are. 5,000 of the training images
choose the epoch, where the document takes the last.
"""

import dataclasses

from attnjax.reproduction import Cost, Experiment, lazily
from experiments.attention_vector import check_training


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each draws parameters and the order of images anew.
        seeds: how many.
        training: training images, the first of MNIST's.
        validation: images kept from training to choose the epoch, the last of MNIST's training images.
        test: test images, the first of MNIST's.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: of Adam.
    """

    seed: int = 0
    seeds: int = 5
    training: int = 55_000
    validation: int = 5_000
    test: int = 10_000
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        check_training("digit_networks", self)


EXPERIMENT = Experiment(
    name="digit_networks",
    title="The document's three networks",
    question="How accurate are MetaRL §5.2's own networks, corrected, beside the accuracies that it claims?",
    source="MetaRL §5.2, §5.4",
    config=Config,
    presets={
        "smoke": Config(seeds=1, training=800, validation=250, test=500, epochs=8, batch_size=16),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=0.2, memory_gb=0.8), "paper": Cost(minutes=5, memory_gb=1.4)},
    run=lazily("experiments.digit_networks.compute:run"),
    tables=lazily("experiments.digit_networks.show:tables"),
    figures=lazily("experiments.digit_networks.show:figures"),
    data=("mnist",),
    order=41,
)
