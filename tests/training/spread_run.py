"""Trains the same on one device and on all; run by test_loop_options.py with virtual devices.

python spread_run.py OUT
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attnjax.training import Checkpoints, fit


def loss(params, batch):
    return jnp.mean((jax.nn.tanh(batch["x"] @ params["one"]) @ params["two"] - batch["y"]) ** 2)


def main():
    random = np.random.default_rng(0)
    rows = {"x": random.normal(size=(320, 8)), "y": random.normal(size=(320, 2))}
    params = {"one": 0.5 * random.normal(size=(8, 16)), "two": 0.5 * random.normal(size=(16, 2))}
    rows, params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (rows, params))
    folder = sys.argv[1] + ".checkpoints"

    def run(epochs, devices, checkpoints=None):
        return fit(
            loss,
            loss,
            params,
            optax.adam(1e-2),
            rows,
            rows,
            key=jax.random.key(0),
            batch_size=64,
            max_epochs=epochs,
            patience=9,
            accumulate=2,
            devices=devices,
            checkpoints=checkpoints,
        )

    alone, together = run(8, None), run(8, jax.devices())
    run(4, jax.devices(), Checkpoints(folder, {}))
    resumed = run(8, jax.devices(), Checkpoints(folder, {}))
    apart = [np.abs(alone.params[name] - np.asarray(together.params[name])).max().item() for name in params]
    found = {
        "devices": len(together.params["one"].sharding.device_set),
        "difference": max(apart),
        "losses": [alone.losses, together.losses],
        "resumed": resumed.resumed,
        "same_bits": all(bool((together.params[name] == resumed.params[name]).all()) for name in params),
    }
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)


main()
