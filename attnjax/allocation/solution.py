"""What a market solver returns: a solution, its certificate, and the rule by which each user's attention is found."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
from jaxtyping import Array, Bool, Float, Int

from attnjax.allocation.market import Market
from attnjax.allocation.sweeps import Feasible, make_feasible, worth
from attnjax.allocation.tiles import users_of
from attnjax.allocation.user_sides import Users, respond
from attnjax.errors import fail

Prices = Float[Array, " c"]


class Rule(NamedTuple):
    """How each user's attention follows from prices: the response to a bonus, made feasible.

    Attributes:
        bonus: (n,), what each item pays per unit of its exposure.
        temperature: (u,), at which users respond.
        feasible: the map that brings the sum of all users into floors and caps.
    """

    bonus: Float[Array, " n"]
    temperature: Float[Array, " u"]
    feasible: Feasible


class Solution(NamedTuple):
    """A solved market and its certificate; arrays, so they survive jit and vmap.

    Attributes:
        attention: (u, n), feasible: each row sums to the user's budget (no more, where budgets are upper bounds);
            floors and caps hold: relative, to 1e-6 (Newton's in float64 to 1e-9). None where it was not asked for:
            `attention_for` and `stream_attention` then give it for some users at a time.
        exposure: (c,), what creators get from it.
        prices: (c,), price per unit of exposure: what one more unit of it is worth at the optimum.
        lower: welfare of `attention`, -inf if no feasible point was found.
        upper: the dual value at `prices`: no feasible allocation has more; inf where the prices are not admissible.
        gap: upper - lower, computed without cancellation.
        iterations: how many times all users were asked for their best response, but for certificates.
        converged: whether the gap is finite and at most tol times the size of welfare, which is no less than
            T sum_u R_u: |upper| for the reference solvers, for Newton's the sum of the parts' sizes (with Nash weights
            instead of weighted logarithms, which may cancel).
        rule: what gives each user's attention; None from the reference solvers.
    """

    attention: Float[Array, "u n"] | None
    exposure: Prices
    prices: Prices
    lower: Float[Array, ""]
    upper: Float[Array, ""]
    gap: Float[Array, ""]
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]
    rule: Rule | None = None


def attention_for(market: Market, solution: Solution, start: int, stop: int) -> Float[Array, "b n"]:
    """The attention of users `start` to `stop` (not included): (stop - start, n), as in `Solution.attention`.

    Args:
        market: the market that was solved.
        solution: from `solve`, with `materialise=False` or not.
        start: the first user.
        stop: one past the last.

    Raises:
        UserError: for users that are not there, or a solution of another market.

    >>> import jax.numpy as jnp
    >>> from attnjax.allocation import Creators, Market, Nash, solve
    >>> market = Market.of(jnp.eye(2), Creators.one_per_item(2), Nash(1.0), temperature=0.0)
    >>> solution = solve(market, materialise=False)
    >>> solution.attention is None, attention_for(market, solution, 1, 2).shape
    (True, (1, 2))
    """
    users = market.budgets.shape[0]
    if not 0 <= start < stop <= users:
        fail(
            "attention_for",
            expected=f"users from 0 to {users}, at least one",
            got=f"{start} to {stop}",
            advice="Ask for a range of users, the last not included.",
        )
    rule = solution.rule
    if rule is None:
        assert solution.attention is not None
        return solution.attention[start:stop]
    if rule.temperature.shape[0] != users or rule.bonus.shape[0] != market.creators.num_items:
        fail(
            "attention_for",
            expected=f"the solution of this market of {users} users and {market.creators.num_items} items",
            got=f"one of {rule.temperature.shape[0]} users and {rule.bonus.shape[0]} items",
            advice="Pass the market that was solved.",
        )
    return _attention(market, rule, jax.tree.map(lambda x: x[start:stop], users_of(market, rule.temperature)))


@jax.jit
def _attention(market: Market, rule: Rule, users: Users) -> Array:
    response = respond(market, users, worth(users, rule.bonus)).attention
    return make_feasible(market, rule.feasible, users, response)


def stream_attention(market: Market, solution: Solution, rows: int = 4096) -> Iterator[tuple[int, Float[Array, "b n"]]]:
    """All users' attention, `rows` at a time: (first user, (rows, n)); the last block may be shorter.

    For markets whose attention does not fit beside the scores.
    """
    users = market.budgets.shape[0]
    for start in range(0, users, rows):
        yield start, attention_for(market, solution, start, min(start + rows, users))
