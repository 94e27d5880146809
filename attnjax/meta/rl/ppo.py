"""Proximal policy optimisation on rows of experience, for agents with and without memory.

    ratio_t = pi(a_t) / pi_old(a_t)
    loss = - mean min(ratio A, clip(ratio, 1 - c, 1 + c) A) + w_v mean (V - target)^2 / 2 - w_e mean entropy

A row is what one player saw in one go, and is never cut: minibatches are of whole rows, and an agent with a memory
replays each from its start. All means are over the steps that count.

*Reward that is mostly luck.* In a bandit the reward of a pull varies by far more than pulls differ in worth, so that
advantages scaled to variance 1 carry little signal per step. An entropy bonus that is harmless elsewhere then holds
the policy at random: take a small one (or let it fall, as a schedule), and many rows per update.

Source: Schulman, Wolski, Dhariwal, Radford and Klimov (2017), Proximal policy optimization algorithms.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from attnjax.errors import fail
from attnjax.meta.rl.agents import Agent, Decision, starts, successor_values
from attnjax.meta.rl.returns import generalised_advantages

Tree = Any
Steps = Float[Array, "*batch"]


@dataclasses.dataclass(frozen=True)
class PPO:
    """Settings; the defaults are common ones, not those of a bandit.

    Attributes:
        discount: d.
        decay: lambda of the advantages.
        clip: c, how far a ratio may go before it stops to count.
        value_clip: how far a value may move from the old one before its error stops to count; `None` for no bound.
        value_weight: w_v.
        entropy_weight: w_e, a number or a function of how many updates were done.
        epochs: passes over the rows of an update.
        minibatches: of each pass.
        normalise: whether advantages are centred and scaled to variance 1, over all rows of an update.

    Raises:
        UserError: for settings out of their ranges.
    """

    discount: float = 0.99
    decay: float = 0.95
    clip: float = 0.2
    value_clip: float | None = None
    value_weight: float = 0.5
    entropy_weight: float | Callable[[Array], Any] = 0.01
    epochs: int = 4
    minibatches: int = 4
    normalise: bool = True

    def __post_init__(self) -> None:
        weights = {"value_weight": self.value_weight}
        if not callable(self.entropy_weight):
            weights["entropy_weight"] = self.entropy_weight
        wrong = {
            **{name: getattr(self, name) for name in ("discount", "decay") if not 0 <= getattr(self, name) <= 1},
            **{name: weight for name, weight in weights.items() if not weight >= 0},
            **({} if self.clip > 0 else {"clip": self.clip}),
            **({} if self.value_clip is None or self.value_clip > 0 else {"value_clip": self.value_clip}),
            **{name: getattr(self, name) for name in ("epochs", "minibatches") if getattr(self, name) < 1},
        }
        if wrong:
            fail(
                "PPO",
                expected="discount and decay in [0, 1], weights of at least 0, clips above 0, at least one epoch and "
                "one minibatch",
                got=", ".join(f"{name} = {value}" for name, value in wrong.items()),
                advice="The defaults are a place to start.",
            )


class Rows(NamedTuple):
    """Experience, with leading axes of rows and time.

    Attributes:
        observation: what was seen.
        action: what was done.
        log_prob: of it, when it was done.
        value: V when it was done.
        advantage: of it.
        target: what V is fitted to.
        start: whether a trial starts here.
        alive: whether the step counts.
    """

    observation: Array
    action: Array
    log_prob: Steps
    value: Steps
    advantage: Steps
    target: Steps
    start: Bool[Array, "*batch"]
    alive: Bool[Array, "*batch"]


class Stats(NamedTuple):
    """What PPO's loss is made of, and how far the policy went; means over steps.

    Attributes:
        policy: the clipped surrogate, negated.
        value: (V - target)^2 / 2, clipped or not.
        entropy: in nats.
        divergence: an estimate of KL(old, new), (ratio - 1) - log ratio.
        clipped: the share of steps whose ratio is out of bounds.
    """

    policy: Float[Array, ""]
    value: Float[Array, ""]
    entropy: Float[Array, ""]
    divergence: Float[Array, ""]
    clipped: Float[Array, ""]


def mean_over(alive: Bool[Array, "*batch"], of: Steps) -> Float[Array, ""]:
    """The mean over the steps that count; 0 if none does.

    >>> float(mean_over(jnp.array([True, False]), jnp.array([2.0, jnp.nan])))
    2.0
    """
    return jnp.sum(jnp.where(alive, of, 0)) / jnp.maximum(jnp.sum(alive), 1)


def normalised(advantage: Steps, alive: Bool[Array, "*batch"]) -> Steps:
    """Centred, and scaled to variance 1, over the steps that count; 0 elsewhere.

    >>> normalised(jnp.array([1.0, 3.0, 9.0]), jnp.array([True, True, False])).round(3).tolist()
    [-1.0, 1.0, 0.0]
    """
    centred = jnp.where(alive, advantage - mean_over(alive, advantage), 0)
    return centred * jax.lax.rsqrt(mean_over(alive, centred**2) + 1e-8)


def rows_of(agent: Agent, params: Tree, played: Any, settings: PPO) -> Rows:
    """Rows from trajectories with a leading axis, played by the agent with these parameters.

    Where an episode is cut rather than over, the value of what followed is asked for; where all rows end in a
    termination, as trials do, that costs nothing.

    Args:
        agent: who played.
        params: with which parameters.
        played: trajectories, (rows, t, ...), whose `extras` are `Kept`.
        settings: for discount and decay.
    """
    alive = played.alive
    last = jnp.concatenate([~alive[:, 1:], jnp.ones_like(alive[:, :1])], axis=1)
    cut = alive & ~played.terminated & (played.truncated | last)
    kept = played.extras
    after = jnp.concatenate([kept.value[:, 1:], jnp.zeros_like(kept.value[:, :1])], axis=1)
    asked = jax.lax.cond(
        jnp.any(cut),
        lambda: jax.vmap(lambda row: successor_values(agent, params, row))(played).astype(after.dtype),
        lambda: after,
    )
    successor = jnp.where(cut, asked, after)

    def advantages(row: Any, successor: Array) -> Array:
        return generalised_advantages(
            row.reward,
            row.extras.value,
            successor,
            row.terminated,
            row.truncated,
            discount=settings.discount,
            decay=settings.decay,
            alive=row.alive,
        )

    advantage = jax.vmap(advantages)(played, successor)
    target = advantage + kept.value
    start = jax.vmap(starts)(played)
    return Rows(played.observation, played.action, kept.log_prob, kept.value, advantage, target, start, alive)


def clipped_surrogate(log_ratio: Steps, advantage: Steps, clip: float) -> Steps:
    """min(ratio A, clip(ratio, 1 - c, 1 + c) A) of each step: to be maximised.

    Its derivative is that of ratio A, or 0 where the ratio has gone beyond the bound in the direction that A asks for.

    >>> worth = clipped_surrogate(jnp.log(jnp.array([1.5, 1.5, 0.5])), jnp.array([1.0, -1.0, 1.0]), 0.2)
    >>> [round(float(x), 3) for x in worth]
    [1.2, -1.5, 0.5]
    """
    ratio = jnp.exp(log_ratio)
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def value_error(value: Steps, old: Steps, target: Steps, clip: float | None) -> Steps:
    """(V - target)^2 / 2 of each step, or, with a clip, the larger of it and that of V kept within `clip` of the old.

    >>> float(value_error(jnp.array(3.0), jnp.array(0.0), jnp.array(3.0), 1.0))
    2.0
    """
    error = (value - target) ** 2 / 2
    if clip is None:
        return error
    return jnp.maximum(error, (old + jnp.clip(value - old, -clip, clip) - target) ** 2 / 2)


def ppo_loss(decision: Decision, rows: Rows, settings: PPO, entropy_weight: Any) -> tuple[Float[Array, ""], Stats]:
    """The loss above and its parts.

    Args:
        decision: of the present parameters on these rows.
        rows: with advantages as they are to be used.
        settings: clips and the weight of the value.
        entropy_weight: w_e.
    """
    distribution, alive = decision.distribution, rows.alive
    # What is masked may hold anything, and is replaced before it is used: a gradient of 0 times infinity is NaN.
    advantage, old, target = (jnp.where(alive, part, 0) for part in (rows.advantage, rows.value, rows.target))
    log_ratio = jnp.where(alive, distribution.log_prob(rows.action) - rows.log_prob, 0)
    policy = -mean_over(alive, clipped_surrogate(log_ratio, advantage, settings.clip))
    value = mean_over(alive, value_error(decision.value, old, target, settings.value_clip))
    entropy = mean_over(alive, distribution.entropy())
    ratio = jnp.exp(log_ratio)
    divergence = mean_over(alive, ratio - 1 - log_ratio)
    clipped = mean_over(alive, (jnp.abs(ratio - 1) > settings.clip).astype(ratio.dtype))
    loss = policy + settings.value_weight * value - entropy_weight * entropy
    return loss, Stats(policy, value, entropy, divergence, clipped)


def ppo_epochs(
    agent: Agent, optimizer: optax.GradientTransformation, settings: PPO
) -> Callable[[Tree, Tree, Rows, Array, Any], tuple[Tree, Tree, Stats]]:
    """The passes over the rows of one update: `(params, memory, rows, key, entropy_weight) -> (params, memory, Stats)`.

    `memory` is the optimiser's; the stats are means over all steps of the optimiser, of which the first of the first
    epoch has not moved yet.

    Raises:
        UserError: when called with rows that minibatches do not divide.
    """

    def loss(params: Tree, rows: Rows, entropy_weight: Any) -> tuple[Array, Stats]:
        decision = jax.vmap(agent.replay, in_axes=(None, 0, 0))(params, rows.observation, rows.start)
        return ppo_loss(decision, rows, settings, entropy_weight)

    def run(params: Tree, memory: Tree, rows: Rows, key: Array, entropy_weight: Any) -> tuple[Tree, Tree, Stats]:
        count = rows.alive.shape[0]
        if count % settings.minibatches:
            fail(
                "ppo_epochs",
                expected=f"rows that {settings.minibatches} minibatches divide",
                got=f"{count} rows",
                advice="Play a multiple of them.",
            )
        rows = jax.tree.map(jnp.asarray, rows)
        if settings.normalise:
            rows = rows._replace(advantage=normalised(rows.advantage, rows.alive))

        def step(carry: tuple[Tree, Tree], chosen: Array) -> tuple[tuple[Tree, Tree], Stats]:
            params, memory = carry
            some = jax.tree.map(lambda leaf: leaf[chosen], rows)
            gradient, stats = jax.grad(loss, has_aux=True)(params, some, entropy_weight)
            update, memory = optimizer.update(gradient, memory, params)
            return (optax.apply_updates(params, update), memory), stats

        keys = jax.random.split(key, settings.epochs)
        orders = jax.vmap(lambda key: jax.random.permutation(key, count))(keys)
        batches = orders.reshape(settings.epochs * settings.minibatches, -1)
        (params, memory), stats = jax.lax.scan(step, (params, memory), batches)
        return params, memory, jax.tree.map(jnp.mean, stats)

    return run
