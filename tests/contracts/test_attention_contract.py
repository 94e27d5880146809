"""What every attention must keep, whatever the rule by which a query spends and whatever encodes the sequence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from allocation_cases import REGULARIZERS

from attnjax.allocation import Entropy, SeparableConvex, SquaredNorm, Tsallis, allocate
from attnjax.models import attention, encoders
from attnjax.models.attention import SOFTMAX, AttentionRule, attention_weights
from attnjax.models.encoders import POSITIONS, LSTMEncoder, TransformerEncoder

K, CAP, BUDGET = 6, 0.4, 1.3
RULES = {
    f"{name}{', capped' * capped}{', at most' * most}": AttentionRule(
        case.make(K), BUDGET, CAP if capped else None, 0.7, most
    )
    for name, case in REGULARIZERS.items()
    for capped in (False, True)
    for most in (False, True)
    # The operator's own contract has every variant of every regulariser; the rest here is one each.
    if name in ("entropy", "squared_norm", "tsallis_1.5") or (capped and most)
}
# Those that go through a whole encoder: each way of solving, dense and sparse.
ENCODED_RULES = {
    "softmax": SOFTMAX,
    "sparsemax, capped, at most": AttentionRule(SquaredNorm(), cap=0.3, at_most=True),
    "entmax": AttentionRule(Tsallis(1.5)),
}
ENCODERS = {
    **{rule: TransformerEncoder(4, 1, 2, 2, r, positions="none") for rule, r in ENCODED_RULES.items()},
    **{kind: TransformerEncoder(4, 1, 2, 2, positions=kind, max_length=3) for kind in POSITIONS if kind != "none"},
    "lstm": LSTMEncoder(4),
}
by_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
by_encoder = pytest.mark.parametrize("name", ENCODERS)
# Positions that are added to the sequence change nothing about what flows where.
by_slopes = pytest.mark.parametrize("name", [name for name in ENCODERS if name not in ("sinusoidal", "learned")])
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(2, 5, K))
MASK = RNG.random((5, K)) < 0.7
PULL = RNG.normal(size=SCORES.shape)
MASK[0], MASK[1], MASK[2] = True, False, np.arange(K) == 3  # all, none, one


@jax.jit
def spent(scores, mask, rule):
    """The weights, and the slopes of a mixture of them; one program for all rules of a kind: their numbers are data."""

    def mixed(scores):
        weights = attention_weights(scores, mask, rule)
        return jnp.sum(weights * PULL), weights

    slopes, weights = jax.grad(mixed, has_aux=True)(scores)
    return weights, slopes


@by_rule
def test_rows_spend_the_budget_on_what_is_not_masked(rule, x64):
    """To the last digit: the budget or what caps allow; no more where it is an upper bound; nothing on nothing."""
    weights = np.asarray(spent(SCORES, MASK, rule)[0])
    limit = np.inf if rule.cap is None else CAP
    room = np.minimum(BUDGET, np.where(MASK.any(1), MASK.sum(1) * limit if rule.cap else np.inf, 0))
    assert (weights >= 0).all()
    assert (weights <= limit).all()
    np.testing.assert_array_equal(weights[:, ~MASK], 0)
    if rule.at_most:
        assert (weights.sum(-1) <= room * (1 + 1e-14)).all()
    else:
        np.testing.assert_allclose(weights.sum(-1), np.broadcast_to(room, (2, 5)), rtol=1e-14)


@by_rule
def test_each_row_is_the_operators_answer_and_keys_may_be_permuted(rule, x64):
    weights, _ = spent(SCORES, MASK, rule)
    terms = {"temperature": rule.temperature, "at_most": rule.at_most}
    alone = allocate(SCORES[1, 0], rule.budget, rule.cap, rule.regularizer, **terms)
    np.testing.assert_allclose(weights[1, 0], alone.weights, rtol=1e-12, atol=1e-14)
    if not isinstance(rule.regularizer, SeparableConvex):  # whose costs differ from key to key
        order = np.array([3, 5, 0, 1, 4, 2])
        moved, _ = spent(SCORES[..., order], MASK[:, order], rule)
        np.testing.assert_allclose(moved, weights[..., order], rtol=1e-12, atol=1e-14)


@by_rule
def test_derivatives_are_finite_and_none_comes_through_a_mask(rule, x64):
    slope = np.asarray(spent(SCORES, MASK, rule)[1])
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[:, ~MASK], 0)
    assert (slope[:, 0] != 0).any()


# --- encoders ----------------------------------------------------------------------------------------------------

LENGTH = 7


class Case:
    """An encoder with parameters none of which is 0, and its programs for one sequence of seven, and for three."""

    def __init__(self, name):
        rng = np.random.default_rng(1)
        self.encoder = ENCODERS[name]
        self.sequence = rng.normal(size=(LENGTH, 3))
        self.times = None if name in ENCODED_RULES else np.cumsum(rng.exponential(size=LENGTH))
        self.valid = np.ones(LENGTH, bool)
        params = jax.jit(self.encoder.init)(jax.random.key(0), self.sequence, self.valid, self.times)
        self.params = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), params)
        self.batched = jax.jit(functools.partial(self.run, self.encoder))
        causal = self.encoder.clone(causal=True) if name != "lstm" else self.encoder

        def with_slopes(sequence, valid, times):
            def both(sequence):
                found = self.run(causal, sequence, valid, times)
                return found.encoding, found

            return jax.jacfwd(both, has_aux=True)(sequence)

        self.with_slopes = jax.jit(with_slopes)

    def run(self, encoder, sequence, valid, times):
        return encoder.apply(self.params, sequence, valid, times)

    def pick(self, places):
        """The events of some places, and their times."""
        return self.sequence[places], None if self.times is None else self.times[places]


@pytest.fixture(scope="module")
def cases():
    with jax.enable_x64(True):
        return functools.cache(Case)


@by_slopes
def test_causal_means_no_leak(name, cases, x64):
    """The derivative of each encoding in later inputs is exactly 0."""
    case = cases(name)
    slopes, _ = case.with_slopes(case.sequence, case.valid, case.times)
    blocks = np.abs(slopes).sum((1, 3))
    later = np.triu(np.ones((LENGTH, LENGTH), bool), 1)
    np.testing.assert_array_equal(blocks[later], 0)
    assert (np.diag(blocks) > 0).all()
    assert (
        blocks[~later].min() > 0 or getattr(ENCODERS[name], "rule", SOFTMAX) != SOFTMAX
    )  # the sparse may not look back


@by_encoder
def test_padding_changes_nothing_wherever_it_stands_and_whatever_it_holds(name, cases, x64):
    """Four events in three places among NaN, and, for some, without padding: a program of its own."""
    case = cases(name)
    kept = np.array([1, 2, 4, 6])
    events, when = case.pick(kept)
    placings = (kept, np.arange(4), np.arange(3, 7))
    sequence, times = np.full((3, LENGTH, 3), np.nan), np.full((3, LENGTH), np.nan)
    for row, places in enumerate(placings):
        sequence[row, places] = events
        times[row, places] = 0 if when is None else when
    valid = np.isfinite(times)
    out = case.batched(sequence, valid, None if when is None else times)
    np.testing.assert_array_equal(out.encoding[~valid], 0)
    found = [out.encoding[row, places] for row, places in enumerate(placings)]
    weights = []
    if out.weights is not None:
        np.testing.assert_array_equal(np.moveaxis(out.weights, -1, 1)[~valid], 0)
        weights = [out.weights[row][..., places, :][..., places] for row, places in enumerate(placings)]
    if name in ("softmax", "relative", "lstm"):
        short = jax.jit(functools.partial(case.run, case.encoder))(events, np.ones(4, bool), when)
        found.append(short.encoding)
        weights += [] if short.weights is None else [short.weights]
    for same in (found, weights):
        for other in same[1:]:
            np.testing.assert_allclose(other, same[0], rtol=1e-12, atol=1e-13)


@by_slopes
def test_nothing_flows_through_padding_not_even_nan(name, cases, x64):
    case = cases(name)
    valid = np.isin(np.arange(LENGTH), [1, 2, 4, 6])
    sequence = np.where(valid[:, None], case.sequence, np.nan)
    slopes, _ = case.with_slopes(sequence, valid, None if case.times is None else np.where(valid, case.times, np.nan))
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[:, :, ~valid], 0)
    np.testing.assert_array_equal(slopes[~valid], 0)


@by_encoder
def test_a_batch_is_its_rows_and_an_empty_sequence_gives_nothing(name, cases, x64):
    case = cases(name)
    batch = np.stack([case.sequence, 2 * case.sequence[::-1], case.sequence])
    flags = np.stack([case.valid, np.arange(LENGTH) < 4, ~case.valid])
    when = None if case.times is None else np.stack([case.times] * 3)
    together = case.batched(batch, flags, when)
    np.testing.assert_array_equal(together.encoding[2], 0)
    if together.weights is not None:
        np.testing.assert_array_equal(together.weights[2], 0)
    if name == "lstm":  # which is causal: the other program has single rows
        one = case.with_slopes(batch[1], flags[1], case.times)[1]
        np.testing.assert_allclose(together.encoding[1], one.encoding, rtol=1e-12, atol=1e-13)
        return
    swapped = case.batched(batch[::-1], flags[::-1], when)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[::-1], rtol=1e-12, atol=1e-13), together, swapped)
    if name in ("softmax", "relative"):
        rows = jax.jit(jax.vmap(functools.partial(case.run, case.encoder), in_axes=(0, 0, None)))
        by_rows = rows(batch, flags, case.times)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13), together, by_rows)


@pytest.mark.parametrize("name", ENCODED_RULES)
def test_without_positions_the_order_does_not_matter(name, cases, x64):
    case = cases(name)
    order = np.array([4, 0, 6, 1, 5, 2, 3])
    flags = np.stack([case.valid] * 3)
    found = case.batched(np.stack([case.sequence, case.sequence[order], case.sequence]), flags, None)
    np.testing.assert_allclose(found.encoding[1], found.encoding[0][order], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.weights[1], found.weights[0][..., order, :][..., order], rtol=1e-11, atol=1e-12)


def test_every_encoder_is_under_contract():
    kinds = {
        name
        for name in dir(encoders)
        if name.endswith("Encoder") and getattr(encoders, name).__module__ == encoders.__name__
    }
    assert kinds == {type(encoder).__name__ for encoder in ENCODERS.values()}
    assert set(POSITIONS) == {getattr(encoder, "positions", "none") for encoder in ENCODERS.values()}
    assert isinstance(attention.SOFTMAX.regularizer, Entropy)
