"""Flax (linen) modules, used through `init` and `apply` only."""

from attnjax.models.relevance import BiasedFactors, rating_error, rating_loss, relevance

__all__ = ["BiasedFactors", "rating_error", "rating_loss", "relevance"]
