"""What `cold_start` computes: every method on every fold, tuned on the next fold's users.

Newcomers of a fold are judged by methods fitted to all other users. Settings were chosen before, by fits that knew
neither newcomers nor validation users. The random order is tuned on and the order of time is judged with the same fit.
"""

import functools
from typing import Any

import numpy as np

from attnjax.data import MovieLens, load_movielens_100k
from attnjax.evaluation.lists import diversity, miscalibration, novelty
from attnjax.evaluation.protocols import (
    AdaptationCurve,
    Newcomers,
    Recommender,
    adaptation_curve,
    cold_start,
    newcomers,
    replay,
)
from attnjax.evaluation.protocols.newcomers import ORDERS
from attnjax.reproduction import Context, Outcome
from experiments.cold_start import FOLDS
from experiments.cold_start.logs import Fold, Learned, directors_of, folds_of, genres_of, learned
from experiments.cold_start.methods import methods, tune
from experiments.cold_start.summary import summarise
from experiments.next_item.logs import Log, log_of


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Every protocol, fold by fold."""
    del key  # fits are seeded by fold, so that they do not depend on what else is run
    data = load_movielens_100k()
    log = log_of(data, config.users)
    found: dict[str, list[dict[str, Any]]] = {}
    for protocol in config.protocols:
        folds = folds_of(log, protocol, config.fewest, FOLDS, config.seed)[: config.folds]
        found[protocol] = [
            context.stage(f"{protocol}_{k}", functools.partial(_fold, config, data, log, protocol, fold, k))
            for k, fold in context.progress(list(enumerate(folds)), f"folds of {protocol}")
        ]
    genres, directors = genres_of(data), directors_of(data)
    spaces = {
        protocol: {
            name: {"space": method.space, "variants": method.variants}
            for name, method in methods(protocol, config.space, config.after).items()
        }
        for protocol in config.protocols
    }
    values, per_fold = summarise(config, found, genres, directors)
    return Outcome(values={"users": log.num_users, "search_space": spaces, **values}, per_seed=per_fold)


def _fold(config: Any, data: MovieLens, log: Log, protocol: str, fold: Fold, number: int) -> dict[str, Any]:
    """All methods of a protocol on one fold: what was chosen, and what was measured per newcomer."""
    seed = config.seed + number
    tuning = learned(data, log, np.union1d(fold.cold, fold.validation), seed)
    everything = learned(data, log, fold.cold, seed)
    chosen_by = newcomers(log, fold.validation, seed=seed)
    judged = {order: newcomers(log, fold.cold, order=order, seed=seed) for order in ORDERS}
    genres, count = genres_of(data), (everything.liked + everything.others).sum(axis=0)
    found: dict[str, Any] = {}
    for name, method in methods(protocol, config.space, config.after).items():
        tuned = tune(method, tuning, functools.partial(_worth, config, protocol, chosen_by, log.num_items), everything)
        found[name] = {
            "options": {option: _plain(value) for option, value in tuned.options.items()},
            "tried": tuned.tried,
            **_measure(config, protocol, tuned.recommender, judged, everything, genres, count),
        }
    return found


def _worth(config: Any, protocol: str, who: Newcomers, num_items: int, recommender: Recommender) -> float:
    """What settings are chosen by: mean nDCG over n, likes, or less the error in stars."""
    if protocol == "curve":
        found = adaptation_curve(recommender, who, num_items, after=config.after, k=config.at)
        return float(np.mean(found.measures.ndcg[:, found.judged]))
    if protocol == "replay":
        return float(np.mean(replay(recommender, who, num_items, steps=config.steps).reward.sum(axis=1)))
    return -float(np.mean(cold_start(recommender, who, num_items).mae))


def _measure(
    config: Any,
    protocol: str,
    recommender: Recommender,
    judged: dict[str, Newcomers],
    everything: Learned,
    genres: Any,
    count: Any,
) -> dict[str, Any]:
    """What is kept of one method on one fold, per newcomer."""
    who, num_items = judged["random"], everything.num_items
    if protocol == "rating":
        rated = cold_start(recommender, who, num_items)
        return {"precision": rated.precision, "ndcg": rated.ndcg, "mae": rated.mae, "failures": rated.failures}
    if protocol == "replay":
        played = replay(recommender, who, num_items, steps=config.steps)
        return {"likes": played.likes, "regret": played.regret, "failures": played.failures}
    curves = {
        order: adaptation_curve(recommender, of, num_items, after=config.after, k=config.at)
        for order, of in judged.items()
    }
    return {
        **{f"{order}_{name}": getattr(curve.measures, name).T for order, curve in curves.items() for name in CURVES},
        **_of_lists(curves["random"], who, config.after[-1], genres, count, len(everything.liked), num_items),
        "judged": curves["random"].judged,
        "judged_in_time": curves["time"].judged,
        "failures": int(sum(curve.failures.sum() for curve in curves.values())),
    }


CURVES = ("ndcg", "hit_rate", "mrr")


def _of_lists(
    curve: AdaptationCurve, who: Newcomers, last: int, genres: Any, count: Any, num_users: int, num_items: int
) -> dict[str, Any]:
    """The recommended lists, (users, len(after), at), and what they are like, (users, len(after))."""
    later = np.arange(who.item.shape[1])[None, :] >= last
    liked = who.matrix(who.liked & later, num_items)
    return {
        "lists": np.moveaxis(curve.lists, 0, 1),
        "diversity": np.stack([diversity(lists, genres) for lists in curve.lists], axis=1),
        "novelty": np.stack([novelty(lists, count, num_users) for lists in curve.lists], axis=1),
        "miscalibration": np.stack([miscalibration(lists, liked, genres) for lists in curve.lists], axis=1),
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
