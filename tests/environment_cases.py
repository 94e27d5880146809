"""The registry of the environment contract, and what is known of each environment.

A new environment is added here and thereby goes through tests/contracts/test_environment_contract.py, whose test of the
registry fails until it is.
"""

import dataclasses
from collections.abc import Callable

from small_streets import crossing

from attnjax.envs import (
    AutoReset,
    BernoulliBandit,
    Environment,
    GaussianBandit,
    PointMass,
    Recommender,
    TabularMDP,
    Traffic,
    Trial,
)


@dataclasses.dataclass(frozen=True)
class EnvironmentCase:
    """An environment, one of other sizes, and how random play ends an episode.

    `noisy` says whether a step from one state with one action can go several ways.
    """

    make: Callable[[], Environment]
    other: Callable[[], Environment]
    ends: str = "truncated"
    noisy: bool = True


ENVIRONMENTS = {
    "bernoulli_bandit": EnvironmentCase(lambda: BernoulliBandit(4, 6), lambda: BernoulliBandit(5, 6)),
    "gaussian_bandit": EnvironmentCase(lambda: GaussianBandit(4, 6), lambda: GaussianBandit(4, 6, noise=2.0)),
    "tabular_mdp": EnvironmentCase(lambda: TabularMDP(4, 3, 5), lambda: TabularMDP(5, 3, 5)),
    "point_mass": EnvironmentCase(lambda: PointMass(7), lambda: PointMass(7, squared=False), noisy=False),
    "traffic": EnvironmentCase(lambda: Traffic(crossing(0, 60)), lambda: Traffic(crossing(0, 60), budget=12)),
    "recommender": EnvironmentCase(lambda: Recommender(12, 3, 2, horizon=6), lambda: Recommender(12, 3, 4, horizon=6)),
    "auto_reset_of_a_recommender": EnvironmentCase(
        lambda: AutoReset(Recommender(9, 3, 2, 2, 4, "cascade")), lambda: AutoReset(Recommender(9, 3, 2, 2, 4))
    ),
    "auto_reset": EnvironmentCase(lambda: AutoReset(TabularMDP(4, 3, 5)), lambda: AutoReset(TabularMDP(5, 3, 5))),
    "trial_of_a_bandit": EnvironmentCase(
        lambda: Trial(BernoulliBandit(4, 1), 6), lambda: Trial(BernoulliBandit(4, 1), 7), ends="terminated"
    ),
    "trial_of_a_process": EnvironmentCase(
        lambda: Trial(TabularMDP(4, 3, 5), 2), lambda: Trial(TabularMDP(5, 3, 5), 2), ends="terminated"
    ),
    "trial_of_a_point": EnvironmentCase(
        lambda: Trial(PointMass(4), 2), lambda: Trial(PointMass(5), 2), ends="terminated", noisy=False
    ),
    "auto_reset_of_a_trial": EnvironmentCase(
        lambda: AutoReset(Trial(TabularMDP(4, 3, 3), 2)),
        lambda: AutoReset(Trial(TabularMDP(4, 3, 3), 3)),
        ends="terminated",
    ),
}
