"""What differs between drivers, days and streets of one structure: the numbers that calibration looks for."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from attnjax.envs.spaces import float_dtype
from attnjax.envs.traffic.network import Streets
from attnjax.pytrees import register


@dataclasses.dataclass(frozen=True)
class StreetParameters:
    """The numbers of the street model; all are positive, and the model is differentiable in each.

    Attributes:
        saturation: (lanes,) vehicles per second of green from a lane's standing queue.
        demand: (sources,) a factor on departures.
        lost: seconds before a queue moves after its light turns green.
        yellow_use: the part of a yellow second that is used like green, in [0, 1].
        gap: seconds; a yielding movement goes at exp(-gap x flow of those it gives way to) of its rate.
        stop: seconds that a vehicle loses by braking and speeding up again if it has to stop.
        speed_factor: the speed on the way as a part of the limit; at least 0.5.
        spacing: metres of a lane that a queueing vehicle takes.
        front: vehicles at the head of a lane that don't wait behind one another, about 1; at least `saturation`. With
            one, a vehicle whose light is red holds up all behind it.
        choice: per vehicle; of two lanes that serve a turn, one with a queue shorter by n is chosen exp(choice x n)
            times as often.
    """

    saturation: Float[Array, " lanes"]
    demand: Float[Array, " sources"]
    lost: Float[Array, ""]
    yellow_use: Float[Array, ""]
    gap: Float[Array, ""]
    stop: Float[Array, ""]
    speed_factor: Float[Array, ""]
    spacing: Float[Array, ""]
    front: Float[Array, ""]
    choice: Float[Array, ""]


register(StreetParameters)

TYPICAL = {
    "saturation": 0.54,
    "demand": 1.0,
    "lost": 4.0,
    "yellow_use": 0.6,
    "gap": 2.0,
    "stop": 8.5,
    "speed_factor": 0.96,
    "front": 1.1,
    "choice": 0.23,
}
"""Rounded from a fit of delays to SUMO 1.28's, over cyclic plans on three maps; its drivers are the standard ones."""


def street_parameters(streets: Streets, **changed: Any) -> StreetParameters:
    """Typical numbers, with the vehicles' own spacing.

    Args:
        streets: the structure.
        **changed: numbers or arrays in place of the typical ones.

    Returns:
        The parameters; scalars are spread over lanes and sources.
    """
    values = {**TYPICAL, "spacing": streets.spacing, **changed}
    shapes = parameter_shapes(streets)
    return StreetParameters(
        **{name: jnp.broadcast_to(jnp.asarray(values[name], float_dtype()), shape) for name, shape in shapes.items()}
    )


def parameter_shapes(streets: Streets) -> dict[str, tuple[int, ...]]:
    """The shape of each field of the parameters of these streets."""
    shapes: dict[str, tuple[int, ...]] = {field.name: () for field in dataclasses.fields(StreetParameters)}
    return {**shapes, "saturation": (len(streets.lanes),), "demand": (len(streets.source_edge),)}
