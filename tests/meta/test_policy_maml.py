"""MAML with policy gradients: what is collected, what is differentiated, and that it learns to adapt."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from agents_of_networks import continuous

from attnjax.envs import BernoulliBandit, BernoulliTask, PointMass, Policy, rollout
from attnjax.errors import UserError
from attnjax.meta import Meta, learned_rates, log_rates, meta_start
from attnjax.meta.rl import (
    PPO,
    Categorical,
    Decision,
    feed_forward,
    no_baseline,
    policy_iterations,
    policy_maml,
)
from attnjax.models.policies import FeedForwardPolicy

BANDIT = BernoulliBandit(arms=3, pulls=2)
NET = FeedForwardPolicy(actions=2, features=(16,), start_scale=0.1)
POINT = PointMass(horizon=5)
MOVER = feed_forward(lambda params, seen: continuous(NET.apply(params, seen)))


def play_bandit(act, memory, task, key):
    return rollout(BANDIT, Policy(act, memory), task, key, 2)


def play_point(act, memory, task, key):
    return rollout(POINT, Policy(act, memory), task, key, 5)


PULLER = feed_forward(lambda theta, seen: Decision(Categorical(theta), jnp.zeros(())))
THETA = jnp.array([0.3, -0.2, 0.1])
PLAIN = PPO(discount=1.0, normalise=False)


def pulling(steps=2, rate=0.3, **options):
    options = {"play": play_bandit, "episodes": 6, "settings": PLAIN, "baseline": no_baseline, **options}
    return policy_maml(PULLER, optax.sgd(rate), steps, **options)


@pytest.fixture(scope="module")
def collected():
    tasks = jax.vmap(BANDIT.sample_task)(jax.random.split(jax.random.key(0), 4))
    keys = jax.random.split(jax.random.key(1), 4)
    return tasks, keys, jax.jit(jax.vmap(pulling().collect, in_axes=(None, 0, 0)))(Meta(THETA), tasks, keys)


def reinforce(theta, rows):
    """Minus the gradient for a softmax over arms: sum_t G_t (e_a - p), averaged over episodes."""
    p = np.exp(theta) / np.exp(theta).sum()
    return -((np.eye(3)[rows.action] - p) * rows.target[..., None]).sum((0, 1)) / rows.action.shape[0]


def test_each_step_is_reinforce_on_episodes_of_the_policy_it_starts_from(collected):
    _, _, found = collected
    maml = pulling()
    for i in range(4):
        support, query = jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], tuple(found.tasks))
        phi = np.asarray(THETA)
        for j in range(2):
            rows = jax.tree.map(lambda leaf, j=j: leaf[j], support)
            # The episodes were played with phi_j, which is what their log-probabilities say.
            np.testing.assert_allclose(rows.log_prob, (phi - np.log(np.exp(phi).sum()))[rows.action], rtol=1e-5)
            phi = phi - 0.3 * reinforce(phi, rows)
        np.testing.assert_allclose(query.log_prob, (phi - np.log(np.exp(phi).sum()))[query.action], rtol=1e-5)
        np.testing.assert_allclose(maml.learner.adapt(Meta(THETA), support)[0].phi, phi, rtol=1e-5)
        paid = np.concatenate([support.target[..., 0], query.target[None, :, 0]])
        np.testing.assert_array_equal(found.returns[i], paid)


def test_vmapped_collections_are_single_ones(collected):
    tasks, keys, found = collected
    collect = jax.jit(pulling().collect)
    for i in range(2):
        one = collect(Meta(THETA), jax.tree.map(lambda leaf, i=i: leaf[i], tasks), keys[i])
        for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(left, right[i], rtol=1e-5, atol=1e-6)
    assert collect._cache_size() == 1


def test_the_first_pass_is_a_plain_policy_gradient_after_adaptation(collected):
    """First order: the gradient at theta is REINFORCE at phi, averaged over tasks."""
    _, _, found = collected
    _, gradient = pulling(grad="first_order").learner.gradient(Meta(THETA), found.tasks)
    expected = []
    for i in range(4):
        support, query = jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], tuple(found.tasks))
        phi = np.asarray(pulling().learner.adapt(Meta(THETA), support)[0].phi)
        expected.append(reinforce(phi, query))
    np.testing.assert_allclose(gradient.theta, np.mean(expected, axis=0), rtol=1e-4, atol=1e-6)
    exact = pulling().learner.gradient(Meta(THETA), found.tasks)[1].theta
    assert float(jnp.abs(exact - gradient.theta).max()) > 1e-2 * float(jnp.abs(exact).max())


def test_it_learns_where_to_start_and_how_fast_to_go():
    """Only arms 0 and 1 ever pay, one of them in each task: a start that tries neither can't tell them apart."""

    def sample(key):
        return BernoulliTask(jax.nn.one_hot(jax.random.randint(key, (), 0, 2), 3))

    maml = policy_maml(
        PULLER,
        learned_rates,
        1,
        play=play_bandit,
        episodes=10,
        settings=PPO(discount=1.0, epochs=2),
        init=lambda theta: Meta(theta, log_rates(theta, 0.3)),
    )
    optimizer = optax.adam(0.1)
    run = policy_iterations(maml, optimizer, sample, tasks=16, iterations=20)
    begun = meta_start(maml.learner, optimizer, jnp.array([0.0, 0.0, 1.0]))
    state, progress = run(begun, jax.random.key(0))
    state, later = run(state, jax.random.key(0))
    assert bool(progress.finite.all() & later.finite.all())
    assert progress.returns.shape == (20, 2)
    before, after = progress.returns[:5].mean(0), later.returns[-5:].mean(0)
    # Of 2 pulls: at random 0.4, a fair start 1, and after adaptation nearly 2.
    assert float(before[1]) < 1.2
    assert float(after[1]) > 1.7
    assert float(after[1] - after[0]) > 0.6
    assert float(state.meta.eta) > float(begun.meta.eta)
    assert run._cache_size() == 1


def test_a_network_adapts_to_a_goal_it_can_not_see():
    """The point mass in miniature: each iteration's gradient is finite, and one step of adaptation helps."""
    maml = policy_maml(MOVER, optax.sgd(2e-3), 1, play=play_point, episodes=10, settings=PPO(epochs=2), surrogate="lvc")
    optimizer = optax.adam(3e-3)
    run = policy_iterations(maml, optimizer, POINT.sample_task, tasks=8, iterations=15)
    params = NET.init(jax.random.key(0), jnp.zeros(2))
    _, progress = run(meta_start(maml.learner, optimizer, params), jax.random.key(1))
    assert bool(progress.finite.all())
    gained = progress.returns[:, 1] - progress.returns[:, 0]
    assert float(gained[-5:].mean()) > 0


def test_no_key_is_used_twice():
    """JAX's own checker refuses a second use, in training and in what it collects."""
    maml = pulling(steps=1)
    run = policy_iterations(maml, optax.sgd(0.1), BANDIT.sample_task, tasks=2, iterations=1)
    with jax.debug_key_reuse(True):
        state, _ = run(meta_start(maml.learner, optax.sgd(0.1), THETA), jax.random.key(0))
        jax.block_until_ready(state)


def test_bad_sizes_are_refused():
    with pytest.raises(UserError, match="policy_maml: expected at least one step and one episode"):
        pulling(episodes=0)
    with pytest.raises(UserError, match="policy_iterations: expected at least one task"):
        policy_iterations(pulling(), optax.sgd(0.1), BANDIT.sample_task, tasks=0, iterations=1)
