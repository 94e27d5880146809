"""`solve`: one door to the solvers of the attention market."""

import functools
import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.allocation.creator_values import MaxMin
from attnjax.allocation.market import Market, best_response
from attnjax.allocation.newton import FIRST, newton
from attnjax.allocation.proportional_response import proportional_response
from attnjax.allocation.reference_solvers import dual_gradient, frank_wolfe
from attnjax.allocation.solution import Solution
from attnjax.allocation.solver_checks import Soundness, check_market, check_method, check_reach, soundness
from attnjax.allocation.sweeps import even_exposure, has_bounds
from attnjax.errors import fail

Prices = Float[Array, " c"]
REFERENCES = {
    "dual_gradient": dual_gradient,
    "frank_wolfe": frank_wolfe,
    "proportional_response": proportional_response,
}
METHODS = ("newton", *REFERENCES)
WARM = 0.03
"""The first smoothing from a warm start."""

LARGE = 1 << 24
"""Above so many entries the default is Newton's method, which holds no second array of their size."""


def solve(
    market: Market,
    tol: float = 1e-4,
    *,
    method: str = "auto",
    max_iterations: int = 2000,
    prices: Any = None,
    materialise: bool = True,
) -> Solution:
    """Solves an attention market to a certified relative gap.

    One jitted program; markets of equal shapes can be batched with `jax.vmap`.

    Newton's solutions are differentiable in scores, impact, budgets, temperature, platform rates and the creator
    value's parameters, in forward and reverse mode, once: attention and prices by implicit differentiation at the
    solution, and so what is computed from them; `gap` and `upper - lower` count as constants. Welfare's derivative
    is the envelope theorem's. Where users have no preference for variety (temperature 0) attention and prices jump,
    and what is differentiated is the smoothed problem at the last smoothing: finite, and informative only as such.
    The reference solvers are not differentiable through their iterations.

    Args:
        market: from `Market.of`.
        tol: relative gap to reach; in float32 not below about 1e-6.
        method: "auto", or "newton" (users with entropy or the squared norm, or without preference for variety; any
            creator value; slates; the one for large markets), "dual_gradient" (any regulariser; temperature above 0;
            not caps on exposure), "frank_wolfe" (likewise, nor floors), "proportional_response" (Nash welfare of
            exposure weighted by impact and nothing else). "auto" is "dual_gradient" for markets of moderate size that
            it can solve, where it is the faster of the two as long as users value variety, else "newton". Under jit a
            traced temperature counts as above 0: name the method for markets at temperature 0.
        max_iterations: when to give up; `converged` then says False.
        prices: (c,), a warm start, e.g. the prices of a similar market.
        materialise: if False, `attention` is None and Newton's method holds nothing of the scores' size beside them;
            `attention_for` and `stream_attention` give users' attention later.

    Returns:
        A `Solution`.

    Raises:
        UserError: for an unknown method, one that can't solve the market, a tolerance that is not positive; and,
            where the values are known (outside jit and vmap), for floors and caps that can't be met (with the
            creators that cause it and the smallest total shortfall), weights that are not positive, a creator whose
            welfare needs exposure and who has no item that anyone can see, and starting prices that the creator
            value does not admit. Traced, these end with `gap` = inf and `converged` False.

    >>> from attnjax.allocation import Creators, Market, Nash
    >>> market = Market.of(jnp.array([[1.0, 0.0], [1.0, 0.0]]), Creators.one_per_item(2), Nash(jnp.ones(2)))
    >>> solution = solve(market, 1e-5)
    >>> bool(solution.converged), bool(solution.exposure[1] > 0.5)
    (True, True)
    """
    if method not in ("auto", *METHODS):
        fail("solve", expected=f"a method out of {METHODS}", got=repr(method), advice="Leave it out for the default.")
    if not (isinstance(tol, numbers.Real) and tol > 0):
        fail("solve", expected="a relative gap tol > 0", got=str(tol), advice="1e-4 is a good start.")
    known = not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((market, prices)))
    if method == "auto":
        method = _default(market, known, materialise)
    check_method(market, method, known)
    if prices is not None and jnp.shape(prices) != market.platform_rates.shape:
        fail(
            "solve",
            expected=f"starting prices of shape {market.platform_rates.shape}",
            got=f"shape {jnp.shape(prices)}",
            advice="Give one price per creator, or leave prices out.",
        )
    dtype = market.scores.dtype
    start, sound = _begin(market, method, None if prices is None else jnp.asarray(prices, dtype))
    if known:
        check_market(market, start, sound)
    # NumPy's scalars: JAX's own would each be put on the device by a call.
    limits = (np.asarray(tol, dtype), np.asarray(max_iterations, jax.dtypes.canonicalize_dtype(int)))
    if method == "newton":
        first = np.asarray(FIRST if prices is None else WARM, dtype)
        found = _newton(market, start, *limits, first, materialise)
    else:
        found = REFERENCES[method](market, start, *limits)
    if known and has_bounds(market) and not bool(jnp.isfinite(found.gap)):
        check_reach(market)
    return found if materialise else found._replace(attention=None)


def _default(market: Market, known: bool, materialise: bool) -> str:
    """The method for a market that names none."""
    linear = known and not float(market.temperature) > 0
    kind = market.at_most or market.position_bias is not None or market.mesh is not None or not materialise
    value = market.creator_value
    caps = has_bounds(market) and hasattr(value, "caps")
    large = market.scores.size > LARGE
    return "newton" if linear or kind or caps or large or isinstance(value, MaxMin) else "dual_gradient"


@functools.partial(jax.jit, static_argnums=5)
def _newton(
    market: Market, start: Prices, tol: Array, max_iterations: Array, first: Array, materialise: bool
) -> Solution:
    found = newton(market, start, tol, max_iterations, first, materialise)
    lower = found.satisfaction + jnp.sum(market.platform_rates * found.exposure)
    value = market.creator_value
    # Within floors and caps that hold these are worth nothing.
    if not has_bounds(market) or hasattr(value, "penalty"):
        lower = lower + jnp.sum(value.value(found.exposure))
    certified = jnp.isfinite(found.gap)
    lower = jnp.where(certified, lower, -jnp.inf)
    return Solution(
        found.attention,
        found.exposure,
        found.prices,
        lower,
        jnp.where(certified, lower + found.gap, jnp.inf),
        found.gap,
        found.iterations,
        certified & (found.gap <= tol * found.scale),
        found.rule,
    )


@functools.partial(jax.jit, static_argnums=1)
def _begin(market: Market, method: str, prices: Prices | None) -> tuple[Prices, Soundness]:
    """Prices to start from: the caller's, or what the creator value suggests, given what creators get for nothing."""
    even = even_exposure(market)
    if prices is not None:
        start = prices
    elif method in ("newton", "proportional_response"):  # which admit a temperature of 0: responses are not unique
        start = market.creator_value.start(even)
    else:
        start = market.creator_value.start(best_response(market, jnp.zeros_like(market.platform_rates)).exposure)
    start = start.astype(market.scores.dtype)
    return start, soundness(market, start, even)
