"""The networks behind agents: formulas written out, and a history that is read causally."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attnjax.allocation import SquaredNorm
from attnjax.models.attention import AttentionRule
from attnjax.models.policies import FeedForwardPolicy, GRUPolicy, HistoryPolicy

SEEN, ACTIONS = 3, 2


def perturbed(tree, seed=0):
    """Parameters in general position, float64: initial ones hide what is multiplied by 0 or 1."""
    draw = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.3 * draw.normal(size=leaf.shape)), tree)


def normal(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_new_policy_is_close_to_uniform_and_its_scale_is_as_asked():
    net = FeedForwardPolicy(ACTIONS, start_scale=0.3)
    acted, _ = jax.jit(net.init_with_output)(jax.random.key(0), jax.random.normal(jax.random.key(1), (50, SEEN)))
    assert float(jnp.abs(acted.actions).max()) < 0.1
    np.testing.assert_allclose(jnp.exp(acted.log_scale), 0.3, rtol=1e-6)
    assert acted.actions.shape == acted.log_scale.shape == (50, ACTIONS)


def test_the_gated_unit_is_what_is_written(x64):
    net = GRUPolicy(ACTIONS, features=4)
    params = perturbed(jax.jit(net.init)(jax.random.key(0), net.initial(), jnp.zeros(SEEN)))
    draw = np.random.default_rng(1)
    memory, seen = draw.normal(size=4), draw.normal(size=SEEN)
    after, acted = jax.jit(net.apply)(params, memory, seen)
    p = jax.tree.map(np.asarray, params["params"])
    entering = normal((seen @ p["input"]["kernel"]).reshape(3, 4)) * p["scales"][0] + p["bias"]
    held = normal((memory @ p["recurrent"]["kernel"]).reshape(3, 4)) * p["scales"][1]
    reset, keep = sigmoid(entering[0] + held[0]), sigmoid(entering[1] + held[1])
    expected = (1 - keep) * np.tanh(entering[2] + reset * held[2]) + keep * memory
    np.testing.assert_allclose(after, expected, rtol=1e-6)
    heads = p["heads"]
    np.testing.assert_allclose(acted.actions, expected @ heads["actions"]["kernel"] + heads["actions"]["bias"], 1e-6)
    np.testing.assert_allclose(acted.value, (expected @ heads["value"]["kernel"] + heads["value"]["bias"])[0], 1e-6)
    # Layer normalisation of a memory of zeros has a derivative.
    gradient = jax.jit(jax.grad(lambda params: net.apply(params, net.initial(), seen)[1].value))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("rule", [AttentionRule(), AttentionRule(SquaredNorm())], ids=["softmax", "sparsemax"])
def test_a_history_read_step_by_step_is_the_one_read_in_parallel(x64, rule):
    net = HistoryPolicy(ACTIONS, length=5, features=8, heads=2, layers=2, rule=rule)
    params = perturbed(jax.jit(net.init)(jax.random.key(0), net.initial(), jnp.zeros(SEEN)))
    seen = np.random.default_rng(2).normal(size=(7, SEEN))
    starts = np.isin(np.arange(7), [0, 2])
    step = jax.jit(net.apply)
    found, memory = [], net.initial()
    for t in range(7):
        memory, acted = step(params, net.initial() if starts[t] else memory, seen[t])
        found.append(acted)
    replay = jax.jit(lambda seen, starts: net.apply(params, seen, starts, method=net.replay))
    row = replay(seen, starts)
    for name in ("actions", "value"):
        np.testing.assert_allclose([getattr(one, name) for one in found], getattr(row, name), rtol=1e-5, atol=1e-7)
    # A trial does not see another, nor a step what comes after it; it does see what came before.
    changed = np.array(seen)
    changed[4] += 1
    moved = np.abs(replay(changed, starts).value - row.value) > 1e-6
    assert moved.tolist() == [False] * 4 + [True] * 3
    changed = np.array(seen)
    changed[1] += 1
    assert (np.abs(replay(changed, starts).value - row.value) > 1e-6).tolist() == [False, True] + [False] * 5
