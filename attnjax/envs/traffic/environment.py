"""The street model as an environment: every few seconds, the green shares of each signal until the next decision."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from attnjax.envs.contract import Environment, Step, check_task
from attnjax.envs.spaces import Box, check_size, float_dtype
from attnjax.envs.traffic.dynamics import StreetState, empty_streets, on_edges, storage, total
from attnjax.envs.traffic.network import Streets
from attnjax.envs.traffic.parameters import TYPICAL, StreetParameters, parameter_shapes, street_parameters
from attnjax.envs.traffic.signals import rolling_windows
from attnjax.envs.traffic.simulation import advance, random_counts
from attnjax.errors import fail

FEATURES = 5
"""Numbers that are seen of each lane."""
SPREAD = 0.2
"""Tasks differ from the typical numbers by at most this part."""


class TrafficState(NamedTuple):
    """Where the traffic stands.

    Attributes:
        streets: the vehicles.
        phase: (signals,) the phase that was green last.
        unopened: (lanes,) seconds, in steps of the budget, since a movement of the lane was last open.
        time: decisions so far.
    """

    streets: StreetState
    phase: Int[Array, " signals"]
    unopened: Float[Array, " lanes"]
    time: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Traffic(Environment):
    """Signals that share out their green, decided anew every `budget` seconds.

    An action gives each signal's phases a weight in [0, 1]; phases that a signal does not have are masked, and the rest
    divided by its sum: the shares of the budget's green. Phases are served in cyclic order from the one that is green,
    and each change costs `change` seconds, so many shares in a short budget leave little green. A row of zeros leaves
    the signal as it is.

    What is seen is a row for each lane: vehicles in its queue; vehicles on the way along its edge, per lane; minutes
    since a movement of it was last open; whether the current phase opens one; and how full the fullest edge ahead is.
    `streets.lane` and `streets.junction` tell which lanes belong to which signal.

    The reward is minus the vehicle-seconds of delay, over the number of scheduled vehicles, so that an episode's sum is
    minus the mean delay in seconds. An episode is the window of the demand, cut off at a whole number of budgets.
    `info` has `discharged` (signals, phases), `delay` in vehicle-seconds and `arrived`, of the budget. The derivative
    in an action is exact where no share is zero.

    Args:
        streets: the structure and demand.
        budget: seconds between decisions.
        change: seconds of yellow before another phase; below the budget.
        random_departures: whether vehicles depart at random, at the scheduled rate of each minute, or as scheduled.

    Raises:
        UserError: for a budget longer than the demand's window, or a change that is not shorter than the budget.
    """

    streets: Streets
    budget: int = 10
    change: int = 3
    random_departures: bool = True

    def __post_init__(self) -> None:
        check_size("Traffic", "budget", self.budget)
        check_size("Traffic", "change", self.change, least=0)
        if not self.change < self.budget <= len(self.streets.schedule):
            fail(
                "Traffic",
                expected=f"change < budget <= {len(self.streets.schedule)}, the seconds of the demand",
                got=f"change = {self.change}, budget = {self.budget}",
                advice="RESCO's protocol decides every 10 s and has 3 s of yellow.",
            )

    @property
    def observation_space(self) -> Box:
        """Five numbers for each lane."""
        return Box((len(self.streets.lanes), FEATURES))

    @property
    def action_space(self) -> Box:
        """A weight for each signal's phases."""
        return Box(self.streets.phases.shape, 0.0, 1.0)

    @property
    def max_steps(self) -> int:
        """The decisions in the window."""
        return len(self.streets.schedule) // self.budget

    def sample_task(self, key: Array) -> StreetParameters:
        """Each number uniform within 20 % of the typical one, lanes and sources each on their own."""
        shapes = parameter_shapes(self.streets)
        typical = {**TYPICAL, "spacing": self.streets.spacing}
        keys = jax.random.split(key, len(shapes))
        drawn = {
            name: typical[name] * jax.random.uniform(one, shape, float_dtype(), 1 - SPREAD, 1 + SPREAD)
            for one, (name, shape) in zip(keys, shapes.items(), strict=True)
        }
        return street_parameters(self.streets, **drawn)

    def reset(self, key: Array, params: StreetParameters) -> tuple[Array, TrafficState]:
        """Empty streets, every signal in its first phase; the key is not used."""
        check_task("Traffic.reset", params, StreetParameters, parameter_shapes(self.streets))
        signals, lanes = len(self.streets.junctions), len(self.streets.lanes)
        unopened = jnp.zeros(lanes, float_dtype())
        state = TrafficState(empty_streets(self.streets), jnp.zeros(signals, jnp.int32), unopened, jnp.int32(0))
        return self._observe(state, params), state

    def step(self, key: Array, state: TrafficState, action: Any, params: StreetParameters) -> Step:
        """Serves the shares for one budget."""
        streets, kind = self.streets, float_dtype()
        shares = self._shares(self.action_space.action(action, "Traffic.step"), state.phase)
        change = jnp.full(streets.phases.shape, self.change, kind)
        windows = rolling_windows(shares, state.phase, float(self.budget), change)
        begin = state.time * self.budget
        rows = jnp.asarray(streets.rate if self.random_departures else streets.schedule, kind)
        due = jax.lax.dynamic_slice_in_dim(rows, begin, self.budget) * params.demand[None, :]
        if self.random_departures:
            due = random_counts(key, due)
        clock = jnp.arange(self.budget, dtype=kind)
        after, totals = advance(streets, params, state.streets, windows, due, clock)

        phases = shares.shape[1]
        places = jnp.arange(phases)[None, :]
        turned = jnp.take_along_axis(shares, (state.phase[:, None] + places) % phases, 1)
        phase = (state.phase + jnp.max(jnp.where(turned > 0, places, 0), 1)) % phases
        opened = total(totals.opened, streets.lane_movements) > 0
        unopened = jnp.where(opened, 0, state.unopened + self.budget)
        delay = jnp.sum(totals.delay)
        info = {
            "discharged": totals.discharged,
            "delay": delay,
            "arrived": after.arrived - state.streets.arrived,
        }
        reward = -delay / max(float(streets.schedule.sum()), 1.0)
        state = TrafficState(after, phase.astype(jnp.int32), unopened, state.time + 1)
        ended = state.time >= self.max_steps
        return Step(self._observe(state, params), state, reward, jnp.asarray(False), ended, info)

    def _shares(self, weights: Array, phase: Array) -> Array:
        """Weights of the phases that are there, divided by their sum; all to the current phase where that is 0."""
        weights = jnp.where(self.streets.phases, weights, 0)
        whole = jnp.sum(weights, 1, keepdims=True)
        some = whole > 0
        current = jax.nn.one_hot(phase, weights.shape[1], dtype=weights.dtype)
        return jnp.where(some, weights / jnp.where(some, whole, 1), current)

    def _observe(self, state: TrafficState, params: StreetParameters) -> Array:
        streets, kind = self.streets, float_dtype()
        queue = total(state.streets.head + state.streets.queue, streets.lane_movements)
        moving = (state.streets.moving / jnp.asarray(streets.width, kind))[streets.lane_edge]
        movements = np.arange(len(streets.lane))
        phase = state.phase.at[streets.junction].get(mode="fill", fill_value=0)
        lit = jnp.asarray(streets.major + streets.minor, kind)[movements, phase]
        free = jnp.asarray(streets.free_major + streets.free_minor, kind)
        full = (on_edges(streets, state.streets) / storage(streets, params))[streets.end]
        most = [
            jnp.max(one.at[streets.lane_movements].get(mode="fill", fill_value=0), axis=1) for one in (lit + free, full)
        ]
        return jnp.stack([queue, moving, state.unopened / 60, *most], axis=1).astype(kind)
