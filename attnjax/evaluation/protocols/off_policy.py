"""What a policy would have earned, from the log of another: three estimators, and how much they rest on.

With w_t = pi(a_t | x_t) / pi_0(a_t | x_t), the policy's probability of what was logged over the logging policy's,

    IPS      mean of w_t r_t                                   right on average, of large variance
    SNIPS    sum of w_t r_t / sum of w_t                       a little biased, never outside the range of rewards
    DR       mean of sum_a pi(a | x_t) q(x_t, a) + w_t (r_t - q(x_t, a_t))        right if w or q is

An estimate comes with the effective sample size (sum w)^2 / sum w^2, the largest weight, and how many rewards it has
seen under the policy. A deterministic policy on a short log matches a few rounds and no click: the estimate is then 0
with no sign of its error but these three. Judge adapted policies where the value is known.

Source: Horvitz and Thompson (1952); Swaminathan and Joachims (2015), self-normalised; Dudik, Langford and Li (2011),
doubly robust.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.errors import fail


class OffPolicy(NamedTuple):
    """An estimate and what it rests on.

    Attributes:
        value: the estimated mean reward per round.
        standard_error: of the mean over rounds, as if rounds were independent (for SNIPS by linearisation).
        effective_sample_size: (sum w)^2 / sum w^2, at most the rounds; 0 where no round matches.
        largest_weight: the largest w.
        matches: how many rounds have w > 0.
        matched_rewards: the sum of rewards over those.
    """

    value: Float[Array, ""]
    standard_error: Float[Array, ""]
    effective_sample_size: Float[Array, ""]
    largest_weight: Float[Array, ""]
    matches: Int[Array, ""]
    matched_rewards: Float[Array, ""]


def inverse_propensity(
    reward: Float[Array, " t"], propensity: Float[Array, " t"], target: Float[Array, " t"]
) -> OffPolicy:
    """The estimate by inverse propensity scores.

    Args:
        reward: (t,), what was earned in each round.
        propensity: (t,), pi_0 of what was logged, above 0.
        target: (t,), pi of what was logged.

    Returns:
        An `OffPolicy`.

    Raises:
        UserError: if the shapes differ.

    >>> found = inverse_propensity(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5]), jnp.array([1.0, 0.0]))
    >>> float(found.value), float(found.effective_sample_size), int(found.matches)
    (1.0, 1.0, 1)
    """
    weight = _weights("inverse_propensity", reward, propensity, target)
    return _estimate(weight * reward, weight, reward)


def self_normalised(
    reward: Float[Array, " t"], propensity: Float[Array, " t"], target: Float[Array, " t"]
) -> OffPolicy:
    """The self-normalised estimate; NaN where no round matches.

    Args:
        reward: as in `inverse_propensity`.
        propensity: as there.
        target: as there.

    Returns:
        An `OffPolicy`.

    Raises:
        UserError: if the shapes differ.

    >>> found = self_normalised(jnp.array([1.0, 0.0]), jnp.array([0.25, 0.5]), jnp.array([0.5, 0.5]))
    >>> round(float(found.value), 4)
    0.6667
    """
    weight = _weights("self_normalised", reward, propensity, target)
    value = jnp.sum(weight * reward) / jnp.sum(weight)
    spread = weight * (reward - value) / jnp.mean(weight)
    return _estimate(spread, weight, reward)._replace(value=value)


def doubly_robust(
    reward: Float[Array, " t"],
    propensity: Float[Array, " t"],
    action: Int[Array, " t"],
    policy: Float[Array, "t a"],
    predicted: Float[Array, "t a"],
) -> OffPolicy:
    """The doubly robust estimate.

    Args:
        reward: (t,).
        propensity: (t,), pi_0 of what was logged, above 0.
        action: (t,), what was logged.
        policy: (t, a), pi of every action.
        predicted: (t, a), q: what each action is predicted to earn, by a model that was fitted to other rounds.

    Returns:
        An `OffPolicy`.

    Raises:
        UserError: if the shapes do not belong together.

    >>> policy, predicted = jnp.array([[0.5, 0.5]]), jnp.array([[1.0, 0.0]])
    >>> float(doubly_robust(jnp.ones(1), jnp.array([0.5]), jnp.array([0]), policy, predicted).value)
    0.5
    """
    if policy.ndim != 2 or policy.shape != predicted.shape or action.shape != policy.shape[:1]:
        fail(
            "doubly_robust",
            expected="policy and predicted of one shape (t, a), and an action per round",
            got=f"shapes {policy.shape}, {predicted.shape} and {action.shape}",
            advice="Give a row of all actions per round.",
        )
    chosen = action[:, None]
    target = jnp.take_along_axis(policy, chosen, axis=1)[:, 0]
    weight = _weights("doubly_robust", reward, propensity, target)
    surprise = reward - jnp.take_along_axis(predicted, chosen, axis=1)[:, 0]
    return _estimate(jnp.sum(policy * predicted, axis=1) + weight * surprise, weight, reward)


def _weights(where: str, reward: Array, propensity: Array, target: Array) -> Float[Array, " t"]:
    if reward.ndim != 1 or not reward.shape == propensity.shape == target.shape or reward.shape[0] == 0:
        fail(
            where,
            expected="one reward, propensity and target probability per round",
            got=f"shapes {reward.shape}, {propensity.shape} and {target.shape}",
            advice="Pass columns of one log.",
        )
    return target / propensity


def _estimate(each: Array, weight: Array, reward: Array) -> OffPolicy:
    rounds = each.shape[0]
    total, squares = jnp.sum(weight), jnp.sum(weight**2)
    return OffPolicy(
        value=jnp.mean(each),
        standard_error=jnp.std(each) / jnp.sqrt(rounds),
        effective_sample_size=jnp.where(squares > 0, total**2 / jnp.where(squares > 0, squares, 1), 0),
        largest_weight=jnp.max(weight),
        matches=jnp.sum(weight > 0),
        matched_rewards=jnp.sum(jnp.where(weight > 0, reward, 0)),
    )
