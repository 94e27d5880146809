"""The tables that meta-learning is known by: few-shot sinusoids, bandits and small decision processes.

Asks:     whether exact meta-gradients fine-tune better after one step on a new sinusoid than first-order ones, and
          those than pretraining and multi-task training; whether classical players of bandits and tabular processes
          earn what was published of them; how near a network that was trained to explore (RL^2) comes to the most that
          anyone can earn, which at ten pulls is known exactly; and how near three policy gradients lead a meta-trained
          point to a goal that it can't see. No paper record is committed yet.
Command:  attnjax run meta_tables --preset paper
Cost:     about 6 hours, 2 GB; float32 on CPU. Without RL^2 on long trials (`-- --rl2-longest 10`) about 1.5 hours. An
          interrupted run goes on where it was: every few minutes of training are a stage.

What differs from the papers, and what they leave open:

- Sinusoids: the paper trains one network of each kind, from truncated normals of 0.01; here several seeds, and He's
  initialisation beside theirs. Meta-training has 10 shots and one step, whatever is tested. Tests are on more curves
  and query points. Multi-task averages fewer networks. The baselines' step size is tuned anew for every cell.
- Means of squared errors have heavy tails: after 5 and 10 steps a few curves of thousands diverge and ruin a mean. So
  medians, means without the worst 1 % and the number of diverged curves stand beside; and one more row of MAML bounds
  the norm of each inner gradient at 40, in training as in the test (see `sinusoid`).
- Bandits: the published 6.8 (RL^2, 10 pulls of 50 arms) lies above the exact optimum of 6.714, and 6.7 at 5 arms above
  6.660: both are means of 1,000 tasks, with a standard error of 0.07. The published row "Gittins" is Whittle's
  approximation, and "OTS" the likeliest of several posterior draws; the exact index and the usual OTS are rows here.
- Processes: the published rows of posterior sampling are those of a prior mean of 0, where rewards have a mean of 1.
- RL^2: a GRU of 64 units where the paper has 256, trained by PPO (discount 0.99, lambda 0.3, clip 0.1, 4 passes in 4
  minibatches; a rate of 0.002 that falls to a twentieth, an entropy weight of 0.005 that falls to 0) on 10,000 to
  51,000 steps per update where the paper takes 240,000: 200 updates at ten pulls, 600 for longer trials. It is tested
  by drawing its actions, on the tasks that all players play. 50 arms with 100 pulls, and trials of more than 250 steps,
  are left out for time.
- The point mass: the published returns fit a reward of minus the distance, not of its square, and so it is here. Three
  inner steps are trained as they are tested, where the paper trains one; their rates are learned, one per array of
  parameters, where the paper takes 0.1 and then 0.05; their gradients are bounded, and the standard deviation of
  actions does not adapt. The outer step is a policy gradient with Adam where the paper takes TRPO; the network has two
  layers of 32 tanh units where the paper has 100, and starts with a standard deviation of 0.03: at the usual 1 actions
  say next to nothing about the goal, since a step goes no further than 0.1.
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
        rl2_longest: RL^2 learns trials of at most so many steps.
        rl2_features: units of its GRU.
        rl2_rows: trials per update, where they have ten steps; see `recurrent.training`.
        rl2_updates: updates, likewise; a multiple of 20.
        point_iterations: meta-iterations on the point mass; a multiple of 10.
        point_tasks: goals of each.
        point_episodes: of each goal, before each inner step and after the last.
        point_features: the width of the policy's two layers.
        point_goals: new goals that it is tested on, per seed, with 40 episodes each before and after each step.
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
    rl2_longest: int = 250
    rl2_features: int = 64
    rl2_rows: int = 1024
    rl2_updates: int = 200
    point_iterations: int = 300
    point_tasks: int = 20
    point_episodes: int = 20
    point_features: int = 32
    point_goals: int = 100

    def __post_init__(self) -> None:
        given = dataclasses.asdict(self)
        del given["seed"]
        if min(count for value in given.values() for count in (value if isinstance(value, tuple) else (value,))) < 1:
            fail("meta_tables", expected="sizes of at least 1", got=str(self), advice="Mend the settings.")
        if self.tasks % self.tuning_tasks or self.play_tasks % self.block:
            fail(
                "meta_tables",
                expected="tasks as a multiple of tuning_tasks, and play_tasks of block",
                got=f"{self.tasks} and {self.tuning_tasks}, {self.play_tasks} and {self.block}",
                advice="Tasks are run in blocks of one size.",
            )
        for name, call in (("iterations", 250), ("rl2_updates", 20), ("point_iterations", 10)):
            if getattr(self, name) % call:
                fail(
                    "meta_tables",
                    expected=f"{name} as a multiple of {call}",
                    got=str(getattr(self, name)),
                    advice=f"One compiled call does {call}.",
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
            iterations=500,
            networks=10,
            network_steps=300,
            tasks=80,
            tuning_tasks=40,
            arms=(5,),
            pulls=(10,),
            episodes=(10,),
            play_tasks=100,
            block=100,
            settings=1,
            rl2_longest=10,
            rl2_features=16,
            rl2_rows=256,
            rl2_updates=60,
            point_iterations=10,
            point_tasks=2,
            point_episodes=4,
            point_features=8,
            point_goals=2,
        ),
        "paper": Config(),
    },
    cost={"smoke": Cost(minutes=1.5, memory_gb=1.2), "paper": Cost(minutes=360, memory_gb=2.0)},
    run=lazily("experiments.meta_tables.compute:run"),
    tables=lazily("experiments.meta_tables.show:tables"),
    figures=lazily("experiments.meta_tables.show:figures"),
    order=40,
)
