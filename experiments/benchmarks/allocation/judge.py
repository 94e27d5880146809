"""The judge: makes any answer feasible in float64, and bounds from above what any answer can be worth.

An answer that breaks a cap looks better than the optimum, so nothing is compared before `repair`, which is the same for
everyone. `bound` is the dual without smoothing: for any prices p of exposure no feasible attention is worth more than

    linear    sum_u R_u max_i (s_ui + p_i)  + sum_i max(-p_i lo_i, -p_i hi_i)      (max with 0 if it may stay unspent)
    nash      sum_i w_i log(w_i / (c p_i)),   c = sum w / sum_u R_u max_i (p_i s_ui)
    slates    the same with sum_k v_k (k-th largest of p_i s_ui) for the inner maximum
    cube      per user tau + sum_i (2/3) y_i sqrt(y_i / 3),   y = max(s - tau, 0)

For nash and slates prices may be scaled by any c > 0, and the best c is in closed form.
"""

from typing import NamedTuple

import numpy as np

from experiments.benchmarks.allocation.tasks import Array, Problem


class Judged(NamedTuple):
    """What an answer is worth.

    Attributes:
        value: welfare after repair.
        violation: the largest relative breach of a constraint before it.
        bound: the least dual bound from the answer's prices, or None.
        worst_gap: the worst user's own relative gap (cube only), or None.
    """

    value: float
    violation: float
    bound: float | None
    worst_gap: float | None


def judge(problem: Problem, attention: Array, prices: Array | None = None) -> Judged:
    """Repairs an answer and measures it.

    Args:
        problem: what was to be solved.
        attention: (u, n), what a solver says.
        prices: (c,), what it says one more unit of exposure is worth to the objective, if it says so.

    Returns:
        Value, violation and bound. An answer with NaN or of a wrong shape is worth nothing: -inf.
    """
    if attention.shape != problem.scores.shape or not np.isfinite(attention).all():
        return Judged(-np.inf, np.inf, None, None)
    attention = np.asarray(attention, np.float64)
    violation = breach(problem, attention)
    feasible = repair(problem, attention)
    if problem.kind == "cube":
        return _judge_cube(problem, feasible, violation)
    value = welfare(problem, feasible)
    guesses = [] if prices is None else [np.asarray(prices, np.float64)]
    if problem.kind != "linear":  # the supporting prices of the exposure itself
        with np.errstate(divide="ignore"):
            guesses.append(_weights(problem) / exposure(problem, feasible))
    bounds = [bound(problem, guess) for guess in guesses if np.isfinite(guess).all()]
    return Judged(value, violation, min(filter(np.isfinite, bounds), default=None), None)


def relative_gap(kind: str, creators: int, value: float, upper: float) -> float:
    """The distance of a value from a bound in the unit of the task's tolerance.

    Args:
        kind: `linear` for a part of the bound; else nats per creator, since all weights of a task are 1.
        creators: how many there are.
        value: welfare of a feasible point.
        upper: a bound on it.
    """
    return float((upper - value) / max(abs(upper) if kind == "linear" else creators, 1e-300))


def exposure(problem: Problem, attention: Array) -> Array:
    """Exposure (c,), in the problem's unit."""
    return _columns(problem, attention if problem.kind == "linear" else attention * problem.scores)


def welfare(problem: Problem, attention: Array) -> float:
    """The objective, -inf where a logarithm is of 0."""
    if problem.kind == "linear":
        return float(np.vdot(problem.scores, attention))
    if problem.kind == "cube":
        return float(np.sum(problem.scores * attention - attention**3))
    with np.errstate(divide="ignore"):
        return float(_weights(problem) @ np.log(exposure(problem, attention)))


def bound(problem: Problem, prices: Array) -> float:
    """The dual bound at prices (c,) per unit of exposure; of linear, nash and slates."""
    if problem.kind == "linear":
        assert problem.floors is not None
        assert problem.caps is not None
        worth = problem.scores + _per_entry(problem, prices)
        best = worth.max(axis=1)
        best = best if problem.must_spend else np.maximum(best, 0)
        floors = problem.floors
        if problem.must_spend:  # whatever the other creators can't take, so that tight caps are met exactly
            floors = np.maximum(floors, problem.budgets.sum() - (problem.caps.sum() - problem.caps))
        bounds = np.maximum(-prices * floors, -prices * problem.caps)
        return float(problem.budgets @ best + bounds.sum())
    weights = _weights(problem)
    if not (prices > 0).all():
        return np.inf
    worth = problem.scores * prices
    if problem.kind == "slates":
        assert problem.bias is not None
        spent = problem.budgets @ (_largest(worth, problem.bias.size) @ problem.bias)
    else:
        spent = problem.budgets @ worth.max(axis=1)
    return float(weights @ np.log(weights * spent / (prices * weights.sum())))


def breach(problem: Problem, attention: Array) -> float:
    """The largest relative breach of a constraint; 0 for a feasible point."""
    budgets = problem.budgets
    found = [max(0.0, float(-attention.min()))]
    if problem.kind == "slates":
        found.append(float((_crowding(problem, np.maximum(attention, 0)) / budgets).max() - 1))
        return max(0.0, *found)
    spent = attention.sum(axis=1)
    over = (spent - budgets) / budgets
    found.append(float(np.abs(over).max() if problem.must_spend else over.max()))
    if problem.kind == "linear":
        assert problem.floors is not None
        assert problem.caps is not None
        reached = exposure(problem, attention)
        found.append(float(((reached - problem.caps) / problem.caps).max()))
        found.append(float(((problem.floors - reached) / np.maximum(problem.floors, 1e-12 * problem.caps)).max()))
    return max(0.0, *found)


def repair(problem: Problem, attention: Array) -> Array:
    """The nearest feasible point that is cheap to find: the same for every solver.

    Negative attention is dropped, users above their budget and creators above their cap are scaled down. Where budgets
    must be met, what is left goes where caps have room, in proportion; where floors are missed, the smallest mixture
    with a point that is strictly feasible mends them. Slates are scaled, user by user, until the largest sums of their
    attention fit the position bias (a point fits if and only if some mixture of rankings gives it).

    Args:
        problem: whose constraints.
        attention: (u, n), finite.

    Returns:
        Attention that meets every constraint up to rounding.
    """
    made = np.maximum(attention, 0)
    if problem.kind == "slates":
        made = made + np.finfo(np.float64).tiny
        return made * (problem.budgets / _crowding(problem, made))[:, None]
    spent = made.sum(axis=1)
    if problem.kind in ("nash", "cube"):
        made[spent == 0] = 1
        return made * (problem.budgets / made.sum(axis=1))[:, None]
    assert problem.floors is not None
    assert problem.caps is not None
    made *= np.minimum(1, problem.budgets / np.maximum(spent, 1e-300))[:, None]
    made *= _per_entry(problem, np.minimum(1, problem.caps / np.maximum(_columns(problem, made), 1e-300)))
    if problem.must_spend:
        made = _refill(problem, made)
    return _mend_floors(problem, made)


def _refill(problem: Problem, attention: Array) -> Array:
    """Spends what users have left where caps have room, in proportion to it."""
    assert problem.caps is not None
    left = np.maximum(problem.budgets - attention.sum(axis=1), 0)
    room = np.maximum(problem.caps - _columns(problem, attention), 0)
    if problem.candidates is not None:
        raise NotImplementedError("budgets that must be met with sparse candidates")
    return attention + np.outer(left, room / max(room.sum(), 1e-300))


def _mend_floors(problem: Problem, attention: Array) -> Array:
    """The smallest mixture with a point strictly inside that meets the floors."""
    assert problem.floors is not None
    assert problem.caps is not None
    short = problem.floors - _columns(problem, attention)
    if not (short > 0).any():
        return attention
    inside = _inside(problem)
    anchor = _columns(problem, inside)
    share = float(np.max(short / np.maximum(anchor - problem.floors + short, 1e-300), initial=0.0, where=short > 0))
    share = min(1.0, share * (1 + 1e-12))
    return (1 - share) * attention + share * inside


def _inside(problem: Problem) -> Array:
    """A point between floors and caps: each creator's middle (or, where budgets must be met, budgets) spread evenly."""
    assert problem.floors is not None
    assert problem.caps is not None
    floors, caps, total = problem.floors, problem.caps, float(problem.budgets.sum())
    if problem.must_spend:
        part = (total - floors.sum()) / max((caps - floors).sum(), 1e-300)
        goal = floors + min(1.0, part) * (caps - floors)
        return np.outer(problem.budgets / total, goal)
    goal = floors + min(0.5, max(0.0, 0.98 * total - floors.sum()) / max((caps - floors).sum(), 1e-300)) * (
        caps - floors
    )
    count = _columns(problem, np.broadcast_to(problem.budgets[:, None], problem.scores.shape))
    spread = _per_entry(problem, goal / np.maximum(count, 1e-300)) * problem.budgets[:, None]
    return spread / max(1.0, float((spread.sum(axis=1) / problem.budgets).max()))


def _judge_cube(problem: Problem, attention: Array, violation: float) -> Judged:
    """Each user is a problem of its own: the worst relative gap, by the threshold that the attention itself implies."""
    scores = problem.scores
    share = attention / problem.budgets[:, None]
    threshold = np.sum(share * (scores - 3 * attention**2), axis=1)
    y = np.maximum(scores - threshold[:, None], 0)
    upper = problem.budgets * threshold + np.sum((2 / 3) * y * np.sqrt(y / 3), axis=1)
    value = np.sum(scores * attention - attention**3, axis=1)
    worst = float(np.max((upper - value) / np.maximum(np.abs(upper), 1e-300)))
    return Judged(float(value.sum()), violation, float(upper.sum()), worst)


def _crowding(problem: Problem, attention: Array) -> Array:
    """Per user, the least budget at which attention is a mixture of rankings.

    The largest k entries may sum to at most the first k of the position bias, and all entries to the whole of it.
    """
    assert problem.bias is not None
    room = np.cumsum(problem.bias)
    needed = np.cumsum(_largest(attention, problem.bias.size), axis=1) / room
    return np.maximum(needed.max(axis=1), attention.sum(axis=1) / room[-1])


def _largest(numbers: Array, count: int) -> Array:
    """The largest `count` entries of each row, in decreasing order."""
    count = min(count, numbers.shape[1])
    return -np.sort(np.partition(-numbers, count - 1, axis=1)[:, :count], axis=1)


def _columns(problem: Problem, attention: Array) -> Array:
    """Sums over users, per creator."""
    if problem.candidates is None:
        return attention.sum(axis=0)
    return np.bincount(problem.candidates.ravel(), attention.ravel(), minlength=problem.creators)


def _per_entry(problem: Problem, numbers: Array) -> Array:
    """One number per creator, laid out like the scores (or so that it broadcasts to them)."""
    return numbers[None, :] if problem.candidates is None else numbers[problem.candidates]


def _weights(problem: Problem) -> Array:
    assert problem.weights is not None
    return problem.weights
