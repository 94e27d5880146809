"""Fronts of three parties on MovieLens-100k: which optimiser finds what, at what cost.

Claim:    The exact solver's weighted markets and HiGHS on the same linear programs find the same front, the solver in a
          fraction of the time; one network told the weights comes close; a single run of an aggregator gives one point;
          a genetic algorithm (NSGA-II) does not get near.
Command:  attnjax run pareto_fronts --preset paper
Cost:     see `cost` below; float32 on CPU.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each further one splits, fits and optimises anew.
        seeds: how many.
        users: so many of the most active users.
        films: so many of the most watched films whose director is known.
        divisions: of the lattice of weightings; 6 gives 28.
        least: the smallest weight of a party.
        factors: length of the relevance model's factors.
        steps: of Adam, for the network and for each aggregator.
        starts: from how many initial parameters each aggregator trains.
        aggregators: which ones, by name; those that draw or need weights are left out.
        population: of NSGA-II.
        generations: of NSGA-II.
        tol: the relative gap of the exact front.
    """

    seed: int = 0
    seeds: int = 10
    users: int = 200
    films: int = 100
    divisions: int = 8
    least: float = 0.02
    factors: int = 8
    steps: int = 600
    starts: int = 8
    aggregators: tuple[str, ...] = (
        "mean",
        "mgda",
        "upgrad",
        "dualproj",
        "cagrad",
        "imtl_g",
        "config",
        "aligned_mtl",
        "nash_mtl",
        "fairgrad",
    )
    population: int = 100
    generations: int = 400
    tol: float = 1e-3

    def __post_init__(self) -> None:
        counts = (self.seeds, self.users, self.films, self.divisions, self.steps, self.starts, self.generations)
        if min(counts) < 1 or self.population < 4 or not 0 < self.least < 1 / 3 or not self.tol > 0:
            fail(
                "pareto_fronts",
                expected="counts of at least 1, a population of at least 4, 0 < least < 1/3 and tol > 0",
                got=str(self),
                advice="Mend the settings.",
            )


EXPERIMENT = Experiment(
    name="pareto_fronts",
    title="Fronts of users, creators and platform",
    question="Which optimiser finds which part of what three parties can get together, and at what cost?",
    source="Metaverse §3.2 step 3 and §4.2",
    config=Config,
    presets={
        "smoke": Config(
            seeds=1,
            users=60,
            films=40,
            divisions=4,
            steps=150,
            starts=4,
            aggregators=("mean", "upgrad", "nash_mtl"),
            population=40,
            generations=60,
        ),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=1, memory_gb=1.5), "paper": Cost(minutes=60, memory_gb=3)},
    run=lazily("experiments.pareto_fronts.compute:run"),
    tables=lazily("experiments.pareto_fronts.show:tables"),
    figures=lazily("experiments.pareto_fronts.show:figures"),
    data=("movielens-100k",),
    order=6,
)
