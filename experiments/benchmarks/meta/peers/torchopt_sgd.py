"""TorchOpt's MetaSGD: the module is adapted in place, and put back after each task."""

import torch
import torchopt

from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.peers.torch_network import learned_by_modules, network, share
from experiments.benchmarks.meta.setting import INNER_RATE, LEARNING_RATE, Batch, Prepared

TASKS = STEPS


def prepare(task: str) -> Prepared:
    """The network with TorchOpt's inner optimiser."""
    net = network()
    adam = torch.optim.Adam(net.parameters(), LEARNING_RATE)  # before the module's parameters are replaced
    leaves = list(net.parameters())
    inner = torchopt.MetaSGD(net, lr=INNER_RATE)

    def losses_backward(one: Batch) -> None:
        start = torchopt.extract_state_dict(net, by="reference"), torchopt.extract_state_dict(inner, by="reference")
        for _ in range(int(task)):
            inner.step(torch.nn.functional.mse_loss(net(one.x_support), one.y_support))
        share(net(one.x_query), one.y_query).backward()
        torchopt.recover_state_dict(net, start[0])
        torchopt.recover_state_dict(inner, start[1])

    prepared = learned_by_modules(net, losses_backward, adam)
    assert all(now is before for now, before in zip(net.parameters(), leaves, strict=True))
    return prepared
