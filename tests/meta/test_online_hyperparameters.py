"""Hyper-parameters learned online: discount, trace decay and entropy weight of an actor-critic, weights of losses."""

import central_differences
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from attnjax.meta import adam, online_cross_validation

STEPS, STATES, ACTIONS = 6, 4, 3


def returns(rewards, values, discount, decay):
    """G_t = r_t + gamma ((1 - lambda) v_{t+1} + lambda G_{t+1}), where `values` has one more entry than `rewards`."""

    def back(ahead, now):
        reward, value = now
        target = reward + discount * ((1 - decay) * value + decay * ahead)
        return target, target

    return jax.lax.scan(back, values[-1], (rewards, values[1:]), reverse=True)[1]


def actor_critic(theta, batch, discount, decay, entropy, hold=jax.lax.stop_gradient):
    """Advantages and targets are held constant, as they are where one learns; not where derivatives are checked."""
    logits, values = theta["policy"][batch["states"][:-1]], theta["values"][batch["states"]]
    log_probabilities = jax.nn.log_softmax(logits)
    goal = returns(batch["rewards"], hold(values), discount, decay)
    taken = jnp.take_along_axis(log_probabilities, batch["actions"][:, None], axis=1)[:, 0]
    surprise = -jnp.sum(jnp.exp(log_probabilities) * log_probabilities, axis=1)
    error = goal - values[:-1]
    return jnp.mean(error**2) / 2 - jnp.mean((goal - hold(values[:-1])) * taken) - entropy * jnp.mean(surprise)


def shaped(theta, batch, eta):
    return actor_critic(
        theta, batch, jax.nn.sigmoid(eta["discount"]), jax.nn.sigmoid(eta["decay"]), jnp.exp(eta["entropy"])
    )


def fixed(theta, batch):
    return actor_critic(theta, batch, 0.99, 1.0, 0.0, hold=lambda values: values)


def trajectory(seed):
    draw = np.random.default_rng(seed)
    return {
        "states": jnp.asarray(draw.integers(0, STATES, STEPS + 1)),
        "actions": jnp.asarray(draw.integers(0, ACTIONS, STEPS)),
        "rewards": jnp.asarray(draw.normal(size=STEPS)),
    }


def start():
    draw = np.random.default_rng(3)
    theta = {
        "policy": jnp.asarray(draw.normal(size=(STATES, ACTIONS))),
        "values": jnp.asarray(draw.normal(size=STATES)),
    }
    return theta, {"discount": jnp.asarray(2.0), "decay": jnp.asarray(0.5), "entropy": jnp.asarray(-2.0)}


def test_the_returns_are_those_of_their_sum():
    """By hand: three rewards, and with lambda = 1 the discounted sum."""
    found = returns(jnp.array([1.0, 2.0, 4.0]), jnp.array([9.0, 9.0, 9.0, 8.0]), 0.5, 1.0)
    np.testing.assert_allclose(found, [1 + 1 + 1 + 1, 2 + 2 + 2, 4 + 4])
    one_step = returns(jnp.array([1.0, 2.0, 4.0]), jnp.array([9.0, 6.0, 4.0, 8.0]), 0.5, 0.0)
    np.testing.assert_allclose(one_step, [1 + 3, 2 + 2, 4 + 4])


def test_the_meta_gradient_is_that_of_central_differences_with_each_optimiser(x64):
    """Also in the second step, when memories are not zero; Adam's first is a sign, of derivative nearly 0."""
    flat, restore = ravel_pytree(start()[1])
    for optimizer in (optax.sgd(0.1), optax.sgd(0.1, 0.9), adam(0.05)):
        learner = online_cross_validation(shaped, optimizer, fixed, optax.sgd(0.5))
        state = learner.init(*start())

        @jax.jit
        def seen_from(flat, state, batch, validation, step=learner.step):
            return step(state._replace(eta=restore(flat)), batch, validation)

        for t in range(2):
            flat, data = np.asarray(ravel_pytree(state.eta)[0]), (trajectory(t), trajectory(t + 1))
            slope = central_differences.jacobian(
                lambda flat, run=seen_from, rest=(state, *data): run(flat, *rest)[1].validation_loss, flat
            )
            state, seen = seen_from(flat, state, *data)
            found = ravel_pytree(seen.meta_gradient)[0]
            assert t == 0 or np.abs(slope).min() > 1e-5
            # Differences of numbers of order 1 are known to 1e-16 over the step of 1e-5.
            np.testing.assert_allclose(found, slope, rtol=0, atol=1e-6 * np.abs(slope).max() + 1e-10)
            np.testing.assert_allclose(ravel_pytree(state.eta)[0], flat - 0.5 * found, rtol=1e-12)


def test_theta_learns_as_it_would_with_the_hyperparameters_of_the_moment(x64):
    theta, eta = start()
    learner = online_cross_validation(shaped, optax.sgd(0.1, 0.9), fixed, optax.sgd(0.5))
    state = learner.init(theta, eta)
    transform = optax.sgd(0.1, 0.9)
    memory = transform.init(theta)
    slope, step = jax.jit(jax.grad(shaped)), jax.jit(learner.step)
    for t in range(3):
        gradient = slope(theta, trajectory(t), state.eta)
        update, memory = transform.update(gradient, memory, theta)
        theta = optax.apply_updates(theta, update)
        state, _ = step(state, trajectory(t), trajectory(t + 1))
    for one, other in zip(jax.tree.leaves(state.theta), jax.tree.leaves(theta), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_weights_of_losses_turn_to_the_task_that_helps():
    """Linear regression with two sources of targets, one of them noise; validation is by clean targets."""
    truth = jnp.array([1.0, -2.0, 0.5])

    def sample(key):
        key_x, key_noise = jax.random.split(key)
        x = jax.random.normal(key_x, (16, 3))
        return {"x": x, "clean": x @ truth, "noise": 3 * jax.random.normal(key_noise, (16,))}

    def weighted(theta, batch, eta):
        weights = jax.nn.softmax(eta)
        guess = batch["x"] @ theta
        return weights @ jnp.stack([jnp.mean((guess - batch[name]) ** 2) for name in ("clean", "noise")])

    def judged(theta, batch):
        return jnp.mean((batch["x"] @ theta - batch["clean"]) ** 2)

    learner = online_cross_validation(weighted, optax.sgd(0.05), judged, adam(0.05))

    def step(state, key):
        key_batch, key_validation = jax.random.split(key)
        return learner.step(state, sample(key_batch), sample(key_validation))

    def fair(state, key):
        return step(state._replace(eta=jnp.zeros(2)), key)[0], None

    keys, begun = jax.random.split(jax.random.key(0), 200), learner.init(jnp.zeros(3), jnp.zeros(2))
    learned, alike = jax.jit(lambda: (jax.lax.scan(step, begun, keys)[0], jax.lax.scan(fair, begun, keys)[0]))()
    assert float(jax.nn.softmax(learned.eta)[0]) > 0.9
    held_out = sample(jax.random.key(1))
    assert float(judged(learned.theta, held_out)) < 0.1 * float(judged(alike.theta, held_out))
