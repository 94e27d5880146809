"""What `next_item` computes: the baselines and three variants of the model, on the same splits.

    allocation   attention over the history by 1.5-entmax, an allocation rule that leaves most events unread
    softmax      the same Transformer with plain softmax attention
    no_links     the first without links between items

The two differ from each other in nothing else; the rule at the end, entropy, is the same for all.
"""

import functools
from typing import Any

import jax
import numpy as np

from attnjax.data import MovieLens, last_moment_ties, load_movielens_100k
from attnjax.evaluation import users_interval
from attnjax.reproduction import Context, Outcome
from experiments.next_item.baselines import BASELINES, SPACES, coverage, judge, tune
from experiments.next_item.logs import Log, about, log_of, matrix, parts_of, targets
from experiments.next_item.model import shown_of, train

MEASURES = ("ndcg", "hit_rate", "mrr")
RESAMPLES = 2000


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Every method on both splits, once per seed."""
    movielens = load_movielens_100k()
    log = log_of(movielens, config.users)
    jobs = [(split, seed) for seed in range(config.seed, config.seed + config.seeds) for split in config.splits]
    found = {
        (split, seed): context.stage(
            f"{split}_{seed}", functools.partial(_one, config, key, movielens, log, split, seed)
        )
        for split, seed in context.progress(jobs, "splits")
    }
    results = {split: [one for (of, _), one in found.items() if of == split] for split in config.splits}
    ties = last_moment_ties(log.user, log.timestamp)
    return Outcome(
        values={
            "users": log.num_users,
            "items": log.num_items,
            "share_of_users_with_ties": float(np.mean(ties > 1)),
            "search_space": SPACES[config.space],
            **{split: _summary(config, results[split]) for split in config.splits},
        },
        per_seed={
            f"{split}_{name}_{measure}": [_of(one, name, measure) for one in results[split]]
            for split in config.splits
            for name in (*BASELINES, *config.variants)
            for measure in (*MEASURES, "coverage")
        },
    )


def _one(config: Any, key: Any, data: MovieLens, log: Log, split: str, seed: int) -> dict[str, Any]:
    """All methods on one split of one seed: measures per user, and how each was chosen."""
    parts = parts_of(log, split, seed)
    learned, known = matrix(log, parts.train), matrix(log, parts.known)
    chosen, judged = targets(log, parts.validation), targets(log, parts.test)
    key = jax.random.fold_in(key, seed)
    scores: dict[str, np.ndarray] = {}
    search: dict[str, Any] = {}
    settings: dict[str, dict[str, Any]] = {}
    for name, fit in BASELINES.items():
        options, validation = tune(name, config.space, learned, chosen, config.at)
        scores[name] = fit(known, **options)(known)
        search[name], settings[name] = validation, options
    training = {}
    shown = shown_of(log, parts, about(data, log, parts), settings["ease"]["l2"])
    for variant in config.variants:
        trained = train(config, key, log, parts, shown, split, variant)
        scores[variant] = trained.scores
        training[variant] = {what: value for what, value in trained._asdict().items() if what != "scores"}
    measured = {name: judge(one, known, judged, config.at) for name, one in scores.items()}
    return {
        "users": {
            name: {measure: np.asarray(getattr(one, measure), np.float32) for measure in MEASURES}
            for name, one in measured.items()
        },
        "coverage": {name: coverage(one, known, config.at) for name, one in scores.items()},
        "search": search,
        "training": training,
    }


def _of(result: dict[str, Any], name: str, measure: str) -> float:
    return float(result["coverage"][name] if measure == "coverage" else np.mean(result["users"][name][measure]))


def _summary(config: Any, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and differences over users and seeds, what validation chose, and how training went."""

    def table(name: str, measure: str) -> np.ndarray:
        return np.stack([one["users"][name][measure] for one in results]).astype(np.float64)

    methods = (*BASELINES, *config.variants)
    interval = functools.partial(users_interval, resamples=RESAMPLES)
    return {
        "measures": {name: {measure: interval(table(name, measure)) for measure in MEASURES} for name in methods},
        "gain": {
            name: interval(table("allocation", "ndcg"), table(name, "ndcg")) for name in methods if name != "allocation"
        },
        "validation": {name: np.mean([one["search"][name] for one in results], axis=0) for name in BASELINES},
        "chosen": {name: [int(np.argmax(one["search"][name])) for one in results] for name in BASELINES},
        "training": {
            variant: {
                "start": float(np.mean([one["training"][variant]["validation"][0] for one in results])),
                "best": float(np.mean([one["training"][variant]["best"] for one in results])),
                "epochs": [len(one["training"][variant]["losses"]) for one in results],
                "shares": [float(one["training"][variant]["share"]) for one in results],
                "first_seed": {what: results[0]["training"][variant][what] for what in ("validation", "losses")},
            }
            for variant in config.variants
        },
    }
