"""The tables that meta-learning is known by: few-shot sinusoids, bandits and small decision processes.

Claim:    exact meta-gradients fine-tune better after one step on a new sinusoid than first-order ones, and those than
          pretraining and multi-task training. Classical players of bandits and tabular processes earn what was
          published of them; at ten pulls the most that anyone can earn is known exactly.
Command:  attnjax run meta_tables --preset paper
Cost:     about 45 minutes, 2 GB; float32 on CPU.

What differs from the papers, and what they leave open:

- Sinusoids: the paper trains one network of each kind, from truncated normals of 0.01; here several seeds, and He's
  initialisation beside theirs. Meta-training has 10 shots and one step, whatever is tested. Tests are on more curves
  and query points. Multi-task averages fewer networks. The baselines' step size is tuned anew for every cell.
- Means of squared errors have heavy tails: after 5 and 10 steps a few curves of thousands diverge and ruin a mean. So
  medians, means without the worst 1 % and the number of diverged curves stand beside.
- Bandits: the published 6.8 (RL^2, 10 pulls of 50 arms) lies above the exact optimum of 6.714, and 6.7 at 5 arms above
  6.660: both are means of 1,000 tasks, with a standard error of 0.07. The published row "Gittins" is Whittle's
  approximation, and "OTS" the likeliest of several posterior draws; the exact index and the usual OTS are rows here.
- Processes: the published rows of posterior sampling are those of a prior mean of 0, where rewards have a mean of 1.
- Where the papers tuned, the grids and the tasks are not known; here settings are chosen on tasks of their own.
- 500 pulls and 50 episodes, which the papers have, are left out for time: `--pulls 500`, `--episodes 50` run them.
"""

import dataclasses

from attnjax.errors import fail
from attnjax.reproduction import Cost, Experiment, lazily


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        seed: the first seed; each has starts, tasks and players' luck of its own.
        seeds: how many.
        iterations: meta-iterations on sinusoids, of 25 tasks each; a multiple of 250.
        networks: networks of one curve each whose parameters are averaged, per seed.
        network_steps: steps of Adam for each.
        tasks: new curves that each start is tested on, per seed; a multiple of `tuning_tasks`.
        tuning_tasks: other curves that the step sizes of the two baselines are chosen on, per seed.
        arms: of bandits.
        pulls: of bandits.
        episodes: of tabular processes.
        play_tasks: bandits and processes that each player plays, per seed; a multiple of `block`.
        block: others that its setting is chosen on, per seed; so many are played at a time.
        settings: how many of a player's settings are tried, at most.
    """

    seed: int = 0
    seeds: int = 5
    iterations: int = 70_000
    networks: int = 100
    network_steps: int = 5000
    tasks: int = 2000
    tuning_tasks: int = 200
    arms: tuple[int, ...] = (5, 10, 50)
    pulls: tuple[int, ...] = (10, 100)
    episodes: tuple[int, ...] = (10, 25)
    play_tasks: int = 1000
    block: int = 200
    settings: int = 10

    def __post_init__(self) -> None:
        counts = (self.seeds, self.networks, self.network_steps, self.tasks, self.tuning_tasks)
        if min(*counts, self.play_tasks, self.block, self.settings, *self.arms, *self.pulls, *self.episodes) < 1:
            fail("meta_tables", expected="sizes of at least 1", got=str(self), advice="Mend the settings.")
        if self.tasks % self.tuning_tasks or self.play_tasks % self.block:
            fail(
                "meta_tables",
                expected="tasks as a multiple of tuning_tasks, and play_tasks of block",
                got=f"{self.tasks} and {self.tuning_tasks}, {self.play_tasks} and {self.block}",
                advice="Tasks are run in blocks of one size.",
            )
        if self.iterations < 250 or self.iterations % 250:
            fail(
                "meta_tables",
                expected="iterations as a multiple of 250, at least 250",
                got=str(self.iterations),
                advice="One compiled call does 250; the paper has 70000.",
            )


EXPERIMENT = Experiment(
    name="meta_tables",
    title="The classic tables of learning to adapt",
    question="Do exact meta-gradients and classical explorers give the numbers that the field compares itself with?",
    source="Finn et al. (2017), MAML; Duan et al. (2016), RL^2",
    config=Config,
    presets={
        "smoke": Config(
            seeds=2,
            iterations=1000,
            networks=10,
            network_steps=300,
            tasks=200,
            tuning_tasks=100,
            arms=(5,),
            pulls=(10,),
            episodes=(10,),
            play_tasks=100,
            block=100,
            settings=1,
        ),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=1, memory_gb=1.0), "paper": Cost(minutes=45, memory_gb=2.0)},
    run=lazily("experiments.meta_tables.compute:run"),
    tables=lazily("experiments.meta_tables.show:tables"),
    figures=lazily("experiments.meta_tables.show:figures"),
    order=40,
)
