"""Flax (linen) modules, used through `init` and `apply` only, and the pure losses of the stakeholders' models."""

from attnjax.models.affine_adaptation import AffineAdaptation, affine_adaptation
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
from attnjax.models.digit_networks import DigitNet, DigitPolicy, Recognised
from attnjax.models.ease import OwnPart, ease_links, ease_links_and_own, without_own
from attnjax.models.encoders import Encoded, LSTMEncoder, TransformerBlock, TransformerEncoder
from attnjax.models.linear_gaussian import Belief, LinearGaussian, believe, expected, uncertainty
from attnjax.models.preferences import PreferenceScores
from attnjax.models.recommender import (
    Behaviour,
    Bottleneck,
    Recommended,
    ThreeNetworks,
    ThreeSoftmax,
    bottleneck,
    warm_biases,
)
from attnjax.models.relevance import BiasedFactors, rating_error, rating_loss, relevance
from attnjax.models.stakeholder_losses import (
    Losses,
    Seen,
    decide,
    decision_focused_loss,
    seen_losses,
    stakeholder_losses,
    two_stage_loss,
)
from attnjax.models.stakeholders import (
    CreatorAttention,
    Drawn,
    PlatformAttention,
    Steering,
    Works,
    drawn_scores,
    join,
    reach,
)
from attnjax.models.user_attention import PAD, History, Spent, UserAttention, warm_start

__all__ = [
    "PAD",
    "SOFTMAX",
    "AffineAdaptation",
    "Attended",
    "AttentionRule",
    "AttentionVectorNet",
    "Behaviour",
    "Belief",
    "BiasedFactors",
    "Bottleneck",
    "CreatorAttention",
    "DigitNet",
    "DigitPolicy",
    "Drawn",
    "Encoded",
    "History",
    "LSTMEncoder",
    "LinearGaussian",
    "Losses",
    "MultiHeadAttention",
    "OwnPart",
    "PlatformAttention",
    "PreferenceScores",
    "Recognised",
    "Recommended",
    "Seen",
    "Spent",
    "Steering",
    "ThreeNetworks",
    "ThreeSoftmax",
    "TransformerBlock",
    "TransformerEncoder",
    "UserAttention",
    "Works",
    "affine_adaptation",
    "attend",
    "attention_mask",
    "attention_weights",
    "believe",
    "bottleneck",
    "decide",
    "decision_focused_loss",
    "drawn_scores",
    "ease_links",
    "ease_links_and_own",
    "expected",
    "join",
    "rating_error",
    "rating_loss",
    "reach",
    "relevance",
    "seen_losses",
    "stakeholder_losses",
    "two_stage_loss",
    "uncertainty",
    "warm_biases",
    "warm_start",
    "without_own",
]
