"""Solves the same markets on one device and on all; run by test_sharding.py with virtual devices or several processes.

python sharded_solves.py OUT MARKETS [coordinator address, number of processes, number of this process]

MARKETS are names, with commas between them.
"""

import json
import sys

import jax

if len(sys.argv) > 3:
    jax.distributed.initialize(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))

import numpy as np

from attnjax.allocation import Box, Creators, Market, Nash, local_rows, shard, solve
from attnjax.allocation.solvers import _newton

USERS, ITEMS = 203, 12
ONE = Creators.one_per_item(ITEMS)


def markets():
    """A market of each kind, as a function of which users take part."""
    random = np.random.default_rng(0)
    scores = random.random((USERS, ITEMS)).astype(np.float32)
    even = USERS / ITEMS
    candidates = np.argsort(random.random((USERS, ITEMS)), axis=1)[:, :6]
    sparse = np.take_along_axis(scores, candidates, 1)
    bias = 1 / np.arange(1, 4)
    return {
        "nash": lambda own: Market.of(0.0, ONE, Nash(1.0), impact=scores[own] + 0.01, temperature=0.0),
        "box": lambda own: Market.of(scores[own], ONE, Box(0.5 * even, 1.3 * even), temperature=0.0),
        "sparse": lambda own: Market.of(sparse[own], ONE, Nash(5.0), temperature=0.0, candidates=candidates[own]),
        "slates": lambda own: Market.of(0.0, ONE, Nash(1.0), impact=scores[own] + 0.01, position_bias=bias),
    }


def main():
    rank, count = jax.process_index(), jax.process_count()
    own = slice(rank * USERS // count, (rank + 1) * USERS // count)
    found = {}
    for name in sys.argv[2].split(","):
        market = markets()[name]
        alone = solve(market(slice(None)), 1e-4, method="newton")
        spread = shard(market(own))
        together = solve(spread, 1e-4)
        attention = local_rows(together.attention, own.stop - own.start)
        found[name] = {
            "converged": bool(together.converged),
            "lower": [float(alone.lower), float(together.lower)],
            "gap": [float(alone.gap), float(together.gap)],
            "prices": np.abs(np.asarray(alone.prices) - np.asarray(together.prices)).max().item(),
            "largest_price": np.abs(np.asarray(alone.prices)).max().item(),
            "exposure": np.abs(np.asarray(alone.exposure) - np.asarray(together.exposure)).max().item() / USERS,
            "attention": np.abs(np.asarray(alone.attention)[own] - attention).mean().item(),
            "rows": attention.shape[0],
        }
    found["devices"] = jax.device_count()
    if count == 1:
        numbers = (np.float32(1e-4), 2000, np.float32(0.3))
        program = _newton.lower(spread, together.prices, *numbers, False).compile().as_text()
        found["gathers"] = program.count("all-gather(")
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)


main()
