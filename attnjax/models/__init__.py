"""Flax (linen) modules, used through `init` and `apply` only."""

from attnjax.models.attention import (
    SOFTMAX,
    Attended,
    AttentionRule,
    MultiHeadAttention,
    attend,
    attention_mask,
    attention_weights,
)
from attnjax.models.attention_vector import AttentionVectorNet
from attnjax.models.encoders import Encoded, LSTMEncoder, TransformerBlock, TransformerEncoder
from attnjax.models.relevance import BiasedFactors, rating_error, rating_loss, relevance

__all__ = [
    "SOFTMAX",
    "Attended",
    "AttentionRule",
    "AttentionVectorNet",
    "BiasedFactors",
    "Encoded",
    "LSTMEncoder",
    "MultiHeadAttention",
    "TransformerBlock",
    "TransformerEncoder",
    "attend",
    "attention_mask",
    "attention_weights",
    "rating_error",
    "rating_loss",
    "relevance",
]
