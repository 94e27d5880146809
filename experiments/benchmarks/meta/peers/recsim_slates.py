"""RecSim's interest evolution: slates of two of ten documents, chosen at random."""

import numpy as np
from recsim.environments import interest_evolution

from experiments.benchmarks.meta.setting import Prepared

TASKS = ("slates of 2 of 10",)


def prepare(task: str) -> Prepared:
    """One environment, reset where a user has left."""
    environment = interest_evolution.create_environment(
        {"num_candidates": 10, "slate_size": 2, "resample_documents": True, "seed": 0}
    )
    draw = np.random.default_rng(0)
    slates = [draw.choice(10, 2, replace=False) for _ in range(1000)]
    environment.reset()

    def run(count: int) -> None:
        for number in range(count):
            if environment.step(slates[number % len(slates)])[2]:
                environment.reset()

    return Prepared(run, 100)
