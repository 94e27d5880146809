"""What a market solver returns: a solution and its certificate."""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float, Int

Prices = Float[Array, " c"]


class Solution(NamedTuple):
    """A solved market and its certificate; arrays, so they survive jit and vmap.

    Attributes:
        attention: (u, n), feasible: each row sums to the user's budget (no more, where budgets are upper bounds);
            floors and caps hold: relative, to 1e-6 (Newton's in float64 to 1e-9).
        exposure: (c,), what creators get from it.
        prices: (c,), price per unit of exposure: what one more unit of it is worth at the optimum.
        lower: welfare of `attention`, -inf if no feasible point was found.
        upper: the dual value at `prices`: no feasible allocation has more; inf where the prices are not admissible.
        gap: upper - lower, computed without cancellation.
        iterations: how many times all users were asked for their best response, but for certificates.
        converged: whether the gap is finite and at most tol times the size of welfare, which is no less than
            T sum_u R_u: |upper| for the reference solvers, for Newton's the sum of the parts' sizes (with Nash weights
            instead of weighted logarithms, which may cancel).
    """

    attention: Float[Array, "u n"]
    exposure: Prices
    prices: Prices
    lower: Float[Array, ""]
    upper: Float[Array, ""]
    gap: Float[Array, ""]
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]
