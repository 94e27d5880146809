"""Environments: what attention's consequences are learned from, and the tasks of meta-learning.

An environment is a frozen object with pure `reset` and `step`; its task is a pytree that can be vmapped (`Environment`
says it in full). `AutoReset` and `Trial` wrap any of them; `rollout` plays one; the classical players of bandits and
tabular processes are in `bandit_players` and `mdp_players`, exact values of bandits in `bayes_bandits`, and
`gymnasium_vector` lets agents from outside play. `traffic` holds streets and their signals.
"""

from attnjax.envs.bandits import BernoulliBandit, BernoulliTask, GaussianBandit, GaussianTask
from attnjax.envs.bayes_bandits import bayes_optimal_return, gittins_indices, whittle_indices
from attnjax.envs.contract import Environment, Step
from attnjax.envs.point_mass import PointMass, PointMassTask
from attnjax.envs.rollouts import Policy, Trajectory, rollout, stateless
from attnjax.envs.sinusoid import FewShot, Points, Sinusoid, SinusoidTasks
from attnjax.envs.spaces import Box, Discrete
from attnjax.envs.tabular import TabularMDP, TabularTask
from attnjax.envs.traffic import Traffic
from attnjax.envs.wrappers import AutoReset, Trial

__all__ = [
    "AutoReset",
    "BernoulliBandit",
    "BernoulliTask",
    "Box",
    "Discrete",
    "Environment",
    "FewShot",
    "GaussianBandit",
    "GaussianTask",
    "PointMass",
    "PointMassTask",
    "Points",
    "Policy",
    "Sinusoid",
    "SinusoidTasks",
    "Step",
    "TabularMDP",
    "TabularTask",
    "Traffic",
    "Trajectory",
    "Trial",
    "bayes_optimal_return",
    "gittins_indices",
    "rollout",
    "stateless",
    "whittle_indices",
]
