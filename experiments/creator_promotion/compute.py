"""What `creator_promotion` computes, once per seed: floors for newcomers, and two ways of training compared."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from attnjax.allocation import Creators
from attnjax.data import Incidence, MovieLens, creators, load_movielens_100k
from attnjax.reproduction import Context, Outcome
from experiments.creator_promotion.decisions import FACTORS, KNOWN, Case, cases_of, compare, synthetic_cases
from experiments.creator_promotion.promotion import LEVELS, promote, stage_of
from experiments.next_item import Config as ModelConfig
from experiments.next_item.logs import About, Log, about, log_of, parts_of
from experiments.next_item.model import shown_of, train

MARKET = 3
"""The stream of a seed's key that synthetic markets are drawn from."""

L2 = 100.0
"""Of the model's links between items, as `next_item` chooses it by time."""

CASES = ("partial", "complete", "movielens")


def run(config: Any, key: Any, context: Context) -> Outcome:
    """Both halves, once per seed."""
    movielens = load_movielens_100k()
    log, everything = log_of(movielens, config.users), creators(movielens, "directed_by")
    seeds = range(config.seed, config.seed + config.seeds)
    results = [
        context.stage(f"seed_{seed}", functools.partial(_one_seed, config, key, movielens, log, everything, seed))
        for seed in context.progress(seeds, "seeds")
    ]
    per_seed: dict[str, list[float]] = {
        "newcomers": [float(one["newcomers"]) for one in results],
        "directors": [float(one["directors"]) for one in results],
    }
    for level in LEVELS:
        for way, measures in results[0]["promotion"][level].items():
            if way != "certificate":
                for what in measures:
                    per_seed[f"{level}_{way}_{what}"] = [float(one["promotion"][level][way][what]) for one in results]
        if level != "none":
            per_seed[f"{level}_saved"] = [
                one["promotion"][level]["set_aside"]["users_lose"] - one["promotion"][level]["floors"]["users_lose"]
                for one in results
            ]
    for case in CASES:
        for what, value in results[0]["training"][case].items():
            if not isinstance(value, bool):
                per_seed[f"{case}_{what}"] = [float(one["training"][case][what]) for one in results]
    certificates: dict[str, Any] = {
        level: {
            "largest_relative_gap": max(float(one["promotion"][level]["certificate"]["gap"]) for one in results),
            "all_converged": all(bool(one["promotion"][level]["certificate"]["converged"]) for one in results),
        }
        for level in LEVELS
    }
    for case in CASES:
        certificates[f"decisions_{case}"] = {
            "largest_relative_gap": max(float(one["training"][case]["optimal_gap"]) for one in results),
            "all_converged": all(bool(one["training"][case]["all_converged"]) for one in results),
        }
    return Outcome({"users": log.num_users, "levels": LEVELS, "cases": list(CASES)}, per_seed, certificates)


def _one_seed(config: Any, key: Any, data: MovieLens, log: Log, everything: Incidence, seed: int) -> dict[str, Any]:
    key = jax.random.fold_in(key, seed)
    parts = parts_of(log, "time", seed)
    known = about(data, log, parts)
    settings = dataclasses.replace(
        ModelConfig(), max_epochs=config.max_epochs, features=config.features, draws=config.draws
    )
    shown = shown_of(log, parts, known, L2)
    scores = train(settings, key, log, parts, shown, "time", "allocation").scores
    stage = stage_of(log, parts, everything, scores, config.recent)
    drawn = jax.random.fold_in(key, MARKET)
    cases = {
        "partial": synthetic_cases(config, drawn, KNOWN),
        "complete": synthetic_cases(config, drawn, FACTORS),
        "movielens": movielens_cases(config, seed, everything, known, log, scores),
    }
    return {
        "newcomers": int(stage.new.sum()),
        "directors": int(stage.new.size),
        "promotion": promote(stage, config.tol),
        "training": {name: compare(config, groups) for name, groups in cases.items()},
    }


def movielens_cases(
    config: Any, seed: int, everything: Incidence, known: About, log: Log, scores: np.ndarray
) -> list[Case]:
    """Scores that were learned from histories as the truth, to be predicted from who users are and what films are.

    The directors with the most films of their own, and of each as many of the most watched.
    """
    count = np.bincount(log.item, minlength=log.num_items)
    alone = np.bincount(everything.item, minlength=everything.num_items)[everything.item] == 1
    item, creator = everything.item[alone], everything.creator[alone]
    most = np.argsort(-np.bincount(creator, minlength=everything.num_creators), kind="stable")[: config.creators]
    each = config.items // config.creators
    films = [own[np.argsort(-count[own], kind="stable")][:each] for own in (item[creator == c] for c in most)]
    made = Creators.of(
        np.arange(config.items),
        np.repeat(np.arange(config.creators), each),
        num_items=config.items,
        num_creators=config.creators,
    )
    chosen = np.concatenate(films)
    order = np.random.default_rng(seed).permutation(log.num_users)[: 3 * config.learners]
    kinds = [np.eye(size)[codes] for size, codes in zip(known.sizes, known.categories.T, strict=True)]
    users = np.concatenate([*kinds, np.nan_to_num(known.numbers)], axis=1)[order]
    films_about = np.nan_to_num(known.films)[chosen]
    return cases_of(config, users, films_about, scores[order][:, chosen], made)
