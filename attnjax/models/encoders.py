"""Encoders of a sequence of events: a Transformer and an LSTM behind one interface.

    (sequence (..., t, d), valid (..., t), times (..., t) or None) -> (encoding (..., t, features), weights or None)

`valid` is False for padding, which may stand anywhere and hold anything: it changes no other encoding, and its own
is 0.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail
from attnjax.models.attention import SOFTMAX, Attended, AttentionRule, MultiHeadAttention, attention_mask
from attnjax.models.time_encodings import (
    LearnedPositions,
    RelativeBias,
    TimeGapBias,
    Times,
    gaps_before,
    ranks,
    sinusoidal,
)

POSITIONS = ("none", "sinusoidal", "learned", "relative")


class Encoded(NamedTuple):
    """What an encoder returns.

    Attributes:
        encoding: (..., t, features), 0 for padding; (..., 1, features) from an encoder of the last event only.
        weights: (..., layers, heads, t, t), each layer's attention, or None where there is none; of the last event
            only, (..., layers, heads, 1, t).
    """

    encoding: Float[Array, "*batch t d"]
    weights: Float[Array, "*batch layers heads t t"] | None


class TransformerBlock(nn.Module):
    """A pre-norm Transformer block: x + attention(norm(x)), then x + mlp(norm(x)) (Xiong et al. 2020).

    Dropout acts on what the two branches add, never on attention itself, which stays what the rule says.

    Attributes:
        num_heads: heads of attention.
        expansion: the hidden width of the mlp over that of the sequence.
        rule: how each query spends its attention.
        dropout: the rate.
        dtype: of the computation; parameters are float32.
    """

    num_heads: int
    expansion: int = 4
    rule: AttentionRule = SOFTMAX
    dropout: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        sequence: Float[Array, "*batch t d"],
        mask: Bool[Array, "*batch heads t t"] | None = None,
        bias: Float[Array, "*batch heads t t"] | None = None,
        *,
        place: Int[Array, "*batch"] | None = None,
        deterministic: bool = True,
    ) -> Attended:
        """The sequence (..., t, d) after the block, and the attention (..., heads, t, t) spent in it.

        Args:
            sequence: (..., t, d).
            mask: broadcasts to (..., heads, t, t).
            bias: broadcasts to (..., heads, t, t).
            place: (...,), to go on with this place of the sequence alone: all others are attended to, and no more.
                What is returned, and mask and bias, then have one row in place of t.
            deterministic: False for dropout, with a key `dropout` in `rngs`.
        """
        width = sequence.shape[-1]
        drop = nn.Dropout(self.dropout, deterministic=deterministic)
        normed = nn.LayerNorm(dtype=self.dtype, name="attention_norm")(sequence)
        asking = normed
        if place is not None:
            asking, sequence = (jnp.take_along_axis(x, place[..., None, None], axis=-2) for x in (normed, sequence))
        attention = MultiHeadAttention(self.num_heads, rule=self.rule, dtype=self.dtype, name="attention")
        added, weights = attention(asking, normed, mask=mask, bias=bias)
        sequence = sequence + drop(added)
        normed = nn.LayerNorm(dtype=self.dtype, name="mlp_norm")(sequence)
        hidden = nn.gelu(nn.Dense(self.expansion * width, dtype=self.dtype, name="mlp_in")(normed))
        return Attended(sequence + drop(nn.Dense(width, dtype=self.dtype, name="mlp_out")(hidden)), weights)


class TransformerEncoder(nn.Module):
    """Blocks over a sequence with its order and its times.

    Attributes:
        features: the width of the encoding.
        num_layers: how many blocks.
        num_heads: heads of each.
        expansion: of their mlps.
        rule: how each query spends its attention.
        causal: whether a position sees only itself and those before it.
        positions: "none", "sinusoidal" or "learned" (added to the sequence), or "relative" (a bias of the scores).
        max_length: distances or positions from here on share one parameter.
        time_unit: where times are given: the gap below which they count as none, in their unit.
        dropout: the rate.
        dtype: of the computation; parameters are float32.
        only_last: whether only the last event that is no padding is encoded: the same numbers for it, from the same
            parameters, in a fraction of the time.

    >>> encoder = TransformerEncoder(features=8, num_heads=2)
    >>> x, valid = jnp.ones((5, 3)), jnp.array([True, True, True, False, False])
    >>> found = encoder.apply(encoder.init(jax.random.key(0), x, valid), x, valid)
    >>> found.encoding.shape, found.weights.shape
    ((5, 8), (1, 2, 5, 5))
    """

    features: int
    num_layers: int = 1
    num_heads: int = 1
    expansion: int = 4
    rule: AttentionRule = SOFTMAX
    causal: bool = False
    positions: Literal["none", "sinusoidal", "learned", "relative"] = "relative"
    max_length: int = 128
    time_unit: float = 1.0
    dropout: float = 0.0
    dtype: Any = None
    only_last: bool = False

    @nn.compact
    def __call__(
        self,
        sequence: Float[Array, "*batch t d"],
        valid: Bool[Array, "*batch t"],
        times: Times | None = None,
        *,
        deterministic: bool = True,
    ) -> Encoded:
        """Encodes a sequence.

        Args:
            sequence: (..., t, d).
            valid: (..., t), False for padding.
            times: (..., t), when; numbers in any unit, integers where they are large. None for no times: the
                parameters of the time gaps are there only if `init` saw times.
            deterministic: False for dropout, with a key `dropout` in `rngs`.

        Returns:
            An `Encoded`, with the attention of every layer.

        Raises:
            UserError: for shapes that don't belong together, or an unknown kind of positions.
        """
        _check("TransformerEncoder", sequence, valid, times)
        if self.positions not in POSITIONS:
            fail(
                "TransformerEncoder",
                expected=f"positions to be one of {', '.join(POSITIONS)}",
                got=repr(self.positions),
                advice="Leave it out for relative ones.",
            )
        x = nn.Dense(self.features, dtype=self.dtype, name="inputs")(_silenced(sequence, valid))
        rank = ranks(valid)
        if self.positions == "sinusoidal":
            x = x + sinusoidal(rank, self.features).astype(x.dtype)
        elif self.positions == "learned":
            x = x + LearnedPositions(self.max_length, self.features, name="positions")(rank).astype(x.dtype)
        biases: list[Callable[[Array | None], Array]] = []
        if self.positions == "relative":
            biases.append(functools.partial(RelativeBias(self.num_heads, self.max_length, name="positions"), rank))
        if times is not None:
            gaps = TimeGapBias(self.num_heads, self.time_unit, name="time_gaps")
            biases.append(functools.partial(gaps, times, valid))

        def bias_of(place: Array | None) -> Array | None:
            return functools.reduce(jnp.add, [bias(place) for bias in biases]) if biases else None

        mask = attention_mask(valid, causal=self.causal)
        last = jnp.maximum(valid.shape[-1] - 1 - jnp.argmax(valid[..., ::-1], axis=-1), 0) if self.only_last else None
        whole = bias_of(None) if self.num_layers > 1 or not self.only_last else None
        x = nn.Dropout(self.dropout, deterministic=deterministic)(x)
        spent: list[Array] = []
        for layer in range(self.num_layers):
            block = TransformerBlock(
                self.num_heads, self.expansion, self.rule, self.dropout, self.dtype, name=f"block_{layer}"
            )
            if last is not None and layer == self.num_layers - 1:
                row = last[..., None, None, None]
                one = jnp.take_along_axis(mask, row, axis=-2)
                x, weights = block(x, one, bias_of(last), place=last, deterministic=deterministic)
                spent = [jnp.take_along_axis(before, row, axis=-2) for before in spent]
                valid = jnp.any(valid, axis=-1, keepdims=True)
            else:
                x, weights = block(x, mask, whole, deterministic=deterministic)
            spent.append(weights)
        x = nn.LayerNorm(dtype=self.dtype, name="norm")(x)
        return Encoded(_silenced(x, valid), jnp.stack(spent, axis=-4) if spent else None)


class LSTMEncoder(nn.Module):
    """A stack of LSTMs (Hochreiter and Schmidhuber 1997) that reads forward: causal by nature, without attention.

    Padding leaves the state as it is. Where times are given each event comes with the log gap to the one before it.

    Attributes:
        features: the width of state and encoding.
        num_layers: how many LSTMs.
        time_unit: as in `TransformerEncoder`.
        dropout: the rate, between layers.
        dtype: of the products; parameters are float32, and the state is at least that.

    >>> encoder = LSTMEncoder(features=4)
    >>> x, valid = jnp.ones((5, 3)), jnp.ones(5, bool)
    >>> found = encoder.apply(encoder.init(jax.random.key(0), x, valid), x, valid)
    >>> found.encoding.shape, found.weights
    ((5, 4), None)
    """

    features: int
    num_layers: int = 1
    time_unit: float = 1.0
    dropout: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        sequence: Float[Array, "*batch t d"],
        valid: Bool[Array, "*batch t"],
        times: Times | None = None,
        *,
        deterministic: bool = True,
    ) -> Encoded:
        """Encodes a sequence; arguments, returns and refusals as those of `TransformerEncoder`."""
        _check("LSTMEncoder", sequence, valid, times)
        x = _silenced(sequence, valid)
        if times is not None:
            gaps = gaps_before(times, valid, self.time_unit)[..., None]
            x = jnp.concatenate([x, gaps.astype(x.dtype)], axis=-1)
        for layer in range(self.num_layers):
            x = nn.Dropout(self.dropout, deterministic=deterministic)(x)
            cell = nn.OptimizedLSTMCell(self.features, dtype=self.dtype, name=f"lstm_{layer}")
            still = jnp.zeros((*x.shape[:-2], self.features), jnp.promote_types(x.dtype, jnp.float32))
            scan = nn.scan(_held_step, variable_broadcast="params", split_rngs={"params": False})
            _, outputs = scan(cell, (still, still), (jnp.moveaxis(x, -2, 0), jnp.moveaxis(valid, -1, 0)))
            x = jnp.moveaxis(outputs, 0, -2)
        return Encoded(_silenced(x, valid), None)


def _held_step(cell: nn.OptimizedLSTMCell, state: Any, event: tuple[Array, Array]) -> tuple[Any, Array]:
    """One step of an LSTM that keeps its state where the event is padding."""
    value, valid = event
    moved, _ = cell(state, value)
    state = jax.tree.map(lambda new, old: jnp.where(valid[..., None], new.astype(old.dtype), old), moved, state)
    return state, state[1]


def _silenced(sequence: Array, valid: Array) -> Array:
    """The sequence with 0 in place of padding, whatever was there."""
    return jnp.where(valid[..., None], sequence, 0)


def _check(where: str, sequence: Array, valid: Array, times: Any) -> None:
    wrong = [x.shape for x in (valid, times) if x is not None and x.shape != sequence.shape[:-1]]
    if sequence.ndim < 2 or wrong:
        fail(
            where,
            expected="a sequence (..., t, d) with valid, and times if any, of shape (..., t)",
            got=f"shapes {sequence.shape} and {wrong[0] if wrong else valid.shape}",
            advice="Give one flag and one time per event; pad with valid=False.",
        )
    if valid.dtype != bool:
        fail(where, expected="valid as booleans", got=str(valid.dtype), advice="Pass e.g. items >= 0.")
