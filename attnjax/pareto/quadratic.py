"""Small quadratic programs over the non-negative orthant, many at a time, to the last digits.

    minimise 1/2 x' H x + c' x   over x >= 0

for one positive definite H (m, m) and k vectors c: what MGDA, UPGrad, DualProj and CAGrad come down to. Variables are
scaled so that H has a unit diagonal and each c a largest entry of 1, so the answer doesn't depend on units. Then

1. for m above 16, accelerated projected gradient steps for all k problems at once, each a matrix product, until the
   optimality conditions hold to rounding: enough where H is well conditioned;
2. where they don't hold yet, block principal pivoting from the support found: guess which entries are positive, solve
   the linear system, exchange every entry that has the wrong sign; one at a time when that stops helping, which ends.

Each answer comes with the residual of the optimality conditions, so an unsolved program can't pass for a solved one.

Sources: Judice and Pires (1994), Computers & Operations Research 21; Kim and Park (2011), SIAM J. Sci. Comput. 33;
O'Donoghue and Candes (2015), Found. Comput. Math. 15.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attnjax.errors import fail

DIRECT = 16
"""Up to this many unknowns the linear systems are cheaper than gradient steps."""
GRADIENT_STEPS = 200
PIVOTS = 100
PATIENCE = 3


class NonNegative(NamedTuple):
    """Solutions of k programs.

    Attributes:
        x: (k, m), non-negative.
        residual: (k,), max over i of |min(x_i, (H x + c)_i)| / max(1, max x) in the scaled variables: 0 at an optimum,
            about 1e-6 in float32; NaN where the input is.
        iterations: steps of both kinds that were taken, for the slowest program.
    """

    x: Float[Array, "k m"]
    residual: Float[Array, " k"]
    iterations: Int[Array, ""]


def _slope(matrix: Float[Array, "m m"], linear: Float[Array, "k m"], x: Float[Array, "k m"]) -> Float[Array, "k m"]:
    return jnp.matmul(x, matrix, precision=jax.lax.Precision.HIGHEST) + linear


def _violation(x: Float[Array, "k m"], slope: Float[Array, "k m"]) -> Float[Array, " k"]:
    return jnp.max(jnp.abs(jnp.minimum(x, slope)), axis=-1) / jnp.maximum(jnp.max(x, axis=-1), 1)


def _largest_eigenvalue(matrix: Float[Array, "m m"]) -> Float[Array, ""]:
    """A bound |H^16|^(1/16) in the Frobenius norm: at least the largest eigenvalue, at most m^(1/32) times it."""
    size = jnp.linalg.norm(matrix)
    power = matrix / size
    for _ in range(4):
        power = jnp.matmul(power, power, precision=jax.lax.Precision.HIGHEST)
    return size * jnp.linalg.norm(power) ** (1 / 16)


class _Momentum(NamedTuple):
    x: Array
    ahead: Array
    pace: Array
    residual: Array
    taken: Array


def _gradient_steps(matrix: Array, linear: Array, tol: float) -> tuple[Array, Array, Array]:
    """Accelerated projected gradient with a restart of a program's momentum whenever it points uphill."""
    curvature = _largest_eigenvalue(matrix)

    def step(state: _Momentum) -> _Momentum:
        slope = _slope(matrix, linear, state.ahead)
        x = jnp.maximum(state.ahead - slope / curvature, 0)
        uphill = jnp.sum((state.ahead - x) * (x - state.x), axis=-1) > 0
        pace = jnp.where(uphill, 1.0, (1 + jnp.sqrt(1 + 4 * state.pace**2)) / 2)
        momentum = jnp.where(uphill, 0.0, (state.pace - 1) / pace)
        ahead = x + momentum[:, None] * (x - state.x)
        return _Momentum(x, ahead, pace, _violation(state.ahead, slope), state.taken + 1)

    def running(state: _Momentum) -> Array:
        return (state.taken < GRADIENT_STEPS) & jnp.any(state.residual > tol)

    nothing = jnp.zeros_like(linear)
    ones = jnp.ones(linear.shape[0], linear.dtype)
    start = _Momentum(nothing, nothing, ones, ones, jnp.asarray(0))
    last = jax.lax.while_loop(running, step, start)
    return last.x, _violation(last.x, _slope(matrix, linear, last.x)), last.taken


class _Pivoting(NamedTuple):
    free: Array
    x: Array
    residual: Array
    unsolved: Array
    fewest: Array
    patience: Array
    taken: Array


def _on_support(matrix: Array, linear: Array, free: Bool[Array, "k m"]) -> Float[Array, "k m"]:
    """The minimiser with the entries outside the support held at 0; may be negative inside it."""

    def one(linear: Array, free: Array) -> Array:
        both = free[:, None] & free[None, :]
        system = jnp.where(both, matrix, 0) + jnp.diag(jnp.where(free, 0, 1).astype(matrix.dtype))
        factor = jnp.linalg.cholesky(system, symmetrize_input=False)
        return jax.scipy.linalg.cho_solve((factor, True), jnp.where(free, -linear, 0))

    return jax.vmap(one)(linear, free)


def _pivot(matrix: Array, linear: Array, x: Array, residual: Array, tol: float) -> tuple[Array, Array, Array]:
    """Block principal pivoting from the support of x; programs that are solved already stay as they are."""
    places = jnp.arange(linear.shape[1])

    def step(state: _Pivoting) -> _Pivoting:
        exact = _on_support(matrix, linear, state.free)
        clipped = jnp.maximum(exact, 0)
        left = _violation(clipped, _slope(matrix, linear, clipped))
        better = state.unsolved & (left < state.residual)
        rounding = tol / 4 * jnp.maximum(jnp.max(clipped, axis=-1, keepdims=True), 1)
        wrong = jnp.where(state.free, exact, _slope(matrix, linear, exact)) < -rounding
        number = jnp.sum(wrong, axis=-1)
        patience = jnp.where(number < state.fewest, PATIENCE, state.patience - 1)
        last = jnp.max(jnp.where(wrong, places[None, :], -1), axis=-1, keepdims=True)
        exchanged = jnp.where((patience >= 0)[:, None], wrong, places[None, :] == last)
        return _Pivoting(
            state.free ^ exchanged,
            jnp.where(better[:, None], clipped, state.x),
            jnp.where(better, left, state.residual),
            state.unsolved & (left > tol) & (number > 0),
            jnp.minimum(number, state.fewest),
            patience,
            state.taken + 1,
        )

    def running(state: _Pivoting) -> Array:
        return (state.taken < PIVOTS) & jnp.any(state.unsolved)

    programs = linear.shape[0]
    patience, most = jnp.full(programs, PATIENCE), jnp.full(programs, linear.shape[1] + 1)
    start = _Pivoting(x > 0, x, residual, residual > tol, most, patience, jnp.asarray(0))
    last = jax.lax.while_loop(running, step, start)
    return last.x, last.residual, last.taken


def nonnegative_quadratic(matrix: Float[Array, "m m"], linear: Float[Array, "k m"]) -> NonNegative:
    """Solves k programs that share one matrix.

    Args:
        matrix: (m, m), symmetric, positive definite by more than m times the rounding of its type, relative to the
            diagonal.
        linear: (k, m), one c per row.

    Returns:
        `NonNegative`. It is not meant to be differentiated.

    Raises:
        UserError: if the shapes don't fit.

    >>> solved = nonnegative_quadratic(jnp.array([[2.0, 1.0], [1.0, 2.0]]), jnp.array([[-4.0, 1.0], [-3.0, -3.0]]))
    >>> solved.x.round(5).tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    if matrix.ndim != 2 or linear.ndim != 2 or matrix.shape != (linear.shape[-1],) * 2:
        fail(
            "nonnegative_quadratic",
            expected="a matrix (m, m) and vectors (k, m)",
            got=f"shapes {matrix.shape} and {linear.shape}",
            advice="Give one row per program; a single one as linear[None].",
        )
    root = jnp.sqrt(jnp.diagonal(matrix))
    scaled = matrix / root[:, None] / root[None, :]
    slopes = linear / root[None, :]
    largest = jnp.max(jnp.abs(slopes), axis=-1, keepdims=True)
    largest = jnp.where(largest == 0, 1, largest)
    slopes = slopes / largest
    tol = 8 * float(jnp.finfo(matrix.dtype).eps)
    x, residual, steps = jnp.zeros_like(slopes), _violation(jnp.zeros_like(slopes), slopes), jnp.asarray(0)
    if matrix.shape[0] > DIRECT:
        x, residual, steps = _gradient_steps(scaled, slopes, tol)
    x, residual, pivots = _pivot(scaled, slopes, x, residual, tol)
    return NonNegative(x * largest / root[None, :], residual, steps + pivots)
