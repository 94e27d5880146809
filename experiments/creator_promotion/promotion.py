"""The first half of `creator_promotion`: learned attention, a market, and floors for those who are new.

    user attention by time (as in `next_item`)  ->  scores of what each user has not seen
    scores + floors for newcomers               ->  the best allocation for users that grants them

A practitioner would set a share of attention aside instead, q of every user's for newcomers alike:
a <- (1 - q) a + q / |new films|. It is computed too, with the smallest q that grants the same floors.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from attnjax.allocation import Creators, Floors, Market, exposure_of, solve, uniform_attention, welfare_of
from attnjax.data import Incidence
from attnjax.evaluation.ranking import measure_one_wanted
from experiments.next_item.logs import Log, Parts, matrix, targets

LEVELS = {"none": 0.0, "quarter": 0.25, "half": 0.5, "equal": 1.0}
"""Floors of newcomers, as shares of an equal split of all attention among directors."""


class Stage(NamedTuple):
    """What is the same whatever the floor.

    Attributes:
        films: (n,) items of the log that have a director.
        directors: who made them.
        new: (c,), which directors are new.
        scores: (u, n) float32, -inf for films that the user has seen.
        wanted: (u, n), the one film that each user watched next, if it has a director.
    """

    films: NDArray[np.int64]
    directors: Creators
    new: NDArray[np.bool_]
    scores: NDArray[np.float32]
    wanted: NDArray[np.bool_]


def newcomers(log: Log, rows: NDArray, incidence: Incidence, recent: float) -> NDArray[np.bool_]:
    """Which creators had their first interaction in the last part of the time that some rows of a log span."""
    times = log.timestamp[rows]
    first = np.full(log.num_items, np.inf)
    np.minimum.at(first, log.item[rows], times)
    of_creator = np.full(incidence.num_creators, np.inf)
    np.minimum.at(of_creator, incidence.creator, first[incidence.item])
    return np.isfinite(of_creator) & (of_creator > times.max() - recent * (times.max() - times.min()))


def stage_of(log: Log, parts: Parts, everything: Incidence, scores: NDArray, recent: float) -> Stage:
    """Films with a director, their scores, and who is new before what is judged."""
    films = np.flatnonzero(everything.covered())
    incidence = everything.select(films)
    directors = Creators.of(
        incidence.item,
        incidence.creator,
        incidence.weight,
        num_items=incidence.num_items,
        num_creators=incidence.num_creators,
    )
    kept = np.full(log.num_items, -1)
    kept[films] = np.arange(films.size)
    inside = parts.known[kept[log.item[parts.known]] >= 0]
    renumbered = log._replace(item=kept[log.item].astype(np.int32), num_items=films.size)
    wanted = np.zeros((log.num_users, films.size), bool)
    next_ = kept[targets(log, parts.test)]
    wanted[np.flatnonzero(next_ >= 0), next_[next_ >= 0]] = True
    seen = matrix(log, parts.known)[:, films] > 0
    open_ = np.where(seen, -np.inf, scores[:, films]).astype(np.float32)
    return Stage(films, directors, newcomers(renumbered, inside, incidence, recent), open_, wanted)


def promote(stage: Stage, tol: float) -> dict[str, Any]:
    """Every level of floors, each by the market and by a share set aside."""
    found: dict[str, Any] = {}
    none = market_of(stage, 0.0)
    free = solve(none, tol)
    assert free.attention is not None
    for name, level in LEVELS.items():
        market = market_of(stage, level)
        solution = free if level == 0 else solve(market, tol)
        assert solution.attention is not None
        found[name] = {
            "floors": _measure(stage, none, solution.attention, free.attention),
            "certificate": {
                "gap": float(solution.gap / jnp.abs(solution.upper)),
                "converged": bool(solution.converged),
                "iterations": int(solution.iterations),
                "highest_price": float(jnp.max(solution.prices)),
            },
        }
        if level > 0:
            aside, share = set_aside(stage, none, free.attention, level)
            found[name]["set_aside"] = _measure(stage, none, aside, free.attention) | {"share": share}
    return found


def market_of(stage: Stage, level: float) -> Market:
    """The market of one level of floors; users value variety as the model predicts they do."""
    equal = stage.scores.shape[0] / stage.new.size
    return Market.of(stage.scores, stage.directors, Floors(jnp.asarray(level * equal * stage.new)), temperature=1.0)


def set_aside(stage: Stage, market: Market, attention: Array, level: float) -> tuple[Array, float]:
    """The mixture with an even spread over what newcomers made that just grants the floors, and its share."""
    of_new = np.asarray(stage.directors.on_items(jnp.asarray(stage.new, jnp.float32))) > 0
    only = jnp.where(of_new[None, :], market.scores, -jnp.inf)
    some = (only > -jnp.inf).any(axis=1)[:, None]
    even = uniform_attention(Market.of(jnp.where(some, only, market.scores), stage.directors))
    even = jnp.where(some, even, attention)  # a user who has seen all of them
    before, after = (np.asarray(exposure_of(market, a))[stage.new] for a in (attention, even))
    wanted = level * stage.scores.shape[0] / stage.new.size
    lacking = before < wanted
    assert (after[lacking] > wanted).all()
    share = float(np.max((wanted - before[lacking]) / (after[lacking] - before[lacking]), initial=0.0))
    return (1 - share) * attention + share * even, share


def _measure(stage: Stage, market: Market, attention: Array, free: Array) -> dict[str, float]:
    """What newcomers and users get; users' welfare in nats per user, relative to what is best for them."""
    parts, best = welfare_of(market, attention), welfare_of(market, free)
    exposure = np.asarray(exposure_of(market, attention), np.float64)
    users = stage.scores.shape[0]
    seen = ~np.isfinite(stage.scores)
    judged = stage.wanted.any(axis=1)
    ranked = measure_one_wanted(np.asarray(attention)[judged], stage.wanted[judged].argmax(axis=1), seen[judged])
    return {
        "new_share": float(exposure[stage.new].sum() / users),
        "least_new": float(exposure[stage.new].min() * stage.new.size / users),
        "users_lose": float(best.satisfaction + best.variety - parts.satisfaction - parts.variety) / users,
        "ndcg": float(np.mean(ranked.ndcg)),
    }
