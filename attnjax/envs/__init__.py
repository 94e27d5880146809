"""Environments: what attention's consequences are learned from, and the tasks of meta-learning.

An environment is a frozen object with pure `reset` and `step`; its task is a pytree that can be vmapped (`Environment`
says it in full). `AutoReset` and `Trial` wrap any of them; `rollout` plays one; the classical players of bandits and
tabular processes are in `bandit_players` and `mdp_players`, exact values of bandits in `bayes_bandits`,
`recommender_users` fits users to ratings, `traffic` holds streets and their signals, and `gymnasium_vector` lets
agents from outside play.
"""

from attnjax.envs.bandits import BernoulliBandit, BernoulliTask, GaussianBandit, GaussianTask
from attnjax.envs.bayes_bandits import bayes_optimal_return, gittins_indices, whittle_indices
from attnjax.envs.contract import Environment, Step
from attnjax.envs.point_mass import PointMass, PointMassTask
from attnjax.envs.recommender import (
    OF_USERS,
    Recommender,
    RecommenderState,
    RecommenderTask,
    choice_probabilities,
    examination,
)
from attnjax.envs.recommender_users import FittedUsers, fit_users, tasks_of_users
from attnjax.envs.rollouts import Policy, Trajectory, rollout, stateless
from attnjax.envs.sinusoid import FewShot, Points, Sinusoid, SinusoidTasks
from attnjax.envs.spaces import Box, Discrete
from attnjax.envs.tabular import TabularMDP, TabularTask
from attnjax.envs.traffic import Traffic
from attnjax.envs.wrappers import AutoReset, Trial

__all__ = [
    "OF_USERS",
    "AutoReset",
    "BernoulliBandit",
    "BernoulliTask",
    "Box",
    "Discrete",
    "Environment",
    "FewShot",
    "FittedUsers",
    "GaussianBandit",
    "GaussianTask",
    "PointMass",
    "PointMassTask",
    "Points",
    "Policy",
    "Recommender",
    "RecommenderState",
    "RecommenderTask",
    "Sinusoid",
    "SinusoidTasks",
    "Step",
    "TabularMDP",
    "TabularTask",
    "Traffic",
    "Trajectory",
    "Trial",
    "bayes_optimal_return",
    "choice_probabilities",
    "examination",
    "fit_users",
    "gittins_indices",
    "rollout",
    "stateless",
    "tasks_of_users",
    "whittle_indices",
]
