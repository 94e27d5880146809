"""Meta-reinforcement learning: memories that learn within a trial (RL^2), and MAML with policy gradients.

Agents and tasks are functions: how an agent decides (`Agent`), and how one row of a task is played (`Play`), which
`attnjax.envs.rollout` does for any environment.
"""

from attnjax.meta.rl.agents import Agent, Decision, Kept, Play, acting, feed_forward, recurrent, successor_values
from attnjax.meta.rl.distributions import Categorical, Distribution, Normal
from attnjax.meta.rl.policy_maml import (
    Adapted,
    Collected,
    PolicyMAML,
    Progress,
    fitted_linearly,
    no_baseline,
    policy_iterations,
    policy_maml,
)
from attnjax.meta.rl.ppo import PPO, Rows, Stats, clipped_surrogate, ppo_epochs, ppo_loss, rows_of, value_error
from attnjax.meta.rl.returns import discounted_returns, generalised_advantages
from attnjax.meta.rl.rl2 import RL2Progress, RL2State, play_tasks, rl2_start, rl2_updates
from attnjax.meta.rl.surrogates import SURROGATES, box, linear_baseline, policy_gradient_loss

__all__ = [
    "PPO",
    "SURROGATES",
    "Adapted",
    "Agent",
    "Categorical",
    "Collected",
    "Decision",
    "Distribution",
    "Kept",
    "Normal",
    "Play",
    "PolicyMAML",
    "Progress",
    "RL2Progress",
    "RL2State",
    "Rows",
    "Stats",
    "acting",
    "box",
    "clipped_surrogate",
    "discounted_returns",
    "feed_forward",
    "fitted_linearly",
    "generalised_advantages",
    "linear_baseline",
    "no_baseline",
    "play_tasks",
    "policy_gradient_loss",
    "policy_iterations",
    "policy_maml",
    "ppo_epochs",
    "ppo_loss",
    "recurrent",
    "rl2_start",
    "rl2_updates",
    "rows_of",
    "successor_values",
    "value_error",
]
