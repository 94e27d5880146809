"""Newcomers: how well are they served after n interactions, and who learns fastest?

Asks:     whether what was learned from many users, for adaptation, serves newcomers better than what a practitioner
          would try first: at full ranking, in exact replay, and in predicting ratings. No record is committed yet.
Command:  attnjax run cold_start --preset paper
Cost:     about two and a half hours (estimated, not yet measured), 3.5 GB; float32 and float64 on CPU.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily

PROTOCOLS = ("curve", "replay", "rating")
FOLDS = 10


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: of folds, orders and initial parameters.
        folds: how many of the ten folds are run; with all of them every user is cold once.
        users: at most so many of the data set's first.
        protocols: which are run: "curve", "replay" and "rating".
        space: the settings that are tried: "full" or "small".
        after: after how many interactions newcomers are judged in "curve", rising, the first 0.
        fewest: how many interactions users have who are newcomers of "curve" and "replay".
        steps: of "replay".
        at: the cut-off of nDCG, hit rate and lists in "curve".
    """

    seed: int = 0
    folds: int = FOLDS
    users: int = 943
    protocols: tuple[str, ...] = PROTOCOLS
    space: str = "full"
    after: tuple[int, ...] = (0, 1, 5, 10, 20)
    fewest: int = 40
    steps: int = 20
    at: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.folds <= FOLDS or self.users < 100 or min(self.steps, self.at) < 1:
            fail(
                "cold_start",
                expected=f"1 to {FOLDS} folds, users of at least 100, and steps and at of at least 1",
                got=str(self),
                advice="Fewer users leave folds without newcomers.",
            )
        if not self.protocols or not set(self.protocols) <= set(PROTOCOLS) or self.space not in ("full", "small"):
            fail(
                "cold_start",
                expected=f"protocols among {', '.join(PROTOCOLS)}, and a space that is full or small",
                got=f"{self.protocols} and {self.space!r}",
                advice="Leave them out for all.",
            )
        if self.after[:1] != (0,) or list(self.after) != sorted(set(self.after)) or self.after[-1] >= self.fewest:
            fail(
                "cold_start",
                expected="after to rise from 0 to less than fewest",
                got=f"{self.after} and {self.fewest}",
                advice="What is to be found comes after the last of them.",
            )


EXPERIMENT = Experiment(
    name="cold_start",
    title="Newcomers",
    question="Does learning to adapt serve newcomers better than what is simpler?",
    source="MetaRL §2.3, §3 and §8; notes on protocols in attnjax.evaluation.protocols",
    config=Config,
    presets={
        "smoke": Config(folds=1, users=200, space="small", after=(0, 5, 20)),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=0.4, memory_gb=1.5), "paper": Cost(minutes=150, memory_gb=3.5)},
    run=lazily("experiments.cold_start.compute:run"),
    tables=lazily("experiments.cold_start.show:tables"),
    figures=lazily("experiments.cold_start.show:figures"),
    data=("movielens-100k", "movielens-titles"),
    order=13,
)
