"""The second half of `creator_promotion`: to predict well, or to decide well, under the same floors.

A linear model predicts users' scores of items from features of both; the market with floors is then decided by the
predictions, for users that were not trained on, and judged by their true scores.

    two-stage          2 k steps on the Fenchel-Young loss of the users' true attention
    decision-focused   k of these steps, then k on the true welfare of the decided market, the solver inside the loss

Each stops where it does best, by its own loss, for a second group of users; a third judges both. Where the features
hold all that scores depend on, both can be right; where they do not, the model must be wrong somewhere, and only the
second knows where it matters.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from numpy.typing import NDArray

from attnjax.allocation import Creators, Market, best_response, exposure_of, solve, welfare_of
from attnjax.data.synthetic import SyntheticConfig, synthetic_market
from attnjax.models import Drawn, Seen, Steering, decision_focused_loss, join, two_stage_loss

WIDTH = 28
"""Columns of the features of users and of items, filled up with 0: one program for all markets."""
FACTORS, KNOWN = 8, 3
"""How many numbers the true scores of a synthetic market depend on, and how many of them a partial model sees."""
PIECES = 4
"""How often in k steps training may stop."""
TOL = 1e-5
"""The relative gap in judging; differences between the ways of training are a hundred times larger."""


class Case(NamedTuple):
    """Users of one market, with what is known of them and of the items.

    Attributes:
        users: (u, WIDTH) features.
        items: (n, WIDTH) features.
        scores: (u, n), the truth.
        creators: who made what.
        floors: (c,), per user.
    """

    users: Array
    items: Array
    scores: Array
    creators: Creators
    floors: Array


def synthetic_cases(config: Any, key: Array, known: int) -> list[Case]:
    """A synthetic market whose model sees `known` of the numbers of users and items; see `cases_of`."""
    settings = SyntheticConfig(
        users=3 * config.learners,
        items=config.items,
        creators=config.creators,
        factors=FACTORS,
        signal=config.signal,
    )
    drawn = synthetic_market(settings, key)
    made = Creators.of(
        drawn.creators.item,
        drawn.creators.creator,
        drawn.creators.weight,
        num_items=config.items,
        num_creators=config.creators,
    )
    popular = -np.log(drawn.rank)[:, None]
    items = np.concatenate([np.asarray(drawn.item_factors)[:, :known], popular], axis=1)
    return cases_of(config, np.asarray(drawn.user_factors)[:, :known], items, np.asarray(drawn.scores), made)


def cases_of(config: Any, users: NDArray, items: NDArray, scores: NDArray, creators: Creators) -> list[Case]:
    """Three groups of users, to learn, to stop and to judge by; floors for those who draw least of the first."""
    k = config.learners
    shares = jax.nn.softmax(jnp.asarray(scores[:k], jnp.float32))
    drawn = np.asarray(creators.exposure(jnp.sum(shares, axis=0)))
    new = np.argsort(np.argsort(drawn, kind="stable")) < config.creators // 2
    floors = jnp.asarray(config.floor / config.creators * new, jnp.float32)
    about = _filled(items)
    groups = [slice(begin, begin + k) for begin in (0, k, 2 * k)]
    return [
        Case(_filled(users[some]), about, jnp.asarray(scores[some], jnp.float32), creators, floors) for some in groups
    ]


def compare(config: Any, cases: list[Case]) -> dict[str, Any]:
    """Both ways of training: what welfare the decisions for other users lose."""
    learn, stop, judge = cases
    zero = {"pairs": jnp.zeros((WIDTH, WIDTH)), "items": jnp.zeros(WIDTH)}
    first = _trained(config, zero, learn, stop, decide=False)
    ways = {
        "two_stage": _trained(config, first, learn, stop, decide=False),
        "decision_focused": _trained(config, first, learn, stop, decide=True),
    }
    best = solve(_market(judge, judge.scores), TOL, method="newton")
    found: dict[str, Any] = {"optimal_gap": float(best.gap / jnp.abs(best.upper))}
    converged = [bool(best.converged)]
    for name, params in ways.items():
        welfare, missing, solved = _decided(params, judge)
        converged.append(solved)
        found |= {
            f"{name}_regret": float(best.upper) / judge.scores.shape[0] - welfare,
            f"{name}_error": float(_seen_loss(params, judge)),
            f"{name}_missing": missing,
        }
    found["all_converged"] = all(converged)
    found["gain"] = found["two_stage_regret"] - found["decision_focused_regret"]
    return found


def _trained(config: Any, params: Any, learn: Case, stop: Case, *, decide: bool) -> Any:
    """The best of the start and what follows it, by what training minimises, for users not trained on."""

    def loss(params: Any) -> float:
        return -_decided(params, stop)[0] if decide else float(_seen_loss(params, stop))

    found = [params]
    for _ in range(PIECES):
        steps = max(config.steps // PIECES, 1)
        found.append(_train(found[-1], learn, config.learning_rate, steps=steps, decide=decide))
    return min(found, key=loss)


def _decided(params: Any, case: Case) -> tuple[float, float, bool]:
    """The true welfare per user of the decision that predictions lead to, what floors miss, and whether it is exact."""
    truth, users = _market(case, case.scores), case.scores.shape[0]
    solution = solve(_market(case, _predict(params, case)), TOL, method="newton")
    assert solution.attention is not None
    parts = welfare_of(truth, solution.attention)
    missing = jnp.maximum(case.floors * users - exposure_of(truth, solution.attention), 0)
    welfare = float(parts.satisfaction + parts.variety) / users
    return welfare, float(jnp.sum(missing)) / users, bool(solution.converged)


@functools.partial(jax.jit, static_argnames=("steps", "decide"))
def _train(params: Any, case: Case, rate: Any, *, steps: int, decide: bool) -> Any:
    """So many steps of Adam on all learners at once."""
    optimizer = optax.adam(rate)
    loss = _decided_loss if decide else _seen_loss

    def step(state: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        params, memory = state
        update, memory = optimizer.update(jax.grad(loss)(params, case), memory)
        return (optax.apply_updates(params, update), memory), None

    return jax.lax.scan(step, (params, optimizer.init(params)), None, length=steps)[0][0]


@jax.jit
def _seen_loss(params: Any, case: Case) -> Array:
    """The Fenchel-Young loss of the learners' true attention."""
    drawn, steering = _parties(case)
    c = case.floors.shape[0]
    own = best_response(_market(case, case.scores), jnp.zeros(c)).attention
    seen = Seen(own, jnp.full(c, 1 / c))
    return two_stage_loss(_market(case, _predict(params, case)), drawn, steering, seen, weights=(1.0, 0.0, 0.0))


def _decided_loss(params: Any, case: Case) -> Array:
    """What users truly lose when the predicted market is decided; floors hold in any decision."""
    predicted, truth = _market(case, _predict(params, case)), _market(case, case.scores)
    return decision_focused_loss(predicted, truth, weights=(1.0, 0.0, 0.0), tol=1e-4)


def _predict(params: Any, case: Case) -> Array:
    return case.users @ params["pairs"] @ case.items.T + (case.items @ params["items"])[None, :]


def _parties(case: Case) -> tuple[Drawn, Steering]:
    """Creators who all draw alike, and a platform that pays nothing and grants floors."""
    c = case.floors.shape[0]
    drawn = Drawn(jnp.ones(c), jnp.zeros(c), jnp.zeros((c, 1)), jnp.zeros((c, 1, 1, 1)))
    return drawn, Steering(jnp.zeros(c), case.floors * case.scores.shape[0], None)


def _market(case: Case, scores: Array) -> Market:
    return join(scores, case.creators, *_parties(case), budgets=jnp.ones(scores.shape[0]))


def _filled(features: NDArray) -> Array:
    return jnp.asarray(np.pad(features, ((0, 0), (0, WIDTH - features.shape[1]))), jnp.float32)
