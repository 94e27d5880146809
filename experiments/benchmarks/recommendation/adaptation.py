"""What is timed of adaptation: `cold_start`'s meta-learners as exported functions from a history to a slate.

linear      a linear Gaussian model, which adapts by a formula
context     a context of few numbers, which adapts by gradient steps on top of the affine adaptation
decision    three networks, whose policy's layers adapt by gradient steps, likewise
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attnjax.data import load_movielens_100k
from attnjax.evaluation.linear_baselines import empirical_bayes
from attnjax.evaluation.protocols import Support
from attnjax.models import affine_adaptation, expected
from attnjax.training import AdaptAndRecommend, UserHistory, export_recommender
from experiments.benchmarks.recommendation.measure import TOP
from experiments.cold_start import Config, kinds, linear, meta
from experiments.cold_start.logs import Learned, learned
from experiments.next_item.logs import log_of

MODELS = ("linear", "context", "decision")
LENGTH = 20
"""Interactions per user."""
REPEATS = 5


def exported(name: str, known: Learned) -> AdaptAndRecommend:
    """A model at its start: values of parameters change no time."""
    export = functools.partial(export_recommender, num_items=known.num_items, length=LENGTH, slate=TOP)
    if name == "linear":
        theta = linear.start(empirical_bayes(known.stars, factors=16, sweeps=1))

        def by_formula(theta: Any, item: Any, rating: Any, mask: Any) -> Any:
            return expected(*linear.adapted(theta, linear.Events(item, rating, mask)))

        return export(by_formula, jax.tree.map(jnp.float32, theta))
    after = Config().after
    maps = meta.on_device([affine_adaptation(known.liked, known.others, after, 0.3)])
    model = kinds.model_of(name, known, jax.random.key(0))

    def by_gradients(params: Any, item: Any, rating: Any, mask: Any) -> Any:
        start, maps = params
        shown = meta.shown_of(maps, Support(item, rating, mask))
        return model.scores(model.learner.adapt(start, shown)[0], shown)

    return export(by_gradients, (model.learner.init(model.theta), maps))


def histories(count: int, seed: int = 0) -> tuple[Learned, list[UserHistory]]:
    """What is learned from, and histories of `LENGTH` random interactions of its users, again and again."""
    data = load_movielens_100k()
    log = log_of(data, 943)
    known = learned(data, log, np.zeros(0, np.int64), seed)
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(log.user == user) for user in range(log.num_users)]
    chosen = (rng.choice(rows[k % len(rows)], LENGTH, replace=False) for k in range(count))
    return known, [UserHistory(log.item[some], log.rating[some]) for some in chosen]


def one_user(calls: int) -> dict[str, dict[str, float]]:
    """Milliseconds of single adaptations with their recommendation, each of another history."""
    known, shown = histories(calls)
    found = {}
    for name in MODELS:
        recommend = exported(name, known)
        for history in shown[:20]:
            recommend(history)
        taken = [_seconds(functools.partial(recommend, history)) for history in shown]
        found[name] = {f"p{at}_ms": 1e3 * float(np.percentile(taken, at)) for at in (50, 99)}
    return found


def batch(users: int) -> dict[str, dict[str, float]]:
    """Seconds in which so many users are adapted to and recommended to in one call; the median of the repeats."""
    known, shown = histories(users)
    found = {}
    for name in MODELS:
        job = functools.partial(exported(name, known).many, shown)
        job()
        found[name] = {"seconds": float(np.median([_seconds(job) for _ in range(REPEATS)]))}
    return found


def _seconds(job: Any) -> float:
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin
