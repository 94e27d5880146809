"""`torch.func`: the mean query loss as a function of the parameters, vmapped over tasks, differentiated as it is."""

from collections.abc import Callable
from typing import Any

import torch

from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.peers.torch_network import batches
from experiments.benchmarks.meta.setting import (
    INNER_RATE,
    LEARNING_RATE,
    POOL,
    Batch,
    Prepared,
    one_vector,
    parameters,
)

TASKS = STEPS


def squared_error(params: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean squared error of the network whose kernels and biases are listed in turn."""
    for number in range(0, len(params) - 2, 2):
        x = torch.relu(x @ params[number] + params[number + 1])
    return torch.mean((x @ params[-2] + params[-1] - y) ** 2)


def gradient_and_value(steps: int) -> Callable[[list[torch.Tensor], Batch], tuple[Any, torch.Tensor]]:
    """The meta-gradient of a batch and its mean query loss."""

    def meta_loss(params: list[torch.Tensor], batch: Batch) -> torch.Tensor:
        def after(x_support: Any, y_support: Any, x_query: Any, y_query: Any) -> torch.Tensor:
            phi = params
            for _ in range(steps):
                gradient = torch.func.grad(squared_error)(phi, x_support, y_support)
                phi = [p - INNER_RATE * g for p, g in zip(phi, gradient, strict=True)]
            return squared_error(phi, x_query, y_query)

        return torch.func.vmap(after)(*batch).mean()

    return torch.func.grad_and_value(meta_loss)


def start() -> list[torch.Tensor]:
    """The parameters before the first iteration."""
    return [torch.from_numpy(leaf.copy()) for pair in parameters() for leaf in pair]


def pairs(gradient: Any) -> Any:
    """A list of kernels and biases in turn as one vector."""
    return one_vector([(gradient[number], gradient[number + 1]) for number in range(0, len(gradient), 2)])


def prepare(task: str) -> Prepared:
    """Eager: one gradient, one step of PyTorch's Adam."""
    compute, drawn, params = gradient_and_value(int(task)), batches(), start()
    first = pairs(compute(params, drawn[0])[0])
    adam = torch.optim.Adam(params, LEARNING_RATE)
    done = 0

    def run(count: int) -> None:
        nonlocal done
        for number in range(done, done + count):
            gradient, _ = compute(params, drawn[number % POOL])
            for leaf, slope in zip(params, gradient, strict=True):
                leaf.grad = slope
            adam.step()
        done += count

    return Prepared(run, 1, lambda: first)
