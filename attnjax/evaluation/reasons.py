"""Prices as reasons: why a creator got this exposure, and why a user spends attention so.

In a solved market (`attnjax.allocation`) nobody need ask a black box. At the prices p and the platform's rates pi each
user's attention solves, for every entry,

    s_ui + r_ui (M p)_i + r_ui (M pi)_i  =  tau_u + T omega'(a_ui) + rent_ui

what it is worth = what the attention would be worth elsewhere + what crowding it costs + what a limit keeps back. So
the difference of two entries' marginal costs, with entropy T log(a_i / a_k), is a sum of reasons. A creator's exposure
moves with the scores and all prices and rates at once; the integral along the way from nothing (everything worth the
same) to what is, shares it out among them (Aumann and Shapley 1974), and adds up:

    e_j = e_j(even) + scores + sum_k prices_k + sum_k rates_k
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attnjax.allocation import Market, Solution, allocate, best_response
from attnjax.allocation.entries import on_entries
from attnjax.errors import fail
from attnjax.evaluation.explanation import integrated_gradients

NEAR = 1e-3
"""How near to a floor or a cap, relative to it, exposure counts as at it."""


class ExposureReasons(NamedTuple):
    """What a creator's exposure is made of; all in units of exposure, but for `binding`.

    Attributes:
        exposure: scalar, e_j in the solution.
        even: scalar, what it would be if users valued all they may see alike, under the same limits.
        scores: scalar, what users' scores add.
        prices: (c,), what each creator's price adds: entry j its own (a floor's subsidy, a cap's toll, what Nash
            welfare or a revenue rate is willing to pay), the others what rivals' prices take away or leave.
        rates: (c,), what the platform's rate on each creator adds.
        rest: scalar, exposure less all of these: the solver's tolerance, and that of the integral.
        binding: scalar, 1 if the creator's floor binds, -1 if its cap does, else 0.
    """

    exposure: Float[Array, ""]
    even: Float[Array, ""]
    scores: Float[Array, ""]
    prices: Float[Array, " c"]
    rates: Float[Array, " c"]
    rest: Float[Array, ""]
    binding: Int[Array, ""]


class ChoiceReasons(NamedTuple):
    """Why a user spends attention as they do; entries (n,) in units of the scores, but for `attention`.

    worth = score + price + platform = threshold + cost + rent. The difference of two entries says why one gets more.

    Attributes:
        attention: (n,), what each entry gets.
        score: (n,), what it is worth to the user; -inf where it can't be had.
        price: (n,), what its creators' prices add.
        platform: (n,), what the platform's rates add.
        threshold: scalar, what one more unit of attention would be worth: the price of the user's own budget.
        cost: (n,), T omega'(a), what crowding costs; -inf at 0 under entropy.
        rent: (n,), above 0 where a cap keeps attention off, below 0 for an entry not worth its threshold, -inf where
            it can't be had.
    """

    attention: Float[Array, " n"]
    score: Float[Array, " n"]
    price: Float[Array, " n"]
    platform: Float[Array, " n"]
    threshold: Float[Array, ""]
    cost: Float[Array, " n"]
    rent: Float[Array, " n"]


def why_exposure(market: Market, solution: Solution, creator: Any, *, nodes: int = 64) -> ExposureReasons:
    """Shares a creator's exposure out among scores, prices and the platform's rates.

    Integrated gradients of exposure under best responses, in the scores' scale, each price and each rate, from 0 to
    what they are. A price of 0 stands for "nobody pays": what a rival's price takes away counts apart from what one's
    own brings. `jax.vmap` it over creators. Costs `nodes` best responses of all users, and their derivatives.

    Args:
        market: the market that was solved; temperature above 0, without slates.
        solution: from `solve`.
        creator: j, from 0.
        nodes: of the integral; sharp choices (a low temperature) need more, which `rest` shows.

    Returns:
        An `ExposureReasons`.

    Raises:
        UserError: for slates, a temperature of 0, a creator who is not there, or the solution of another market.

    >>> from attnjax.allocation import Creators, Floors, solve
    >>> market = Market.of(jnp.zeros((1, 2)), Creators.one_per_item(2), Floors(jnp.array([0.75, 0.0])))
    >>> why = why_exposure(market, solve(market, 1e-6), 0)
    >>> round(float(why.even), 2), round(float(why.prices[0]), 2), int(why.binding)
    (0.5, 0.25, 1)
    """
    _check("why_exposure", market, solution)
    creators = market.creators.num_creators
    if not isinstance(creator, jax.core.Tracer) and not 0 <= creator < creators:
        fail("why_exposure", expected=f"a creator from 0 to {creators - 1}", got=str(creator), advice="Count from 0.")

    had = market.scores > -jnp.inf

    def exposure(of: dict[str, Array]) -> Float[Array, ""]:
        scores = jnp.where(had, of["scores"] * jnp.where(had, market.scores, 0), -jnp.inf)
        moved = dataclasses.replace(market, scores=scores, platform_rates=of["rates"])
        return best_response(moved, of["prices"]).exposure[creator]

    one = jnp.ones((), market.scores.dtype)
    found = integrated_gradients(
        exposure, {"scores": one, "prices": solution.prices, "rates": market.platform_rates}, nodes=nodes
    )
    there = solution.exposure[creator]
    parts = found.values
    even = exposure(jax.tree.map(jnp.zeros_like, parts))
    total = even + parts["scores"] + jnp.sum(parts["prices"]) + jnp.sum(parts["rates"])
    binding = _binding(market, solution)[creator]
    return ExposureReasons(there, even, parts["scores"], parts["prices"], parts["rates"], there - total, binding)


def why_choice(market: Market, solution: Solution, user: Any) -> ChoiceReasons:
    """What each entry is worth to a user, part by part, and what keeps the user from giving it more.

    Exact for any regulariser, since it is the condition that best responses meet; `jax.vmap` it over users.

    Args:
        market: the market that was solved; temperature above 0, without slates.
        solution: from `solve`.
        user: u, from 0.

    Returns:
        A `ChoiceReasons`, at the user's best response to the prices.

    Raises:
        UserError: for slates, a temperature of 0, a user who is not there, or the solution of another market.

    >>> from attnjax.allocation import Creators, Nash, solve
    >>> market = Market.of(jnp.array([[1.0, 0.0]]), Creators.one_per_item(2), Nash(jnp.ones(2)))
    >>> why = why_choice(market, solve(market, 1e-6), 0)
    >>> reasons = (why.score + why.price)[0] - (why.score + why.price)[1]
    >>> bool(abs(reasons - jnp.log(why.attention[0] / why.attention[1])) < 1e-5)
    True
    """
    _check("why_choice", market, solution)
    users = market.scores.shape[0]
    if not isinstance(user, jax.core.Tracer) and not 0 <= user < users:
        fail("why_choice", expected=f"a user from 0 to {users - 1}", got=str(user), advice="Count from 0.")
    score = market.scores[user]
    price, platform = (
        _at_user(market, market.creators.on_items(paid), user) for paid in (solution.prices, market.platform_rates)
    )
    chosen = allocate(
        score + price + platform,
        market.budgets[user],
        None if market.caps is None else market.caps[user],
        market.regularizer,
        temperature=market.temperature,
        at_most=market.at_most,
    )
    had = score > -jnp.inf
    cost = market.temperature * market.regularizer.derivative(chosen.weights)
    rent = jnp.where(had, score + price + platform - chosen.threshold - jnp.where(had, cost, 0), -jnp.inf)
    return ChoiceReasons(chosen.weights, score, price, platform, chosen.threshold, cost, rent)


def _at_user(market: Market, items: Float[Array, " n"], user: Any) -> Array:
    """Values of items at one user's entries, times impact."""
    entries = on_entries(items, None if market.candidates is None else market.candidates[user][None])[0]
    return entries if market.impact is None else entries * market.impact[user]


def _binding(market: Market, solution: Solution) -> Int[Array, " c"]:
    """1 where a floor binds, -1 where a cap does: the price's sign, and exposure at the bound."""
    value, exposure, prices = market.creator_value, solution.exposure, solution.prices
    floors, caps = getattr(value, "floors", None), getattr(value, "caps", None)
    low = jnp.zeros(prices.shape, bool) if floors is None else (prices > 0) & (exposure <= floors * (1 + NEAR))
    high = jnp.zeros(prices.shape, bool) if caps is None else (prices < 0) & (exposure >= caps * (1 - NEAR))
    return low.astype(jnp.int32) - high.astype(jnp.int32)


def _check(where: str, market: Market, solution: Solution) -> None:
    known = not isinstance(market.temperature, jax.core.Tracer)
    if market.position_bias is not None or (known and not float(market.temperature) > 0):
        fail(
            where,
            expected="users with a preference for variety: temperature above 0, no slates",
            got="slates" if market.position_bias is not None else f"temperature {float(market.temperature)}",
            advice="Without it best responses jump, and prices alone don't say who gets what.",
        )
    if solution.prices.shape != market.platform_rates.shape:
        fail(
            where,
            expected=f"the solution of this market of {market.platform_rates.shape[0]} creators",
            got=f"prices of shape {solution.prices.shape}",
            advice="Pass the market that was solved.",
        )
