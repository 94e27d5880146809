"""When things happened: encodings of order and of elapsed time for attention over a sequence.

Order is counted among what is not padding, so padding, on either side, changes nothing. Elapsed time enters by its
logarithm, log(1 + gap / unit): a minute and an hour are as far apart as a day and two months.

    absolute    an encoding of each position, added to the sequence: sinusoidal (Vaswani et al. 2017) or learned
    relative    a bias b_h(q - k) of each head's scores, learned per distance (Shaw et al. 2018)
    time gaps   a bias g_h(log(1 + |t_q - t_k| / unit)) of each head's scores, piecewise linear and learned
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail

Valid = Bool[Array, "*batch t"]
Times = Float[Array, "*batch t"] | Int[Array, "*batch t"]


def ranks(valid: Valid) -> Int[Array, "*batch t"]:
    """The place of each position among those that are not padding, from 0; padding has that of the one before it.

    >>> ranks(jnp.array([False, True, False, True])).tolist()
    [0, 0, 0, 1]
    """
    return jnp.maximum(jnp.cumsum(valid, axis=-1) - 1, 0)


def sinusoidal(position: Float[Array, "*batch"] | Int[Array, "*batch"], features: int) -> Float[Array, "*batch d"]:
    """Sines and cosines of a position, at wavelengths from 2 pi to 20,000 pi.

    Args:
        position: any shape and any real numbers, e.g. `ranks`.
        features: d, even.

    Returns:
        (..., d), float32: the sines, then the cosines; <encoding(s), encoding(t)> depends on s - t only.

    Raises:
        UserError: for an odd number of features.

    >>> sinusoidal(jnp.arange(3), 4).shape
    (3, 4)
    """
    if features < 2 or features % 2:
        fail("sinusoidal", expected="an even number of features", got=str(features), advice="Round it up.")
    rate = jnp.exp(jnp.linspace(0, -jnp.log(1e4), features // 2)).reshape((1,) * jnp.ndim(position) + (-1,))
    angle = jnp.asarray(position, rate.dtype)[..., None] * rate
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def log_gaps(later: Times, earlier: Times, unit: float) -> Float[Array, "*batch"]:
    """log(1 + |later - earlier| / unit).

    The difference is taken in the times' own dtype: give seconds since 1970 as integers, for as float32 they are a
    minute apart.

    >>> float(log_gaps(jnp.array(878_542_961), jnp.array(878_542_960), 1.0))
    0.6931...
    """
    return jnp.log1p(jnp.abs(later - earlier).astype(jnp.result_type(float)) / unit)


def gaps_before(times: Times, valid: Valid, unit: float) -> Float[Array, "*batch t"]:
    """The log gap of each position to the last one before it that is not padding; 0 for the first and for padding."""
    places = jnp.where(valid, jnp.arange(valid.shape[-1]).reshape((1,) * (valid.ndim - 1) + (-1,)), -1)
    latest = jnp.maximum.accumulate(places, axis=-1)
    before = jnp.concatenate([jnp.full_like(latest[..., :1], -1), latest[..., :-1]], axis=-1)
    known = valid & (before >= 0)
    gap = log_gaps(times, jnp.take_along_axis(times, jnp.maximum(before, 0), axis=-1), unit)
    return jnp.where(known, gap, 0)


class LearnedPositions(nn.Module):
    """A learned encoding per position; those from `max_length` on share the last.

    Attributes:
        max_length: how many positions have their own.
        features: the width.
    """

    max_length: int
    features: int

    @nn.compact
    def __call__(self, position: Int[Array, "*batch"]) -> Float[Array, "*batch d"]:
        """The encodings (..., features) of positions >= 0 of any shape."""
        table = self.param("table", nn.initializers.normal(0.02), (self.max_length, self.features))
        return table[jnp.minimum(position, self.max_length - 1)]


class RelativeBias(nn.Module):
    """A learned bias per head and signed distance; distances from `max_distance` on share one, on either side.

    Attributes:
        num_heads: how many heads.
        max_distance: the largest distance with a bias of its own.
    """

    num_heads: int
    max_distance: int

    @nn.compact
    def __call__(
        self, position: Int[Array, "*batch t"], place: Int[Array, "*batch"] | None = None
    ) -> Float[Array, "*batch heads q k"]:
        """The bias (..., heads, t, t) of scores between positions (..., t); 0 at initialisation.

        With a place (...,) only the row of that query, (..., heads, 1, t).
        """
        far = self.max_distance
        table = self.param("table", nn.initializers.zeros_init(), (2 * far + 1, self.num_heads))
        distance = _asking(position, place)[..., :, None] - position[..., None, :]
        return jnp.moveaxis(table[jnp.clip(distance, -far, far) + far], -1, -3)


class TimeGapBias(nn.Module):
    """A learned bias per head as a function of the log gap between two moments, piecewise linear between knots.

    Attributes:
        num_heads: how many heads.
        unit: of time, in the times' unit: well below it gaps count as none.
        longest: a gap, in the times' unit, beyond which the bias is constant.
        num_knots: knots, spaced evenly in the logarithm.
    """

    num_heads: int
    unit: float = 1.0
    longest: float = 1e8
    num_knots: int = 16

    @nn.compact
    def __call__(
        self, times: Times, valid: Valid, place: Int[Array, "*batch"] | None = None
    ) -> Float[Array, "*batch heads q k"]:
        """The bias (..., heads, t, t) of scores between moments (..., t); 0 at initialisation and for padding.

        With a place (...,) only the row of that query, (..., heads, 1, t).
        """
        table = self.param("table", nn.initializers.zeros_init(), (self.num_knots, self.num_heads))
        both = _asking(valid, place)[..., :, None] & valid[..., None, :]
        gap = jnp.where(both, log_gaps(_asking(times, place)[..., :, None], times[..., None, :], self.unit), 0)
        span = jnp.log1p(self.longest / self.unit)
        return jnp.where(both[..., None, :, :], jnp.moveaxis(interpolate(table, gap / span), -1, -3), 0)


def _asking(values: Array, place: Array | None) -> Array:
    """The values (..., t) of the queries: all, or (..., 1) that at the place (...,)."""
    return values if place is None else jnp.take_along_axis(values, place[..., None], axis=-1)


def interpolate(table: Float[Array, "knots d"], place: Float[Array, "*batch"]) -> Float[Array, "*batch d"]:
    """Linear between the rows of a table spread evenly over [0, 1], constant outside.

    >>> interpolate(jnp.array([[0.0], [2.0]]), jnp.array([0.25, 7.0])).tolist()
    [[0.5], [2.0]]
    """
    scaled = jnp.clip(place, 0, 1) * (table.shape[0] - 1)
    left = jnp.minimum(scaled.astype(jnp.int32), table.shape[0] - 2)
    share = (scaled - left)[..., None]
    return table[left] * (1 - share) + table[left + 1] * share
