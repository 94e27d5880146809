"""Attention beside Flax's own, its cost, its derivatives through a block, lower precision, and what it refuses.

What holds for every rule is in tests/contracts/test_attention_contract.py.
"""

import functools

import central_differences
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from attnjax.allocation import SquaredNorm, Tsallis
from attnjax.errors import UserError
from attnjax.models import (
    AttentionRule,
    MultiHeadAttention,
    TransformerBlock,
    TransformerEncoder,
    attend,
    attention_mask,
    attention_weights,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 50, 32)).astype(np.float32)
VALID = np.stack([np.arange(50) < 50, np.arange(50) >= 20])
MASK = attention_mask(jnp.asarray(VALID), causal=True)
OURS, FLAX = MultiHeadAttention(4), nn.MultiHeadDotProductAttention(4)


@pytest.fixture(scope="module")
def params():
    """Flax's own, none of them 0."""
    start = jax.jit(FLAX.init)(jax.random.key(0), X)
    return jax.tree.map(lambda leaf: leaf + 0.1 * RNG.normal(size=leaf.shape).astype(np.float32), start)


@pytest.fixture(scope="module")
def programs(params):
    """Outputs and the gradient of a loss, compiled: ours and Flax's, with Flax's parameters."""

    def program(layer, params, x, mask):
        def loss(params):
            out = layer(params, x, mask)
            return jnp.sum(jnp.where(VALID[..., None], out, 0) ** 2), out

        return jax.grad(loss, has_aux=True)(params)

    layers = {
        "ours": lambda p, x, mask: OURS.apply(p, x, mask=mask).output,
        "flax": lambda p, x, mask: FLAX.apply(p, x, mask=mask),
    }
    both = {}
    for name, layer in layers.items():
        both[name] = (
            jax.jit(layer).lower(params, X, MASK).compile(),
            jax.jit(functools.partial(program, layer)).lower(params, X, MASK).compile(),
        )
    return both


@pytest.mark.compiled_in_full
def test_softmax_is_flaxs_attention_with_flaxs_parameters(params, programs):
    """Outputs and gradients to 1e-6, relative to the largest."""
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, jax.eval_shape(OURS.init, jax.random.key(0), X))
    ours, flax = (programs[name][0](params, X, MASK) for name in ("ours", "flax"))
    slopes, flax_slopes = (programs[name][1](params, X, MASK)[0] for name in ("ours", "flax"))
    np.testing.assert_allclose(ours[VALID], flax[VALID], atol=1e-6 * float(np.abs(flax).max()))
    scale = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(flax_slopes))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6 * scale), slopes, flax_slopes)


@pytest.mark.compiled_in_full
@pytest.mark.parametrize("kind", [0, 1], ids=["forward", "backward"])
def test_softmax_costs_what_flaxs_does(programs, kind):
    """Floating-point operations of the compiled programs: no more than 2 % above."""
    ours, flax = (programs[name][kind].cost_analysis()["flops"] for name in ("ours", "flax"))
    assert ours <= 1.02 * flax


@pytest.mark.compiled_in_full
def test_a_sparse_rule_costs_memory_of_the_scores_size_only():
    """The bisection reuses its temporaries: a few arrays of the scores' size, not one per step."""
    layer = MultiHeadAttention(4, rule=AttentionRule(Tsallis(1.5), cap=0.5))
    params = jax.eval_shape(layer.init, jax.random.key(0), X)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(layer.apply(p, X, mask=MASK).output ** 2)))
    used = gradient.lower(params).compile().memory_analysis().temp_size_in_bytes
    scores = 2 * 4 * 50 * 50 * 4
    assert used < 32 * scores


@pytest.mark.parametrize(
    "rule",
    [
        AttentionRule(Tsallis(1.5), cap=0.6),
        AttentionRule(SquaredNorm(), 0.8, at_most=True),
    ],
    ids=["entmax, capped", "sparsemax, at most"],
)
def test_derivatives_through_a_block_are_those_of_differences(rule, x64):
    block = TransformerBlock(2, 2, rule)
    x = np.random.default_rng(5).normal(size=(4, 4))
    mask = np.asarray(attention_mask(jnp.array([True, True, True, False])))
    start, restore = ravel_pytree(jax.jit(block.init)(jax.random.key(0), x))
    start = np.asarray(start, np.float64) + 0.2 * np.random.default_rng(6).normal(size=start.size)
    tree = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), restore(jnp.asarray(start, jnp.float32)))
    start, restore = ravel_pytree(tree)
    directions = np.random.default_rng(7).normal(size=(6, start.size)) / 10
    pull = np.random.default_rng(8).normal(size=x.shape)

    @jax.jit
    @jax.value_and_grad
    def loss(step):
        return jnp.sum(block.apply(restore(start + step @ directions), x, mask).output * pull)

    point = np.zeros(6)
    exact = loss(point)[1]
    assert np.abs(exact).max() > 0.01
    central_differences.assert_close(exact, central_differences.jacobian(lambda x: loss(x)[0], point), 1e-7)


def test_a_rules_numbers_are_data():
    """One program for all budgets, caps, temperatures and alphas; and their gradients are there."""
    traces = 0

    @jax.jit
    def run(rule, scores):
        nonlocal traces
        traces += 1
        return attention_weights(scores, None, rule)

    scores = jnp.asarray(RNG.normal(size=(3, 5)))
    first = run(AttentionRule(Tsallis(1.5), 1.0, 0.4, 1.0), scores)
    second = run(AttentionRule(Tsallis(1.2), 2.0, 0.9, 0.5), scores)
    assert traces == 1
    np.testing.assert_allclose(first.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(second.sum(1), 2, rtol=1e-6)
    slopes = jax.jit(jax.grad(lambda rule: attention_weights(scores, None, rule)[0, 0]))
    slope = slopes(AttentionRule(Tsallis(1.5), 1.0, 0.4, 1.0))
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(slope))
    assert any(float(leaf) != 0 for leaf in jax.tree.leaves(slope))
    layer = MultiHeadAttention(1)
    learned = jax.jit(
        lambda params, t: MultiHeadAttention(1, rule=AttentionRule(temperature=t)).apply(params, X[0, :3]).weights
    )
    params = jax.jit(layer.init)(jax.random.key(0), X[0, :3])
    flatter = [float(jnp.max(learned(params, t))) for t in (0.5, 5.0)]
    assert flatter[0] > flatter[1]


def test_lower_precision_keeps_weights_and_parameters_exact():
    layer, exact = (MultiHeadAttention(4, rule=AttentionRule(SquaredNorm()), dtype=t) for t in (jnp.bfloat16, None))
    params = jax.jit(layer.init)(jax.random.key(0), X)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    (output, weights), (full, _) = (jax.jit(one.apply)(params, X) for one in (layer, exact))
    assert output.dtype == jnp.bfloat16
    assert weights.dtype == jnp.float32
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(output.astype(jnp.float32), full, atol=0.03 * float(np.abs(full).max()))


def test_a_query_with_nothing_to_attend_to_reads_out_nothing(params):
    nothing = jnp.zeros((1, 50), bool)
    output, weights = OURS.apply(params, X, mask=nothing)
    np.testing.assert_array_equal(weights, 0)
    bias = jnp.broadcast_to(params["params"]["out"]["bias"], output.shape)
    np.testing.assert_array_equal(output, bias)


def test_attend_is_one_head_written_out():
    query, key, value = (RNG.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6)))
    bias, mask = RNG.normal(size=(3, 5)), np.array([True, True, False, True, True])
    output, weights = attend(*map(jnp.asarray, (query, key, value)), jnp.asarray(mask), jnp.asarray(bias))
    scores = np.where(mask, query @ np.swapaxes(key, 1, 2) / 2 + bias, -np.inf)
    grown = np.exp(scores)
    expected = grown / grown.sum(-1, keepdims=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    np.testing.assert_allclose(output, expected @ value, rtol=1e-4, atol=1e-5)


def test_dropout_leaves_attention_whole():
    block = TransformerBlock(2, 2, dropout=0.5)
    params = jax.jit(block.init)(jax.random.key(0), X[0])
    run = jax.jit(block.apply, static_argnames="deterministic")
    still, dropped = (run(params, X[0], deterministic=d, rngs={"dropout": jax.random.key(1)}) for d in (True, False))
    np.testing.assert_array_equal(still.weights, dropped.weights)
    assert float(jnp.abs(still.output - dropped.output).max()) > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: MultiHeadAttention(3).init(jax.random.key(0), X),
            "MultiHeadAttention: expected a number of heads.*32",
        ),
        (
            lambda: attention_weights(jnp.zeros((2, 3)), jnp.ones((3, 2), bool)),
            r"attention_weights: expected mask.*\(2, 3\), got shape \(3, 2\)",
        ),
        (lambda: attend(jnp.zeros((2, 3)), jnp.zeros((4, 2)), jnp.zeros((4, 2))), "attend: expected query"),
        (
            lambda: attention_weights(jnp.zeros((2, 3)), rule=AttentionRule(SquaredNorm(), cap=jnp.ones(2))),
            "allocate: expected cap",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize(("positions", "layers"), [("relative", 2), ("learned", 1)])
def test_an_encoder_of_the_last_event_only_says_the_same_of_it(positions, layers):
    """Whatever padding lies before and behind it; a sequence of nothing but padding is 0."""
    rng = np.random.default_rng(5)
    whole = TransformerEncoder(8, layers, 2, 2, AttentionRule(SquaredNorm()), causal=True, positions=positions)
    only = whole.clone(only_last=True)
    sequence = rng.normal(size=(4, 6, 3)).astype(np.float32)
    times = np.cumsum(rng.integers(0, 9, (4, 6)), axis=1)
    valid = np.array([[1] * 6, [0, 1, 0, 1, 1, 0], [0] * 5 + [1], [0] * 6], bool)
    params = jax.jit(whole.init)(jax.random.key(0), sequence, valid, times)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32), params)
    every, last = (jax.jit(encoder.apply)(params, sequence, valid, times) for encoder in (whole, only))
    assert last.encoding.shape == (4, 1, 8)
    assert last.weights.shape == (4, layers, 2, 1, 6)
    for row, place in enumerate((5, 4, 5)):
        np.testing.assert_allclose(last.encoding[row, 0], every.encoding[row, place], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(last.weights[row, ..., 0, :], every.weights[row, ..., place, :], atol=1e-6)
    np.testing.assert_array_equal(last.encoding[3], 0)
