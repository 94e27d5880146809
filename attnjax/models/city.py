"""Allocators of a city: from what a junction shows to the shares of its phases.

    state -> scores s (p) -> argmax over a on the simplex of <s, a> - T Omega(a) -> guarded shares (p)

Four networks give the scores: the document's MLP, an LSTM and a Transformer over lanes (*City* §3.2 step 1), and
attention from phases to lanes. All but the first have one set of weights for every junction of every map: nothing in
them depends on how many lanes or phases there are, or on which. The last layer is the allocation operator, so that a
share may be exactly 0 and a phase be skipped, and the guard holds by construction.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.allocation import SquaredNorm, allocate
from attnjax.errors import fail
from attnjax.models.attention import AttentionRule, MultiHeadAttention, attention_mask, attention_weights
from attnjax.models.encoders import LSTMEncoder, TransformerBlock, TransformerEncoder
from attnjax.models.junctions import (
    RESCO_GUARD,
    Guard,
    JunctionState,
    checked_state,
    current,
    guarded,
    lane_tokens,
    lane_unserved,
    over_lanes,
    phase_tokens,
)

SPARSE = AttentionRule(SquaredNorm())
"""The default rule: sparsemax, which skips phases."""


class PhaseShares(NamedTuple):
    """What an allocator decides, and why.

    Attributes:
        shares: (..., p), of the budget's seconds: 0 or at least the minimum, summing to 1; 0 for padding.
        wished: (..., p), what the rule gave before the guard.
        scores: (..., p), what the rule was given; -inf for padding.
        price: (...,), the price of green, in units of scores: `wished` is above 0 where the score is above it. It is
            the budget's multiplier plus what the first bit of a share costs the rule; -inf where none is 0 (entropy).
        urgency: (..., p), seconds by which the phase's most overdue lane would pass the cap: why the guard kept it.
        weights: (..., heads, p, l), attention of phases to lanes, or None.
    """

    shares: Float[Array, "*j p"]
    wished: Float[Array, "*j p"]
    scores: Float[Array, "*j p"]
    price: Float[Array, "*j"]
    urgency: Float[Array, "*j p"]
    weights: Float[Array, "*j heads p l"] | None


class Scored(NamedTuple):
    """What a scorer returns.

    Attributes:
        scores: (..., p), any real numbers.
        weights: (..., heads, p, l), attention of phases to lanes, or None.
    """

    scores: Float[Array, "*j p"]
    weights: Float[Array, "*j heads p l"] | None = None


class ShareMLP(nn.Module):
    """The document's network: a linear layer, a rectifier, a linear layer; and, where asked, shares.

    Source: *City* §5.2, whose outputs are no shares (ERRATA, City-3).

    Attributes:
        hidden: the width.
        outputs: how many uses.
        rule: None for the outputs as they are, or how they become shares.

    >>> import jax
    >>> net = ShareMLP(hidden=8, outputs=3, rule=AttentionRule(SquaredNorm()))
    >>> x = jnp.ones((2, 4))
    >>> net.apply(net.init(jax.random.key(0), x), x).sum(-1).tolist()
    [1.0, 1.0]
    """

    hidden: int
    outputs: int
    rule: AttentionRule | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch d"], mask: Bool[Array, "*batch n"] | None = None
    ) -> Float[Array, "*batch n"]:
        """Outputs or shares (..., outputs) of inputs (..., d); a masked use gets 0, where there are shares."""
        scores = nn.Dense(self.outputs, name="fc2")(nn.relu(nn.Dense(self.hidden, name="fc1")(x)))
        if self.rule is None:
            return scores
        mask = None if mask is None else mask[..., None, :]
        return attention_weights(scores[..., None, :], mask, self.rule)[..., 0, :]


class CountAgePrior(nn.Module):
    """A score of six numbers per phase that needs no training; what networks learn is added to it.

        sum over its lanes of (a near + b halting - c downstream + d unserved where there are vehicles)
            + e if it is green now - f its age in seconds

    With b alone it is longest queue first, with b = c pressure; with d a phase's score grows until it is served.

    Attributes:
        start: a, b, c, d, e and f before training.
    """

    start: tuple[float, ...] = (0.5, 1.0, 0.25, 0.02, 1.0, 0.0)

    @nn.compact
    def __call__(self, state: JunctionState) -> Float[Array, "*j p"]:
        """The scores (..., p) of a state as `checked_state` returns it."""
        a, b, c, d, e, f = self.param("weights", lambda _: jnp.asarray(self.start, jnp.float32))
        waiting = jnp.where(state.near + state.halting > 0, lane_unserved(state), 0)
        served = over_lanes(state, a * state.near + b * state.halting - c * state.downstream + d * waiting)
        return served + current(state) * (e - f * state.age)[..., None]


class FlatScores(nn.Module):
    """All lanes and phases side by side, in their order, into the document's MLP: made for one size of junction.

    Attributes:
        features: the hidden width.
    """

    features: int = 32

    @nn.compact
    def __call__(self, state: JunctionState, *, deterministic: bool = True) -> Scored:
        """Scores of a state with as many lanes and phases as the one the parameters were made with."""
        batch = state.phase.shape
        parts = (lane_tokens(state), phase_tokens(state), state.green.astype(jnp.float32))
        flat = jnp.concatenate([x.reshape(*batch, -1) for x in parts], axis=-1)
        return Scored(ShareMLP(self.features, state.phase_mask.shape[-1], name="mlp")(flat))


class LaneScores(nn.Module):
    """Lanes are encoded as a sequence; a phase's score comes from the mean of its lanes and its own numbers.

    Attributes:
        encoder: (tokens, valid) -> encoding, such as `LSTMEncoder` (the order of lanes matters) or
            `TransformerEncoder` without positions (it does not).
        features: the hidden width.
        prior: whether scores are added to `CountAgePrior`.
    """

    encoder: nn.Module
    features: int = 32
    prior: bool = True

    @nn.compact
    def __call__(self, state: JunctionState, *, deterministic: bool = True) -> Scored:
        """Scores of any state."""
        encoded = self.encoder(lane_tokens(state), state.lane_mask, deterministic=deterministic).encoding
        joined = jnp.concatenate([_mean_of_lanes(state, encoded), phase_tokens(state)], axis=-1)
        return Scored(_with_prior(self, state, nn.gelu(nn.Dense(self.features, name="hidden")(joined))))


class PhaseQueryScores(nn.Module):
    """Phases ask lanes, then each other.

    Each phase is a query, made of its numbers and the mean of its lanes; it attends to all lanes of the junction, with
    a learned bias per head for lanes that it serves and for lanes that it keeps waiting. A Transformer block then lets
    phases compare. Permuting lanes changes nothing, permuting phases permutes the scores.

    Attributes:
        features: the width.
        num_heads: of both attentions.
        rule: by which phases attend to lanes.
        dropout: the rate, on what the block adds.
        prior: whether scores are added to `CountAgePrior`.
    """

    features: int = 32
    num_heads: int = 2
    rule: AttentionRule = AttentionRule()
    dropout: float = 0.0
    prior: bool = True

    @nn.compact
    def __call__(self, state: JunctionState, *, deterministic: bool = True) -> Scored:
        """Scores of any state, and the attention (..., heads, p, l) of phases to lanes."""
        lanes = nn.gelu(nn.Dense(self.features, name="lanes")(lane_tokens(state)))
        asked = jnp.concatenate([_mean_of_lanes(state, lanes), phase_tokens(state)], axis=-1)
        query = nn.gelu(nn.Dense(self.features, name="phases")(asked))
        relation = self.param("relation", nn.initializers.zeros_init(), (2, self.num_heads))
        bias = jnp.moveaxis(relation[state.green.astype(jnp.int32)], -1, -3)
        attention = MultiHeadAttention(self.num_heads, rule=self.rule, name="attention")
        read, weights = attention(query, lanes, mask=state.lane_mask[..., None, None, :], bias=bias)
        block = TransformerBlock(self.num_heads, expansion=2, dropout=self.dropout, name="compare")
        compared, _ = block(query + read, attention_mask(state.phase_mask), deterministic=deterministic)
        return Scored(_with_prior(self, state, nn.LayerNorm(name="norm")(compared)), weights)


def _mean_of_lanes(state: JunctionState, encoded: Float[Array, "*j l d"]) -> Float[Array, "*j p d"]:
    """The mean encoding of each phase's lanes, 0 for a phase without."""
    green = state.green.astype(encoded.dtype)
    count = jnp.maximum(jnp.sum(green, axis=-1, keepdims=True), 1)
    return jnp.einsum("...pl,...ld->...pd", green, encoded) / count


def _with_prior(scorer: Any, state: JunctionState, hidden: Float[Array, "*j p d"]) -> Float[Array, "*j p"]:
    """A last layer that starts at 0 where there is a prior; without a bias, which all phases would share in vain."""
    start = nn.initializers.zeros_init() if scorer.prior else nn.initializers.lecun_normal()
    change = nn.Dense(1, use_bias=False, kernel_init=start, name="score", parent=scorer)(hidden)[..., 0]
    return change + CountAgePrior(name="prior", parent=scorer)(state) if scorer.prior else change


class Allocator(nn.Module):
    """A scorer, an allocation rule and a guard: what every allocator of a junction is.

    Attributes:
        scorer: state -> `Scored`.
        rule: how scores become shares; its temperature is multiplied by a learned number that starts at 1.
        guard: minimum green and cap, respected whatever the scores.

    >>> import jax
    >>> state = JunctionState(*jnp.ones((3, 4)), jnp.eye(2, 4, dtype=bool), jnp.int32(0), jnp.float32(5),
    ...                       jnp.array([0.0, 30.0]), jnp.ones(4, bool), jnp.ones(2, bool))
    >>> allocator = Allocator(PhaseQueryScores(features=8))
    >>> found = allocator.apply(allocator.init(jax.random.key(0), state), state)
    >>> found.shares.tolist(), found.weights.shape
    ([1.0, 0.0], (2, 2, 4))
    """

    scorer: nn.Module
    rule: AttentionRule = SPARSE
    guard: Guard = RESCO_GUARD

    @nn.compact
    def __call__(self, state: JunctionState, *, deterministic: bool = True) -> PhaseShares:
        """Shares of the phases of junctions (...).

        Args:
            state: with any leading axes.
            deterministic: False for dropout, with a key `dropout` in `rngs`.

        Raises:
            UserError: for arrays that don't belong together, or a guard that can't be respected.
        """
        state = checked_state(state)
        scores, weights = self.scorer(state, deterministic=deterministic)
        scores = jnp.where(state.phase_mask, scores, -jnp.inf)
        temperature = self.rule.temperature * jnp.exp(self.param("log_temperature", nn.initializers.zeros_init(), ()))

        def spend(row: Float[Array, " p"]) -> tuple[Array, Array]:
            found = allocate(row, 1.0, self.rule.cap, self.rule.regularizer, temperature=temperature)
            return found.weights, found.threshold + temperature * self.rule.regularizer.derivative(jnp.zeros(()))

        wished, price = jnp.vectorize(spend, signature="(p)->(p),()")(scores)
        shares, urgency = guarded(wished, state, self.guard, scores)
        return PhaseShares(shares, wished, scores, price, urgency, weights)


ALLOCATORS: dict[str, Callable[[int], nn.Module]] = {
    "mlp": lambda features: FlatScores(features),
    "lstm": lambda features: LaneScores(LSTMEncoder(features), features),
    "transformer": lambda features: LaneScores(TransformerEncoder(features, num_heads=2, positions="none"), features),
    "phase_query": lambda features: PhaseQueryScores(features),
}
"""Scorers by name, for a width."""


def make_allocator(
    name: str, features: int = 32, *, rule: AttentionRule = SPARSE, guard: Guard = RESCO_GUARD
) -> Allocator:
    """An allocator by name.

    Args:
        name: one of `ALLOCATORS`.
        features: the width.
        rule: how scores become shares.
        guard: minimum green and cap.

    Raises:
        UserError: there is no such allocator.

    >>> make_allocator("oracle")
    Traceback (most recent call last):
    ...
    attnjax.errors.UserError: make_allocator: expected one of mlp, lstm, transformer, phase_query, got 'oracle'. ...
    """
    if name not in ALLOCATORS:
        fail("make_allocator", expected=f"one of {', '.join(ALLOCATORS)}", got=repr(name), advice="Pick one.")
    return Allocator(ALLOCATORS[name](features), rule, guard)
