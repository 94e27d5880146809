"""Multi-armed bandits: pull one of k arms, n times.

    Bernoulli:   reward 1 with probability p_a, else 0,    p_a ~ Uniform(0, 1)
    Gaussian:    reward m_a + noise * N(0, 1),             m_a ~ N(0, 1)

There is nothing to see: the observation is the one state 0. What was pulled and what came of it is shown by
`attnjax.envs.Trial`, as RL^2 wants it.

Source: Duan et al. (2016), RL^2, §3.1 (Bernoulli); the ten-armed testbed of Sutton and Barto (2018), §2.3 (Gaussian).
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.envs.contract import Environment, Step, check_task
from attnjax.envs.spaces import Discrete, check_size, float_dtype
from attnjax.errors import fail
from attnjax.pytrees import register

Pulls = Int[Array, ""]
"""The state of a bandit: pulls so far."""


@dataclasses.dataclass(frozen=True)
class BernoulliTask:
    """A Bernoulli bandit's task.

    Attributes:
        probabilities: (k,), each arm's chance of a reward of 1.
    """

    probabilities: Float[Array, " k"]


@dataclasses.dataclass(frozen=True)
class GaussianTask:
    """A Gaussian bandit's task.

    Attributes:
        means: (k,), each arm's expected reward.
    """

    means: Float[Array, " k"]


register(BernoulliTask)
register(GaussianTask)


@dataclasses.dataclass(frozen=True)
class _Bandit(Environment):
    """What both bandits share: sizes, spaces and the clock."""

    arms: int
    pulls: int

    def __post_init__(self) -> None:
        check_size(type(self).__name__, "arms", self.arms)
        check_size(type(self).__name__, "pulls", self.pulls)

    @property
    def observation_space(self) -> Discrete:
        """One state."""
        return Discrete(1)

    @property
    def action_space(self) -> Discrete:
        """The arms."""
        return Discrete(self.arms)

    @property
    def max_steps(self) -> int:
        """The pulls of an episode."""
        return self.pulls

    def _after(self, reward: Array, state: Pulls) -> Step:
        state = state + 1
        return Step(jnp.int32(0), state, reward, jnp.asarray(False), state >= self.pulls, {})


@dataclasses.dataclass(frozen=True)
class BernoulliBandit(_Bandit):
    """k arms that pay 1 or 0.

    Args:
        arms: k.
        pulls: n, after which an episode is truncated.

    Raises:
        UserError: for sizes below 1.

    Source: Duan et al. (2016), §3.1.

    >>> env = BernoulliBandit(arms=2, pulls=10)
    >>> task = BernoulliTask(jnp.array([0.0, 1.0]))
    >>> obs, state = env.reset(jax.random.key(0), task)
    >>> step = env.step(jax.random.key(1), state, 1, task)
    >>> float(step.reward), bool(step.truncated)
    (1.0, False)
    """

    def sample_task(self, key: Array) -> BernoulliTask:
        """Arms uniform in [0, 1]."""
        return BernoulliTask(jax.random.uniform(key, (self.arms,), float_dtype()))

    def reset(self, key: Array, params: BernoulliTask) -> tuple[Array, Pulls]:
        """No pulls yet; the key is not used."""
        check_task("BernoulliBandit.reset", params, BernoulliTask, {"probabilities": (self.arms,)})
        return jnp.int32(0), jnp.int32(0)

    def step(self, key: Array, state: Pulls, action: Any, params: BernoulliTask) -> Step:
        """Pulls an arm."""
        arm = self.action_space.action(action, "BernoulliBandit.step")
        draw = jax.random.uniform(key, (), float_dtype())
        return self._after((draw < params.probabilities[arm]).astype(float_dtype()), state)


@dataclasses.dataclass(frozen=True)
class GaussianBandit(_Bandit):
    """k arms that pay a normal amount.

    Args:
        arms: k.
        pulls: n, after which an episode is truncated.
        noise: the standard deviation of a reward around its arm's mean; 1 in the testbed.

    Raises:
        UserError: for sizes below 1, or a noise that is negative or not finite.

    Source: Sutton and Barto (2018), Reinforcement Learning, §2.3.

    >>> env = GaussianBandit(arms=2, pulls=10, noise=0.0)
    >>> task = GaussianTask(jnp.array([0.25, -1.0]))
    >>> obs, state = env.reset(jax.random.key(0), task)
    >>> float(env.step(jax.random.key(1), state, 0, task).reward)
    0.25
    """

    noise: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.noise >= 0 and math.isfinite(self.noise)):
            fail(
                "GaussianBandit",
                expected="a finite noise of at least 0",
                got=str(self.noise),
                advice="It is a standard deviation; 0 shows the means themselves.",
            )

    def sample_task(self, key: Array) -> GaussianTask:
        """Means standard normal."""
        return GaussianTask(jax.random.normal(key, (self.arms,), float_dtype()))

    def reset(self, key: Array, params: GaussianTask) -> tuple[Array, Pulls]:
        """No pulls yet; the key is not used."""
        check_task("GaussianBandit.reset", params, GaussianTask, {"means": (self.arms,)})
        return jnp.int32(0), jnp.int32(0)

    def step(self, key: Array, state: Pulls, action: Any, params: GaussianTask) -> Step:
        """Pulls an arm."""
        arm = self.action_space.action(action, "GaussianBandit.step")
        reward = params.means[arm] + self.noise * jax.random.normal(key, (), float_dtype())
        return self._after(reward.astype(float_dtype()), state)
