"""Meta-gradients of policies against exact ones: a process so small that every episode is enumerated.

Two states, two actions, two steps, eight episodes (a_0, s_1, a_1). Expectations are sums over them, and what theta is
meant to make large is differentiated as it stands. The estimators are those of the library; an advantage that is
weighted by its episode's probability turns their means over episodes into expectations.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attnjax.errors import UserError
from attnjax.meta import Meta, Tasks
from attnjax.meta.rl import (
    PPO,
    SURROGATES,
    Categorical,
    Decision,
    Rows,
    feed_forward,
    linear_baseline,
    policy_gradient_loss,
    policy_maml,
)

RATE = 0.7
REWARDS = np.array([[1.0, -0.5], [0.3, 2.0]])
MOVES = np.array([[0.2, 0.8], [0.7, 0.3]])  # P(s_1 | s_0 = 0, a_0)
EPISODES = np.array(list(itertools.product((0, 1), repeat=3)))  # a_0, s_1, a_1
STATES = np.stack([np.zeros(8, int), EPISODES[:, 1]], axis=1)
ACTIONS = EPISODES[:, [0, 2]]
PAID = REWARDS[STATES, ACTIONS]
RETURNS = np.stack([PAID.sum(1), PAID[:, 1]], axis=1)
AGENT = feed_forward(lambda theta, state: Decision(Categorical(theta[state]), jnp.zeros(())))
THETA = np.array([[0.3, -0.2], [-0.4, 0.5]])


def log_probs(theta):
    """(8, 2), of the actions of each episode."""
    return jax.nn.log_softmax(theta)[STATES, ACTIONS]


def chances(theta):
    """(8,), of each episode."""
    return jnp.exp(jnp.sum(log_probs(theta), axis=1)) * MOVES[EPISODES[:, 0], EPISODES[:, 1]]


def worth(theta):
    """The expected return, J."""
    return jnp.sum(chances(theta) * PAID.sum(1))


def rows(which, weight, log_prob):
    """Episodes as the library's rows, their advantages weighted."""
    count = len(which)
    flags = np.ones((count, 2), bool)
    advantage = RETURNS[which] * weight[:, None]
    return Rows(STATES[which], ACTIONS[which], log_prob, np.zeros((count, 2)), advantage, RETURNS[which], flags, flags)


def maml(surrogate, sampling=False, steps=1):
    return policy_maml(
        AGENT,
        optax.sgd(RATE),
        steps,
        play=lambda *_: None,
        episodes=1,
        settings=PPO(discount=1.0),
        surrogate=surrogate,
        sampling=sampling,
    )


def batch_of_one(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)


@pytest.fixture(scope="module")
def expected_adaptation():
    """The exact gradient of J(theta + rate grad J(theta)), and the estimators' expectation of it, all episodes seen."""
    with jax.enable_x64(True):
        every = np.arange(8)
        exact = jax.jit(jax.grad(lambda theta: worth(theta + RATE * jax.grad(worth)(theta))))(THETA)
        slope = jax.jit(jax.grad(worth))(THETA)
        found = {}
        for surrogate in SURROGATES:
            learner = maml(surrogate).learner
            support = batch_of_one(rows(every, 8 * chances(THETA), log_probs(THETA)))
            adapted, _ = jax.jit(learner.adapt)(Meta(jnp.asarray(THETA)), support)
            np.testing.assert_allclose(adapted.phi, THETA + RATE * slope, rtol=1e-13)
            query = rows(every, 8 * chances(adapted.phi), log_probs(adapted.phi))
            tasks = Tasks(batch_of_one(support), batch_of_one(query))
            found[surrogate] = -jax.jit(learner.gradient)(Meta(jnp.asarray(THETA)), tasks)[1].theta
        return exact, found


def test_dice_is_unbiased_for_expected_adaptation(expected_adaptation):
    exact, found = expected_adaptation
    np.testing.assert_allclose(found["dice"], exact, rtol=0, atol=1e-10)


def test_the_others_are_biased_by_what_they_leave_out(expected_adaptation):
    exact, found = expected_adaptation
    size = np.linalg.norm(exact)
    bias = {name: np.linalg.norm(found[name] - exact) / size for name in ("naive", "lvc")}
    # Relative to the gradient: 0.33 and 0.12 by this very sum.
    assert bias["naive"] > 0.3
    assert bias["lvc"] > 0.1


def test_the_expected_hessian_of_dice_is_that_of_the_expected_return_whatever_the_baseline(x64):
    """And so is the gradient, of all three; a baseline may depend on the state and the time."""
    baseline = np.array([[0.4, -1.0], [2.0, 0.6]])[STATES, [0, 1]]
    weights = 8 * chances(THETA)

    def loss(theta, values, surrogate):
        advantage = weights[:, None] * (RETURNS - values)
        return -policy_gradient_loss(log_probs(theta), advantage, np.ones((8, 2), bool), surrogate)

    @jax.jit
    def derivatives(theta, values):
        gradients = {name: jax.grad(loss)(theta, values, name) for name in SURROGATES}
        hessians = {name: jax.hessian(loss)(theta, values, name) for name in ("dice", "naive")}
        return gradients, hessians, jax.grad(worth)(theta), jax.hessian(worth)(theta)

    for values in (np.zeros((8, 2)), baseline):
        gradients, hessians, slope, curvature = derivatives(THETA, values)
        for gradient in gradients.values():
            np.testing.assert_allclose(gradient, slope, atol=1e-12)
        np.testing.assert_allclose(hessians["dice"], curvature, atol=1e-12)
        assert np.abs(hessians["naive"] - curvature).max() > 0.1 * np.abs(curvature).max()


def sampled(theta, steps):
    """(8, ..., 8) of J after adapting to given episodes, one a step, and log P of those episodes, all at theta."""

    def after(theta, which):
        log_prob = 0.0
        for episode in which:

            def loss(theta, episode=episode):
                return -jnp.sum(log_probs(theta)[episode] * jnp.asarray(RETURNS)[episode])

            log_prob = log_prob + jnp.log(chances(theta)[episode])
            theta = theta - RATE * jax.grad(loss)(theta)
        return worth(theta), log_prob

    which = jnp.array(list(itertools.product(range(8), repeat=steps)))
    return jax.vmap(lambda which: after(theta, which))(which)


def test_the_sampling_term_makes_the_naive_surrogate_unbiased_for_sampled_adaptation(x64):
    """theta is to make E J(phi(tau, theta)) large, with two steps on one episode each: summed over all pairs."""
    steps = 2

    def objective(theta):
        worths, log_prob = sampled(theta, steps)
        return jnp.sum(jnp.exp(log_prob) * worths)

    exact = jax.jit(jax.grad(objective))(THETA)
    meta = Meta(jnp.asarray(THETA))
    which = jnp.array(list(itertools.product(range(8), repeat=steps)))
    chance = jnp.exp(jax.jit(lambda theta: sampled(theta, steps)[1])(THETA))
    np.testing.assert_allclose(jnp.sum(chance), 1, rtol=1e-13)

    def expectation(surrogate, sampling):
        learner = maml(surrogate, sampling, steps).learner
        every = np.arange(8)

        def given(which, chance):
            support = jax.tree.map(lambda leaf: jnp.asarray(leaf)[which][:, None], rows(every, np.ones(8), PAID))
            phi = jax.lax.stop_gradient(learner.adapt(meta, support)[0].phi)
            each = chances(phi)
            query = rows(every, 8 * each, log_probs(phi))
            # The mean of what is scored has to be the expectation, too.
            query = query._replace(target=8 * each[:, None] * jnp.asarray(RETURNS))
            gradient = learner.gradient(meta, Tasks(batch_of_one(support), batch_of_one(query)))[1].theta
            return -chance * gradient

        return jnp.sum(jax.jit(jax.vmap(given))(which, chance), axis=0)

    np.testing.assert_allclose(expectation("naive", True), exact, rtol=0, atol=1e-10)
    assert np.linalg.norm(expectation("naive", False) - exact) > 0.1 * np.linalg.norm(exact)


def test_padding_changes_nothing(x64):
    advantage, log_prob = RETURNS[:4], np.asarray(log_probs(THETA))[:4]
    padded = np.concatenate([log_prob, np.full((4, 2), np.nan)], axis=1)
    longer = np.concatenate([advantage, np.full((4, 2), np.inf)], axis=1)
    alive = np.arange(4) < 2
    for surrogate in SURROGATES:
        gradient = jax.jit(jax.grad(policy_gradient_loss), static_argnums=3)
        grad = gradient(log_prob, advantage, np.ones((4, 2), bool), surrogate)
        other = gradient(padded, longer, np.broadcast_to(alive, (4, 4)), surrogate)
        np.testing.assert_allclose(other[:, :2], grad, rtol=1e-13)
        assert (other[:, 2:] == 0).all()


def test_the_linear_baseline_is_least_squares(x64):
    draw = np.random.default_rng(0)
    seen, returns = draw.normal(size=(5, 6, 2)), draw.normal(size=(5, 6))
    alive = np.arange(6) < draw.integers(3, 7, size=(5, 1))
    time = np.broadcast_to(np.arange(6.0) / 100, (5, 6))[..., None]
    features = np.concatenate([seen, seen**2, time, time**2, time**3, np.ones_like(time)], axis=2)
    ridge = np.sqrt(1e-5) * np.eye(8)
    weights = np.linalg.lstsq(
        np.concatenate([features[alive], ridge]), np.concatenate([returns[alive], np.zeros(8)]), rcond=None
    )[0]
    np.testing.assert_allclose(linear_baseline(seen, returns, alive), np.where(alive, features @ weights, 0), atol=1e-8)


def test_bad_input_is_refused():
    one = jnp.ones((2, 3))
    with pytest.raises(UserError, match="policy_gradient_loss: expected surrogate to be one of dice, lvc, naive"):
        policy_gradient_loss(one, one, one > 0, "reinforce")
    with pytest.raises(UserError, match="one shape"):
        policy_gradient_loss(one, jnp.ones((2, 2)), one > 0)
    with pytest.raises(UserError, match="policy_maml: expected at least one step"):
        maml("dice", steps=0)
