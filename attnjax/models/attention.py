"""Attention whose weights come from any allocation operator.

    A[t, :] = argmax over a in C of  <Q[t] K' / sqrt(d), a> - T Omega(a),     output[t] = A[t, :] V

Each query spends a budget of attention on the keys: with negative entropy and a budget of 1 this is the Transformer's
softmax (Vaswani et al. 2017, Attention is all you need), with the squared norm sparsemax, with Tsallis entropies
entmax, with caps no key may take it all, and where the budget is an upper bound a query may leave attention unspent.
It is the operator of *Metaverse* §3.1, once per query and head.

A masked key gets exactly 0. A query with nothing to attend to spends nothing and reads out 0, before the output's bias.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.allocation import Entropy, Regularizer, allocate
from attnjax.errors import fail
from attnjax.pytrees import register

Scores = Float[Array, "*batch q k"]
Mask = Bool[Array, "*batch q k"]


@dataclasses.dataclass(frozen=True)
class AttentionRule:
    """How a query spends its attention: the arguments of `attnjax.allocation.allocate`, as data.

    A pytree: budget, cap, temperature and the regulariser's parameters may be traced and learned.

    Attributes:
        regularizer: the cost of spreading; `Entropy()` is softmax.
        budget: scalar >= 0, what each query spends.
        cap: None, a scalar or (k,): the most that a key may get from one query. Where what is not masked has less
            room than the budget, a query spends what the caps allow.
        temperature: scalar > 0, in units of the scores.
        at_most: whether the budget is an upper bound. A key then gets attention only where its score exceeds what
            that costs, so scores matter by their level, not only by their differences.

    >>> AttentionRule() == AttentionRule(Entropy(), budget=1.0)
    True
    """

    regularizer: Regularizer = dataclasses.field(default_factory=Entropy)
    budget: Any = 1.0
    cap: Any = None
    temperature: Any = 1.0
    at_most: bool = False


register(AttentionRule, static=("at_most",))

SOFTMAX = AttentionRule()
"""The Transformer's rule."""


class Attended(NamedTuple):
    """What attention returns.

    Attributes:
        output: (..., q, d), the read-out of each query.
        weights: (..., heads, q, k), the attention spent, in units of the budget.
    """

    output: Float[Array, "*batch q d"]
    weights: Float[Array, "*batch heads q k"]


def attention_weights(scores: Scores, mask: Mask | None = None, rule: AttentionRule = SOFTMAX) -> Scores:
    """The attention of each query over the keys.

    Derivatives are those of `allocate`: exact, to any order; a masked score has none. Entropy on a budget that must be
    met, without caps, is a plain softmax; every other rule is the operator, vmapped over all queries, and costs one
    temporary of the scores' size per step of its bisection, reused.

    Args:
        scores: (..., q, k), float32 or float64 (others become float32); -inf excludes a key.
        mask: broadcasts to the scores; False excludes a key.
        rule: how a query spends.

    Returns:
        (..., q, k), non-negative, 0 where masked, with the sum of each row as the rule says; all 0 for a query that
        may attend to nothing.

    Raises:
        UserError: if the mask does not broadcast to the scores, or a cap is of another length than the keys.

    >>> from attnjax.allocation import SquaredNorm
    >>> attention_weights(jnp.array([[1.0, 0.5, 3.0]]), jnp.array([True, True, False]), AttentionRule(SquaredNorm()))
    Array([[0.75, 0.25, 0.  ]], dtype=float32)
    """
    scores = jnp.asarray(scores)
    scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    if mask is not None:
        scores = jnp.where(_broadcast("attention_weights", mask, scores.shape), scores, -jnp.inf)
    if isinstance(rule.regularizer, Entropy) and rule.cap is None and not rule.at_most:
        return _softmax(scores, mask is not None, rule)

    def spend(row: Float[Array, " k"]) -> Float[Array, " k"]:
        return allocate(
            row, rule.budget, rule.cap, rule.regularizer, temperature=rule.temperature, at_most=rule.at_most
        ).weights

    return jax.vmap(spend)(scores.reshape(-1, scores.shape[-1])).reshape(scores.shape)


def _softmax(scores: Scores, masked: bool, rule: AttentionRule) -> Scores:
    """Budget times softmax; numbers that are 1 cost nothing, so that the Transformer's case compiles to no more."""
    if not (isinstance(rule.temperature, int | float) and rule.temperature == 1):
        scores = scores / jnp.asarray(rule.temperature, scores.dtype)
    weights = _safe_softmax(scores) if masked else jax.nn.softmax(scores)
    if not (isinstance(rule.budget, int | float) and rule.budget == 1):
        weights = weights * jnp.asarray(rule.budget, scores.dtype)
    return weights


@jax.custom_jvp
def _safe_softmax(scores: Scores) -> Scores:
    """Softmax over the last axis; a row of -inf gives 0, at no cost of the scores' size."""
    highest = jnp.max(scores, axis=-1, keepdims=True)
    grown = jnp.exp(scores - jnp.where(highest == -jnp.inf, 0, highest))
    total = jnp.sum(grown, axis=-1, keepdims=True)
    return grown / jnp.where(total == 0, 1, total)


@_safe_softmax.defjvp
def _safe_softmax_jvp(primals: tuple, tangents: tuple) -> tuple[Scores, Scores]:
    weights = _safe_softmax(*primals)
    (change,) = tangents
    return weights, weights * (change - jnp.sum(weights * change, axis=-1, keepdims=True))


def attend(
    query: Float[Array, "*batch q d"],
    key: Float[Array, "*batch k d"],
    value: Float[Array, "*batch k v"],
    mask: Mask | None = None,
    bias: Scores | None = None,
    rule: AttentionRule = SOFTMAX,
) -> tuple[Float[Array, "*batch q v"], Scores]:
    """Single-head attention without parameters: A V with A from the rule at scores Q K' / sqrt(d) + bias.

    Scores and weights are float32 (float64 for float64 inputs) also where the inputs are of lower precision.

    Args:
        query: (..., q, d).
        key: (..., k, d).
        value: (..., k, v).
        mask: broadcasts to (..., q, k); False excludes a key.
        bias: broadcasts to (..., q, k), added to the scores.
        rule: how a query spends.

    Returns:
        The read-out (..., q, v) in the inputs' dtype, and the weights (..., q, k).

    Raises:
        UserError: if the shapes of query, key and value don't belong together, and as `attention_weights` does.

    >>> value = jnp.array([[1.0], [3.0]])
    >>> attend(jnp.zeros((1, 2)), jnp.zeros((2, 2)), value)[0].tolist()
    [[2.0]]
    """
    if query.shape[-1] != key.shape[-1] or key.shape[:-1] != value.shape[:-1] or query.shape[:-2] != key.shape[:-2]:
        fail(
            "attend",
            expected="query (..., q, d), key (..., k, d) and value (..., k, v) with equal leading axes",
            got=f"shapes {query.shape}, {key.shape} and {value.shape}",
            advice="Project queries and keys to one width, and give one value per key.",
        )
    query, key, value = (x[..., None, :] for x in (query, key, value))
    mask, bias = (x if x is None or jnp.ndim(x) < 2 else x[..., None, :, :] for x in (mask, bias))
    output, weights = _attend(query, key, value, mask, bias, rule)
    return output[..., 0, :], weights[..., 0, :, :]


def _attend(
    query: Array, key: Array, value: Array, mask: Array | None, bias: Array | None, rule: AttentionRule
) -> tuple[Array, Array]:
    """Attention of heads side by side, (..., length, heads, features); scores and weights (..., heads, q, k)."""
    exact = jnp.promote_types(query.dtype, jnp.float32)
    query = query / jnp.sqrt(query.shape[-1]).astype(query.dtype)
    scores = jnp.einsum("...qhd,...khd->...hqk", query, key, preferred_element_type=exact)
    if bias is not None:
        scores = scores + _broadcast("attention bias", bias, scores.shape).astype(exact)
    weights = attention_weights(scores, mask, rule)
    return jnp.einsum("...hqk,...khd->...qhd", weights.astype(value.dtype), value), weights


class MultiHeadAttention(nn.Module):
    """Multi-head attention whose weights come from an allocation rule.

    Parameters are laid out as those of `flax.linen.MultiHeadDotProductAttention` (query, key, value, out, each a
    kernel and a bias), so either's can be used by the other; with the rule `SOFTMAX` the outputs are equal too, but
    for queries that may attend to nothing, which Flax lets attend to everything.

    Attributes:
        num_heads: how many heads; 1 is single-head attention with its projections.
        qkv_features: the width of queries, keys and values, all heads together; default that of the queries' input.
        out_features: the width of the output; default that of the queries' input.
        rule: how each query of each head spends its attention.
        dtype: of the computation, default that of inputs and parameters; scores and weights are at least float32.
        param_dtype: of the parameters.

    >>> layer = MultiHeadAttention(num_heads=2)
    >>> x = jnp.ones((3, 4))
    >>> output, weights = layer.apply(layer.init(jax.random.key(0), x), x)
    >>> output.shape, weights.shape
    ((3, 4), (2, 3, 3))
    """

    num_heads: int
    qkv_features: int | None = None
    out_features: int | None = None
    rule: AttentionRule = SOFTMAX
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs_q: Float[Array, "*batch q d"],
        inputs_kv: Float[Array, "*batch k d"] | None = None,
        *,
        mask: Bool[Array, "*batch heads q k"] | None = None,
        bias: Float[Array, "*batch heads q k"] | None = None,
    ) -> Attended:
        """Attends from every query to every key that the mask admits.

        Args:
            inputs_q: (..., q, d), what asks.
            inputs_kv: (..., k, d), what is attended to; default `inputs_q`, self-attention.
            mask: broadcasts to (..., heads, q, k); False excludes a key. See `attention_mask`.
            bias: broadcasts to (..., heads, q, k), added to the scores.

        Returns:
            An `Attended`: read-outs (..., q, out_features) and weights (..., heads, q, k).

        Raises:
            UserError: if the heads don't divide the width, or mask or bias don't broadcast to the weights' shape.
        """
        inputs_kv = inputs_q if inputs_kv is None else inputs_kv
        width = self.qkv_features or inputs_q.shape[-1]
        if self.num_heads < 1 or width % self.num_heads:
            fail(
                "MultiHeadAttention",
                expected=f"a number of heads that divides the width {width}",
                got=str(self.num_heads),
                advice="Change num_heads or qkv_features.",
            )
        shape = (self.num_heads, width // self.num_heads)
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        query = nn.DenseGeneral(shape, name="query", **types)(inputs_q)
        key = nn.DenseGeneral(shape, name="key", **types)(inputs_kv)
        value = nn.DenseGeneral(shape, name="value", **types)(inputs_kv)
        read, weights = _attend(query, key, value, mask, bias, self.rule)
        features = self.out_features or inputs_q.shape[-1]
        return Attended(nn.DenseGeneral(features, axis=(-2, -1), name="out", **types)(read), weights)


def attention_mask(valid: Bool[Array, "*batch t"], *, causal: bool = False) -> Bool[Array, "*batch 1 q k"]:
    """Who may attend to whom in a sequence with padding: (..., 1, t, t), to broadcast over heads.

    Args:
        valid: (..., t), False for padding, which nobody attends to.
        causal: whether a position sees only itself and those before it.

    >>> attention_mask(jnp.array([True, True, False]), causal=True)[0].astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 0]]
    """
    length = valid.shape[-1]
    mask = jnp.broadcast_to(valid[..., None, None, :], (*valid.shape[:-1], 1, length, length))
    return mask & jnp.tri(length, dtype=bool).reshape((1,) * (mask.ndim - 2) + (length, length)) if causal else mask


def _broadcast(what: str, array: Array, shape: tuple[int, ...]) -> Array:
    """The array with its missing leading axes, each 1: aligned for broadcasting against `shape`."""
    array = jnp.asarray(array)
    size = array.shape
    if len(size) > len(shape) or any(a not in (1, b) for a, b in zip(reversed(size), reversed(shape), strict=False)):
        fail(
            what,
            expected=f"mask and bias that broadcast to the scores' shape {shape}",
            got=f"shape {size}",
            advice="Its last two axes are queries and keys, before them heads; attention_mask makes one for padding.",
        )
    return array.reshape((1,) * (len(shape) - len(size)) + size)
