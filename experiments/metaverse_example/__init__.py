"""The worked example of *Metaverse* §4.3, solved three ways that agree, and where the document goes wrong.

Claim:    closed form, projected gradient descent and the allocation operator agree to 1e-6 for any prices.
Command:  attnjax run metaverse_example --preset paper
Cost:     under a minute, under 1 GB; float64 on CPU.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: draws the prices.
        instances: how many random price vectors.
        goods: how many goods each has.
        budgets: the budgets tried on each, in units of attention.
    """

    seed: int = 0
    instances: int = 100
    goods: int = 12
    budgets: tuple[float, ...] = (0.1, 1.0, 4.0, 20.0)

    def __post_init__(self) -> None:
        if self.instances < 1 or self.goods < 2 or not self.budgets or min(self.budgets) <= 0:
            fail(
                "metaverse_example",
                expected="at least 1 instance, 2 goods and one budget, all budgets above 0",
                got=str(self),
                advice="Mend the settings.",
            )


EXPERIMENT = Experiment(
    name="metaverse_example",
    title="The virtual shop, solved three ways",
    question="Do closed form, gradient descent and the allocation operator agree on the document's worked example?",
    source="Metaverse §4.3",
    config=Config,
    presets={"smoke": Config(instances=10, budgets=(0.1, 4.0)), "paper": Config(instances=100)},
    cost={"smoke": Cost(minutes=0.3, memory_gb=0.7), "paper": Cost(minutes=0.5, memory_gb=0.7)},
    run=lazily("experiments.metaverse_example.compute:run"),
    tables=lazily("experiments.metaverse_example.show:tables"),
    figures=lazily("experiments.metaverse_example.show:figures"),
    x64=True,
    main_job=True,
    order=1,
)
