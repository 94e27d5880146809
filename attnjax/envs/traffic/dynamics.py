"""One second of the street model: arrivals, queues, discharge, hand-over.

Vehicles are amounts, in expectation; all are counted somewhere at all times: waiting to depart, on the way along an
edge, queueing, at the head of a lane, or arrived.

- *On the way*: what enters edge e at second t reaches its end travel_e seconds later, read from a ring buffer of past
  entries, in between two seconds by linear interpolation.
- *Turns*: of what reaches the end, each turn takes its ratio; of the lanes that serve a turn, shorter queues get more.
- *Order*: a lane's queue is mixed. `front` vehicles stand at its head, in the mixture they came in, and only they can
  go. So on a lane of which a part p has a red light, (1 - p) / p x front others pass before it is blocked, which is
  what a queue of vehicles in random order gives for front = 1.
- *Discharge* of a movement with h of the lane's head H: h min(1, s / H) x opening, where the opening of a yielding
  movement is times exp(-gap x what those it gives way to would discharge).
- *Delay* is the time in queues and before departure, what is lost on the way below the speed limit, and `stop` seconds
  for whoever has to stop: all but those who find their way open and nobody before them, which has probability exp(-Q)
  for a queue of Q vehicles in expectation.
- *Storage*: what would enter an edge is cut, all parts alike, to the room that is left on it, so queues spill back.

Source: the point-queue with finite storage follows Daganzo (1995), the cell transmission model II; gaps at random
times after Tanner (1962).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from attnjax.envs.spaces import float_dtype
from attnjax.envs.traffic.network import Streets
from attnjax.envs.traffic.parameters import StreetParameters
from attnjax.envs.traffic.signals import Openings, Weights

ROOM = 1.0
"""Every lane holds at least one vehicle, however short."""
LEAST = 1e-9
"""Fewer vehicles than this stay where they are."""


class StreetState(NamedTuple):
    """Where all vehicles are.

    Attributes:
        head: (movements,) at the head of their lane.
        queue: (movements,) behind it.
        entries: (memory, edges) what entered in the last seconds, as a ring.
        moving: (edges,) on the way along each edge.
        waiting: (sources,) due to depart, and not yet on the street.
        arrived: the number that has arrived.
        time: seconds since the beginning.
    """

    head: Float[Array, " movements"]
    queue: Float[Array, " movements"]
    entries: Float[Array, "memory edges"]
    moving: Float[Array, " edges"]
    waiting: Float[Array, " sources"]
    arrived: Float[Array, ""]
    time: Int[Array, ""]


class Second(NamedTuple):
    """What happened in a second.

    Attributes:
        out: (movements,) vehicles discharged.
        opening: (movements,) how far each movement was open.
        lane_queue: (lanes,) vehicles that stand in each lane at the end, its head among them.
        delay: vehicle-seconds lost against driving at the limit.
    """

    out: Float[Array, " movements"]
    opening: Float[Array, " movements"]
    lane_queue: Float[Array, " lanes"]
    delay: Float[Array, ""]


def empty_streets(streets: Streets) -> StreetState:
    """No vehicle anywhere."""
    movements, edges, kind = len(streets.lane), len(streets.edges), float_dtype()
    return StreetState(
        jnp.zeros(movements, kind),
        jnp.zeros(movements, kind),
        jnp.zeros((streets.memory, edges), kind),
        jnp.zeros(edges, kind),
        jnp.zeros(len(streets.source_edge), kind),
        jnp.zeros((), kind),
        jnp.int32(0),
    )


def count_vehicles(state: StreetState) -> Array:
    """All vehicles, arrived ones too: the sum of all departures so far."""
    parts = (state.head, state.queue, state.moving, state.waiting)
    return sum((jnp.sum(part) for part in parts), state.arrived)


def travel_times(streets: Streets, parameters: StreetParameters) -> Float[Array, " edges"]:
    """Seconds along each edge; at least 1, at most what the ring buffer remembers."""
    return jnp.clip(_real(streets.travel) / parameters.speed_factor, 1.0, streets.memory - 2.0)


def storage(streets: Streets, parameters: StreetParameters) -> Float[Array, " edges"]:
    """The most vehicles on each edge."""
    return jnp.maximum(_real(streets.length) / parameters.spacing, ROOM * _real(streets.width))


def on_edges(streets: Streets, state: StreetState) -> Float[Array, " edges"]:
    """The vehicles on each edge, moving or queueing."""
    return state.moving + total(total(state.head + state.queue, streets.lane_movements), streets.edge_lanes)


def step_second(
    streets: Streets,
    parameters: StreetParameters,
    state: StreetState,
    weights: Weights,
    opened: Openings,
    departures: Float[Array, " sources"],
) -> tuple[StreetState, Second]:
    """Moves on by one second.

    Args:
        streets: the structure.
        parameters: the numbers.
        state: before.
        weights: the signals' windows in this second.
        opened: what each window opens.
        departures: vehicles due to depart in this second.

    Returns:
        The state after, and what happened. The derivative in everything that is not a count of seconds is exact, and
        one-sided where a queue is just served or an edge just full.
    """
    arrivals, state = _arrive(streets, parameters, state)
    heads, tails = total(state.head, streets.lane_movements), total(state.queue, streets.lane_movements)
    before = heads + tails
    joining = arrivals[streets.start] * _split(streets, parameters, before)
    queue = state.queue + joining

    tails = total(queue, streets.lane_movements)
    lane_queue = heads + tails
    fits = _fitting(jnp.maximum(parameters.front - heads, 0), tails)
    forward = fits[streets.lane] * queue
    head, queue = state.head + forward, queue - forward

    windows = jnp.concatenate(weights, 1)[streets.junction[streets.lit]]
    lit = [jnp.sum(one * windows, 1).at[streets.lit_row].get(mode="fill", fill_value=0) for one in opened]
    major, minor = _real(streets.free_major) + lit[0], _real(streets.free_minor) + lit[1]
    flow = parameters.saturation / jnp.maximum(heads + fits * tails, parameters.saturation)
    ready = head * jnp.minimum(1, flow[streets.lane] * _real(streets.ease))
    conflict = total(ready * (major + minor), streets.foes)
    opening = major + minor * jnp.exp(-parameters.gap * conflict)
    wish = ready * opening

    due = state.waiting + departures
    most = _real(streets.width)[streets.source_edge] * jnp.mean(parameters.saturation)
    enter = jnp.minimum(due, most)
    held = state.moving + total(lane_queue, streets.edge_lanes)
    left = jnp.maximum(storage(streets, parameters) - held, 0)
    wanted = total(wish, streets.edge_entries) + enter.at[streets.edge_source].get(mode="fill", fill_value=0)
    let_in = _fitting(left, wanted)
    out = wish * let_in[streets.end]
    enter = enter * let_in[streets.source_edge]

    entries = wanted * let_in
    row = state.time % streets.memory
    after = StreetState(
        head - out,
        queue,
        state.entries.at[row].set(entries),
        state.moving + entries,
        due - enter,
        state.arrived,
        state.time + 1,
    )
    undisturbed = opening * jnp.exp(-before)[streets.lane]
    lane_queue -= total(out, streets.lane_movements)
    delay = jnp.sum(lane_queue) + jnp.sum(after.waiting) + (1 - parameters.speed_factor) * jnp.sum(after.moving)
    delay += parameters.stop * jnp.sum(joining * (1 - undisturbed))
    return after, Second(out, major + minor, lane_queue, delay)


def total(values: Array, table: Array | NDArray[np.int32]) -> Array:
    """The sum over each row's places; places one too high count zero.

    >>> total(jnp.array([1.0, 2.0, 4.0]), np.array([[0, 2], [1, 3]])).tolist()
    [5.0, 2.0]
    """
    return jnp.sum(values.at[table].get(mode="fill", fill_value=0), axis=1)


def _real(values: object) -> Array:
    return jnp.asarray(values, float_dtype())


def _fitting(room: Array, wanted: Array) -> Array:
    """The part of what is wanted that there is room for; of less than `LEAST`, none, so that derivatives are finite."""
    some = wanted > LEAST
    return jnp.where(some, jnp.where(wanted < room, 1, room / jnp.where(some, wanted, 1)), 0)


def _arrive(streets: Streets, parameters: StreetParameters, state: StreetState) -> tuple[Array, StreetState]:
    """What reaches the end of each edge and goes on, and the state without it; the rest has arrived."""
    travel = travel_times(streets, parameters)
    whole = jnp.floor(travel)
    later = travel - whole
    row = (state.time - whole.astype(jnp.int32)) % streets.memory
    edges = jnp.arange(len(streets.edges))
    ended = (1 - later) * state.entries[row, edges] + later * state.entries[(row - 1) % streets.memory, edges]
    gone = ended * _real(streets.leaves)
    return ended, state._replace(moving=state.moving - ended, arrived=state.arrived + jnp.sum(gone))


def _split(streets: Streets, parameters: StreetParameters, lane_queue: Array) -> Array:
    """The part of what reaches the end of an edge that each movement gets."""
    queues = lane_queue[streets.lane]
    # Against the shortest of them, since the exponential of a long queue is zero.
    shortest = jnp.min(queues.at[streets.siblings].get(mode="fill", fill_value=jnp.inf), axis=1)
    attraction = jnp.exp(-parameters.choice * (queues - jax.lax.stop_gradient(shortest)))
    return _real(streets.ratio) * attraction / total(attraction, streets.siblings)
