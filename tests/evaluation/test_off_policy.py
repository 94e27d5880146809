"""Off-policy estimates are right on average: over all logs of one round, by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.evaluation.protocols import doubly_robust, inverse_propensity, self_normalised

RNG = np.random.default_rng(0)
ACTIONS = 4
LOGGING = np.array([0.4, 0.3, 0.2, 0.1])
TARGET = np.array([0.1, 0.2, 0.3, 0.4])
WORTH = np.array([0.2, 0.9, 0.5, 0.3])
"""The probability of a reward of 1."""


def mean_over_logs(estimate):
    """The mean of an estimate from one round, over what may be logged and earned in it."""
    return sum(
        LOGGING[action] * (WORTH[action] if reward else 1 - WORTH[action]) * float(estimate(action, float(reward)))
        for action in range(ACTIONS)
        for reward in (0, 1)
    )


def test_inverse_propensity_is_unbiased():
    def estimate(action, reward):
        columns = (np.array([x]) for x in (reward, LOGGING[action], TARGET[action]))
        return inverse_propensity(*map(jnp.asarray, columns)).value

    assert mean_over_logs(estimate) == pytest.approx(TARGET @ WORTH, rel=1e-6)


def test_doubly_robust_is_unbiased_if_either_part_is_right():
    def estimate(action, reward, propensity, predicted):
        policy = jnp.asarray(TARGET)[None]
        log = (jnp.array([reward]), jnp.array([propensity[action]]), jnp.array([action]))
        return doubly_robust(*log, policy, jnp.asarray(predicted)[None]).value

    for propensity, predicted in ((LOGGING, RNG.random(ACTIONS)), (np.full(ACTIONS, 0.25), WORTH)):
        found = mean_over_logs(lambda a, r, p=propensity, q=predicted: estimate(a, r, p, q))
        assert found == pytest.approx(TARGET @ WORTH, rel=1e-5)
    both_wrong = mean_over_logs(lambda a, r: estimate(a, r, np.full(ACTIONS, 0.25), 0 * WORTH))
    assert abs(both_wrong - TARGET @ WORTH) > 0.05


def logged(rounds):
    action = RNG.choice(ACTIONS, rounds, p=LOGGING)
    reward = (RNG.random(rounds) < WORTH[action]).astype(np.float32)
    return action, *(jnp.asarray(x, jnp.float32) for x in (reward, LOGGING[action], TARGET[action]))


def test_the_standard_error_is_the_spread_over_logs():
    policy = jnp.tile(jnp.asarray(TARGET, jnp.float32), (400, 1))

    def all_three(action, reward, propensity, target):
        robust = doubly_robust(reward, propensity, action, policy, policy)
        return inverse_propensity(reward, propensity, target), self_normalised(reward, propensity, target), robust

    logs = [logged(400) for _ in range(600)]
    found = jax.jit(jax.vmap(all_three))(*(jnp.stack([log[part] for log in logs]) for part in range(4)))
    for each in found:
        assert float(jnp.std(each.value)) == pytest.approx(float(jnp.mean(each.standard_error)), rel=0.12)
        assert float(jnp.mean(each.value)) == pytest.approx(TARGET @ WORTH, abs=0.006)


def test_what_an_estimate_rests_on():
    """A policy that is the logging one rests on all rounds; a deterministic one on those that match."""
    action, reward, propensity, _ = logged(200)
    same = inverse_propensity(reward, propensity, propensity)
    assert float(same.value) == pytest.approx(float(reward.mean()), rel=1e-6)
    assert float(same.effective_sample_size) == pytest.approx(200, rel=1e-5)
    fixed = jnp.asarray(action == 3, jnp.float32)
    found = inverse_propensity(reward, propensity, fixed)
    assert int(found.matches) == (action == 3).sum() == round(float(found.effective_sample_size))
    assert float(found.largest_weight) == pytest.approx(10)
    assert float(found.matched_rewards) == float(reward[action == 3].sum())
    assert float(self_normalised(reward, propensity, fixed).value) == pytest.approx(float(reward[action == 3].mean()))


def test_where_nothing_matches_no_sample_is_left():
    none = jnp.zeros(5)
    found = inverse_propensity(jnp.ones(5), jnp.ones(5), none)
    assert (float(found.value), float(found.effective_sample_size), int(found.matches)) == (0, 0, 0)
    assert np.isnan(self_normalised(jnp.ones(5), jnp.ones(5), none).value)


def test_mistakes_are_refused():
    with pytest.raises(UserError, match="one reward, propensity and target"):
        inverse_propensity(jnp.ones(2), jnp.ones(3), jnp.ones(2))
    with pytest.raises(UserError, match=r"policy and predicted of one shape \(t, a\)"):
        doubly_robust(jnp.ones(2), jnp.ones(2), jnp.zeros(2, int), jnp.ones((2, 3)), jnp.ones((2, 4)))
