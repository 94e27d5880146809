"""The baselines of `next_item`, each with the settings that did best on validation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnjax.evaluation import ease, implicit_als, item_knn, popularity
from attnjax.evaluation.ranking import RankingMeasures, measure_one_wanted

BASELINES = {"popularity": popularity, "item_knn": item_knn, "ease": ease, "als": implicit_als}

SPACES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "full": {
        "popularity": [{}],
        "item_knn": [{"neighbours": n, "shrink": s} for n in (50, 200, 800) for s in (0.0, 10.0, 100.0)],
        "ease": [{"l2": l2} for l2 in (50.0, 100.0, 200.0, 350.0, 500.0, 1000.0)],
        "als": [
            {"factors": f, "l2": l2, "confidence": c, "sweeps": 10}
            for f in (32, 64)
            for l2 in (10.0, 30.0)
            for c in (1.0, 2.0, 5.0)
        ],
    },
    "small": {
        "popularity": [{}],
        "item_knn": [{"neighbours": 50, "shrink": 10.0}, {"neighbours": 800, "shrink": 0.0}],
        "ease": [{"l2": 100.0}, {"l2": 200.0}],
        "als": [{"factors": 16, "l2": 30.0, "confidence": 2.0, "sweeps": 5}],
    },
}
"""Settings tried, by the name of the space."""


def tune(
    name: str, space: str, train: NDArray, wanted: NDArray[np.int32], at: int
) -> tuple[dict[str, Any], list[float]]:
    """The settings with the highest nDCG on validation, and the nDCG of all."""
    candidates = SPACES[space][name]
    found = [
        float(judge(BASELINES[name](train, **options)(train), train, wanted, at).ndcg.mean()) for options in candidates
    ]
    return candidates[int(np.argmax(found))], found


def judge(scores: NDArray, seen: NDArray, wanted: NDArray[np.int32], at: int) -> RankingMeasures:
    """Measures per user of rankings of everything the user has not seen, where one item is wanted."""
    return measure_one_wanted(scores, wanted, seen > 0, k=at)


def coverage(scores: NDArray, seen: NDArray, at: int) -> float:
    """The share of all items that are among somebody's first `at`."""
    open_ = np.where(seen > 0, -np.inf, scores)
    return len(np.unique(np.argpartition(-open_, at - 1, axis=1)[:, :at])) / seen.shape[1]
