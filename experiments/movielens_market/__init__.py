"""A real attention market: MovieLens-100k users, films and their directors, under four ideas of what is good.

Claim:    Nash welfare and exposure floors make directors' exposure far less unequal than what is best for users
          alone, at a small, stated cost in satisfaction; each allocation is certified.
Command:  attnjax run movielens_market --preset paper
Cost:     about 2 minutes, 2 GB; float32 on CPU.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each further one splits, trains and solves anew.
        seeds: how many.
        factors: length of the relevance model's factors.
        l2: its penalty, chosen on validation ratings out of 0.02, 0.05, 0.07, 0.1.
        learning_rate: of Adam.
        batch_size: ratings per step.
        max_epochs: at most so many passes over the training ratings.
        temperature: how much users value variety, in units of relevance (0 to 1 for one star to five).
        linear_weight: what a unit of creators' revenue and of platform income is worth, in units of relevance.
        nash_weight: the Nash weights of all directors together, per unit of all attention.
        floor: each director's guarantee, as a share of an equal split of all attention.
        tol: the relative gap to which markets are solved.
    """

    seed: int = 0
    seeds: int = 10
    factors: int = 16
    l2: float = 0.1
    learning_rate: float = 0.005
    batch_size: int = 2000
    max_epochs: int = 60
    temperature: float = 0.03
    linear_weight: float = 0.05
    nash_weight: float = 0.05
    floor: float = 0.25
    tol: float = 1e-4

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.temperature <= 0 or not 0 <= self.floor < 1 or self.tol <= 0:
            fail(
                "movielens_market",
                expected="seeds >= 1, temperature > 0, 0 <= floor < 1 and tol > 0",
                got=str(self),
                advice="Mend the settings.",
            )
        if min(self.linear_weight, self.nash_weight) <= 0:
            fail(
                "movielens_market",
                expected="weights above 0",
                got=f"linear_weight={self.linear_weight}, nash_weight={self.nash_weight}",
                advice="A weight of 0 is the user-optimal allocation, which is computed anyway.",
            )


EXPERIMENT = Experiment(
    name="movielens_market",
    title="A real attention market",
    question="What do users, directors and a platform each get, when attention to films is allocated for all of them?",
    source="Metaverse §3.1 and §4.2",
    config=Config,
    presets={"smoke": Config(seeds=2, max_epochs=12), "paper": Config()},
    cost={"smoke": Cost(minutes=0.5, memory_gb=1.5), "paper": Cost(minutes=1.5, memory_gb=1.5)},
    run=lazily("experiments.movielens_market.compute:run"),
    tables=lazily("experiments.movielens_market.show:tables"),
    figures=lazily("experiments.movielens_market.show:figures"),
    data=("movielens-100k",),
    main_job=True,
    order=2,
)
