"""What it costs not to know who comes next: regret of the online market against hindsight.

Claim:    when users come in random order, regret grows no faster than the square root of their number, for Nash
          welfare, floors and caps; when they come sorted by taste it grows in proportion to it.
Command:  attnjax run online_regret --preset paper
Cost:     about 6 minutes, 2 GB; float64 on CPU.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each draws creators and users of its own.
        seeds: how many.
        creators: how many, one item each.
        largest: users in the longest run; the shortest has 100.
        per_decade: how many runs of different length there are for each factor of 10.
        temperature: how much users value variety, where they do; scores have a standard deviation of about 1.4.
        nash_weight: the Nash weights of all creators together, per user.
        floor: each creator's guarantee, as a share of an equal split of attention.
        cap: each creator's limit, likewise.
        step: the step size of prices.
        sample: users of an earlier sample, whose prices are the warm start.
        tol: the relative gap to which hindsight is solved.
    """

    seed: int = 0
    seeds: int = 10
    creators: int = 20
    largest: int = 100_000
    per_decade: int = 2
    temperature: float = 0.3
    nash_weight: float = 0.5
    floor: float = 0.5
    cap: float = 1.3
    step: float = 0.5
    sample: int = 100
    tol: float = 1e-6

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.creators < 2 or self.largest < 1000 or min(self.sample, self.per_decade) < 1:
            fail(
                "online_regret",
                expected="seeds >= 1, creators >= 2, largest >= 1000, sample >= 1 and per_decade >= 1",
                got=str(self),
                advice="An exponent needs a decade of users at least.",
            )
        if not (min(self.temperature, self.nash_weight, self.step, self.tol) > 0 and 0 < self.floor < 1 < self.cap):
            fail(
                "online_regret",
                expected="temperature, nash_weight, step and tol above 0, and 0 < floor < 1 < cap",
                got=str(self),
                advice="Floors above an equal split can't be met, and caps below it leave attention unspent.",
            )


EXPERIMENT = Experiment(
    name="online_regret",
    title="Not knowing who comes next",
    question="How much welfare is lost when users must be served one by one, at prices learnt on the way?",
    source="Balseiro, Lu and Mirrokni (2023); Metaverse §4.2",
    config=Config,
    presets={"smoke": Config(seeds=4, largest=10_000, per_decade=1, tol=1e-5), "paper": Config()},
    cost={"smoke": Cost(minutes=0.9, memory_gb=1.1), "paper": Cost(minutes=6, memory_gb=2.0)},
    run=lazily("experiments.online_regret.compute:run"),
    tables=lazily("experiments.online_regret.show:tables"),
    figures=lazily("experiments.online_regret.show:figures"),
    x64=True,
    order=30,
)
