"""Users spread over devices: the same solve on one device, on many, and on many machines.

Prices couple users only through sums, so each device sweeps its own users and the sums are added up: per Newton step
one all-reduce of the exposure and one of the Hessian, c + c^2 numbers, whatever the number of users. Everything else
(prices, factorisation, line search) runs alike on every device.

    market = shard(Market.of(scores, creators, Nash(weights)))     # all devices of this process
    solution = solve(market)                                       # attention stays where its users are

On several machines each process calls `jax.distributed.initialize`, builds a market of its own users, and calls the
same two lines; see the README, "Many devices".
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from attnjax.allocation.market import Market, map_parts
from attnjax.errors import fail

AXIS = "users"


def shard(market: Market, devices: Sequence[Any] | None = None) -> Market:
    """Spreads a market's users over devices.

    Users are filled up to a multiple of the devices by users without budget, who change nothing: of the solution's
    attention the first rows are this process's users, in their order (`local_rows`).

    Args:
        market: from `Market.of`, on one device. With several processes: this process's users; creators, their value,
            platform rates, temperature and position bias are the same everywhere.
        devices: which; default all devices of all processes.

    Returns:
        The market of all users of all processes, as `solve` takes it. The only method for it is "newton".

    Raises:
        UserError: for a market that is spread already, no devices, or processes with different numbers of them.

    >>> import jax.numpy as jnp
    >>> from attnjax.allocation import Creators, Market, Nash, solve
    >>> market = Market.of(jnp.eye(2), Creators.one_per_item(2), Nash(1.0), temperature=0.0)
    >>> bool(solve(shard(market)).converged)
    True
    """
    if market.mesh is not None:
        fail("shard", expected="a market on one device", got="one that is spread", advice="Spread it once.")
    devices = list(jax.devices() if devices is None else devices)
    if not devices:
        fail("shard", expected="at least one device", got="none", advice="Leave devices out for all of them.")
    here = sum(device.process_index == jax.process_index() for device in devices)
    processes = len({device.process_index for device in devices})
    if here * processes != len(devices) or (processes > 1 and processes != jax.process_count()):
        fail(
            "shard",
            expected="the same number of devices from every process",
            got=f"{here} of {len(devices)} devices in process {jax.process_index()} of {jax.process_count()}",
            advice="Use all devices, or the same number of each process's.",
        )
    mesh = Mesh(np.array(devices), (AXIS,))
    rows = market.budgets.shape[0]
    if processes > 1:
        rows = int(np.max(multihost_utils.process_allgather(np.asarray(rows))))
    rows = -(-rows // here) * here
    spread, everywhere = NamedSharding(mesh, PartitionSpec(AXIS)), NamedSharding(mesh, PartitionSpec())

    def place(leaf: Any) -> Any:
        local = np.asarray(leaf)
        return jax.make_array_from_process_local_data(everywhere, local, local.shape)

    def place_rows(leaf: Any) -> Any:
        local = np.asarray(leaf)
        local = np.concatenate([local, np.zeros((rows - local.shape[0], *local.shape[1:]), local.dtype)])
        return jax.make_array_from_process_local_data(spread, local, (rows * processes, *local.shape[1:]))

    return dataclasses.replace(map_parts(market, place_rows, place), mesh=mesh)


def local_rows(array: jax.Array, users: int) -> np.ndarray:
    """This process's rows of a solution's array with a row per user, without those that `shard` filled up.

    Args:
        array: (u, ...), e.g. `solution.attention`, of a market from `shard`.
        users: how many users this process's market had.

    >>> import jax.numpy as jnp
    >>> local_rows(jnp.ones((4, 2)), 3).shape
    (3, 2)
    """
    shards = sorted(array.addressable_shards, key=lambda part: part.index[0].start or 0)
    seen: dict[int, np.ndarray] = {part.index[0].start or 0: np.asarray(part.data) for part in shards}
    return np.concatenate(list(seen.values()))[:users]
