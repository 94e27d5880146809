"""RecoGym's environment v1: one of ten products is shown, at random; between the clicks it plays organic sessions."""

import numpy as np
from recogym import env_1_args
from recogym.envs import RecoEnv1

from experiments.benchmarks.meta.setting import Prepared

TASKS = ("1 of 10 products",)


def prepare(task: str) -> Prepared:
    """One environment, reset where a user has left."""
    environment = RecoEnv1()
    environment.init_gym({**env_1_args, "num_products": 10, "random_seed": 0})
    shown = np.random.default_rng(0).integers(10, size=1000)
    users = 0

    def welcome() -> None:
        nonlocal users
        left = True
        while left:  # a user may leave before the first recommendation
            environment.reset(users)
            users += 1
            left = environment.step(None)[2]

    welcome()

    def run(count: int) -> None:
        for number in range(count):
            if environment.step(int(shown[number % len(shown)]))[2]:
                welcome()

    return Prepared(run, 100)
