"""Trains with checkpoints and may be killed on the way; run by test_checkpoints.py.

python killed_run.py FOLDER straight|log|save|finish

`straight` trains without interruption in FOLDER/straight, writes straight.npz, and goes on with `log`: a run in
FOLDER/killed that kills itself when epoch 5 is logged. `save` goes on with that run and kills itself when epoch 8's
checkpoint is written but has no final name. `finish` goes on to the end and writes finish.npz.
"""

import os
import signal
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from orbax.checkpoint._src.path import atomicity

from attnjax.training import Checkpoints, JsonLines, fit

FOLDER, WHAT = Path(sys.argv[1]), sys.argv[2]


class Deadly(JsonLines):
    """Kills the process when an epoch is logged."""

    def log(self, step, values):
        super().log(step, values)
        if WHAT in ("straight", "log") and step == 5 and self.path.stem == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if WHAT == "save" and step == 8:

            async def finalize(self):
                os.kill(os.getpid(), signal.SIGKILL)

            atomicity.AtomicRenameTemporaryPath.finalize = finalize


def network(params, x, key=None):
    hidden = jax.nn.tanh(x @ params["one"])
    if key is not None:
        hidden = jnp.where(jax.random.bernoulli(key, 0.8, hidden.shape), hidden / 0.8, 0)
    return hidden @ params["two"]


def run(name):
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 16)).astype(np.float32)
    rows = {"x": x, "y": np.sin(x @ random.normal(size=(16, 3))).astype(np.float32)}
    params = {"one": 0.3 * random.normal(size=(16, 32)), "two": 0.3 * random.normal(size=(32, 3))}
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    with Deadly(FOLDER / f"{name}.jsonl") as tracker:
        return fit(
            lambda p, b, key: jnp.mean((network(p, b["x"], key) - b["y"]) ** 2),
            lambda p, b: jnp.mean((network(p, b["x"]) - b["y"]) ** 2),
            params,
            optax.adamw(optax.cosine_decay_schedule(1e-2, 100)),
            rows,
            jax.tree.map(lambda leaf: leaf[:50], rows),
            key=jax.random.key(1),
            batch_size=32,
            max_epochs=11,
            patience=11,
            stochastic=True,
            checkpoints=Checkpoints(FOLDER / name, {"rate": 1e-2}, every=2, keep=2),
            tracker=tracker,
        )


def keep(name, found):
    np.savez(FOLDER / f"{name}.npz", **found.params, losses=found.losses, resumed=found.resumed, best=found.best)


if WHAT == "straight":
    keep("straight", run("straight"))
found = run("killed")
keep(WHAT, found)
