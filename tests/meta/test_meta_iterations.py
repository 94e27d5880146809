"""Meta-iterations in one call: the same as one by one, each with its own key; what is not finite is reported."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from inner_loop_cases import loss, parameters

from attnjax.errors import UserError
from attnjax.meta import Tasks, adam, maml, meta_iterations, meta_start

LEARNER, OPTIMIZER = maml(loss, optax.sgd(0.1), 2), optax.adam(0.01)


def sample(key):
    key_x, key_phase = jax.random.split(key)
    x = jax.random.uniform(key_x, (2, 4, 5, 1), minval=-2.0, maxval=2.0)
    y = jnp.sin(x + jax.random.uniform(key_phase, (1, 4, 1, 1)))
    here = jnp.ones((2, 4, 5), jnp.int32)
    support, query = ({"x": x[i], "y": y[i], "here": here[i]} for i in range(2))
    return Tasks(support, query)


def test_calls_are_cut_anywhere_and_are_the_plain_loop(x64):
    key, begun = jax.random.key(3), meta_start(LEARNER, OPTIMIZER, parameters())
    six, progress = meta_iterations(LEARNER, OPTIMIZER, sample, 6)(begun, key)
    three = meta_iterations(LEARNER, OPTIMIZER, sample, 3)
    middle, first = three(begun, key)
    last, second = three(middle, key)
    for one, other in zip(jax.tree.leaves(six), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    for whole, *halves in zip(progress, first, second, strict=True):
        np.testing.assert_allclose(whole, np.concatenate(halves), rtol=1e-12)
    meta, memory, gradient_of = begun.meta, begun.memory, jax.jit(LEARNER.gradient)
    for i in range(6):
        (value, _), gradient = gradient_of(meta, sample(jax.random.fold_in(key, i)))
        assert float(progress.value[i]) == pytest.approx(float(value), rel=1e-12)
        update, memory = OPTIMIZER.update(gradient, memory, meta)
        meta = optax.apply_updates(meta, update)
    for one, other in zip(jax.tree.leaves(meta.theta), jax.tree.leaves(six.meta.theta), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_no_key_is_used_twice():
    """JAX's own checker refuses a second use; the keys that the sampler gets are all different."""
    seen = []

    def watched(key):
        jax.debug.callback(lambda data: seen.append(tuple(data.tolist())), jax.random.key_data(jax.random.clone(key)))
        return sample(key)

    with jax.debug_key_reuse(True):
        state, _ = meta_iterations(LEARNER, OPTIMIZER, watched, 4)(
            meta_start(LEARNER, OPTIMIZER, parameters()), jax.random.key(3)
        )
        jax.block_until_ready(state)
    jax.effects_barrier()
    assert len(set(seen)) == len(seen) == 4


def test_a_meta_gradient_that_is_not_finite_is_reported_and_may_be_skipped():
    """optax's Adam inside, where a parameter never has a gradient."""

    def embedded(table, batch):
        return jnp.sum((table[0] - batch) ** 2) + jnp.sum(table**2) * 0

    def targets(key):
        target = jax.random.normal(key, (3,))
        return Tasks(target, target)

    theta = jnp.array([0.5, 0.25])
    for inner, outer, sound in (
        (optax.adam(0.1), OPTIMIZER, False),
        (optax.adam(0.1), optax.apply_if_finite(OPTIMIZER, 10), False),
        (adam(0.1), OPTIMIZER, True),
    ):
        learner = maml(embedded, inner, 2)
        state, progress = meta_iterations(learner, outer, targets, 3)(
            meta_start(learner, outer, theta), jax.random.key(0)
        )
        assert bool(progress.finite[0]) == sound
        if outer is OPTIMIZER:
            assert bool(jnp.isfinite(state.meta.theta).all()) == sound
        else:
            np.testing.assert_array_equal(state.meta.theta, theta)
    with pytest.raises(UserError, match="at least one iteration"):
        meta_iterations(LEARNER, OPTIMIZER, sample, 0)
