"""higher: a functional copy of the module and a differentiable optimiser per task."""

import higher
import torch

from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.peers.torch_network import learned_by_modules, network, share
from experiments.benchmarks.meta.setting import INNER_RATE, Batch, Prepared

TASKS = STEPS


def prepare(task: str) -> Prepared:
    """The network with an inner optimiser of PyTorch's."""
    net = network()
    inner = torch.optim.SGD(net.parameters(), INNER_RATE)

    def losses_backward(one: Batch) -> None:
        with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (copied, steps):
            for _ in range(int(task)):
                steps.step(torch.nn.functional.mse_loss(copied(one.x_support), one.y_support))
            share(copied(one.x_query), one.y_query).backward()

    return learned_by_modules(net, losses_backward)
