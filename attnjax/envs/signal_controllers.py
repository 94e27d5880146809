"""Signal controllers that nobody trained: pure functions from what is seen to seconds of green.

j junctions, p phases, l lanes. A controller's resource is each junction's next budget of T seconds, and its decision
the share of each phase. With pressure x_l on the lanes and m_pl = 1 where phase p lets lane l go, a phase scores
s_p = sum_l m_pl x_l, and

    greedy            all of T to the phase with the most vehicles within 50 m
    max-pressure      likewise, with x_l = the queue before the junction less the vehicles that stand behind it
    cyclic shares     T to all phases, in proportion to the vehicles within 200 m
    sparse shares     argmax_w <s, w> - tau |w|^2 / 2 over the simplex (`attnjax.allocation.allocate`)

The last leaves phases out, which saves their yellow; its limit for small tau is greedy, for large tau the even cycle.
Two guarantees are kept by construction: whoever gets green gets at least `least` seconds of it, and a phase that
someone waits for is served once it has been red for `cap` seconds.

Sources: Webster (1958), Traffic signal settings; Varaiya (2013), Max pressure control of a network of signalized
intersections; Ault and Sharon (2021), §5, for greedy and max-pressure as they are measured; Martins and Astudillo
(2016), From softmax to sparsemax.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike, NDArray

from attnjax.allocation import SquaredNorm, allocate
from attnjax.errors import fail
from attnjax.extras import need as need_package

LEAST_GREEN = 5
"""Seconds of green that a phase gets at least, where nothing else is said."""

Scores = Float[NDArray[np.float64], "j p"]
Windows = Int[NDArray[np.int64], "j p"]


def phase_scores(green: Bool[NDArray[np.bool_], "j p l"], pressure: ArrayLike) -> Scores:
    """What a phase lets go: the sum of the pressure over its lanes.

    Args:
        green: which phase lets which lane go.
        pressure: (j, l), in any unit.

    >>> phase_scores(np.array([[[True, True, False], [False, False, True]]]), [[2.0, 1.0, 4.0]]).tolist()
    [[3.0, 4.0]]
    """
    return np.einsum("jpl,jl->jp", green, np.asarray(pressure, float))


def best_phase(scores: ArrayLike, phase_mask: ArrayLike) -> Int[NDArray[np.int64], " j"]:
    """The phase with the highest score; of equals the first in the program, which rests on the main road.

    Args:
        scores: (j, p).
        phase_mask: (j, p), which phases there are.

    >>> best_phase([[1.0, 3.0, 9.0], [2.0, 2.0, 0.0]], [[True, True, False], [True, True, True]]).tolist()
    [1, 0]
    """
    return np.argmax(np.where(phase_mask, scores, -np.inf), axis=1)


def greedy_phase(
    near: ArrayLike, green: Bool[NDArray[np.bool_], "j p l"], phase_mask: ArrayLike
) -> Int[NDArray[np.int64], " j"]:
    """The phase that lets the most vehicles go that are seen at the junction.

    Args:
        near: (j, l) vehicles within 50 m.
        green: which phase lets which lane go.
        phase_mask: which phases there are.

    Source: Ault and Sharon (2021), §5 (Greedy).
    """
    return best_phase(phase_scores(green, near), phase_mask)


def max_pressure_phase(
    queue: ArrayLike, downstream: ArrayLike, green: Bool[NDArray[np.bool_], "j p l"], phase_mask: ArrayLike
) -> Int[NDArray[np.int64], " j"]:
    """The phase that relieves the greatest difference of queues before and behind the junction.

    Args:
        queue: (j, l) vehicles within 200 m that stand or stood there.
        downstream: (j, l) vehicles standing where they are headed.
        green: which phase lets which lane go.
        phase_mask: which phases there are.

    Source: Varaiya (2013), eq. 12, with equal saturation flows and turning shares.
    """
    return best_phase(phase_scores(green, np.asarray(queue, float) - np.asarray(downstream, float)), phase_mask)


def proportional_shares(scores: ArrayLike, phase_mask: ArrayLike, floor: float = 0.5) -> Scores:
    """Shares in proportion to the scores.

    Args:
        scores: (j, p), non-negative.
        phase_mask: which phases there are.
        floor: what a phase scores at least, so that none is left out.

    >>> proportional_shares([[3.0, 1.0, 0.0]], [[True, True, False]]).round(2).tolist()
    [[0.75, 0.25, 0.0]]
    """
    raised = np.where(phase_mask, np.maximum(np.asarray(scores, float), floor), 0.0)
    return raised / raised.sum(axis=1, keepdims=True)


def sparse_shares(scores: ArrayLike, phase_mask: ArrayLike, temperature: float) -> Float[Array, "j p"]:
    """Shares by sparsemax: a phase far enough below the best gets exactly nothing.

    Args:
        scores: (j, p).
        phase_mask: which phases there are.
        temperature: in units of the scores; two phases share only where their scores differ by less.

    Returns:
        (j, p) shares, a JAX array; differentiable in the scores on the phases that get some.

    >>> sparse_shares([[6.0, 5.0, 1.0]], [[True, True, True]], temperature=2.0).tolist()
    [[0.75, 0.25, 0.0]]
    """
    return _sparse_shares(jnp.where(jnp.asarray(phase_mask), jnp.asarray(scores), -jnp.inf), jnp.asarray(temperature))


@jax.jit
def _sparse_shares(scores: Any, temperature: Any) -> Any:
    share = functools.partial(allocate, regularizer=SquaredNorm())
    return jax.vmap(lambda row, t: share(row, temperature=t).weights, (0, None))(scores, temperature)


def starved(
    red: ArrayLike,
    longest: ArrayLike,
    far: ArrayLike,
    green: Bool[NDArray[np.bool_], "j p l"],
    protected: Bool[NDArray[np.bool_], "j p l"],
    cap: float,
) -> Bool[NDArray[np.bool_], "j p"]:
    """The phase of each junction that must be served now, where a lane has waited for `cap` seconds.

    A lane has if vehicles are on it and it has been red for so long, or if one of them has stood for so long, as one
    that turns left across a stream without a gap. The phase is the one that frees most such lanes, with right of way
    where there is such a phase.

    Args:
        red: (j, l) seconds since each lane was let go.
        longest: (j, l) the longest that a vehicle has stood there.
        far: (j, l) vehicles.
        green: which phase lets which lane go.
        protected: which does so with right of way.
        cap: seconds; infinite for no such guarantee.

    Returns:
        (j, p), at most one phase a junction.

    >>> go = np.array([[[True, False, False], [False, True, True]]])
    >>> starved([[0, 130, 20]], [[4, 90, 20]], [[3, 2, 1]], go, go, cap=120.0).tolist()
    [[False, True]]
    >>> starved([[0, 130, 20]], [[4, 0, 20]], [[3, 0, 1]], go, go, cap=120.0).tolist()       # nobody is there
    [[False, False]]
    """
    late = (np.asarray(far) > 0) & (np.maximum(red, longest) >= cap)
    frees = np.where(protected.any(axis=1, keepdims=True), protected, green)
    count = phase_scores(frees, late)
    chosen = np.arange(count.shape[1]) == np.argmax(count, axis=1)[:, None]
    return chosen & (count > 0)


def windows_of(
    shares: ArrayLike,
    budget: int,
    phase: ArrayLike,
    age: ArrayLike,
    yellow: int,
    *,
    least: int = LEAST_GREEN,
    must: ArrayLike | None = None,
) -> Windows:
    """Whole seconds of the next budget from shares, with the guarantees kept.

    A phase that is switched to needs yellow + least seconds, and one that is green now stays until it has had `least`.
    Whoever can't have what it needs gets nothing, the smallest share first; what is left goes to the others so that
    shares which ask for enough are met to the second.

    Args:
        shares: (j, p), each row non-negative and of sum 1; 0 beyond a junction's phases.
        budget: T, whole seconds.
        phase: (j,) the green phases.
        age: (j,) seconds that they have been green.
        yellow: seconds of yellow when a phase is switched to; they are part of its window.
        least: seconds of green that it then has.
        must: (j, p) phases that are served whatever their share, as far as the budget has room for them, those with
            the larger share first.

    Returns:
        (j, p) seconds; each row sums to T.

    Raises:
        UserError: if the budget has no room for one switch.

    >>> windows_of([[0.6, 0.4, 0.0]], 20, phase=[0], age=[9], yellow=3).tolist()
    [[12, 8, 0]]
    >>> windows_of([[0.7, 0.3, 0.0]], 20, phase=[0], age=[9], yellow=3).tolist()       # 6 s are too few for phase 1
    [[20, 0, 0]]
    >>> windows_of([[0.0, 1.0, 0.0]], 20, phase=[0], age=[2], yellow=3).tolist()       # phase 0 has had only 2 s
    [[3, 17, 0]]
    """
    shares = np.asarray(shares, float)
    if budget < yellow + 2 * least - 1:
        fail(
            "windows_of",
            expected=f"a budget of at least {yellow + 2 * least - 1} s: what a phase may still need, and one switch",
            got=f"{budget} s",
            advice="Give more seconds, or a smaller `least`.",
        )
    if shares.ndim != 2 or (shares < 0).any() or not np.allclose(shares.sum(axis=1), 1, atol=1e-4):
        fail(
            "windows_of",
            expected="shares of shape (j, p), non-negative, each row of sum 1",
            got=f"shape {shares.shape}, sums {np.round(shares.sum(axis=-1), 4).tolist()}",
            advice="proportional_shares and sparse_shares return such.",
        )
    forced = np.zeros(shares.shape, bool) if must is None else np.asarray(must, bool)
    rows = zip(shares, forced, np.asarray(phase), np.asarray(age), strict=True)
    return np.stack([_windows(budget, yellow, least, *row) for row in rows])


def _windows(budget: int, yellow: int, least: int, shares: Any, forced: Any, phase: int, age: int) -> Any:
    """One junction's."""
    need = np.full(shares.size, yellow + least)
    need[phase] = max(least - age, 1)
    wanted = shares * budget
    kept = forced | (wanted >= need)
    stays = age < least
    rank = wanted + budget * forced  # what must be served comes before what asks
    rank[phase] += 2 * budget * stays
    kept[phase] |= stays
    if not (kept & (shares > 0)).any() and not forced.any():
        kept[np.argmax(shares)] = True
    for other in np.argsort(rank, kind="stable"):
        if need[kept].sum() <= budget:
            break
        kept[other] = False
    floor = np.where(kept, need, 0)
    ask = np.where(kept, np.maximum(wanted - floor, 0), 0)
    if ask.sum() <= 0:
        ask = np.where(kept, need, 0).astype(float)
    return _rounded(floor + (budget - floor.sum()) * ask / ask.sum(), budget)


def _rounded(exact: Any, total: int) -> Any:
    """Whole seconds of this sum, each less than a second from the exact ones."""
    whole = np.floor(exact + 1e-9).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def webster_plan(
    flows: ArrayLike,
    green: Bool[NDArray[np.bool_], "j p l"],
    phase_mask: Bool[NDArray[np.bool_], "j p"],
    yellow: int,
    *,
    saturation: float = 1800.0,
    start_loss: float = 2.0,
    least: int = LEAST_GREEN,
    longest: float = 120.0,
) -> Windows:
    """Webster's plan: a cycle for each junction, split in proportion to the critical flow ratios.

        C = (1.5 L + 5) / (1 - Y),    Y = sum_p y_p,    L = p (yellow + start loss)

    Where a lane goes in one phase only, y_p is the largest ratio of flow to saturation flow over the lanes of phase p.
    Where lanes go in several, y is the smallest sum that serves all: min sum y_p with sum_p m_pl y_p >= flow_l /
    saturation. A left turn that has to find gaps counts as served; its own phase, if there is one, keeps `least`.

    Args:
        flows: (j, l) vehicles per hour.
        green: which phase lets which lane go, giving way or not.
        phase_mask: which phases there are.
        yellow: seconds of yellow between phases.
        saturation: vehicles per hour and lane in a queue that moves.
        start_loss: seconds more that are lost when a queue begins to move; without them cycles come out far too short.
        least: seconds of green for every phase at least.
        longest: of the cycle, in seconds, also where flows exceed what can be served (Y >= 1).

    Returns:
        (j, p) whole seconds, yellow included; a row sums to that junction's cycle.

    Raises:
        UserError: if SciPy is not installed.

    Source: Webster (1958), Traffic signal settings, Road Research Technical Paper 39.

    >>> both = np.array([[[True, False], [False, True]]])
    >>> webster_plan([[720.0, 360.0]], both, np.array([[True, True]]), yellow=3).tolist()   # C = 20 / 0.4
    [[32, 18]]
    """
    linprog = need_package("scipy.optimize", "webster_plan").linprog
    plan = np.zeros(phase_mask.shape, int)
    for junction, ratios in enumerate(np.asarray(flows, float) / saturation):
        count = int(phase_mask[junction].sum())
        serves = green[junction, :count]
        used = serves.any(axis=0) & (ratios > 0)
        critical = np.zeros(count)
        if used.any():
            critical = linprog(np.ones(count), A_ub=-serves[:, used].T.astype(float), b_ub=-ratios[used]).x
        lost, total = count * (yellow + start_loss), critical.sum()
        cycle = longest if total >= 1 else min(longest, (1.5 * lost + 5) / (1 - total))
        cycle = max(round(cycle), count * (yellow + least))
        parts = critical / total if total > 0 else np.full(count, 1 / count)
        exact = yellow + (cycle - count * yellow) * parts
        if (exact < yellow + least).any():
            exact = yellow + least + (cycle - count * (yellow + least)) * parts
        plan[junction, :count] = _rounded(exact, cycle)
    return plan


def even_plan(phase_mask: Bool[NDArray[np.bool_], "j p"], cycle: int) -> Windows:
    """The uniform plan: every phase of a junction gets the same seconds, up to rounding.

    Args:
        phase_mask: which phases there are.
        cycle: seconds of one turn, yellow included.

    >>> even_plan(np.array([[True, True, True], [True, True, False]]), 61).tolist()
    [[21, 20, 20], [31, 30, 0]]
    """
    place = np.cumsum(phase_mask, axis=1) - 1
    count = phase_mask.sum(axis=1, keepdims=True)
    return np.where(phase_mask, cycle // count + (place < cycle % count), 0)
