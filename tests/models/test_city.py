"""Allocators of junctions: safe whatever they learned, blind to padding and order, explained by what they return."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnjax.allocation import Entropy, Tsallis
from attnjax.errors import UserError
from attnjax.models import (
    ALLOCATORS,
    Allocator,
    AttentionRule,
    CountAgePrior,
    Guard,
    JunctionState,
    ShareMLP,
    guarded,
    make_allocator,
)
from attnjax.models.junctions import checked_state

LANES, PHASES = 6, 4
GUARD = Guard(horizon=40.0, minimum=10.0, cap=90.0)
SHARED = [name for name in ALLOCATORS if name != "mlp"]


def drawn(seed, lanes=LANES, phases=PHASES):
    """A junction: every lane has a phase, every phase a lane."""
    rng = np.random.default_rng(seed)
    green = rng.random((phases, lanes)) < 0.4
    green[np.arange(lanes) % phases, np.arange(lanes)] = True
    green[np.arange(phases), np.arange(phases) % lanes] = True
    unserved = rng.integers(1, 200, phases).astype(np.float32)
    unserved[phase := int(rng.integers(phases))] = 0
    near, halting, downstream = rng.poisson([[6.0], [3.0], [2.0]], (3, lanes)).astype(np.float32)
    return JunctionState(near, halting, downstream, green, np.int32(phase), np.float32(rng.integers(1, 60)), unserved,
                         np.ones(lanes, bool), np.ones(phases, bool))  # fmt: skip


def padded(state, lanes, phases, filling):
    """The same junction with more entries, masked and full of something."""
    more_lanes, more_phases = lanes - len(state.near), phases - len(state.unserved)
    rows = [np.append(x, np.full(more_lanes, filling, np.float32)) for x in state[:3]]
    green = np.pad(state.green, ((0, more_phases), (0, more_lanes)), constant_values=True)
    unserved = np.append(state.unserved, np.full(more_phases, filling, np.float32))
    masks = [np.arange(size) < len(x) for size, x in ((lanes, state.near), (phases, state.unserved))]
    return JunctionState(*rows, green, state.phase, state.age, unserved, *masks)


def permuted(state, lanes, phases):
    return JunctionState(
        *(x[lanes] for x in state[:3]), state.green[phases][:, lanes], np.argsort(phases)[state.phase].astype(np.int32),
        state.age, state.unserved[phases], state.lane_mask[lanes], state.phase_mask[phases])  # fmt: skip


@pytest.fixture(scope="module", params=SHARED)
def shared(request):
    """An allocator with parameters that are all away from 0, as after training."""
    net = make_allocator(request.param, 8, rule=AttentionRule(Tsallis(1.5)), guard=GUARD)
    params = jax.jit(net.init)(jax.random.key(0), drawn(0))
    keys = iter(jax.random.split(jax.random.key(1), 100))
    params = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(next(keys), x.shape), params)
    return request.param, jax.jit(lambda state: net.apply(params, state))


def test_padding_changes_nothing(shared):
    _, decide = shared
    for seed in range(3):
        state = drawn(seed)
        alone = decide(padded(state, LANES + 2, PHASES + 1, 0.0))
        for filling in (7.0, np.nan):
            found = decide(padded(state, LANES + 2, PHASES + 1, filling))
            np.testing.assert_array_equal(found.shares, alone.shares)
        small = decide(state)
        np.testing.assert_allclose(alone.shares[:PHASES], small.shares, atol=1e-5)
        assert float(alone.shares[PHASES]) == 0
        np.testing.assert_allclose(alone.price, small.price, rtol=1e-4, atol=1e-4)


def test_permuting_lanes_changes_nothing_and_phases_are_permuted(shared):
    name, decide = shared
    rng = np.random.default_rng(0)
    for seed in range(3):
        state = drawn(seed)
        lanes = np.arange(LANES) if name == "lstm" else rng.permutation(LANES)  # an LSTM reads lanes in their order
        phases = rng.permutation(PHASES)
        first, second = decide(state), decide(permuted(state, lanes, phases))
        np.testing.assert_allclose(second.scores, first.scores[phases], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(second.shares, first.shares[phases], atol=1e-4)
        if first.weights is not None:
            np.testing.assert_allclose(second.weights, first.weights[:, phases][:, :, lanes], atol=1e-5)


def test_one_set_of_weights_serves_every_junction():
    """No parameter has the size of a junction: the same tree is made by a small and by a large one."""
    for name in SHARED:
        net = make_allocator(name, 8)
        shapes = [jax.eval_shape(net.init, jax.random.key(0), drawn(0, *size)) for size in ((3, 2), (9, 7))]
        assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])
    sizes = [jax.eval_shape(make_allocator("mlp").init, jax.random.key(0), drawn(0, *s)) for s in ((3, 2), (9, 7))]
    assert jax.tree.map(jnp.shape, sizes[0]) != jax.tree.map(jnp.shape, sizes[1])


def test_a_batch_of_junctions_is_each_of_them(shared):
    _, decide = shared
    states = [drawn(seed) for seed in range(3)]
    together = decide(jax.tree.map(lambda *x: np.stack(x), *states))
    for i, state in enumerate(states):
        np.testing.assert_allclose(together.shares[i], decide(state).shares, atol=1e-5)
        np.testing.assert_allclose(together.price[i], decide(state).price, rtol=1e-4, atol=1e-5)


def test_scores_above_the_price_are_served_and_no_others(shared):
    _, decide = shared
    for seed in range(5):
        found = decide(drawn(seed))
        assert ((found.scores > found.price - 1e-3) | (found.wished == 0)).all()
        assert ((found.scores < found.price + 1e-3) | (found.wished > 0)).all()


guard_jit = jax.jit(lambda shares, state, guard: guarded(shares, checked_state(state), guard), static_argnums=2)


@given(
    st.integers(0, 10**6),
    st.sampled_from([GUARD, Guard(10.0, 10.0, 30.0), Guard(30.0, 7.0, 60.0)]),
)
def test_the_guard_holds_whatever_is_wished(seed, guard):
    rng = np.random.default_rng(seed)
    state = padded(drawn(seed), LANES + 1, PHASES + 1, 3.0)
    wish = rng.dirichlet(np.full(PHASES + 1, 0.3)).astype(np.float32) * rng.choice([1.0, -1.0, 100.0])
    shares, _ = guard_jit(np.float32(wish), state, guard)
    shares = np.asarray(shares)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert ((shares == 0) | (shares >= guard.minimum / guard.horizon - 1e-6)).all()
    assert shares[-1] == 0


@given(
    st.integers(0, 10**6),
    st.sampled_from([GUARD, Guard(10.0, 10.0, 30.0), Guard(30.0, 7.0, 60.0)]),
    st.booleans(),
)
def test_no_lane_with_vehicles_waits_beyond_the_cap(seed, guard, spiteful):
    """Forty decisions, by lot or always for the phase that was served last; every lane has vehicles throughout."""
    rng = np.random.default_rng(seed)
    state = drawn(seed)._replace(near=np.ones(LANES, np.float32))
    state = state._replace(unserved=np.where(state.unserved > 0, 5.0, 0).astype(np.float32))
    longest = guard.longest(PHASES)
    for _ in range(40):
        wish = np.eye(PHASES, dtype=np.float32)[state.phase] if spiteful else rng.dirichlet(np.full(PHASES, 0.2))
        shares, _ = guard_jit(np.float32(wish), state, guard)
        served = np.asarray(shares) > 0
        unserved = np.where(served, 0, state.unserved + guard.horizon).astype(np.float32)
        state = state._replace(unserved=unserved, phase=np.int32(np.argmax(served)))
        assert np.where(state.green, state.unserved[:, None], np.inf).min(axis=0).max() <= longest
    # Without the guard the spiteful allocator would never change.


def test_the_guard_waits_for_no_empty_lane():
    state = drawn(0)._replace(near=np.zeros(LANES, np.float32), halting=np.zeros(LANES, np.float32))
    state = state._replace(unserved=np.array([0, 500, 500, 500], np.float32), phase=np.int32(0))
    shares, urgency = guard_jit(np.float32([1, 0, 0, 0]), state, GUARD)
    assert shares.tolist() == [1, 0, 0, 0]
    assert not urgency.any()


def at_the_start(net, *, checked=False):
    """What a module says before training, as one program."""

    @jax.jit
    def say(state):
        state = checked_state(state) if checked else state
        return net.apply(net.init(jax.random.key(0), state), state)

    return say


def test_untrained_it_is_the_prior_whose_limits_are_known():
    """The largest share goes to the longest queue, or to the highest pressure, as the six numbers say."""
    for start, score in (
        ((0, 1, 0, 0, 0, 0), lambda s: s.green @ s.halting),
        ((0, 1, 1, 0, 0, 0), lambda s: s.green @ (s.halting - s.downstream)),
    ):
        decide = at_the_start(CountAgePrior(start), checked=True)
        for seed in range(5):
            state = drawn(seed)
            found = decide(state)
            np.testing.assert_allclose(found, score(state), rtol=1e-5, atol=1e-4)
    state = drawn(3)
    scores = at_the_start(make_allocator("phase_query", 8))(state).scores
    np.testing.assert_allclose(scores, at_the_start(CountAgePrior(), checked=True)(state), rtol=1e-5)


def test_every_parameter_learns():
    """From shares of several phases: gradients reach the prior, the attention and the temperature."""
    state = jax.tree.map(lambda *x: np.stack(x), *(drawn(seed) for seed in range(4)))
    state = state._replace(near=state.near / 8, halting=state.halting / 8, unserved=np.minimum(state.unserved, 20))
    for name in ALLOCATORS:
        net = make_allocator(name, 8, rule=AttentionRule(Entropy(), temperature=5.0), guard=Guard(60.0, 1.0, 600.0))
        params = jax.jit(net.init)(jax.random.key(0), state)
        keys = iter(jax.random.split(jax.random.key(1), 100))
        params = jax.tree.map(lambda x, k=keys: x + 0.05 * jax.random.normal(next(k), x.shape), params)
        slopes = jax.jit(jax.grad(lambda p, net=net: jnp.sum(net.apply(p, state).shares ** 2)))(params)
        for path, leaf in jax.tree_util.tree_leaves_with_path(slopes):
            # A key's bias adds the same to all of a query's scores.
            if "['key']['bias']" not in jax.tree_util.keystr(path):
                assert np.isfinite(leaf).all()
                assert np.abs(leaf).max() > 0, (name, path)


def test_dropout_needs_its_key_and_changes_the_decision():
    from attnjax.models import PhaseQueryScores

    state = drawn(0)
    net = Allocator(PhaseQueryScores(8, dropout=0.5, prior=False), AttentionRule(Entropy()), Guard(60.0, 1.0, 600.0))
    params = jax.jit(net.init)(jax.random.key(0), state)
    drop = jax.jit(lambda key: net.apply(params, state, deterministic=False, rngs={"dropout": key}).scores)
    one, other = (drop(jax.random.key(k)) for k in (1, 2))
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"near": np.ones(3)}, r"JunctionState: expected near of shape \(6,\)"),
        ({"phase": np.zeros(2)}, r"expected phase of shape \(\)"),
        ({"phase_mask": np.ones(6, bool)}, r"expected phase_mask of shape \(4,\)"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        checked_state(drawn(0)._replace(**change))


def test_rules_that_cannot_hold_are_refused():
    for guard in (Guard(10.0, 11.0, 60.0), Guard(10.0, 5.0, 9.0), Guard(10.0, 0.0, 60.0)):
        with pytest.raises(UserError, match="Guard: expected 0 < minimum <= horizon <= cap"):
            guarded(jnp.ones(PHASES), checked_state(drawn(0)), guard)


def test_the_documents_network_gives_shares_with_the_operator():
    net = ShareMLP(8, 4, AttentionRule(Entropy()))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    mask = np.array([True, True, False, True])
    shares = net.apply(net.init(jax.random.key(0), x), x, np.broadcast_to(mask, (5, 4)))
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-6)
    assert not shares[:, 2].any()
