"""Protocols for recommenders of newcomers: each a function that is called with a recommender of one's own.

recommender     what a protocol asks for: adapt(support) -> state, scores(state) -> (users, items)
newcomers       users of whom nothing was learned, their interactions in random order or in order of time
cold_start      predicting ten hidden ratings
adaptation      ranking the whole catalogue after n interactions
replay          acting on users' own logs
off_policy      what another policy would have earned: IPS, SNIPS, doubly robust

Everything is exact where it can be: ties are averaged, no item is sampled, no user is modelled.
"""

from attnjax.evaluation.protocols.adaptation import AFTER, AdaptationCurve, adaptation_curve
from attnjax.evaluation.protocols.cold_start import ColdStart, cold_start, cold_start_folds
from attnjax.evaluation.protocols.newcomers import Newcomers, newcomers, user_folds
from attnjax.evaluation.protocols.off_policy import OffPolicy, doubly_robust, inverse_propensity, self_normalised
from attnjax.evaluation.protocols.recommender import (
    LIKE,
    Recommender,
    Support,
    from_histories,
    histories,
    likes,
    per_user,
    top_items,
)
from attnjax.evaluation.protocols.replay import Replay, replay

__all__ = [
    "AFTER",
    "LIKE",
    "AdaptationCurve",
    "ColdStart",
    "Newcomers",
    "OffPolicy",
    "Recommender",
    "Replay",
    "Support",
    "adaptation_curve",
    "cold_start",
    "cold_start_folds",
    "doubly_robust",
    "from_histories",
    "histories",
    "inverse_propensity",
    "likes",
    "newcomers",
    "per_user",
    "replay",
    "self_normalised",
    "top_items",
    "user_folds",
]
