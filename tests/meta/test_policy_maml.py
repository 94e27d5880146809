"""MAML with policy gradients: what is collected, what is differentiated, and that it learns to adapt."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attnjax.envs import BernoulliBandit, BernoulliTask, Policy, rollout
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

BANDIT = BernoulliBandit(arms=3, pulls=2)


def play_bandit(act, memory, task, key):
    return rollout(BANDIT, Policy(act, memory), task, key, 2)


PULLER = feed_forward(lambda theta, seen: Decision(Categorical(theta), jnp.zeros(())))
THETA = jnp.array([0.3, -0.2, 0.1])
PLAIN = PPO(discount=1.0, normalise=False)


def pulling(steps=2, rate=0.3, **options):
    options = {"play": play_bandit, "episodes": 6, "settings": PLAIN, "baseline": no_baseline, **options}
    return policy_maml(PULLER, optax.sgd(rate), steps, **options)


@pytest.fixture(scope="module")
def collected():
    """Tasks, keys, what was collected, what it adapts to, and the first-order and exact gradients."""
    tasks = jax.vmap(BANDIT.sample_task)(jax.random.split(jax.random.key(0), 4))
    keys = jax.random.split(jax.random.key(1), 4)
    maml, first_order = pulling(), pulling(grad="first_order")

    @jax.jit
    def everything(meta, tasks, keys):
        found = jax.vmap(maml.collect, in_axes=(None, 0, 0))(meta, tasks, keys)
        phi = jax.vmap(lambda support: maml.learner.adapt(meta, support)[0].phi)(found.tasks.support)
        gradients = [one.learner.gradient(meta, found.tasks)[1].theta for one in (first_order, maml)]
        return found, phi, gradients

    return tasks, keys, *everything(Meta(THETA), tasks, keys)


def reinforce(theta, rows):
    """Minus the gradient for a softmax over arms: sum_t G_t (e_a - p), averaged over episodes."""
    p = np.exp(theta) / np.exp(theta).sum()
    return -((np.eye(3)[rows.action] - p) * rows.target[..., None]).sum((0, 1)) / rows.action.shape[0]


def test_each_step_is_reinforce_on_episodes_of_the_policy_it_starts_from(collected):
    _, _, found, adapted, _ = collected
    for i in range(4):
        support, query = jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], tuple(found.tasks))
        phi = np.asarray(THETA)
        for j in range(2):
            rows = jax.tree.map(lambda leaf, j=j: leaf[j], support)
            # The episodes were played with phi_j, which is what their log-probabilities say.
            np.testing.assert_allclose(rows.log_prob, (phi - np.log(np.exp(phi).sum()))[rows.action], rtol=1e-5)
            phi = phi - 0.3 * reinforce(phi, rows)
        np.testing.assert_allclose(query.log_prob, (phi - np.log(np.exp(phi).sum()))[query.action], rtol=1e-5)
        np.testing.assert_allclose(adapted[i], phi, rtol=1e-5)
        paid = np.concatenate([support.target[..., 0], query.target[None, :, 0]])
        np.testing.assert_array_equal(found.returns[i], paid)


def test_vmapped_collections_are_single_ones(collected):
    tasks, keys, found, _, _ = collected
    collect = jax.jit(pulling().collect)
    for i in range(2):
        one = collect(Meta(THETA), jax.tree.map(lambda leaf, i=i: leaf[i], tasks), keys[i])
        for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(left, right[i], rtol=1e-5, atol=1e-6)
    assert collect._cache_size() == 1


def test_the_first_pass_is_a_plain_policy_gradient_after_adaptation(collected):
    """First order: the gradient at theta is REINFORCE at phi, averaged over tasks."""
    _, _, found, adapted, (first_order, exact) = collected
    expected = [
        reinforce(np.asarray(adapted)[i], jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], found.tasks.query))
        for i in range(4)
    ]
    np.testing.assert_allclose(first_order, np.mean(expected, axis=0), rtol=1e-4, atol=1e-6)
    assert float(jnp.abs(exact - first_order).max()) > 1e-2 * float(jnp.abs(exact).max())


def test_it_learns_where_to_start_and_how_fast_to_go():
    """Only arms 0 and 1 ever pay, one of them in each task: a start that tries neither can't tell them apart.

    JAX's own checker refuses a second use of any key on the way.
    """

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
    with jax.debug_key_reuse(True):
        state, progress = run(begun, jax.random.key(0))
        state, later = run(state, jax.random.key(0))
        jax.block_until_ready(state)
    assert bool(progress.finite.all() & later.finite.all())
    assert progress.returns.shape == (20, 2)
    before, after = progress.returns[:5].mean(0), later.returns[-5:].mean(0)
    # Of 2 pulls: at random 0.4, a fair start 1, and after adaptation nearly 2.
    assert float(before[1]) < 1.2
    assert float(after[1]) > 1.7
    assert float(after[1] - after[0]) > 0.6
    assert float(state.meta.eta) > float(begun.meta.eta)
    assert run._cache_size() == 1


def test_bad_sizes_are_refused():
    with pytest.raises(UserError, match="policy_maml: expected at least one step and one episode"):
        pulling(episodes=0)
    with pytest.raises(UserError, match="policy_iterations: expected at least one task"):
        policy_iterations(pulling(), optax.sgd(0.1), BANDIT.sample_task, tasks=0, iterations=1)
