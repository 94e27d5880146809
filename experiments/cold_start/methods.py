"""The methods of `cold_start`, and how each is tuned: on validation users, by what its protocol judges.

A method is fitted once per setting of its `space`, and read in each of its `variants`, which cost nothing to fit.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnjax.evaluation import ease, implicit_als, item_knn
from attnjax.evaluation.linear_baselines import biased_factors, empirical_bayes, linear_bandit, linear_recommender
from attnjax.evaluation.protocols import Recommender, from_histories, histories, likes
from attnjax.evaluation.rating_baselines import constant, item_means, rating_neighbours
from attnjax.models import affine_adaptation
from experiments.cold_start import kinds, linear, meta, recurrent
from experiments.cold_start.logs import Learned

TRIAL = 20
"""Steps of a trial of RL^2."""
Options = dict[str, Any]
Read = Callable[..., Recommender]
DIVERSITY = 3.0
"""The weight of diverse genres in the loss of `meta_context_diverse`; validation, by accuracy, would choose 0."""


class Method(NamedTuple):
    """A method with what is tried for it.

    Attributes:
        fit: `fit(learned, **options)` returns `read(**variant)`, which returns a `Recommender`.
        space: settings of the fit.
        variants: ways of reading a fit.
    """

    fit: Callable[..., Read]
    space: list[Options]
    variants: list[Options]


class Tuned(NamedTuple):
    """What validation chose.

    Attributes:
        options: settings and variant, together.
        tried: the value of each on validation users, larger is better; settings in rows, variants in columns.
        recommender: fitted to all that may be learned from.
    """

    options: Options
    tried: NDArray[np.float64]
    recommender: Recommender


def tune(method: Method, tuning: Learned, judge: Callable[[Recommender], float], everything: Learned) -> Tuned:
    """Fits without validation users, chooses by them, and fits the chosen again with them.

    A value that is not a number is never chosen.
    """
    tried = np.array(
        [[judge(read(**way)) for way in method.variants] for read in (method.fit(tuning, **o) for o in method.space)]
    )
    best, way = np.unravel_index(np.argmax(np.where(np.isnan(tried), -np.inf, tried)), tried.shape)
    recommender = method.fit(everything, **method.space[best])(**method.variants[way])
    return Tuned({**method.space[best], **method.variants[way]}, tried, recommender)


def _random(learned: Learned) -> Read:
    return lambda: constant(np.zeros(learned.num_items))


def _popularity(learned: Learned, of: str) -> Read:
    counts = learned.liked + (0 if of == "likes" else learned.others)
    return lambda: constant(counts.sum(axis=0))


def _means(learned: Learned, shrink: float, value: str = "likes") -> Read:
    return lambda: constant(item_means(learned.likes if value == "likes" else learned.stars, shrink))


def _implicit(fit: Callable[..., Callable[[Any], NDArray[np.float64]]], learned: Learned, **options: Any) -> Read:
    """A scorer of histories of likes, plus `prior` times the share of users who like an item."""
    scorer, share = fit(learned.liked, **options), learned.liked.mean(axis=0)

    def read(prior: float) -> Recommender:
        return from_histories(lambda liked: scorer(liked) + prior * share[None, :], learned.num_items, likes)

    return read


def _neighbours(learned: Learned, value: str, **options: Any) -> Read:
    found = rating_neighbours(learned.likes if value == "likes" else learned.stars, value=value, **options)
    return lambda: found


def _factors(learned: Learned, **options: Any) -> Read:
    model = biased_factors(learned.stars, seed=learned.seed, **options)
    return lambda: linear_recommender(model)


def _linear_bandit(learned: Learned, l2: float) -> Read:
    model = linear_bandit(learned.likes, learned.features, l2=l2)
    return lambda bonus: linear_recommender(model, value="likes", bonus=bonus)


def _empirical_bayes(learned: Learned, value: str, **options: Any) -> Read:
    model = empirical_bayes(learned.likes if value == "likes" else learned.stars, seed=learned.seed, **options)
    return lambda bonus: linear_recommender(model, value=value, bonus=bonus)


def _affine(learned: Learned, l2: float, after: tuple[int, ...]) -> Read:
    maps = affine_adaptation(learned.liked, learned.others, after, l2)

    def adapt(support: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        liked = histories(support, learned.num_items, likes)
        return liked, histories(support, learned.num_items, np.ones_like) - liked

    recommender = Recommender(adapt, lambda state: maps.scores(*state))
    return lambda: recommender


def _meta_linear(learned: Learned, value: str, hold: float, protocol: str, iterations: Any, **options: Any) -> Read:
    """Empirical Bayes, and what was meta-learned from there."""
    data = learned.likes if value == "likes" else learned.stars
    model = empirical_bayes(data, seed=learned.seed, **options)
    kept = linear.meta_learned(data, model, iterations=iterations, protocol=protocol, hold=hold, seed=learned.seed)
    return lambda steps, bonus: linear.recommender_of(kept[steps], value, bonus)


def _meta_curve(learned: Learned, **options: Any) -> Read:
    """What was meta-learned; where it is fine-tuned, `rate` is that of the steps."""
    model, maps, kept = meta.meta_learned(learned, **options)
    read = meta.reader(model, maps)

    def recommender(steps: int, rate: float | None = None) -> Recommender:
        return read(kept[steps] if rate is None else kept[steps]._replace(eta=np.float32(rate)))

    return recommender


def _rl2(learned: Learned, iterations: Any, trial: int, **options: Any) -> Read:
    model = empirical_bayes(learned.likes, seed=learned.seed, **options)
    kept = recurrent.meta_trained(learned.likes, model, updates=iterations, steps=trial, seed=learned.seed)
    return lambda steps: recurrent.recommender_of(kept[steps])


def _grid(**axes: tuple[Any, ...]) -> list[Options]:
    """All combinations."""
    found: list[Options] = [{}]
    for name, values in axes.items():
        found = [{**one, name: value} for one in found for value in values]
    return found


def methods(protocol: str, space: str, after: tuple[int, ...]) -> dict[str, Method]:
    """The methods of a protocol by name, with the settings of a space."""
    full = space == "full"

    def some(*values: Any) -> tuple[Any, ...]:
        """All values, or the middle one only."""
        return values if full else values[len(values) // 2 :][:1]

    priors = _grid(prior=(1e-6, 0.3, 1.0, 3.0) if full else (1e-6, 1.0))
    bonuses = _grid(bonus=(0.0, 0.25, 0.5, 1.0)) if protocol == "replay" and full else _grid(bonus=(0.0,))
    values = some("stars", "likes") if protocol == "replay" else ("stars",)
    sweeps = 20 if full else 6
    factors = Method(_factors, _grid(factors=some(2, 6, 12), l2=some(3.0, 6.0, 12.0), sweeps=(10,)), [{}])
    bayes = Method(
        _empirical_bayes,
        _grid(value=values, factors=some(4, 8, 16), item_l2=some(5.0, 15.0), sweeps=(sweeps,)),
        bonuses,
    )
    neighbours = Method(
        _neighbours,
        _grid(value=values, neighbours=some(50, 200), shrink=some(10.0, 50.0), prior=some(0.3, 1.0, 3.0)),
        [{}],
    )
    steps = (0, 200, 600) if full else (0, 100)
    meta_linear = Method(
        _meta_linear,
        _grid(
            value=values,
            protocol=(protocol,),
            iterations=(steps,),
            factors=some(8, 16),
            item_l2=(10.0,),
            sweeps=(sweeps,),
            hold=some(1.0, 10.0),
        ),
        [{**bonus, "steps": step} for bonus in bonuses for step in steps],
    )
    if protocol == "rating":
        return {
            "random": Method(_random, [{}], [{}]),
            "item_mean": Method(_means, _grid(shrink=some(0.0, 1.0, 3.0), value=("stars",)), [{}]),
            "biases": Method(_factors, _grid(factors=(0,), bias_l2=some(2.0, 4.0, 8.0)), [{}]),
            "neighbours": neighbours,
            "biased_factors": factors,
            "empirical_bayes": bayes,
            "meta_linear": meta_linear,
        }
    near = _grid(neighbours=some(50, 200, 1000), shrink=some(0.0, 10.0))
    ways = _grid(factors=some(16, 32), l2=some(10.0, 30.0), confidence=some(1.0, 5.0), sweeps=(8,))
    found = {
        "random": Method(_random, [{}], [{}]),
        "counts": Method(_popularity, [{"of": "ratings"}], [{}]),
        "popularity": Method(_popularity, [{"of": "likes"}], [{}]),
        "like_rate": Method(_means, _grid(shrink=some(1.0, 5.0, 20.0)), [{}]),
        "item_knn": Method(functools.partial(_implicit, item_knn), near, priors),
        "neighbours": neighbours,
        "ease": Method(functools.partial(_implicit, ease), _grid(l2=some(100.0, 200.0, 500.0)), priors),
        "als": Method(functools.partial(_implicit, implicit_als), ways, priors),
        "biased_factors": factors,
        "linear_bandit": Method(_linear_bandit, _grid(l2=some(3.0, 10.0, 30.0, 100.0)), bonuses),
        "empirical_bayes": bayes,
        "affine": Method(_affine, _grid(l2=some(0.1, 0.3, 1.0), after=(after,)), [{}]),
    }
    if protocol == "replay":
        found["meta_linear"] = meta_linear
        if full:
            updates = (0, 100, 300)
            settings = _grid(iterations=(updates,), trial=(TRIAL,), factors=(8, 16), item_l2=(10.0,), sweeps=(sweeps,))
            found["rl2"] = Method(_rl2, settings, _grid(steps=updates))
        return found
    steps = (0, 100, 300) if full else (0, 50)
    for kind in kinds.KINDS if full else ("context",):
        settings = _grid(kind=(kind,), after=(after,), l2=(0.3,), iterations=(steps,))
        rates = {"rate": (0.003, 0.03, 0.3)} if kind == "fine_tuned" else {}
        found[kind if kind == "fine_tuned" else f"meta_{kind}"] = Method(
            _meta_curve, settings, _grid(steps=steps, **rates)
        )
    if full:
        diverse = _grid(kind=("context",), after=(after,), l2=(0.3,), iterations=(steps,), diversity=(DIVERSITY,))
        found["meta_context_diverse"] = Method(_meta_curve, diverse, _grid(steps=steps[1:]))
    return found
