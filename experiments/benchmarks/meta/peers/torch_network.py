"""The network, the tasks and the outer step for peers on PyTorch, on one thread."""

from collections.abc import Callable
from typing import Any

import torch

from experiments.benchmarks.meta.setting import (
    LEARNING_RATE,
    META_BATCH,
    POOL,
    Batch,
    Prepared,
    one_vector,
    parameters,
    pool,
)

torch.set_num_threads(1)


def network() -> torch.nn.Sequential:
    """The network before the first iteration."""
    layers: list[torch.nn.Module] = []
    for kernel, bias in parameters():
        layer = torch.nn.Linear(*kernel.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(kernel.T))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def batches() -> list[Batch]:
    """The pool, batch by batch, as tensors."""
    drawn = pool()
    return [Batch(*(torch.from_numpy(values[number].copy()) for values in drawn)) for number in range(POOL)]


def learned_by_modules(net: torch.nn.Module, losses_backward: Callable[[Batch], None], adam: Any = None) -> Prepared:
    """A contestant that adapts copies of a module task by task.

    Args:
        net: what is learned.
        losses_backward: of one *task*, adds the gradient of its query loss over the number of tasks to `.grad`.
        adam: of the outer step; PyTorch's if left out.
    """
    drawn = [[Batch(*parts) for parts in zip(*batch, strict=True)] for batch in batches()]
    adam = adam or torch.optim.Adam(net.parameters(), LEARNING_RATE)
    done = 0

    def meta_gradient(number: int) -> None:
        adam.zero_grad()
        for task in drawn[number % POOL]:
            losses_backward(task)

    meta_gradient(0)
    found = [p.grad.detach().numpy().copy() for p in net.parameters()]
    first = one_vector([(kernel.T, bias) for kernel, bias in zip(found[::2], found[1::2], strict=True)])

    def run(count: int) -> None:
        nonlocal done
        for number in range(done, done + count):
            meta_gradient(number)
            adam.step()
        done += count

    return Prepared(run, 1, lambda: first)


def share(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """A task's part of the mean query loss."""
    return torch.nn.functional.mse_loss(predicted, wanted) / META_BATCH
