"""`torch.func` under `torch.compile`: the whole meta-iteration, Adam included, as one compiled function."""

import torch

from experiments.benchmarks.meta.contestants import STEPS
from experiments.benchmarks.meta.peers.torch_func import gradient_and_value, pairs, start
from experiments.benchmarks.meta.peers.torch_network import batches
from experiments.benchmarks.meta.setting import LEARNING_RATE, POOL, Batch, Prepared

TASKS = STEPS
Leaves = list[torch.Tensor]


def prepare(task: str) -> Prepared:
    """One compiled call per meta-iteration."""
    compute, drawn = gradient_and_value(int(task)), batches()

    def update(params: Leaves, first: Leaves, second: Leaves, count: torch.Tensor, batch: Batch) -> tuple:
        gradient, value = compute(params, batch)
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradient, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradient, strict=True)]
        scale = LEARNING_RATE * torch.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        # The usual epsilon is added to a root that is not yet corrected for its start; 1e-8 makes no difference here.
        params = [p - scale * m / (torch.sqrt(v) + 1e-8) for p, m, v in zip(params, first, second, strict=True)]
        return params, first, second, count, value

    compiled = torch.compile(update, fullgraph=True, dynamic=False)
    params = start()
    zeros = [torch.zeros_like(leaf) for leaf in params]
    state = (params, zeros, [leaf.clone() for leaf in zeros], torch.zeros(()))
    gradient = pairs(compiled(*state, drawn[0])[1]) / 0.1  # Adam's first mean is a tenth of the gradient
    done = 0

    def run(count: int) -> None:
        nonlocal state, done
        for number in range(done, done + count):
            *state, _ = compiled(*state, drawn[number % POOL])
        done += count

    return Prepared(run, 10, lambda: gradient)
