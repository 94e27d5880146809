"""The adaptation curve: how good the ranking of the whole catalogue is after n interactions of a newcomer.

At every n the candidates are the same, all items but the newcomer's first max(n), and so is what is to be found: the
likes among the interactions after those. So the curve moves by what was learned of the user and by nothing else. No
item is sampled, and ties are averaged exactly (`attnjax.evaluation.ranking`).
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from attnjax.errors import fail
from attnjax.evaluation.protocols.newcomers import Newcomers
from attnjax.evaluation.protocols.recommender import Recommender, checked_scores, top_items
from attnjax.evaluation.ranking import RankingMeasures, measure_users

AFTER = (0, 1, 5, 10, 20)
"""After how many interactions newcomers are judged."""


class AdaptationCurve(NamedTuple):
    """What was measured.

    Attributes:
        after: n, as asked for.
        measures: each (len(after), users); NaN for a user without a later like, who can't be judged, and for one
            whose scores were not numbers.
        lists: (len(after), users, k) int32, the first k items of each ranking, of ties a random order.
        judged: (users,) bool, who has a later like.
        failures: (len(after),) int64, how many judged users had scores that are not numbers.
    """

    after: tuple[int, ...]
    measures: RankingMeasures
    lists: NDArray[np.int32]
    judged: NDArray[np.bool_]
    failures: NDArray[np.int64]


def adaptation_curve(
    recommender: Recommender,
    who: Newcomers,
    num_items: int,
    *,
    after: Sequence[int] = AFTER,
    k: int = 10,
    seed: int = 0,
) -> AdaptationCurve:
    """Judges a recommender after n interactions of each newcomer, for several n.

    Args:
        recommender: must not have learned from these users.
        who: the newcomers; their order is the protocol's (random or time).
        num_items: how many items there are; all are ranked.
        after: the numbers n, rising.
        k: the cut-off of nDCG, hit rate and recall.
        seed: of the order of ties in `lists`; measures do not depend on it.

    Returns:
        An `AdaptationCurve`.

    Raises:
        UserError: if the numbers do not rise from at least 0, or scores have another shape.

    >>> who = Newcomers(np.array([0]), np.array([[0, 1]]), np.array([[5.0, 5.0]]), np.array([[True, True]]))
    >>> steady = Recommender(lambda support: len(support.item), lambda users: np.tile([[0.0, 2.0, 1.0]], (users, 1)))
    >>> adaptation_curve(steady, who, 3, after=(0, 1), k=1).measures.ndcg.tolist()
    [[1.0], [1.0]]
    """
    known = tuple(int(n) for n in after)
    if not known or known[0] < 0 or any(b <= a for a, b in itertools.pairwise(known)):
        fail("adaptation_curve", expected="rising numbers of at least 0", got=str(after), advice="E.g. (0, 1, 5).")
    later = np.arange(who.item.shape[1])[None, :] >= known[-1]
    relevant = who.matrix(who.liked & later, num_items)
    excluded = who.matrix(np.broadcast_to(~later, who.mask.shape), num_items)
    judged = np.asarray(relevant.any(axis=1))
    measures, lists, failures = [], [], []
    shown = who.cut(max(known[-1], 1))
    for n in known:
        scores = checked_scores("adaptation_curve", recommender, shown.support(n), num_items)
        broken = np.isnan(scores).any(axis=1)
        measures.append(measure_users(scores, relevant, excluded, k=k))
        lists.append(top_items(np.where(np.isnan(scores), -np.inf, scores), excluded, k, seed))
        failures.append(int(np.sum(broken & judged)))
    stacked = jax.tree.map(lambda *rows: np.stack(rows), *measures)
    return AdaptationCurve(known, stacked, np.stack(lists), judged, np.array(failures, np.int64))
