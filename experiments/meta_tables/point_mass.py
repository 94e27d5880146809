"""The part of the point mass: a policy from which a few policy gradients lead to a goal that it can't see.

MAML with policy gradients, through all steps that are tested. The surrogate of the inner steps is `lvc`: over a hundred
steps DiCE's is unbiased, and so noisy that training diverges.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attnjax.envs import PointMass, Policy, rollout
from attnjax.meta import Meta, learned_rates, log_rates, meta_start
from attnjax.meta.rl import PPO, PolicyMAML, policy_iterations, policy_maml
from attnjax.models.policies import FeedForwardPolicy
from attnjax.reproduction import Context, Outcome
from experiments.meta_tables.agents import moving
from experiments.meta_tables.players import PLAY
from experiments.meta_tables.stages import train_in_stages

INIT, LEARN = 31, 32
"""Streams of a seed's key."""

STEPS, TEST_EPISODES = 3, 40
START_SCALE, REACH, DISCOUNT = 0.03, 0.3, 0.99
"""The first standard deviation, the unit of the network's outputs, and the discount of both losses."""

INNER_RATE, INNER_NORM = 2e-4, 500.0
"""The first rate of the inner steps, and the bound on their gradients."""

LEARNING_RATE, RATE_OF_RATES, NORM = 2e-3, 0.02, 1.0
"""Of Adam for the parameters and for the logarithms of the inner rates, and the bound on the meta-gradient."""

CALL, STAGE = 10, 50
"""Meta-iterations of one compiled call, and between two saved states."""

ENV = PointMass(squared=False)


def adapts(path: str, _: Any) -> bool:
    """All but the standard deviation of actions, which is learned for all goals: it may explode in a step."""
    return not path.endswith("log_scale")


def run(config: Any, keys: jax.Array, context: Context) -> Outcome:
    """Trains a policy per seed, and tests it and the one it began as on new goals."""
    learner = _Learner(config)
    found = [learner(key, context, f"point_{config.seed + number}") for number, key in enumerate(keys)]
    per_seed: dict[str, Any] = {
        f"point_{which}_{steps}": np.array([one[which][steps] for one in found])
        for which in ("untrained", "maml")
        for steps in range(STEPS + 1)
    }
    about = {"returns": [one["returns"] for one in found], "scale": [one["scale"] for one in found]}
    finite = all(one["finite"] for one in found)
    return Outcome({"point": about}, per_seed, {"point": {"parameters_finite": finite}})


class _Learner:
    """Compiled programs that all seeds share."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._net = FeedForwardPolicy(ENV.action_space.shape[0], (config.point_features,) * 2, START_SCALE)
        each = {"theta": optax.adam(LEARNING_RATE), "eta": optax.adam(RATE_OF_RATES)}
        self._optimizer = optax.chain(
            optax.clip_by_global_norm(NORM), optax.multi_transform(each, Meta("theta", "eta"))
        )
        self._maml = self._with(config.point_episodes)
        self._advance = policy_iterations(
            self._maml, self._optimizer, ENV.sample_task, tasks=config.point_tasks, iterations=CALL
        )
        self._test = jax.jit(self._returns)

    def _with(self, episodes: int) -> PolicyMAML:
        return policy_maml(
            moving(self._net, REACH),
            learned_rates,
            STEPS,
            play=lambda act, memory, task, key: rollout(ENV, Policy(act, memory), task, key, ENV.max_steps),
            episodes=episodes,
            settings=PPO(discount=DISCOUNT, epochs=1),
            surrogate="lvc",
            init=lambda theta: Meta(theta, log_rates(theta, INNER_RATE, adapt=adapts)),
            adapt=adapts,
            clip=INNER_NORM,
        )

    def __call__(self, key: Any, context: Context, label: str) -> dict[str, Any]:
        """Trains with the key of a seed and tests: returns before adaptation and after each step, over goals."""
        params = self._net.init(jax.random.fold_in(key, INIT), jnp.zeros(2))
        untrained = meta_start(self._maml.learner, self._optimizer, params)
        found = train_in_stages(
            lambda state: self._advance(state, jax.random.fold_in(key, LEARN)),
            untrained,
            context,
            label,
            total=self._config.point_iterations,
            call=CALL,
            stage=STAGE,
            report=lambda progress: np.asarray(progress.returns.mean(0)),
        )

        def tested() -> dict[str, Any]:
            key_test = jax.random.fold_in(key, PLAY)
            both = {"untrained": untrained.meta, "maml": found.state.meta}
            scale = float(jnp.exp(found.state.meta.theta["params"]["heads"]["log_scale"]).mean())
            return {"scale": scale, **{name: self._test(meta, key_test) for name, meta in both.items()}}

        return {"returns": found.reports, "finite": found.finite, **context.stage(f"{label}_test", tested)}

    def _returns(self, meta: Meta, key: Any) -> jax.Array:
        """(steps + 1,), the means over goals and episodes."""
        key_task, key_play = jax.random.split(key)
        goals = jax.vmap(ENV.sample_task)(jax.random.split(key_task, self._config.point_goals))
        keys = jax.random.split(key_play, self._config.point_goals)
        collect = self._with(TEST_EPISODES).collect
        return jnp.mean(jax.vmap(collect, in_axes=(None, 0, 0))(meta, goals, keys).returns, axis=(0, 2))
