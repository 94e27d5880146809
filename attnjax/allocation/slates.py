"""Slates: K positions of falling attention, shown to a user in any order and mixture of orders.

A user's attention x lies in the permutohedron of the positions' attention v_1 >= ... >= v_K. With the differences
d_k = v_k - v_{k+1} it is the sum of d_k times {0 <= y <= 1, sum y = k}: with d_k of attention, k items are shown. The
best response to worth z puts the k best items there. Smoothed by Fermi-Dirac entropy at temperature T it is

    x_i = sum_k d_k sigmoid((z_i - t_k) / T),      with t_k such that sum_i sigmoid((z_i - t_k) / T) = k.

Thresholds fall in k, so y^1 <= ... <= y^K: y^k - y^{k-1} is the chance that item i is shown at position k.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.errors import fail

Worth = Float[Array, "b n"]
Thresholds = Float[Array, "b k"]
PerUser = Float[Array, " b"]

ROUNDS = 60
"""At most so many steps to the thresholds; half a dozen is usual."""


def steps_of(position_bias: Float[Array, " k"]) -> Float[Array, " k"]:
    """d_k = v_k - v_{k+1}, with v_{K+1} = 0."""
    return position_bias - jnp.concatenate([position_bias[1:], jnp.zeros(1, position_bias.dtype)])


def _chances(worth: Worth, centres: Thresholds, offsets: Thresholds, temperature: PerUser) -> Float[Array, "b k n"]:
    """sigmoid((z - t) / T) at thresholds t = centre + T offset, which single precision can't hold in one number."""
    seen = worth > -jnp.inf  # an excluded entry has no derivative in the temperature either
    away = (jnp.where(seen, worth, 0)[:, None, :] - centres[:, :, None]) / temperature[:, None, None]
    return jnp.where(seen[:, None, :], jax.nn.sigmoid(away - offsets[:, :, None]), 0)


def _sum_of_items(chances: Float[Array, "b k n"]) -> Thresholds:
    """A product with ones, which is faster than a sum on CPU and as exact."""
    return jnp.matmul(chances, jnp.ones(chances.shape[2], chances.dtype), precision=jax.lax.Precision.HIGHEST)


def centres_of(worth: Worth, places: int) -> Thresholds:
    """Halfway between the k-th best worth and the next, for k = 1 to `places`: (b, k), about where thresholds are."""
    seen = worth > -jnp.inf
    least = jnp.min(jnp.where(seen, worth, jnp.inf), axis=1)
    least = jnp.where(jnp.isfinite(least), least, 0)[:, None]
    have = min(places + 1, worth.shape[1])
    ranked = jax.lax.top_k(worth, have)[0]
    ranked = jnp.pad(jnp.where(jnp.isfinite(ranked), ranked, least), ((0, 0), (0, places + 1 - have)), mode="edge")
    return (ranked[:, :-1] + ranked[:, 1:]) / 2


@jax.custom_jvp
def offsets_at(worth: Worth, centres: Thresholds, temperature: PerUser, counts: Float[Array, " k"]) -> Thresholds:
    """The offsets at which `counts` items are chosen in sum, thresholds counted from the centres: (b, k).

    Halley's method on the log-odds of the sum, linear in a threshold where all items are alike, inside a bracket that
    shrinks around the root. Where no more items are admissible than counted the threshold falls far below all worth.
    Differentiable by the implicit function theorem, the centres taken as constants.

    Args:
        worth: (b, n); -inf excludes.
        centres: (b, k).
        temperature: (b,), above 0.
        counts: (k,), 1 to k: how many items at each threshold.
    """
    seen = worth > -jnp.inf
    best = jnp.max(jnp.where(seen, worth, -jnp.inf), axis=1)
    least = jnp.min(jnp.where(seen, worth, jnp.inf), axis=1)
    best, least = (jnp.where(jnp.isfinite(end), end, 0)[:, None] for end in (best, least))
    wanted = counts[None, :]
    # With all items as good as the best the sum is too large, with all as bad as the worst too small.
    room = jnp.sum(seen, axis=1, dtype=worth.dtype)[:, None]
    odds = jnp.log(jnp.maximum(room / wanted - 1, 1e-6))
    unit = temperature[:, None]
    low, high = (least - centres) / unit + odds - 1, (best - centres) / unit + odds + 1
    info = jnp.finfo(worth.dtype)
    close = 32 * info.eps  # what rounding leaves of a sum over items
    short = jnp.cbrt(50 * close)  # of a step that leaves no more than that

    def step(state: tuple) -> tuple:
        t, low, high, _, rounds = state
        chances = _chances(worth, centres, t, temperature)
        doubt = chances * (1 - chances)
        total = jnp.maximum(_sum_of_items(chances), info.tiny)
        others = jnp.maximum(room - total, info.tiny)
        slope = jnp.maximum(_sum_of_items(doubt), jnp.sqrt(info.tiny))
        low, high = jnp.where(total > wanted, t, low), jnp.where(total > wanted, high, t)
        error, pull = jnp.log(total / others) + odds, (total / room) * others / slope
        bend = error * (_sum_of_items(doubt * (1 - 2 * chances)) / slope * pull - (1 - 2 * total / room))
        away = error * pull / jnp.maximum(1 - bend / 2, 0.5)
        inside = (t + away >= low) & (t + away <= high)
        there = jnp.abs(total / wanted - 1) <= close
        moved = jnp.where(there, t, jnp.where(inside, t + away, (low + high) / 2))
        settled = there | (inside & (jnp.abs(away) <= short)) | (high - low <= close * jnp.maximum(jnp.abs(t), 1))
        return moved, low, high, settled.all(), rounds + 1

    state = (jnp.clip(jnp.zeros_like(centres), low, high), low, high, jnp.zeros((), bool), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(lambda s: ~s[3] & (s[4] < ROUNDS), step, state)[0]


@offsets_at.defjvp
def _offsets_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    worth, centres, temperature, counts = primals
    d_worth, d_centres, d_temperature, _ = tangents
    offsets = offsets_at(worth, centres, temperature, counts)
    chances = _chances(worth, centres, offsets, temperature)
    weights = chances * (1 - chances)
    away = jnp.where(weights > 0, worth[:, None, :] - centres[:, :, None], 0) / temperature[:, None, None]
    moved = d_worth[:, None, :] - d_centres[:, :, None] - away * d_temperature[:, None, None]
    # Where no item is in doubt nothing moves: a total that, times the temperature, is still a number.
    total = jnp.maximum(jnp.sum(weights, axis=2), jnp.sqrt(jnp.finfo(worth.dtype).tiny))
    return offsets, jnp.sum(weights * moved, axis=2) / (temperature[:, None] * total)


class SlateResponse(NamedTuple):
    """The smoothed best response, and how it moves in worth: by diag(own) - sum_k shared_k shared_k'.

    Attributes:
        attention: (b, n).
        own: (b, n).
        shared: (b, k, n).
    """

    attention: Worth
    own: Worth
    shared: Float[Array, "b k n"]


def respond_by_slates(
    worth: Worth, temperature: PerUser, budgets: PerUser, position_bias: Float[Array, " k"]
) -> SlateResponse:
    """The smoothed best response of users with `budgets` of each position's attention."""
    counts = jnp.arange(1, position_bias.size + 1, dtype=worth.dtype)
    centres = jax.lax.stop_gradient(centres_of(worth, position_bias.size))
    chances = _chances(worth, centres, offsets_at(worth, centres, temperature, counts), temperature)
    # What is left of the thresholds' equations: lower all chances, or raise all towards 1, to sum to the counts.
    total, room = jnp.sum(chances, axis=2), jnp.sum(jnp.where(worth > -jnp.inf, 1, 0), axis=1)[:, None]
    lower = counts[None, :] / jnp.maximum(total, counts[None, :])
    higher = jnp.maximum(counts[None, :] - total, 0) / jnp.where(room > total, room - total, 1)
    seen = (worth > -jnp.inf)[:, None, :]
    chances = chances * lower[:, :, None] + jnp.where(seen, 1 - chances, 0) * higher[:, :, None]
    steps = steps_of(position_bias)
    attention = budgets[:, None] * jnp.sum(chances * steps[None, :, None], axis=1)
    slope = jnp.maximum(chances * (1 - chances), 0) / temperature[:, None, None]
    weight = budgets[:, None] * steps[None, :]
    own = jnp.sum(slope * weight[:, :, None], axis=1)
    total = jnp.maximum(jnp.sum(slope, axis=2), jnp.finfo(worth.dtype).tiny)
    return SlateResponse(attention, own, slope * jnp.sqrt(weight / total)[:, :, None])


def best_slate_value(worth: Worth, budgets: PerUser, position_bias: Float[Array, " k"]) -> Array:
    """What users get from their best slate: sum_k v_k times the k-th largest worth, (b,)."""
    best, _ = jax.lax.top_k(worth, position_bias.size)
    return budgets * jnp.sum(jnp.where(jnp.isfinite(best), best, 0) * position_bias[None, :], axis=1)


class Slates(NamedTuple):
    """A lottery over slates.

    Attributes:
        chance: (m,), sums to 1.
        items: (m, k), the item at each position.
    """

    chance: np.ndarray
    items: np.ndarray


def decode_slates(attention: Any, position_bias: Any) -> Slates:
    """A lottery over slates that gives each item its attention, on the host and in double precision.

    Attention is written as chances of items at positions (any point of the permutohedron can be), and these as a
    mixture of slates by taking matchings away until nothing is left: at most (n + k)^2 of them.

    Args:
        attention: (n,), one user's, in units of the positions' attention (i.e. divided by the budget).
        position_bias: (k,), falling.

    Returns:
        `Slates`, whose expected attention is the given one to 1e-6.

    Raises:
        UserError: where no mixture of slates gives such attention.

    Source: Birkhoff (1946); Hardy, Littlewood and Polya (1929) for attention that is majorised.

    >>> lottery = decode_slates([0.75, 0.75], [1.0, 0.5])
    >>> lottery.chance.round(3).tolist(), sorted(lottery.items.tolist())
    ([0.5, 0.5], [[0, 1], [1, 0]])
    """
    from scipy.optimize import linear_sum_assignment

    x, v = np.asarray(attention, np.float64), np.asarray(position_bias, np.float64)
    count, places = x.size, v.size
    order = np.argsort(-x, kind="stable")
    room = np.cumsum(np.append(v, np.zeros(count - places))) - np.cumsum(x[order]) if count >= places else [-np.inf]
    if x.ndim != 1 or count < places or not (x >= 0).all() or np.min(room) < -1e-6 * v.sum():
        fail(
            "decode_slates",
            expected=f"attention (n,) with n >= {places}, whose k largest entries sum to at most the k first positions",
            got=f"shape {x.shape}, {-np.min(room):.3g} too much" if count >= places else f"{count} items",
            advice="Divide a user's attention by the budget, and pass the market's position_bias.",
        )
    if abs(room[-1]) > 1e-6 * v.sum():
        fail(
            "decode_slates",
            expected=f"attention that sums to the positions' {v.sum():g}",
            got=f"{x.sum():g}",
            advice="Divide a user's attention by the budget.",
        )
    chances = _transfers(x[order], np.append(v, np.zeros(count - places)))
    found: dict[tuple[int, ...], float] = {}
    left, rest = 1.0, chances.copy()
    for _ in range((count + places) ** 2):
        # The matching whose rarest cell is as frequent as can be would be best; a likely one does.
        rows, columns = linear_sum_assignment(-np.log(np.maximum(rest, 1e-300)))
        share = min(float(rest[rows, columns].min()), left)
        if share <= 1e-9:
            break
        rest[rows, columns] -= share
        left -= share
        slate = tuple(int(order[rows[columns == k][0]]) for k in range(places))
        found[slate] = found.get(slate, 0.0) + share
    chance = np.array(list(found.values()))
    return Slates(chance / chance.sum(), np.array(list(found), int))


def _transfers(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A doubly stochastic matrix P with P v = x, for falling x that v majorises: a product of pairwise averages."""
    matrix, current = np.eye(x.size), v.copy()
    for _ in range(x.size):
        surplus = current - x
        above = np.nonzero(surplus > 1e-12)[0]
        below = np.nonzero(surplus < -1e-12)[0]
        if not (above.size and below.size):
            break
        # The last one above before the first one below it: what is moved keeps the order.
        j = int(below[0])
        before = above[above < j]
        i = int(before[-1]) if before.size else int(above[0])
        moved = min(surplus[i], -surplus[j])
        share = moved / (current[i] - current[j]) if current[i] > current[j] else 0.0
        mix = np.eye(x.size)
        mix[[i, j], [i, j]] = 1 - share
        mix[[i, j], [j, i]] = share
        matrix, current = mix @ matrix, mix @ current
    return matrix
