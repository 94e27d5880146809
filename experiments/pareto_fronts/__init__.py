"""Fronts of users, creators and platform on MovieLens-100k and Open Bandit; and what makes exposure fair.

Asks:     Which optimiser finds which part of what three parties can get together, and at what cost: the exact solver
          (by weights, and by floors as constraints), linear programs (HiGHS), one network told the weights, the same
          attention model trained by each gradient aggregator, a genetic algorithm (NSGA-II)? And do weights make
          exposure fair, as *Metaverse* §9 answers its fourth question, or do floors, or Nash welfare?
Command:  attnjax run pareto_fronts --preset paper
Cost:     see `cost` below; float32 on CPU.
Data:     MovieLens-100k, for research use; Open Bandit, CC BY 4.0 (ZOZO, Inc.; Saito et al., arXiv:2008.07146).
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each further one draws users or rounds, splits, fits and optimises anew.
        seeds: how many.
        users: how many of MovieLens' users a seed draws.
        directors: so many, those with most films of their own; 21 are as many as Open Bandit has item groups.
        films: so many of theirs; 80 are as many as Open Bandit has items.
        segments: so many of Open Bandit's largest segments of users.
        divisions: of the lattice of weightings; 6 gives 28.
        few: divisions of the lattice by which aggregators' losses are weighted; 2 gives 6.
        least: the smallest weight of a party on both.
        weights: of creators, in the fairness table; these weightings are on the front, too.
        floors: of every creator, as parts of a fair share, the first 0.
        mixtures: weights of users against the platform at each floor; 0.5 is the fairness table's.
        factors: length of the relevance model's factors, and of what networks know of each side of Open Bandit.
        steps: of Adam, for the network and for each aggregator.
        aggregators: which ones, by name. `total` is left out, which under Adam is `mean`, and `weighted`, which is
            what `mean` is on weighted losses.
        population: of NSGA-II.
        generations: of NSGA-II.
        tol: the gap of exact points, in units of the weighted gains.
    """

    seed: int = 0
    seeds: int = 10
    users: int = 60
    directors: int = 21
    films: int = 80
    segments: int = 60
    divisions: int = 6
    few: int = 2
    least: float = 0.02
    weights: tuple[float, ...] = (0.1, 0.25, 0.4, 0.55, 0.7)
    floors: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)
    mixtures: tuple[float, ...] = (0.02, 0.25, 0.5, 0.75, 0.98)
    factors: int = 8
    steps: int = 500
    aggregators: tuple[str, ...] = (
        "mean",
        "mgda",
        "upgrad",
        "dualproj",
        "cagrad",
        "pcgrad",
        "gradvac",
        "graddrop",
        "imtl_g",
        "config",
        "aligned_mtl",
        "nash_mtl",
        "fairgrad",
        "random_weights",
    )
    population: int = 100
    generations: int = 100
    tol: float = 1e-3

    def __post_init__(self) -> None:
        counts = (self.seeds, self.users, self.directors, self.segments, self.divisions, self.few, self.steps)
        if min(*counts, self.factors, self.generations) < 1 or self.population < 4:
            fail(
                "pareto_fronts",
                expected="counts of at least 1, and a population of at least 4",
                got=str(self),
                advice="Mend the settings.",
            )
        if not (0 < self.least < 1 / 3 and self.tol > 0 and all(0 < weight < 1 for weight in self.weights)):
            fail(
                "pareto_fronts",
                expected="0 < least < 1/3, tol > 0 and creators' weights between 0 and 1",
                got=f"least={self.least}, tol={self.tol}, weights={self.weights}",
                advice="Mend the settings.",
            )
        if not (self.weights and self.floors[:1] == (0.0,) and max(self.floors) < 1 and 0.5 in self.mixtures):
            fail(
                "pareto_fronts",
                expected="weights, floors that begin with 0 and are below 1, and 0.5 among the mixtures",
                got=f"weights={self.weights}, floors={self.floors}, mixtures={self.mixtures}",
                advice="Mend the settings.",
            )
        if "mean" not in self.aggregators:
            fail(
                "pareto_fronts",
                expected="'mean' among the aggregators: weights in training are the fairness table's first row",
                got=", ".join(self.aggregators),
                advice="Add it.",
            )


EXPERIMENT = Experiment(
    name="pareto_fronts",
    title="Fronts of users, creators and platform",
    question="Which optimiser finds which part of what three parties can get together, and do weights make it fair?",
    source="Metaverse §3.2 step 3, §4.2 and §9 (Q4)",
    config=Config,
    presets={
        "smoke": Config(
            seeds=1,
            users=25,
            segments=25,
            divisions=3,
            weights=(0.2, 0.6),
            floors=(0.0, 0.5),
            mixtures=(0.1, 0.5, 0.9),
            steps=100,
            aggregators=("mean", "upgrad"),
            population=24,
            generations=30,
        ),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=1, memory_gb=1.5), "paper": Cost(minutes=22, memory_gb=2)},
    run=lazily("experiments.pareto_fronts.compute:run"),
    tables=lazily("experiments.pareto_fronts.show:tables"),
    figures=lazily("experiments.pareto_fronts.show:figures"),
    data=("movielens-100k", "open-bandit"),
    order=6,
)
