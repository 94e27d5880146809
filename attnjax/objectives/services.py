"""What a share of other city services brings: emergency cover and energy, for `attnjax.allocation.split`.

    Coverage    demand that finds a free unit, at w of the fleet
    Charging    energy that a battery takes up, at w of what a transformer can deliver

Source: *City* §3.4 and §6.3 (public safety), §3.4 (energy); the document names the services and no formula.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp

from attnjax.allocation.contributions import Shares
from attnjax.pytrees import register


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Expected demand that finds a unit free, at w of a fleet; concave and rising in the share.

        f(w) = demand (1 - busy^(w fleet))

    Source: M. S. Daskin (1983), A Maximum Expected Covering Location Model, Transportation Science 17; there with whole
    units, here with fractions of them in between (a unit's time shared by districts).

    The gradient in the share is the demand that a little more of the fleet would cover.

    Args:
        demand: (n,), >= 0, calls in any unit of time; f is in the same.
        busy: in (0, 1), scalar or (n,), how likely a unit is busy, whatever the others do.
        fleet: > 0, units to be shared.

    >>> cover = Coverage(jnp.array([10.0, 40.0]), busy=0.5, fleet=4.0)
    >>> cover.value(jnp.array([0.25, 0.75])).tolist()
    [5.0, 35.0]
    """

    demand: Any
    busy: Any
    fleet: Any

    def value(self, w: Shares) -> Shares:
        """In units of demand."""
        return -self.demand * jnp.expm1(self._rate * w)

    def response(self, price: Shares, lower: Shares, upper: Shares) -> Shares:
        """In closed form: the slope falls by the factor `busy` with every unit."""
        start = -self.demand * self._rate
        sought = (price > 0) & (start > price)
        ratio = jnp.where(sought, price, 1) / jnp.where(sought, start, 1)
        return jnp.clip(
            jnp.where(sought, jnp.log(ratio) / self._rate, jnp.where(price > 0, lower, upper)), lower, upper
        )

    @property
    def _rate(self) -> Any:
        return self.fleet * jnp.log(self.busy)


@dataclasses.dataclass(frozen=True)
class Charging:
    """Energy that a battery takes up when offered w of a supply; concave and rising in the share.

        x = w supply,    f = x  up to b = bulk * need,    need - (need - b) exp(-(x - b) / (need - b))  beyond

    A battery takes all it is offered until most of its need is met, and then ever less, as chargers taper their current
    at constant voltage. The slope is continuous: 1 kWh per kWh, falling from b on.

    The gradient in the share is supply times the part of the next kWh that would be taken up. On the straight piece all
    chargers have the same slope, so what is short is divided in proportion (see `attnjax.allocation.split`).

    Args:
        need: (n,), >= 0, kWh to a full battery, or to what its driver asked for. With 0 it takes nothing.
        supply: > 0, kWh that can be delivered in the window: power limit times its length.
        bulk: in [0, 1), the part of the need that is taken up at full rate.

    >>> taken = Charging(jnp.array([10.0, 40.0]), supply=30.0, bulk=0.8)
    >>> taken.value(jnp.array([0.5, 0.5])).round(3).tolist()
    [9.9..., 15.0...]
    """

    need: Any
    supply: Any
    bulk: Any = 0.8

    def value(self, w: Shares) -> Shares:
        """In kWh."""
        offered = w * self.supply
        taper = jnp.where(self.need > 0, (1 - self.bulk) * self.need, 1)
        over = jnp.maximum(offered - self.bulk * self.need, 0) / taper
        slow = jnp.minimum(offered, self.bulk * self.need) - taper * jnp.expm1(-over)
        return jnp.where(self.need > 0, jnp.where(offered > self.bulk * self.need, slow, offered), 0)

    def response(self, price: Shares, lower: Shares, upper: Shares) -> Shares:
        """In closed form: nothing where a kWh costs more than it brings, else into the taper as far as it pays."""
        sought = (price > 0) & (price < self.supply) & (self.need > 0)
        depth = jnp.log(jnp.where(sought, self.supply / jnp.where(sought, price, 1), 1))
        share = (self.bulk + (1 - self.bulk) * depth) * self.need / self.supply
        return jnp.clip(jnp.where(sought, share, jnp.where(price > 0, lower, upper)), lower, upper)


register(Coverage)
register(Charging)
