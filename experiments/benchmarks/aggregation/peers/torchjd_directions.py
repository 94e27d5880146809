"""TorchJD at its defaults; UPGrad also exactly."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchjd.aggregation as tj
from torchjd.linalg import QuadprogProjector

from experiments.benchmarks.aggregation.config import EXACT

PACKAGES = ("torch", "torchjd", "numpy", "qpsolvers", "quadprog", "cvxpy")

MAKERS: dict[str, Callable[[int], Any]] = {
    "mean": lambda count: tj.Mean(),
    "mgda": lambda count: tj.MGDA(),
    "upgrad": lambda count: tj.UPGrad(),
    "dualproj": lambda count: tj.DualProj(),
    "pcgrad": lambda count: tj.PCGrad(),
    "gradvac": lambda count: tj.GradVac(),
    "cagrad": lambda count: tj.CAGrad(c=0.5),
    "imtl_g": lambda count: tj.IMTLG(),
    "nash_mtl": lambda count: tj.NashMTL(n_tasks=count),
    "aligned_mtl": lambda count: tj.AlignedMTL(),
    "config": lambda count: tj.ConFIG(),
    "fairgrad": lambda count: tj.FairGrad(alpha=2.0),
    "graddrop": lambda count: tj.GradDrop(),
    "random_weights": lambda count: tj.Random(),
}


def given(matrix: np.ndarray) -> torch.Tensor:
    """The same memory, as a tensor."""
    return torch.from_numpy(matrix)


def prepare(name: str, matrix: torch.Tensor) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """One call per direction, and what reads it."""
    aggregator = MAKERS[name](len(matrix))
    return lambda: aggregator(matrix), lambda found: found.double().numpy()


def answer(request: dict[str, Any], matrix: torch.Tensor) -> dict[str, Any]:
    """The exact direction of `EXACT`, in float64, to a file: weights from the Gramian, without a copy of all rows."""
    assert request["do"] == f"exact {EXACT}"
    count, width = matrix.shape
    gramian, block = torch.zeros(count, count, dtype=torch.float64), max(1, 2**22 // count)
    for start in range(0, width, block):
        rows = matrix[:, start : start + block].double()
        gramian += rows @ rows.T
    # An aggregator of a matrix needs only its Gramian: rows of a root of it have the same one.
    root = torch.linalg.cholesky(gramian)
    exact = tj.UPGrad(projector=QuadprogProjector(norm_eps=0.0, reg_eps=1e-13))
    weights = torch.linalg.solve(root.T, exact(root))
    direction = torch.cat([weights @ matrix[:, s : s + block].double() for s in range(0, width, block)])
    np.save(request["save"], direction.numpy())
    return {}
