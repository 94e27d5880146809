"""Who is measured: ours, the same by hand, and the peers."""

from typing import NamedTuple

STEPS = ("1", "5")
"""Inner steps of the meta-iterations that are compared; a contestant's tasks are named by texts."""

TORCH, SIMULATORS = "torch", "simulators"
"""Environments of packages that are not ours."""


class Contestant(NamedTuple):
    """Something that is timed in a process of its own.

    Attributes:
        title: how it is shown.
        module: under `experiments.benchmarks.meta`; it has `prepare(task) -> Prepared` and `TASKS`.
        packages: whose versions are recorded.
        environment: `TORCH`, `SIMULATORS`, or "" for ours.
    """

    title: str
    module: str
    packages: tuple[str, ...]
    environment: str = ""


# The first is the one whose meta-gradient the others must have.
LEARNERS = {
    "by_hand": Contestant("JAX by hand, one per call", "by_hand", ("jax", "optax")),
    "ours_called": Contestant("attnjax, one per call", "ours", ("jax", "optax")),
    "ours": Contestant("attnjax, 50 meta-iterations per call", "ours_scanned", ("jax", "optax")),
    "torch_func_compiled": Contestant("torch.func, compiled", "peers.torch_func_compiled", ("torch",), TORCH),
    "torch_func": Contestant("torch.func, eager", "peers.torch_func", ("torch",), TORCH),
    "torchopt": Contestant("TorchOpt", "peers.torchopt_sgd", ("torch", "torchopt"), TORCH),
    "learn2learn": Contestant("learn2learn", "peers.learn2learn_maml", ("torch", "learn2learn"), TORCH),
    "higher": Contestant("higher", "peers.higher_sgd", ("torch", "higher"), TORCH),
}

SIMULATIONS = {
    "ours_environments": Contestant("attnjax", "environments", ("jax",)),
    "recsim": Contestant("RecSim", "peers.recsim_slates", ("recsim", "numpy"), SIMULATORS),
    "recogym": Contestant("RecoGym", "peers.recogym_clicks", ("recogym", "numpy"), SIMULATORS),
}

CONTESTANTS = LEARNERS | SIMULATIONS
