"""From what was measured per newcomer to means with intervals, differences, and chances of being better.

Each newcomer is cold in one fold, so folds together are one table of users, and users are what is drawn again.
"""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from attnjax.evaluation import users_interval
from attnjax.evaluation.lists import coverage, creator_exposure
from attnjax.objectives import gini

OURS = (
    "affine",
    "meta_linear",
    "meta_decision",
    "meta_context",
    "meta_context_diverse",
    "meta_anil",
    "meta_reptile",
    "meta_recurrent",
    "meta_no_inner_loop",
    "rl2",
)
"""Methods that were learned for adaptation; all others are baselines."""
RESAMPLES = 2000
LISTS = ("diversity", "novelty", "miscalibration")


def summarise(
    config: Any, found: dict[str, list[dict[str, Any]]], genres: NDArray, directors: NDArray
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """The values of the record, and one value per fold of the main measures."""
    values: dict[str, Any] = {}
    per_fold: dict[str, list[float]] = {}
    for protocol, folds in found.items():
        measured = {name: _joined([fold[name] for fold in folds]) for name in folds[0]}
        main = {"curve": _curve, "replay": _replay, "rating": _rating}[protocol](config, measured)
        values[protocol] = {
            **main,
            "chosen": {name: [fold[name]["options"] for fold in folds] for name in folds[0]},
            "tried": {name: np.mean([fold[name]["tried"] for fold in folds], axis=0) for name in folds[0]},
            "failures": {name: int(sum(fold[name]["failures"] for fold in folds)) for name in folds[0]},
        }
        what = {"curve": "random_ndcg", "replay": "likes", "rating": "ndcg"}[protocol]
        for name in folds[0]:
            per_fold[f"{protocol}_{name}"] = [_mean_of(fold[name][what], protocol) for fold in folds]
    if "curve" in found:
        values["curve"]["shown"] = _shown(config, found["curve"], directors)
    return values, per_fold


def _joined(folds: list[dict[str, Any]]) -> dict[str, NDArray]:
    """All newcomers of all folds, who are the first axis of each array."""
    arrays = [name for name, value in folds[0].items() if isinstance(value, np.ndarray) and name != "tried"]
    return {name: np.concatenate([fold[name] for fold in folds]) for name in arrays}


def _mean_of(value: NDArray, protocol: str) -> float:
    return float(np.nanmean(value[:, -1] if protocol == "replay" else value))


def _curve(config: Any, measured: dict[str, dict[str, NDArray]]) -> dict[str, Any]:
    """Means after each n, and what ours gain over the baseline that is best there."""
    interval = functools.partial(users_interval, resamples=RESAMPLES)
    orders = {"random": "judged", "time": "judged_in_time"}
    values: dict[str, Any] = {"newcomers": {}, "measures": {}, "best": {}, "gain": {}, "better": {}}
    for order, flag in orders.items():
        kept = next(iter(measured.values()))[flag]
        values["newcomers"][order] = int(kept.sum())
        values["measures"][order] = {
            name: {
                measure: [interval(row) for row in of[f"{order}_{measure}"][kept].T]
                for measure in ("ndcg", "hit_rate", "mrr")
            }
            for name, of in measured.items()
        }
        tables = {name: of[f"{order}_ndcg"][kept].T for name, of in measured.items()}
        values["best"][order], values["gain"][order], values["better"][order] = _against_best(tables)
    kept = next(iter(measured.values()))["judged"]
    values["lists"] = {
        name: {what: [interval(row[np.isfinite(row)]) for row in of[what][kept].T] for what in LISTS}
        for name, of in measured.items()
    }
    return values


def _against_best(tables: dict[str, NDArray]) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """Which baseline is best in each row, what ours gain over it, and how likely ours is better for a user."""
    rivals = [name for name in tables if name not in OURS]
    rows = range(len(next(iter(tables.values()))))
    means = np.array([tables[name].mean(axis=1) for name in rivals])
    best = [rivals[k] for k in np.argmax(means, axis=0)]
    gain: dict[str, Any] = {}
    better: dict[str, Any] = {}
    for name in (name for name in OURS if name in tables):
        pairs = [(tables[name][row], tables[best[row]][row]) for row in rows]
        gain[name] = [users_interval(ours, theirs, resamples=RESAMPLES) for ours, theirs in pairs]
        better[name] = [users_interval(won(ours, theirs), resamples=RESAMPLES) for ours, theirs in pairs]
    return best, gain, better


def won(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    """1 where the first is larger, 1/2 where they are equal: its mean is the probability of improvement."""
    return (first > second) + 0.5 * (first == second)


def _replay(config: Any, measured: dict[str, dict[str, NDArray]]) -> dict[str, Any]:
    steps = [step for step in (5, 10, config.steps) if step <= config.steps]
    at = np.array(steps) - 1
    tables = {name: of["likes"][:, at].T for name, of in measured.items()}
    some = next(iter(measured.values()))
    tables["oracle"] = (some["likes"] + some["regret"])[:, at].T
    best, gain, better = _against_best({name: table for name, table in tables.items() if name != "oracle"})
    return {
        "newcomers": len(some["likes"]),
        "steps": steps,
        "likes": {name: [users_interval(row, resamples=RESAMPLES) for row in table] for name, table in tables.items()},
        "regret": {name: of["regret"].mean(axis=0) for name, of in measured.items()},
        "best": best,
        "gain": gain,
        "better": better,
    }


def _rating(config: Any, measured: dict[str, dict[str, NDArray]]) -> dict[str, Any]:
    del config
    what = ("precision", "ndcg", "mae")
    best, gain, better = _against_best({name: of["ndcg"][None] for name, of in measured.items()})
    return {
        "newcomers": len(next(iter(measured.values()))["mae"]),
        "measures": {
            name: {measure: users_interval(of[measure], resamples=RESAMPLES) for measure in what}
            for name, of in measured.items()
        },
        "over_biased_factors": {
            name: {
                measure: users_interval(of[measure], measured["biased_factors"][measure], resamples=RESAMPLES)
                for measure in what
            }
            for name, of in measured.items()
            if name != "biased_factors"
        },
        "best": best,
        "gain": gain,
        "better": better,
    }


def _shown(config: Any, folds: list[dict[str, Any]], directors: NDArray) -> dict[str, Any]:
    """What all lists together show: how much of the catalogue, and how unequally it exposes directors."""
    num_items = len(directors)
    found: dict[str, Any] = {}
    for name in folds[0]:
        lists = np.moveaxis(np.concatenate([fold[name]["lists"] for fold in folds]), 1, 0)
        exposure = [creator_exposure(of, directors) for of in lists]
        found[name] = {
            "coverage": [coverage(of, num_items) for of in lists],
            "gini": [float(gini(jnp.asarray(of))) for of in exposure],
            "directors": [int(np.sum(of > 0)) for of in exposure],
        }
    return found
