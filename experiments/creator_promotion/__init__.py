"""Floors for newcomers as a market, and whether it pays to train for the decision rather than for the prediction.

Asks:     whether floors for creators new in the last period cost users less than a share set aside for them that grants
          the same; and whether training for the decision beats training for the prediction at the same constraints,
          for a model that can be right and for two that can't.
Command:  attnjax run creator_promotion --preset paper
Cost:     about 20 minutes, 2 GB; float32 on CPU.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each trains, draws markets and splits users anew.
        seeds: how many.
        users: MovieLens users, at most so many of the first.
        recent: a director is new whose first interaction lies in this last part of the log's time.
        max_epochs: of the user attention model, see `next_item`; 0 leaves it at its start, which is EASE.
        features: its width.
        draws: how often each user comes up in an epoch.
        tol: the relative gap to which markets are solved.
        learners: users to learn the decision from, as many to say when to stop, and as many to judge it by.
        items: of each market on which the ways of training are compared.
        creators: likewise; half of them, who draw least, have a floor.
        floor: their guarantee, as a share of an equal split.
        signal: how much users of synthetic markets differ in what they like.
        steps: of each of the two stages of training.
        learning_rate: of Adam.
    """

    seed: int = 0
    seeds: int = 10
    users: int = 943
    recent: float = 0.5
    max_epochs: int = 8
    features: int = 32
    draws: int = 8
    tol: float = 1e-4
    learners: int = 100
    items: int = 40
    creators: int = 10
    floor: float = 0.75
    signal: float = 2.0
    steps: int = 200
    learning_rate: float = 0.03

    def __post_init__(self) -> None:
        if min(self.seeds, self.learners, self.steps) < 1 or self.users < 3 * self.learners:
            fail(
                "creator_promotion",
                expected="seeds, learners and steps >= 1, and three times as many users as learners",
                got=str(self),
                advice="Users who judge are others than those who teach and those who say when to stop.",
            )
        if not (0 < self.floor <= 1 and 0 < self.recent < 1 and 2 <= self.creators <= self.items and self.tol > 0):
            fail(
                "creator_promotion",
                expected="floor in (0, 1], recent in (0, 1), 2 <= creators <= items and tol > 0",
                got=str(self),
                advice="Floors above an equal split for half of the creators leave the others too little.",
            )
        if self.items % self.creators:
            fail(
                "creator_promotion",
                expected="a number of items that the creators divide",
                got=f"{self.items} and {self.creators}",
                advice="Every director is there with as many films.",
            )


EXPERIMENT = Experiment(
    name="creator_promotion",
    title="Floors for newcomers",
    question="What do newcomers get from floors, what do users lose, and does training for the decision help?",
    source="Metaverse §3.2, steps 3 and 4",
    config=Config,
    presets={
        "smoke": Config(seeds=1, users=200, max_epochs=0, learners=60, steps=40),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=1, memory_gb=2), "paper": Cost(minutes=20, memory_gb=2)},
    run=lazily("experiments.creator_promotion.compute:run"),
    tables=lazily("experiments.creator_promotion.show:tables"),
    figures=lazily("experiments.creator_promotion.show:figures"),
    data=("movielens-100k", "movielens-titles"),
    order=13,
)
