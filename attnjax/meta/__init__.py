"""Meta-learning: inner loops as data, their gradients taken in four ways, and the algorithms that they make up."""

from attnjax.meta.context import InContext, cavia
from attnjax.meta.curvature import Solve, conjugate_gradients, curvature_products
from attnjax.meta.hyperparameters import Online, OnlineLearner, OnlineStep, online_cross_validation
from attnjax.meta.implicit import LinearSolve
from attnjax.meta.inner_loop import WAYS, Adaptation, InnerLoop, inner_loop
from attnjax.meta.iterations import MetaState, Progress, meta_iterations, meta_start
from attnjax.meta.learners import (
    Learner,
    Meta,
    anil,
    first_order_maml,
    implicit_maml,
    learner,
    maml,
    meta_sgd,
)
from attnjax.meta.optimizers import adam, learned_rates, log_rates
from attnjax.meta.reptile import reptile
from attnjax.meta.tasks import Outcome, Tasks, over_tasks

__all__ = [
    "WAYS",
    "Adaptation",
    "InContext",
    "InnerLoop",
    "Learner",
    "LinearSolve",
    "Meta",
    "MetaState",
    "Online",
    "OnlineLearner",
    "OnlineStep",
    "Outcome",
    "Progress",
    "Solve",
    "Tasks",
    "adam",
    "anil",
    "cavia",
    "conjugate_gradients",
    "curvature_products",
    "first_order_maml",
    "implicit_maml",
    "inner_loop",
    "learned_rates",
    "learner",
    "log_rates",
    "maml",
    "meta_iterations",
    "meta_sgd",
    "meta_start",
    "online_cross_validation",
    "over_tasks",
    "reptile",
]
