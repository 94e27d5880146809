"""What a step was worth: discounted returns and generalised advantages.

An episode ends in one of two ways. After a *termination* nothing follows, so nothing is added. A *truncation* is the
clock's doing: what would have followed is estimated by a value and added. Everything here is of one row in time, where
several episodes may follow each other, and the steps after the last may be padding; `vmap` is the caller's.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attnjax.errors import fail

Steps = Float[Array, " t"]
Flags = Bool[Array, " t"]


def discounted_returns(
    reward: Steps,
    terminated: Flags,
    truncated: Flags,
    *,
    discount: float,
    successor_value: Steps | None = None,
    alive: Flags | None = None,
) -> Steps:
    """The return from each step to the end of its episode.

        G_t = r_t                   after a termination,
        G_t = r_t + d V(s'_t)       after a truncation, and at the last step of a row that is cut in the middle,
        G_t = r_t + d G_{t+1}       else

    Args:
        reward: (t,).
        terminated: (t,), whether nothing could follow.
        truncated: (t,), whether the clock ran out.
        discount: d, in [0, 1].
        successor_value: (t,), V of what each action led to; read only where an episode is cut. Left out, it is 0: right
            where the objective itself stops there, as for a fixed horizon.
        alive: (t,), false for padding; left out, all count.

    Returns:
        (t,), 0 for padding.

    Raises:
        UserError: for a discount out of range, or shapes that differ.

    >>> end = jnp.array([False, False, True])
    >>> discounted_returns(jnp.ones(3), end, ~end & False, discount=0.5).tolist()
    [1.75, 1.5, 1.0]
    >>> discounted_returns(jnp.ones(3), ~end & False, end, discount=0.5, successor_value=jnp.full(3, 8.0)).tolist()
    [2.75, 3.5, 5.0]
    """
    after = jnp.zeros_like(reward) if successor_value is None else successor_value
    alive = jnp.ones_like(terminated) if alive is None else alive
    _check("discounted_returns", discount, 1.0, reward, terminated, truncated, after, alive)
    cut = _cut(terminated, truncated, alive)
    return _accumulate(jnp.where(cut & ~terminated, reward + discount * after, reward), cut, alive, discount)


def generalised_advantages(
    reward: Steps,
    value: Steps,
    successor_value: Steps,
    terminated: Flags,
    truncated: Flags,
    *,
    discount: float,
    decay: float,
    alive: Flags | None = None,
) -> Steps:
    """Generalised advantage estimates.

        delta_t = r_t + d V(s'_t) - V(s_t),        V(s'_t) = 0 after a termination
        A_t = delta_t + d lambda A_{t+1},          A_{t+1} = 0 across the end of an episode

    Args:
        reward: (t,).
        value: (t,), V(s_t) of what each action was taken in.
        successor_value: (t,), V(s'_t) of what it led to, before any automatic reset: at the end of an episode that is
            not the next step's value.
        terminated: (t,), whether nothing could follow.
        truncated: (t,), whether the clock ran out.
        discount: d, in [0, 1].
        decay: lambda, in [0, 1]: 1 takes whole returns, 0 one step.
        alive: (t,), false for padding; left out, all count.

    Returns:
        (t,), 0 for padding. A_t + V(s_t) is what a value is fitted to.

    Raises:
        UserError: for a discount or decay out of range, or shapes that differ.

    Source: Schulman, Moritz, Levine, Jordan and Abbeel (2016), High-dimensional continuous control.

    >>> end = jnp.array([False, True])
    >>> advantages = generalised_advantages(
    ...     jnp.ones(2), jnp.array([1.0, 2.0]), jnp.array([2.0, 9.0]), end, ~end & False, discount=0.5, decay=0.5)
    >>> advantages.tolist()  # 1 + 0.5 * 2 - 1 + 0.25 * -1, and 1 - 2
    [0.75, -1.0]
    """
    alive = jnp.ones_like(terminated) if alive is None else alive
    _check("generalised_advantages", discount, decay, reward, value, successor_value, terminated, truncated, alive)
    delta = reward + discount * jnp.where(terminated, 0, successor_value) - value
    return _accumulate(delta, _cut(terminated, truncated, alive), alive, discount * decay)


def _cut(terminated: Flags, truncated: Flags, alive: Flags) -> Flags:
    """Whether what follows a step is not its future: the end of an episode, of the row, or of what counts."""
    last = jnp.concatenate([~alive[1:], jnp.ones(1, bool)])
    return terminated | truncated | last


def _accumulate(term: Steps, cut: Flags, alive: Flags, factor: float) -> Steps:
    """x_t = term_t + factor x_{t+1}, anew behind each cut; 0 where not alive."""

    def back(after: Array, step: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        term, cut, alive = step
        here = jnp.where(alive, term + jnp.where(cut, 0, factor * after), 0)
        return here, here

    return jax.lax.scan(back, jnp.zeros((), term.dtype), (term, cut, alive), reverse=True)[1]


def _check(where: str, discount: float, decay: float, *rows: Array) -> None:
    for name, number in (("discount", discount), ("decay", decay)):
        if not 0 <= number <= 1:
            fail(where, expected=f"a {name} in [0, 1]", got=str(number), advice="Take one of 0.9 to 1.")
    shapes = [jnp.shape(row) for row in rows]
    if len(shapes[0]) != 1 or len(set(shapes)) != 1:
        fail(
            where,
            expected="rows of one length, of one axis of time",
            got=f"shapes {shapes}",
            advice="Many rows go through jax.vmap.",
        )
