"""What `meta_tables` computes: its parts, one after the other, on keys of the same seeds."""

from typing import Any

import jax
import jax.numpy as jnp

from attnjax.reproduction import Context, Outcome
from experiments.meta_tables import bandits, point_mass, processes, recurrent, sinusoid

PARTS = (sinusoid.run, bandits.run, processes.run, point_mass.run, recurrent.run)
"""Each is `part(config, keys, context) -> Outcome`; their entries are of different names."""


def run(config: Any, key: Any, context: Context) -> Outcome:
    """All parts, as one outcome."""
    keys = jnp.stack([jax.random.fold_in(key, seed) for seed in range(config.seed, config.seed + config.seeds)])
    found = [part(config, keys, context) for part in PARTS]
    return Outcome(
        values={name: value for one in found for name, value in one.values.items()},
        per_seed={name: [float(x) for x in numbers] for one in found for name, numbers in one.per_seed.items()},
        certificates={name: value for one in found for name, value in one.certificates.items()},
    )
