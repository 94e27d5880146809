"""learn2learn's MAML, as in its examples: a clone per task."""

import learn2learn
import torch

from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.peers.torch_network import learned_by_modules, network, share
from experiments.benchmarks.meta.setting import INNER_RATE, Batch, Prepared

TASKS = STEPS


def prepare(task: str) -> Prepared:
    """The network in learn2learn's wrapper."""
    net = network()
    maml = learn2learn.algorithms.MAML(net, lr=INNER_RATE, first_order=False)

    def losses_backward(one: Batch) -> None:
        clone = maml.clone()
        for _ in range(int(task)):
            clone.adapt(torch.nn.functional.mse_loss(clone(one.x_support), one.y_support))
        share(clone(one.x_query), one.y_query).backward()

    return learned_by_modules(net, losses_backward)
