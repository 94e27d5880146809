"""The same bisection until float64 has no digits left: what one writes without a certificate to stop by."""

from experiments.benchmarks.allocation.peers import Setting
from experiments.benchmarks.allocation.peers.numpy_bisection import PRECISION, prepare
from experiments.benchmarks.allocation.tasks import Task

__all__ = ["PRECISION", "prepare", "settings"]


def settings(task: Task) -> list[Setting]:
    """As many halvings as the digits of the interval allow."""
    return [{"halvings": 60}]
