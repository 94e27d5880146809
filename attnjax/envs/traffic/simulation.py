"""Seconds in a row: what a plan makes of the traffic.

    summary = simulate(streets, street_parameters(streets), network_plan(streets))
    summary.delay                                    # seconds per vehicle, differentiable in parameters and plan

Delay is the time lost against driving at the limit, of every vehicle that was due to depart, also of those that a full
street keeps out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.envs.spaces import float_dtype
from attnjax.envs.traffic.dynamics import StreetState, empty_streets, step_second
from attnjax.envs.traffic.network import Streets
from attnjax.envs.traffic.parameters import StreetParameters
from attnjax.envs.traffic.signals import Plan, Windows, active, cyclic_windows, openings, weigh

MOST_AT_ONCE = 8
"""Random departures per source and second are cut off here."""


class Totals(NamedTuple):
    """What happened in some seconds.

    Attributes:
        delay: (seconds,) vehicle-seconds lost in each second.
        lane_queue: (lanes,) vehicle-seconds in each lane's queue.
        discharged: (signals, phases) vehicles that passed in each phase.
        opened: (movements,) seconds for which each movement was open.
    """

    delay: Float[Array, " seconds"]
    lane_queue: Float[Array, " lanes"]
    discharged: Float[Array, "signals phases"]
    opened: Float[Array, " movements"]


class Summary(NamedTuple):
    """What a plan made of the traffic.

    Attributes:
        delay: seconds lost per vehicle that was due to depart.
        queue: (lanes,) the mean number of vehicles in each lane's queue.
        throughput: the number of vehicles that arrived.
        discharged: (signals, phases) the number of vehicles that passed in each phase.
        delays: (seconds,) vehicle-seconds lost in each second.
        final: where the vehicles are at the end.
    """

    delay: Float[Array, ""]
    queue: Float[Array, " lanes"]
    throughput: Float[Array, ""]
    discharged: Float[Array, "signals phases"]
    delays: Float[Array, " seconds"]
    final: StreetState


def departures(
    streets: Streets, parameters: StreetParameters, key: Array | None = None
) -> Float[Array, "seconds sources"]:
    """Who is due to depart in each second.

    Args:
        streets: with T seconds.
        parameters: of which `demand` is used.
        key: for departures at random times (Poisson) of the same rate in each minute; None for the scheduled ones.

    Returns:
        (T, sources). Differentiable in `demand` without a key; with one, counts are constants.
    """
    if key is None:
        return jnp.asarray(streets.schedule, float_dtype()) * parameters.demand[None, :]
    return random_counts(key, jnp.asarray(streets.rate, float_dtype()) * parameters.demand[None, :])


def random_counts(key: Array, rate: Array) -> Array:
    """Poisson counts of small rates, cut off at `MOST_AT_ONCE`, by inversion of one uniform draw each.

    >>> random_counts(jax.random.key(0), jnp.array([0.0, 1e3])).tolist()
    [0.0, 8.0]
    """
    draw = jax.random.uniform(key, rate.shape, rate.dtype)
    chance = jnp.exp(-rate)
    below, count = chance, jnp.zeros_like(rate)
    for number in range(1, MOST_AT_ONCE + 1):
        count += draw > below
        chance *= rate / number
        below += chance
    return jax.lax.stop_gradient(count)


def advance(
    streets: Streets,
    parameters: StreetParameters,
    state: StreetState,
    windows: Windows,
    due: Float[Array, "seconds sources"],
    clock: Float[Array, " seconds"] | Float[Array, "seconds signals"],
    temperature: Array | float | None = None,
) -> tuple[StreetState, Totals]:
    """Moves on by as many seconds as `due` has rows.

    Args:
        streets: the structure.
        parameters: the numbers.
        state: before.
        windows: of the signals.
        due: vehicles due to depart in each second.
        clock: the time of each second in the windows' own time, for all signals or for each.
        temperature: seconds; None for hard windows.

    Returns:
        The state after, and what happened.
    """
    opened = openings(streets, windows, parameters.yellow_use)
    signal = streets.junction[streets.lit]

    def second(carry: tuple[StreetState, tuple], now: tuple[Array, Array]) -> tuple[tuple[StreetState, tuple], Array]:
        state, (lane_queue, discharged, open_time) = carry
        time, due_now = now
        weights = weigh(windows, time, parameters.lost, temperature)
        state, happened = step_second(streets, parameters, state, weights, opened, due_now)
        phase = active(weights, windows)[signal]
        sums = (
            lane_queue + happened.lane_queue,
            discharged + happened.out[streets.lit][:, None] * phase,
            open_time + happened.opening,
        )
        return (state, sums), happened.delay

    movements, phases = streets.major.shape
    zeros = [jnp.zeros(shape, due.dtype) for shape in (len(streets.lanes), (len(streets.lit), phases), movements)]
    (state, (lane_queue, discharged, open_time)), delay = jax.lax.scan(second, (state, tuple(zeros)), (clock, due))
    by_signal = jnp.zeros((len(streets.junctions), phases), due.dtype).at[signal].add(discharged)
    return state, Totals(delay, lane_queue, by_signal, open_time)


def simulate(
    streets: Streets,
    parameters: StreetParameters,
    plan: Plan,
    key: Array | None = None,
    *,
    temperature: Array | float | None = None,
) -> Summary:
    """Plays a cyclic plan from empty streets to the end of the demand's window.

    Args:
        streets: the structure, with the window.
        parameters: the numbers; `vmap` over them for many tasks.
        plan: of all signals; `vmap` over it for many plans.
        key: for random departures; None for the scheduled ones.
        temperature: seconds; the width of the edges of green windows. None for hard windows, as signals have.

    Returns:
        The summary. Its derivative in the parameters is exact, with hard windows also in the shares that are not
        zero; what it costs to serve a phase at all is seen by the relaxed windows' derivative only.
    """
    seconds = len(streets.schedule)
    windows = cyclic_windows(plan, temperature)
    due = departures(streets, parameters, key)
    clock = streets.begin + jnp.arange(seconds, dtype=due.dtype)[:, None] - plan.offset[None, :]
    state, totals = advance(streets, parameters, empty_streets(streets), windows, due, clock, temperature)
    vehicles = jnp.sum(due)
    return Summary(
        jnp.sum(totals.delay) / jnp.maximum(vehicles, 1),
        totals.lane_queue / seconds,
        state.arrived,
        totals.discharged,
        totals.delay,
        state,
    )
