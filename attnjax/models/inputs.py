"""What is unknown or missing, made into numbers that a network can tell from all others.

a category never seen in training   -> an embedding of its own, trained by hiding known categories at random
a missing number (NaN)              -> 0, and a flag that says so
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def with_flags(values: Float[Array, "*batch f"]) -> Float[Array, "*batch g"]:
    """Numbers with NaN replaced by 0, followed by one flag each, 1 where it was NaN: (..., 2 f).

    Give numbers whose typical value is 0, so that a missing one reads as typical. A missing number has no gradient.

    >>> with_flags(jnp.array([2.0, jnp.nan])).tolist()
    [2.0, 0.0, 0.0, 1.0]
    """
    missing = jnp.isnan(values)
    return jnp.concatenate([jnp.where(missing, 0, values), missing.astype(values.dtype)], axis=-1)


class KnownEmbedding(nn.Module):
    """An embedding per category, and one for all others.

    Attributes:
        num_known: how many categories are known: 0 to num_known - 1. Anything else, negative or larger, is unknown.
        features: the width.
        unknown_rate: in training, the share of categories shown as unknown, so that the unknown learns to stand for
            what is rare.

    >>> embedding = KnownEmbedding(num_known=3, features=2)
    >>> params = embedding.init(jax.random.key(0), jnp.array([0]))
    >>> rows = embedding.apply(params, jnp.array([-7, 3, 99, 1]))
    >>> bool((rows[0] == rows[1]).all() and (rows[1] == rows[2]).all() and (rows[3] != rows[0]).any())
    True
    """

    num_known: int
    features: int
    unknown_rate: float = 0.0

    def setup(self) -> None:
        """One row per category, the last for the unknown."""
        shape = (self.num_known + 1, self.features)
        self.table = self.param("table", nn.initializers.normal(0.02), shape)

    def __call__(self, index: Int[Array, "*batch"], *, deterministic: bool = True) -> Float[Array, "*batch d"]:
        """The embeddings (..., features) of categories of any shape; see `rows`."""
        return self.table[self.rows(index, deterministic=deterministic)]

    def rows(self, index: Int[Array, "*batch"], *, deterministic: bool = True) -> Int[Array, "*batch"]:
        """The rows of the table that categories have.

        Args:
            index: any integers.
            deterministic: False hides a share of them, with a key `dropout` in `rngs`.
        """
        known = (index >= 0) & (index < self.num_known)
        if not deterministic and self.unknown_rate > 0:
            known &= jax.random.bernoulli(self.make_rng("dropout"), 1 - self.unknown_rate, known.shape)
        return jnp.where(known, index, self.num_known)
