"""Who should get the green: signal controllers without learning, in SUMO, by the protocol of RESCO.

Asks:     what plans, Webster's splits, actuated signals, greedy, max-pressure and shares of a budget cost a driver on
          seven public maps; what a learned allocator has to beat. No paper record is committed yet.
Command:  attnjax run city_signals --preset paper
Cost:     about 60 minutes, 3 GB; needs SUMO (the extra `city`).
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily

MAPS = ("cologne1", "cologne3", "cologne8", "ingolstadt1", "grid4x4", "ingolstadt7", "ingolstadt21")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed of SUMO's drivers, among those kept for reports.
        seeds: how many.
        maps: names of RESCO's maps.
        uniform_cycle: seconds of the uniform plan, yellow included.
        shares_cycle: seconds in which the cyclic shares serve every phase.
        shares_budget: seconds of the rolling budget that sparse shares divide.
        cap: seconds after which sparse shares serve a lane on which someone waits.
        processes: simulations at once.
    """

    seed: int = 0
    seeds: int = 10
    maps: tuple[str, ...] = MAPS
    uniform_cycle: int = 60
    shares_cycle: int = 60
    shares_budget: int = 13
    cap: float = 120.0
    processes: int = 2

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.processes < 1 or not self.maps or len(set(self.maps)) < len(self.maps):
            fail(
                "city_signals",
                expected="seeds and processes >= 1, and at least one map, each once",
                got=str(self),
                advice="One process per core is quickest.",
            )
        if unknown := [name for name in self.maps if name not in MAPS]:
            fail("city_signals", expected=f"maps of {', '.join(MAPS)}", got=str(unknown), advice="Check the spelling.")
        if min(self.uniform_cycle, self.shares_cycle) < 40 or self.shares_budget < 12 or self.cap < self.shares_budget:
            fail(
                "city_signals",
                expected="cycles >= 40 s, a rolling budget >= 12 s, and a cap no shorter than it",
                got=str(self),
                advice="A switch takes 3 s of yellow and at least 5 s of green.",
            )


EXPERIMENT = Experiment(
    name="city_signals",
    title="Who should get the green",
    question="What do signal controllers without learning cost a driver, in a real traffic simulator?",
    source="City §4.3 and §6; Ault and Sharon (2021)",
    config=Config,
    presets={"smoke": Config(seeds=2, maps=("cologne1",)), "paper": Config()},
    cost={"smoke": Cost(minutes=1.0, memory_gb=1.5), "paper": Cost(minutes=60, memory_gb=3.0)},
    run=lazily("experiments.city_signals.compute:run"),
    tables=lazily("experiments.city_signals.show:tables"),
    figures=lazily("experiments.city_signals.show:figures"),
    data=("resco-cologne", "resco-ingolstadt", "resco-grid"),
    order=60,
)
