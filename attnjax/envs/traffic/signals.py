"""Green windows from shares: which part of each second every movement may go.

Of a time C (a cycle, or the budget until the next decision), a signal's phases get, in order,

    g_p = w_p max(0, C - sum_q Y_q),      Y_q = the change into phase q, paid if another was before

A share of zero skips the phase, and pays nothing. A movement that is open before and after a change stays open through
it; one that closes uses a part of it, and one that opens begins after the change and the lost time.

A second counts by the part of it that lies inside a window, so what a phase discharges is continuous in its share
except at zero. With a temperature t > 0 the rest is smooth, too: a phase is served to the degree 1 - exp(-w_p C / t),
and windows have edges of width t. As t goes to 0 this becomes the hard signal.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from attnjax.envs.spaces import float_dtype
from attnjax.envs.traffic.network import Streets
from attnjax.errors import fail
from attnjax.pytrees import register


@dataclasses.dataclass(frozen=True)
class Plan:
    """A cyclic plan of each signal.

    Attributes:
        shares: (signals, phases) of a cycle's green; rows sum to 1. What a row lacks to 1 is red.
        cycle: (signals,) in seconds.
        offset: (signals,) the time at which a cycle begins, with the change into its first phase, in seconds.
        change: (signals, phases) seconds of yellow and red before each phase.
    """

    shares: Float[Array, "signals phases"]
    cycle: Float[Array, " signals"]
    offset: Float[Array, " signals"]
    change: Float[Array, "signals phases"]


register(Plan)


class Windows(NamedTuple):
    """When each phase begins to be changed into, is green, and ends, in seconds of the cycle or budget.

    Attributes:
        change, start, end: (signals, phases).
        previous: (signals, phases, phases), the weight with which the second phase comes before the first.
        period: (signals,) after which the windows come again; None if they don't.
    """

    change: Float[Array, "signals phases"]
    start: Float[Array, "signals phases"]
    end: Float[Array, "signals phases"]
    previous: Float[Array, "signals phases phases"]
    period: Float[Array, " signals"] | None


def network_plan(streets: Streets) -> Plan:
    """The plan in the network's file."""
    total = np.maximum(streets.green.sum(1), 1e-9)
    shares, cycle = streets.green / total[:, None], total + streets.change.sum(1)
    return make_plan(streets, shares, cycle, streets.offset)


def make_plan(streets: Streets, shares: ArrayLike, cycle: ArrayLike, offset: ArrayLike = 0.0) -> Plan:
    """A plan with the changes of the network's file.

    Args:
        streets: the structure.
        shares: (signals, phases), the simplex of each signal; zero where it has no such phase.
        cycle: seconds, one or one per signal.
        offset: seconds, one or one per signal.

    Raises:
        UserError: for shares of another shape.
    """
    if jnp.shape(shares) != streets.phases.shape:
        fail(
            "make_plan",
            expected=f"shares of shape {list(streets.phases.shape)}",
            got=f"{list(jnp.shape(shares))}",
            advice="One row for each signal, one column for each phase; streets.phases says which are there.",
        )
    kind = float_dtype()
    cycle, offset = (jnp.broadcast_to(jnp.asarray(one, kind), len(streets.junctions)) for one in (cycle, offset))
    return Plan(jnp.asarray(shares, kind), cycle, offset, jnp.asarray(streets.change, kind))


def cyclic_windows(plan: Plan, temperature: Array | float | None = None) -> Windows:
    """The windows of one cycle, which comes again.

    Args:
        plan: of all signals.
        temperature: seconds; None for hard windows.

    Returns:
        The windows. A phase that is served alone has no change.

    >>> plan = Plan(jnp.array([[0.5, 0.0, 0.5]]), jnp.array([60.0]), jnp.zeros(1), jnp.full((1, 3), 3.0))
    >>> windows = cyclic_windows(plan)
    >>> windows.start.tolist(), windows.end.tolist()
    ([[3.0, 30.0, 33.0]], [[30.0, 30.0, 60.0]])
    """
    served = _served(plan.shares, plan.cycle, temperature)
    previous = jax.vmap(_previous_in_cycle)(served)
    paid = served * (1 - jnp.diagonal(previous, axis1=1, axis2=2))
    change, start, end = _in_order(plan.shares, plan.cycle, paid * plan.change)
    return Windows(change, start, end, previous, plan.cycle)


def rolling_windows(
    shares: Float[Array, "signals phases"],
    current: Int[Array, " signals"],
    budget: Array | float,
    change: Float[Array, "signals phases"],
    temperature: Array | float | None = None,
) -> Windows:
    """The windows of the next seconds only, in cyclic order from the phase that is green now.

    Args:
        shares: of the budget.
        current: the phase that is green; it goes on without a change if it has a share.
        budget: seconds.
        change: seconds before each phase that is changed into.
        temperature: seconds; None for hard windows.

    Returns:
        The windows.

    >>> shares, change = jnp.array([[0.0, 1.0]]), jnp.full((1, 2), 3.0)
    >>> windows = rolling_windows(shares, jnp.array([0]), 10.0, change)
    >>> windows.change[0, 1].item(), windows.start[0, 1].item(), windows.end[0, 1].item()
    (0.0, 3.0, 10.0)
    """
    phases = shares.shape[1]
    places = jnp.arange(phases)[None, :]
    turned = (current[:, None] + places) % phases
    back = (places - current[:, None]) % phases
    served = _served(jnp.take_along_axis(shares, turned, 1), jnp.full(len(shares), budget, shares.dtype), temperature)
    previous = jax.vmap(_previous_in_row)(served)
    paid = served.at[:, 0].set(0)
    rows = _in_order(
        jnp.take_along_axis(shares, turned, 1),
        jnp.asarray(budget, shares.dtype),
        paid * jnp.take_along_axis(change, turned, 1),
    )
    begin, start, end = (jnp.take_along_axis(row, back, 1) for row in rows)
    previous = jnp.take_along_axis(jnp.take_along_axis(previous, back[:, :, None], 1), back[:, None, :], 2)
    return Windows(begin, start, end, previous, None)


class Weights(NamedTuple):
    """The parts of one second that lie in each window.

    Attributes:
        change, lost, green: (signals, phases): in the change into a phase, in the lost time at its start, and after.
    """

    change: Float[Array, "signals phases"]
    lost: Float[Array, "signals phases"]
    green: Float[Array, "signals phases"]


def weigh(windows: Windows, time: Array, lost: Array, temperature: Array | float | None = None) -> Weights:
    """The parts of the second from `time` on.

    Args:
        windows: of the cycle or budget.
        time: () seconds since the windows' beginning, or, for cycles, (signals,) since any of their beginnings.
        lost: seconds at the start of green.
        temperature: seconds; None for hard windows.
    """
    edges = jnp.stack([windows.change, windows.start, jnp.minimum(windows.start + lost, windows.end), windows.end])
    if windows.period is None:
        after = _after(time - edges, temperature)
    else:
        time = (time % windows.period)[None, :, None]
        period = windows.period[None, :, None]
        rounds = (0, 1) if temperature is None else (-1, 0, 1)
        after = jnp.sum(jnp.stack([_after(time - edges - one * period, temperature) for one in rounds]), 0)
    return Weights(*(after[:-1] - after[1:]))


class Openings(NamedTuple):
    """How far each window opens each movement of `Streets.lit`, with priority and after giving way.

    Attributes:
        major, minor: (lit, 3 phases): the changes into all phases, their lost times, their greens.
    """

    major: Float[Array, "lit windows"]
    minor: Float[Array, "lit windows"]


def openings(streets: Streets, windows: Windows, yellow_use: Array) -> Openings:
    """What a signal lets a movement do in the change into each phase, in its lost time and in its green.

    Args:
        streets: the structure.
        windows: whose order of phases counts.
        yellow_use: the part of a change that a closing movement uses.
    """
    previous = windows.previous[streets.junction[streets.lit]]
    major, minor = (jnp.asarray(one, yellow_use.dtype)[streets.lit] for one in (streets.major, streets.minor))
    before_major, before_minor = (jnp.einsum("mpq,mq->mp", previous, one) for one in (major, minor))
    now, before = major + minor, before_major + before_minor
    through = now + (1 - now) * yellow_use
    return Openings(
        jnp.concatenate([before_major * through, major * before, major], 1),
        jnp.concatenate([before_minor * through, minor * before, minor], 1),
    )


def active(weights: Weights, windows: Windows) -> Float[Array, "signals phases"]:
    """The part of a second that belongs to each phase; a change belongs to the phase that it ends."""
    return weights.lost + weights.green + jnp.einsum("jp,jpq->jq", weights.change, windows.previous)


def _after(time: Array, temperature: Array | float | None) -> Array:
    """The part of the second from `time` on that lies after 0, with an edge of width `temperature`."""
    if temperature is None:
        return jnp.clip(time + 1, 0, 1)
    return temperature * (jax.nn.softplus((time + 1) / temperature) - jax.nn.softplus(time / temperature))


def _served(shares: Array, budget: Array, temperature: Array | float | None) -> Array:
    """Whether phases are served."""
    if temperature is None:
        return (shares > 0).astype(shares.dtype)
    return -jnp.expm1(-shares * budget[:, None] / temperature)


def _in_order(shares: Array, budget: Array, change: Array) -> tuple[Array, Array, Array]:
    """Beginnings of changes, beginnings and ends of greens, one after another from 0."""
    green = shares * jnp.maximum(budget - jnp.sum(change, 1), 0)[:, None]
    end = jnp.cumsum(green + change, 1)
    return end - green - change, end - green, end


def _previous_in_cycle(served: Array) -> Array:
    """Row p: the last phase before p that is served, going round; p itself if it is alone."""
    phases = len(served)
    place = np.arange(phases)
    # Column k of `behind` is the phase k + 1 places before; the last is p itself, at which every search ends.
    behind = served[(place[:, None] - 1 - place) % phases].at[:, -1].set(1)
    found = behind * _none_before(behind)
    return jnp.take_along_axis(found, (place[:, None] - 1 - place) % phases, 1)


def _previous_in_row(served: Array) -> Array:
    """Row k: the last place before k that is served; the first place, which is green already, if none is."""
    phases = len(served)
    place = np.arange(phases)
    back = place[:, None] - 1 - place
    behind = jnp.where(back > 0, served[np.maximum(back, 0)], 1)
    found = jnp.where(back >= 0, behind * _none_before(behind), 0).at[0, 0].set(1)
    columns = place[:, None] - 1 - place
    taken = jnp.take_along_axis(found, np.maximum(columns, 0), 1)
    return jnp.where(columns >= 0, taken, 0).at[0, 0].set(1)


def _none_before(taken: Array) -> Array:
    """The weight with which none of the columns before has been taken."""
    return jnp.cumprod(jnp.concatenate([jnp.ones_like(taken[:, :1]), 1 - taken[:, :-1]], 1), 1)
