"""Distributions over actions: one of a few, or a point in space.

Both are trees of arrays with any leading axes, so that a decision per step, per trial and per task is one object.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Categorical(NamedTuple):
    """One of k actions, p_i = exp(logits_i) / sum_j exp(logits_j).

    Attributes:
        logits: (..., k).

    >>> one = Categorical(jnp.log(jnp.array([0.25, 0.75])))
    >>> round(float(jnp.exp(one.log_prob(jnp.int32(1)))), 3), int(one.mode())
    (0.75, 1)
    """

    logits: Float[Array, "*batch k"]

    def sample(self, key: Array) -> Int[Array, "*batch"]:
        """A draw, int32."""
        return jax.random.categorical(key, self.logits).astype(jnp.int32)

    def mode(self) -> Int[Array, "*batch"]:
        """The likeliest action; the first of several."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def log_prob(self, action: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
        """The logarithm of an action's probability."""
        log_probs = jax.nn.log_softmax(self.logits)
        return jnp.take_along_axis(log_probs, action[..., None], axis=-1)[..., 0]

    def entropy(self) -> Float[Array, "*batch"]:
        """-sum_i p_i log p_i, in nats."""
        log_probs = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


class Normal(NamedTuple):
    """A point in d dimensions, normal and independent in each.

    Attributes:
        mean: (..., d).
        log_scale: (..., d), the logarithms of the standard deviations.

    >>> point = Normal(jnp.zeros(2), jnp.zeros(2))
    >>> round(float(point.log_prob(jnp.zeros(2))), 4)  # -log(2 pi)
    -1.8379
    """

    mean: Float[Array, "*batch d"]
    log_scale: Float[Array, "*batch d"]

    def sample(self, key: Array) -> Float[Array, "*batch d"]:
        """A draw; its derivative in mean and scale is that of mean + scale times noise."""
        noise = jax.random.normal(key, jnp.shape(self.mean), jnp.result_type(self.mean))
        return self.mean + jnp.exp(self.log_scale) * noise

    def mode(self) -> Float[Array, "*batch d"]:
        """The mean."""
        return self.mean

    def log_prob(self, action: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
        """The logarithm of the density at a point."""
        distance = (action - self.mean) * jnp.exp(-self.log_scale)
        return -jnp.sum(distance**2 / 2 + self.log_scale + math.log(2 * math.pi) / 2, axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        """sum_i log scale_i + d (1 + log 2 pi) / 2, in nats; it may be negative."""
        return jnp.sum(self.log_scale + (1 + math.log(2 * math.pi)) / 2, axis=-1)


Distribution = Categorical | Normal
"""Either: `sample`, `mode`, `log_prob` and `entropy`."""
