"""What green is worth: contributions of a signal's phases, for `attnjax.allocation.split`.

    Delay       minus the vehicles that wait on average, at w of the cycle (Webster's uniform term and an overflow)
    Discharge   the vehicles that leave in the next seconds, at w of them

Source: *City* §4.3, which takes mean speed and throughput for f_i and writes no formula. Both quantities follow from
these: what is discharged is throughput, and delay is what is lost of speed. Seconds and vehicles throughout; multiply
vehicles per hour by 1 / 3600.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attnjax.allocation.contributions import Shares, smooth_response
from attnjax.errors import fail
from attnjax.pytrees import register


@dataclasses.dataclass(frozen=True)
class Delay:
    """Minus the mean number of waiting vehicles, by the formulas of a fixed cycle; concave and rising in the share.

        f(w) = -q (d1 + d2)        with effective green g = w * green, capacity c = s g, saturation x = q / c

        d1 = C (1 - g)^2 / (2 (1 - q / s))                                       uniform arrivals (Webster 1958)
        d2 = T / 4 (x - 1 + sqrt((x - 1)^2 + 8 k x / (c T)))                      random arrivals and overflow

    Delay d in seconds per vehicle times flow in vehicles per second is vehicles (Little's law). d2 is the
    time-dependent term of the Highway Capacity Manual (2000, eq. 16-11), after Kimber and Hollis (1979) and Akçelik
    (1981); for T to infinity and x < 1 q d2 is the queue of M/D/1, Webster's second term; for x > 1 it stays finite.

    Where x > 1 the Manual replaces q / s in d1 by g, which is less but breaks concavity: the slope of d1 in g is then
    -C / 2 below x = 1 and -C above it. Here Webster's term stands for all g, so one price finds the optimum.

    The gradient in the share is what more green is worth, in vehicles no longer waiting; f is -inf at a share of 0 (0
    where no vehicle comes), so its gradient there is infinite: give a lower bound above 0.

    Args:
        flow: q, (n,), >= 0, vehicles per second that arrive.
        saturation: s, (n,) or scalar, above q: vehicles per second that leave while it is green.
        cycle: C, seconds.
        green: in (0, 1], the part of the cycle that is effective green of some phase: 1 - lost time / cycle.
        period: T, seconds that this flow lasts.
        randomness: k, 0.5 for Poisson arrivals, 0 for regular ones.

    Raises:
        UserError: where the values are known, for flows outside [0, saturation).

    >>> waiting = Delay(jnp.array([0.1, 0.2]), 0.5, cycle=60.0)
    >>> (-waiting.value(jnp.array([0.4, 0.6]))).round(2).tolist()
    [1.59..., 2.25]
    """

    flow: Any
    saturation: Any
    cycle: Any
    green: Any = 1.0
    period: Any = 900.0
    randomness: Any = 0.5

    def __post_init__(self) -> None:
        _below_saturation("Delay", self.flow, self.saturation)

    def value(self, w: Shares) -> Shares:
        """-q (d1 + d2), in vehicles."""
        share = w * self.green
        real = (self.flow > 0) & (share > 0)
        safe = jnp.where(real, share, 1)
        flow = jnp.where(self.flow > 0, self.flow, 1)
        uniform = self.cycle * (1 - safe) ** 2 / (2 * (1 - self.flow / self.saturation))
        capacity = self.saturation * safe
        over = flow / capacity - 1
        # With k = 0 and x = 1 the root has no derivative; a little less than rounding keeps it finite.
        spread = 8 * self.randomness * flow / (capacity**2 * self.period) + jnp.finfo(w.dtype).tiny
        overflow = self.period / 4 * (over + jnp.sqrt(over**2 + spread))
        never = jnp.where(self.flow > 0, -jnp.inf, 0)
        return jnp.where(real, -self.flow * (uniform + overflow), never)

    def response(self, price: Shares, lower: Shares, upper: Shares) -> Shares:
        """By bisection: the function is smooth. A phase without vehicles takes its upper bound at prices up to 0."""
        return smooth_response(self, price, lower, upper)


@dataclasses.dataclass(frozen=True)
class Discharge:
    """Vehicles that leave within a budget of seconds, weighted; flat, then steep, then flat.

        f(w) = weight * min(q + lambda T, s max(0, w T - lost))

    From `start` = lost / T on it is concave: use it with lower >= start, or where phases may be left out with
    `split_or_skip(..., lower=start)`. Source: the queue at a stop line that discharges at its saturation flow; the
    weight may grow with how long vehicles have waited.

    The gradient in the share is weight * s * T on the rise and 0 beyond the last vehicle; at the two kinks that of one
    side. In the parameters it is exact on each side.

    Args:
        queue: q, (n,), >= 0, vehicles that stand now.
        arrivals: lambda, (n,) or scalar, >= 0, vehicles per second that will come.
        saturation: s, (n,) or scalar, > 0, vehicles per second.
        horizon: T, the seconds that are split.
        lost: (n,) or scalar, >= 0, seconds of a served phase in which nobody leaves (yellow and start-up).
        weight: (n,) or scalar, > 0.

    >>> leaving = Discharge(jnp.array([4.0, 9.0]), 0.0, 0.5, horizon=20.0, lost=3.0)
    >>> leaving.value(jnp.array([0.75, 0.25])).tolist()
    [4.0, 1.0]
    >>> leaving.start
    0.15
    """

    queue: Any
    arrivals: Any
    saturation: Any
    horizon: Any
    lost: Any = 0.0
    weight: Any = 1.0

    @property
    def start(self) -> Any:
        """The share from which on vehicles leave."""
        return self.lost / self.horizon

    @property
    def enough(self) -> Any:
        """The share at which the last vehicle leaves."""
        return ((self.queue + self.arrivals * self.horizon) / self.saturation + self.lost) / self.horizon

    def value(self, w: Shares) -> Shares:
        """In weighted vehicles."""
        seconds = w * self.horizon - self.lost
        some = jnp.minimum(self.queue + self.arrivals * self.horizon, self.saturation * seconds)
        return self.weight * jnp.where(seconds >= 0, some, 0)

    def response(self, price: Shares, lower: Shares, upper: Shares) -> Shares:
        """All that can be used, where a vehicle's worth of green costs less than the vehicle brings."""
        enough = jnp.clip(jnp.broadcast_to(self.enough, price.shape), lower, upper)
        worth = self.weight * self.saturation * self.horizon
        return jnp.where(price >= worth, lower, jnp.where(price >= 0, enough, upper))


register(Delay)
register(Discharge)


def webster_split(flow_ratio: Float[Array, " n"], green: float | Array = 1.0) -> Float[Array, " n"]:
    """Green in proportion to flow ratios, Webster's rule: w_i = green * y_i / sum_j y_j, with y = flow / saturation.

    It makes all phases equally saturated, x_i = y_i / w_i, and no other split has a smaller largest x. It is also the
    exact optimum of F = sum_i y_i log w_i, so a softmax: `allocate(log(y), green)`. It is not the split of least delay,
    which gives light phases more than their part.

    Args:
        flow_ratio: y, (n,), >= 0, at least one above 0: the flow of each phase's critical lane over its saturation.
        green: the part of the cycle to be split.

    Returns:
        (n,), summing to `green`. Differentiable wherever some flow is above 0.

    Raises:
        UserError: where the values are known, if no flow ratio is above 0 or one is negative.

    Source: F. V. Webster (1958), Traffic Signal Settings, Road Research Technical Paper 39.

    >>> webster_split(jnp.array([0.1, 0.3]), green=0.8).round(3).tolist()
    [0.2..., 0.6...]
    """
    flow_ratio = jnp.asarray(flow_ratio)
    known = _known(flow_ratio)
    if known is not None and not ((known[0] >= 0).all() and (known[0] > 0).any()):
        fail(
            "webster_split",
            expected="flow ratios of at least 0, one of them above",
            got=str(known[0].tolist()),
            advice="Where no vehicle comes, any split will do.",
        )
    return green * flow_ratio / jnp.sum(flow_ratio)


def _known(*numbers: Any) -> list[Any] | None:
    """The numbers in NumPy, or None where some are traced."""
    if any(isinstance(x, jax.core.Tracer) for x in numbers):
        return None
    return [np.asarray(x, float) for x in numbers]


def _below_saturation(where: str, flow: Any, saturation: Any) -> None:
    known = _known(flow, saturation)
    if known is not None and not ((known[0] >= 0) & (known[0] < known[1])).all():
        fail(
            where,
            expected="flows from 0 to below the saturation flow, in vehicles per second",
            got=f"flows up to {known[0].max():g} with saturation {known[1].min():g}",
            advice="Divide vehicles per hour by 3600, and give each phase the saturation of all its lanes.",
        )
