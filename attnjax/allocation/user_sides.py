"""The users' side of the smoothed dual: best responses to worth, how they move, and what they are worth.

At prices p an entry is worth z = s + r (M (p + pi)) to its user. Users respond at a temperature of their own,

    a_u = argmax over a in C_u of <z_u, a> - T_u Omega(a),      da_u = [diag(own) - sum_k shared_k shared_k'] dz_u,

and their part of the dual's bound is V_u(z_u) = max over C_u of <z_u, a> - T Omega(a) at the market's temperature T.
There are three kinds of users: of a simplex with entropy (softmax in closed form), of slates, and all others, for whom
the one-budget operator finds a threshold.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float

from attnjax.allocation.market import Market
from attnjax.allocation.operator import allocate
from attnjax.allocation.regularizers import Entropy
from attnjax.allocation.slates import best_slate_value, respond_by_slates

Worth = Float[Array, "b n"]
PerUser = Float[Array, " b"]


class Users(NamedTuple):
    """The part of a market that belongs to some users: a tile.

    Attributes:
        scores: (b, n).
        impact: (b, n) or None.
        candidates: (b, n) or None.
        caps: (b, n) or None.
        budgets: (b,), 0 for rows that another tile counts.
        temperature: (b,), at which they respond.
    """

    scores: Float[Array, "b n"]
    impact: Float[Array, "b n"] | None
    candidates: Array | None
    caps: Float[Array, "b n"] | None
    budgets: PerUser
    temperature: PerUser


class UserResponse(NamedTuple):
    """Smoothed best responses and their derivative in worth, diag(own) - sum_k shared_k shared_k'.

    Attributes:
        attention: (b, n).
        own: (b, n).
        shared: (b, k, n), with k = 1 but for slates.
    """

    attention: Worth
    own: Worth
    shared: Float[Array, "b k n"]


def respond(market: Market, users: Users, z: Worth) -> UserResponse:
    """What users do at worth z (b, n), at their own temperatures."""
    if market.position_bias is not None:
        return UserResponse(*respond_by_slates(z, users.temperature, users.budgets, market.position_bias))
    if market.caps is None and isinstance(market.regularizer, Entropy):
        return _softmax(market, users, z)
    return _threshold(market, users, z)


def _softmax(market: Market, users: Users, z: Worth) -> UserResponse:
    """Entropy without caps.

    Attention that may stay unspent goes to one more option worth 0, unless users value variety: then each entry gets
    exp(z / T - 1), or its share of the budget where that is less.
    """
    seen = z > -jnp.inf  # an excluded entry has no derivative in the temperature either
    scaled = jnp.where(seen, jnp.where(seen, z, 0) / users.temperature[:, None], -jnp.inf)
    top = jnp.max(scaled, axis=1, keepdims=True)
    top = jnp.maximum(top, 0 if market.at_most else jnp.finfo(z.dtype).min)
    grown = jnp.exp(scaled - top)
    total = jnp.sum(grown, axis=1, keepdims=True)
    budgets = users.budgets[:, None]
    binds = jnp.ones_like(total)
    factor = budgets / jnp.where(total**2 > 0, total, 1)  # whose derivative is finite too
    if market.at_most:
        free = jnp.exp(jnp.minimum(top - 1, 80))
        varied = market.temperature > 0
        binds = jnp.where(varied, (free * total >= budgets).astype(z.dtype), 1)
        factor = jnp.where(varied, jnp.minimum(factor, free), budgets / (total + jnp.exp(-top)))
    attention = grown * factor
    # Attention moves by a / T in its own worth, less its share of what all the others lose.
    spread = jnp.where(budgets > 0, budgets, 1) * users.temperature[:, None]
    shared = attention * jnp.where(budgets > 0, binds * jax.lax.rsqrt(spread), 0)
    return UserResponse(attention, attention / users.temperature[:, None], shared[:, None, :])


def _threshold(market: Market, users: Users, z: Worth) -> UserResponse:
    """Any other users: the operator's thresholds."""

    def one(z: Array, budget: Array, cap: Array | None, temperature: Array) -> tuple[Array, Array]:
        found = allocate(z, budget, cap, market.regularizer, temperature=temperature, at_most=market.at_most)
        return found.weights, found.threshold

    attention, threshold = jax.vmap(one)(z, users.budgets, users.caps, users.temperature)
    inside = attention > 0
    if users.caps is not None:
        inside = inside & (attention < users.caps)
    curvature = jax.vmap(market.regularizer.inverse_curvature)(jnp.where(inside, attention, 1))
    own = jnp.where(inside, curvature / users.temperature[:, None], 0)
    total = jnp.sum(own, axis=1, keepdims=True)
    binds = (total > 0) & ((threshold[:, None] > 0) if market.at_most else True)
    shared = own * jnp.where(binds, jax.lax.rsqrt(jnp.where(total > 0, total, 1)), 0)
    return UserResponse(attention, own, shared[:, None, :])


def behind(market: Market, users: Users, z: Worth, attention: Worth) -> PerUser:
    """How far attention (b, n), feasible, is from the users' best at worth z: V_u(z_u) - <z_u, a_u> + T Omega(a_u).

    At least 0 up to rounding. Where there is a closed form no term is larger than what it sums.
    """
    if market.position_bias is not None:
        taken = jnp.sum(jnp.where(attention > 0, z, 0) * attention, axis=1)
        return best_slate_value(z, users.budgets, market.position_bias) - taken
    if market.caps is not None or not isinstance(market.regularizer, Entropy):
        return _behind_threshold(market, users, z, attention)
    preference = market.temperature
    best = jnp.max(z, axis=1)
    best = jnp.maximum(best, 0 if market.at_most else jnp.finfo(z.dtype).min)
    lost = jnp.sum(jnp.where(attention > 0, best[:, None] - z, 0) * attention, axis=1)
    lost = lost + best * (users.budgets - jnp.sum(attention, axis=1))
    # A preference for variety: what the best mixture's entropy is worth, less what this one's is.
    safe = jnp.where(preference > 0, preference, 1)
    budgets = jnp.where(users.budgets > 0, users.budgets, 1)
    soft = jax.nn.logsumexp((z - best[:, None]) / safe, axis=1)
    information = jnp.sum(xlogy(attention, attention / budgets[:, None]), axis=1)
    variety = safe * (users.budgets * soft + information)
    if market.at_most:  # V = R (best + T soft) - T R log R where the budget binds, else T sum exp(z / T - 1)
        log_free = soft + best / safe - 1
        free = log_free < jnp.log(budgets)
        spent = jnp.sum(attention, axis=1)
        log_r = jnp.log(budgets)
        unbound = safe * jnp.exp(jnp.minimum(log_free, log_r)) - best * users.budgets
        unbound = unbound + safe * (information + spent * log_r)
        variety = jnp.where(free, unbound, variety - safe * (users.budgets - spent) * log_r)
    return lost + jnp.where((preference > 0) & (users.budgets > 0), variety, 0)


def _behind_threshold(market: Market, users: Users, z: Worth, attention: Worth) -> PerUser:
    """With the operator's dual bound at the market's temperature, or a linear programme of one constraint at 0."""
    preference = market.temperature
    safe = jnp.where(preference > 0, preference, 1)
    cost = jnp.sum(jax.vmap(market.regularizer.value)(attention), axis=1)
    taken = jnp.sum(jnp.where(attention > 0, z, 0) * attention, axis=1) - preference * cost

    def varied() -> PerUser:
        def one(z: Array, budget: Array, cap: Array | None) -> Array:
            return allocate(z, budget, cap, market.regularizer, temperature=safe, at_most=market.at_most).bound

        return jax.vmap(one)(z, users.budgets, users.caps)

    return jax.lax.cond(preference > 0, varied, lambda: _knapsack(market, users, z)) - taken


def _knapsack(market: Market, users: Users, z: Worth) -> PerUser:
    """max <z, a> over 0 <= a <= cap and the budget, by its dual: R mu + sum cap max(0, z - mu), at the best mu."""
    caps = jnp.broadcast_to(users.budgets[:, None], z.shape) if users.caps is None else users.caps
    caps = jnp.where(z > -jnp.inf, jnp.minimum(caps, users.budgets[:, None]), 0)
    order = jnp.argsort(-z, axis=1)
    sorted_z = jnp.take_along_axis(z, order, axis=1)
    filled = jnp.cumsum(jnp.take_along_axis(caps, order, axis=1), axis=1)
    # The entry at which the budget runs out sets the price; the last admissible one if it never does.
    seen = jnp.sum(z > -jnp.inf, axis=1)
    last = jnp.minimum(jnp.sum(filled < users.budgets[:, None] * (1 - 1e-6), axis=1), jnp.maximum(seen - 1, 0))
    price = jnp.take_along_axis(sorted_z, last[:, None], axis=1)[:, 0]
    price = jnp.where(seen > 0, price, 0)
    if market.at_most:  # where caps leave budget over, more of it is worth nothing
        price = jnp.where(filled[:, -1] < users.budgets * (1 - 1e-6), 0, jnp.maximum(price, 0))
    surplus = jnp.where(caps > 0, jnp.maximum(z - price[:, None], 0), 0)
    return users.budgets * price + jnp.sum(caps * surplus, axis=1)


def taste(market: Market, users: Users, attention: Worth) -> PerUser:
    """What users have of their attention by themselves: <s, a> - T Omega(a)."""
    own = jnp.sum(jnp.where(attention > 0, users.scores, 0) * attention, axis=1)
    return own - market.temperature * jnp.sum(jax.vmap(market.regularizer.value)(attention), axis=1)
