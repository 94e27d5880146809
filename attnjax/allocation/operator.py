"""The allocation operator: one budget of attention, spread over competing uses.

    a*(s) = argmax over a in C of <s, a> - T sum_i omega(a_i),    C = {0 <= a <= cap, sum a = R}  (or sum a <= R)

Source: *Metaverse* §3.1 and §4.3, *City* §3.1, *MetaRL* §4.3; the operator view of softmax
and sparsemax is Blondel, Martins and Niculae (2020), Learning with Fenchel-Young losses.

The problem is separable but for the budget, so one number solves it: the threshold tau, the price of attention. At
the optimum every entry takes attention until its marginal cost equals what its score leaves above the threshold,

    a_i = clip(psi((s_i - tau) / T), 0, cap_i),    psi = (omega')^{-1},

and the left-hand side of sum_i a_i(tau) = R falls in tau. Softmax and sparsemax without caps have a closed form;
everything else is a bisection over floats, in coordinates centred on the entries that compete.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from attnjax.allocation.bisection import bisect
from attnjax.allocation.operator_checks import check_values, checked_scalar, slack
from attnjax.allocation.regularizers import Entropy, Regularizer, SquaredNorm
from attnjax.errors import fail

Vector = Float[Array, " n"]
Scalar = Float[Array, ""]


class Allocation(NamedTuple):
    """An allocation and its certificate; every field survives jit, vmap and differentiation.

    Attributes:
        weights: (n,), the attention each entry gets, in units of the budget.
        threshold: scalar, the price of attention tau, in units of the scores: the multiplier of the budget. 0 where
            an upper bound does not bind; at a budget of 0 what the first positive float of attention would bring.
        value: scalar, the objective <s, a> - T Omega(a). Its gradient is the envelope theorem's: `weights` in the
            scores, `threshold` in the budget, -Omega(a) in the temperature.
        bound: scalar, the dual value at `threshold`: no feasible allocation has a larger objective. inf where the
            problem is infeasible.
        gap: scalar, bound - value, computed without cancellation; 0 up to rounding at the optimum.
        feasible: whether the problem has a solution: finite budget >= 0, no NaN, caps that sum to the budget where
            it must be met. Where False, `weights` is what the caps allow (NaN if the input had NaN).
    """

    weights: Vector
    threshold: Scalar
    value: Scalar
    bound: Scalar
    gap: Scalar
    feasible: Bool[Array, ""]


class _Solution(NamedTuple):
    """What the solver finds: `surplus` is (s_i - tau) / T, kept apart because the difference loses digits."""

    weights: Vector
    threshold: Scalar
    surplus: Vector


def allocate(
    scores: Float[Array, " n"],
    budget: Any = 1.0,
    cap: Any = None,
    regularizer: Regularizer | None = None,
    *,
    temperature: Any = 1.0,
    at_most: bool = False,
) -> Allocation:
    """Spreads one budget of attention over n entries.

    Solves argmax <s, a> - T sum_i omega(a_i) over 0 <= a <= cap with sum a = budget, or sum a <= budget if
    `at_most`. Unbatched: `jax.vmap` it over rows. Works under jit, vmap, grad, jvp and their compositions.

    Derivatives are exact, to any order, by implicit differentiation at the solution: with h_i = 1 / (T omega''(a_i))
    on the entries strictly between their bounds, da_i = h_i (ds_i - dtau - omega'(a_i) dT) and dtau makes the sum of
    da equal dR. The map is piecewise smooth; at a kink (an entry just entering or leaving its bound) the derivative
    is that of the side on which the entry rests at its bound. Where no entry is free (all at a bound) the
    threshold's derivative is taken as 0.

    Args:
        scores: (n,), float32 or float64 (others become float32), any unit; -inf excludes an entry.
        budget: scalar >= 0, the attention to spend.
        cap: None, a scalar or (n,), >= 0: the most that an entry may get, in units of the budget.
        regularizer: one of `attnjax.allocation`'s; default `Entropy()`, which makes this a softmax.
        temperature: scalar > 0, in units of scores per unit of marginal cost: larger spreads wider.
        at_most: if True the budget is an upper bound, and attention that would cost more than it brings stays unspent.

    Returns:
        An `Allocation`: weights with their certificate.

    Raises:
        UserError: for wrong shapes; and, where the values are known (outside jit), for NaN or +inf scores, a negative
            budget or cap, a temperature that is not positive, caps that sum to less than a budget to be met, and
            scores that exclude every entry of a positive budget. Under jit these are reported in `feasible`.

    >>> import numpy as np
    >>> print(np.asarray(allocate(jnp.array([0.0, jnp.log(3.0)])).weights).round(3))
    [0.25 0.75]
    >>> allocate(jnp.array([1.0, 0.5, -1.0]), regularizer=SquaredNorm()).weights.tolist()
    [0.75, 0.25, 0.0]
    >>> allocate(jnp.array([5.0, 0.0, 0.0]), cap=0.5).weights.tolist()
    [0.5, 0.25, 0.25]
    """
    regularizer = Entropy() if regularizer is None else regularizer
    scores = jnp.asarray(scores)
    dtype = scores.dtype if scores.dtype in (jnp.float32, jnp.float64) else jnp.dtype(jnp.float32)
    if scores.ndim != 1 or scores.shape[0] == 0:
        fail(
            "allocate",
            expected="scores of shape (n,) with n >= 1",
            got=f"shape {scores.shape}",
            advice="The operator is unbatched: use jax.vmap(allocate) over the rows of a batch.",
        )
    budget, temperature = checked_scalar("budget", budget, dtype), checked_scalar("temperature", temperature, dtype)
    if cap is not None:
        cap = jnp.asarray(cap, dtype)
        if cap.shape not in ((), scores.shape):
            fail(
                "allocate",
                expected=f"cap to be None, a scalar or of the scores' shape {scores.shape}",
                got=f"shape {cap.shape}",
                advice="Give one cap for all entries or one per entry.",
            )
        cap = jnp.broadcast_to(cap, scores.shape)
    if not isinstance(regularizer, Regularizer):
        fail(
            "allocate",
            expected="a regularizer such as Entropy(), SquaredNorm(), Tsallis(1.5), Power(3) or SeparableConvex(f)",
            got=repr(regularizer),
            advice="Pass an instance, or an object with the four methods of attnjax.allocation.Regularizer.",
        )
    check_values(scores, budget, cap, temperature, at_most)
    return _allocate(scores.astype(dtype), budget, cap, temperature, regularizer, at_most)


@functools.partial(jax.jit, static_argnames="at_most")
def _allocate(
    scores: Vector,
    budget: Scalar,
    cap: Vector | None,
    temperature: Scalar,
    regularizer: Regularizer,
    at_most: bool,
) -> Allocation:
    problem = (scores, budget, cap, temperature, regularizer)
    weights, threshold, _ = _solution(at_most, *problem)
    value = _value(at_most, *problem)
    gap, feasible = jax.lax.stop_gradient(_certificate(at_most, *problem))
    return Allocation(weights, threshold, value, jnp.where(feasible, value + gap, jnp.inf), gap, feasible)


def _bounds(scores: Vector, budget: Scalar, cap: Vector | None) -> tuple[Bool[Array, " n"], Vector]:
    """Which entries take part, and the most that each may get."""
    upper = jnp.broadcast_to(budget, scores.shape) if cap is None else jnp.minimum(cap, budget)
    admissible = (scores > -jnp.inf) & (upper > 0)
    return admissible, jnp.where(admissible, upper, 0)


def _centred(scores: Vector, among: Bool[Array, " n"], temperature: Scalar) -> tuple[Vector, Scalar]:
    """(s_i - c) / T with c the largest score among the chosen entries; the rest are pushed far below."""
    centre = jnp.max(jnp.where(among, scores, -jnp.inf))
    centre = jnp.where(jnp.isfinite(centre), centre, 0)
    far = -jnp.finfo(scores.dtype).max / 16
    return jnp.where(among, jnp.maximum((scores - centre) / temperature, far), far), centre


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _solution(
    at_most: bool,
    scores: Vector,
    budget: Scalar,
    cap: Vector | None,
    temperature: Scalar,
    regularizer: Regularizer,
) -> _Solution:
    """Weights, threshold and surplus of one problem, feasible or not; the derivative rule is below."""
    admissible, upper = _bounds(scores, budget, cap)
    spendable = jnp.where((budget > 0) & admissible.any(), budget, 1)
    if cap is None and isinstance(regularizer, Entropy):
        x, centre = _centred(scores, admissible, temperature)
        level = logsumexp(x) - jnp.log(spendable) - 1
        weights = spendable * jax.nn.softmax(x)
    elif cap is None and isinstance(regularizer, SquaredNorm):
        x, centre = _centred(scores, admissible, temperature)
        level = _sparsemax_level(x, spendable)
        weights = jnp.maximum(x - level, 0)
    else:
        x, centre, level, weights = _by_bisection(
            scores, admissible, upper, spendable, temperature, regularizer, capped=cap is not None
        )
    weights = jnp.where(admissible, weights, 0)
    weights = _meet(weights, upper, budget)
    surplus = x - level
    threshold = jnp.where(
        admissible.any(), centre + temperature * level, _first_price(scores, cap, temperature, regularizer)
    )
    if at_most:
        alone = jnp.where(admissible, scores / temperature, 0)
        unforced = jnp.where(admissible, regularizer.inverse_derivative(alone, upper), 0)
        unspent = jnp.sum(unforced) < budget
        weights = jnp.where(unspent, unforced, weights)
        surplus = jnp.where(unspent, alone, surplus)
        threshold = jnp.where(unspent, 0, jnp.maximum(threshold, 0))
    bad = jnp.isnan(scores).any() | jnp.isnan(budget) | jnp.isnan(temperature)
    bad = bad if cap is None else bad | jnp.isnan(cap).any()
    return _Solution(jnp.where(bad, jnp.nan, weights), jnp.where(bad, jnp.nan, threshold), surplus)


def _first_price(scores: Vector, cap: Vector | None, temperature: Scalar, regularizer: Regularizer) -> Scalar:
    """The threshold where nothing can be spent: the price of the first positive float of attention, finite always."""
    first = regularizer.derivative(jnp.full_like(scores, jnp.finfo(scores.dtype).tiny))
    wanted = (scores > -jnp.inf) if cap is None else (scores > -jnp.inf) & (cap > 0)
    return jnp.where(wanted.any(), jnp.max(jnp.where(wanted, scores - temperature * first, -jnp.inf)), 0)


def _sparsemax_level(x: Vector, budget: Scalar) -> Scalar:
    """The threshold of sparsemax: sort, find the support, average what it has too much (Held et al. 1974)."""
    falling = -jnp.sort(-x)
    rank = jnp.arange(1, x.size + 1, dtype=x.dtype)
    support = jnp.sum(rank * falling > jnp.cumsum(jnp.maximum(falling, -2 * budget)) - budget).astype(int)
    kept = jnp.arange(x.size) < support
    return (jnp.sum(jnp.where(kept, falling, 0)) - budget) / jnp.maximum(support, 1)


def _by_bisection(
    scores: Vector,
    admissible: Bool[Array, " n"],
    upper: Vector,
    budget: Scalar,
    temperature: Scalar,
    regularizer: Regularizer,
    *,
    capped: bool,
) -> tuple[Vector, Scalar, Scalar, Vector]:
    """Centred scores, their centre, the level that meets the budget, and the weights there.

    Scores far apart would cost the level its digits: with caps, the entry at the margin may lie far below the best.
    So a first bisection finds who is saturated for certain, and a second, centred on the best of the rest, shares
    what they leave.
    """

    def weights_at(level: Scalar, x: Vector, among: Bool[Array, " n"]) -> Vector:
        return jnp.where(among, regularizer.inverse_derivative(x - level, upper), 0)

    def search(x: Vector, among: Bool[Array, " n"], left: Scalar) -> tuple[Scalar, Scalar]:
        count = jnp.maximum(jnp.sum(among), 1)
        # Every entry may have a cost of its own, so the ends are the widest over the entries that compete.
        whole, even = (regularizer.derivative(jnp.full_like(x, a)) for a in (left, left / count))
        competing = among | ~among.any()
        low = -jnp.max(jnp.where(competing, whole, -jnp.inf))
        high = -jnp.min(jnp.where(competing, even, jnp.inf))
        if capped:
            full = x - regularizer.derivative(jnp.where(among, upper, 1))
            low = jnp.minimum(low, jnp.min(jnp.where(among, full, jnp.inf)))
        margin = 8 * jnp.finfo(x.dtype).eps
        low, high = low - margin * (1 + abs(low)), high + margin * (1 + abs(high))
        return bisect(lambda level: jnp.sum(weights_at(level, x, among)) >= left, low, high)

    x, centre = _centred(scores, admissible, temperature)
    low, high = search(x, admissible, budget)
    if not capped:
        return x, centre, low, weights_at(low, x, admissible)
    saturated = admissible & (weights_at(high, x, admissible) >= upper)
    rest = admissible & ~saturated
    left = jnp.maximum(budget - jnp.sum(jnp.where(saturated, upper, 0)), 0)
    sharing = (left > 0) & rest.any()
    near, near_centre = _centred(scores, rest, temperature)
    near_low, _ = search(near, rest, jnp.where(sharing, left, 1))
    # Nothing left to share: any level between the last saturated entry and the first idle one will do.
    widest = jnp.finfo(x.dtype).max / 16
    wide = jnp.clip((scores - near_centre) / temperature, -widest, widest)
    x = jnp.where(sharing & admissible, wide, x)
    level = jnp.where(sharing, near_low, high)
    shared = jnp.where(sharing, weights_at(near_low, near, rest), 0)
    return x, jnp.where(sharing, near_centre, centre), level, jnp.where(saturated, upper, shared)


def _meet(weights: Vector, upper: Vector, budget: Scalar) -> Vector:
    """Removes the last rounding: the entries below their caps are scaled so that the sum is the budget."""
    free = weights < upper
    loose = jnp.sum(jnp.where(free, weights, 0))
    wanted = budget - jnp.sum(jnp.where(free, 0, weights))
    scale = jnp.where((loose > 0) & (wanted > 0), wanted / jnp.where(loose > 0, loose, 1), 1)
    near = abs(scale - 1) < 1e-2
    return jnp.minimum(jnp.where(free & near, weights * scale, weights), upper)


@_solution.defjvp
def _solution_jvp(at_most: bool, primals: tuple, tangents: tuple) -> tuple[_Solution, _Solution]:
    """Implicit differentiation of s_i - tau = T omega'(a_i) on the free entries and of the budget.

    Written in terms of the solution itself, so that differentiating this rule gives the second derivative.
    """
    scores, budget, cap, temperature, regularizer = primals
    d_scores, d_budget, d_cap, d_temperature, d_regularizer = tangents
    out = _solution(at_most, *primals)
    admissible, _ = _bounds(scores, budget, cap)
    limit = jnp.inf if cap is None else cap  # not `upper`: an entry that takes the whole budget grows with it
    free = admissible & (out.weights > 0) & (out.weights < limit)
    inner = jnp.where(free, out.weights, 1)
    speed = jnp.where(free, regularizer.inverse_curvature(inner) / temperature, 0)
    marginal = regularizer.derivative(inner)
    _, d_marginal = jax.jvp(lambda r: r.derivative(inner), (regularizer,), (d_regularizer,))
    push = jnp.where(free, d_scores - marginal * d_temperature - temperature * d_marginal, 0)
    d_fixed = jnp.zeros_like(scores)
    if cap is not None:
        d_fixed = jnp.where(admissible & (out.weights >= cap), d_cap, 0)
    total = jnp.sum(speed)
    binding = total > 0
    if at_most:
        binding = binding & (out.threshold != 0)
    d_threshold = jnp.sum(speed * push) + jnp.sum(d_fixed) - d_budget
    d_threshold = jnp.where(binding, d_threshold / jnp.where(binding, total, 1), 0)
    d_weights = d_fixed + speed * (push - jnp.where(free, d_threshold, 0))
    d_surplus = (jnp.where(admissible, d_scores, 0) - d_threshold - out.surplus * d_temperature) / temperature
    return out, _Solution(d_weights, d_threshold, d_surplus)


def _cost(regularizer: Regularizer, weights: Vector) -> Scalar:
    """Omega; entries at exactly 0 stay there, so their derivative, which may be infinite, has no part in it."""
    held = regularizer.value(jnp.zeros_like(weights))
    return jnp.sum(jnp.where(weights > 0, regularizer.value(jnp.where(weights > 0, weights, 1)), held))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value(
    at_most: bool,
    scores: Vector,
    budget: Scalar,
    cap: Vector | None,
    temperature: Scalar,
    regularizer: Regularizer,
) -> Scalar:
    """The objective at the solution; its derivative is the envelope theorem, below."""
    weights = _solution(at_most, scores, budget, cap, temperature, regularizer).weights
    benefit = jnp.sum(jnp.where(weights > 0, scores, 0) * weights)
    return jnp.where(jnp.isnan(weights).any(), jnp.nan, benefit - temperature * _cost(regularizer, weights))


@_value.defjvp
def _value_jvp(at_most: bool, primals: tuple, tangents: tuple) -> tuple[Scalar, Scalar]:
    """Only the direct effect counts: weights, threshold and the caps' multipliers are the partial derivatives."""
    scores, budget, cap, temperature, regularizer = primals
    d_scores, d_budget, d_cap, d_temperature, d_regularizer = tangents
    weights, threshold, surplus = _solution(at_most, *primals)
    admissible, _ = _bounds(scores, budget, cap)
    _, d_cost = jax.jvp(lambda r: _cost(r, weights), (regularizer,), (d_regularizer,))
    change = jnp.sum(jnp.where(admissible, weights * d_scores, 0)) + threshold * d_budget
    change = change - _cost(regularizer, weights) * d_temperature - temperature * d_cost
    if cap is not None:
        full = admissible & (weights >= cap)
        worth = temperature * (surplus - regularizer.derivative(jnp.where(full, weights, 1)))
        change = change + jnp.sum(jnp.where(full, jnp.maximum(worth, 0) * d_cap, 0))
    return _value(at_most, *primals), change


def _certificate(
    at_most: bool,
    scores: Vector,
    budget: Scalar,
    cap: Vector | None,
    temperature: Scalar,
    regularizer: Regularizer,
) -> tuple[Scalar, Bool[Array, ""]]:
    """The duality gap at the threshold, and whether the problem can be solved at all.

    The dual value at tau is tau R + sum_i max over b of (s_i - tau) b - T omega(b). Subtracting the objective entry by
    entry leaves differences between each b_i and a_i, which keep their digits when the scores are large.
    """
    admissible, upper = _bounds(scores, budget, cap)
    weights, threshold, surplus = _solution(at_most, scores, budget, cap, temperature, regularizer)
    best = jnp.where(admissible, regularizer.inverse_derivative(surplus, upper), 0)
    moved = jnp.where(best != weights, surplus * (best - weights), 0)
    regret = jnp.sum(moved - (regularizer.value(best) - regularizer.value(weights)))
    gap = jnp.maximum(temperature * regret + threshold * (budget - jnp.sum(weights)), 0)
    feasible = jnp.isfinite(budget) & (budget >= 0) & (temperature > 0) & jnp.isfinite(temperature)
    feasible = feasible & ~(jnp.isnan(scores) | (scores == jnp.inf)).any()
    if cap is not None:
        feasible = feasible & (cap >= 0).all()
    if not at_most:
        room = jnp.where(admissible, budget if cap is None else cap, 0)
        feasible = feasible & (jnp.sum(room) >= budget * (1 - slack(scores.dtype)))
    return jnp.where(feasible, gap, jnp.inf), feasible
