"""NSGA-II with pymoo's operators on the small market: a gene per user and item, attention the softmax of a user's."""

import time
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem

from experiments.benchmarks.aggregation.config import SEED, small_gains, small_market

PACKAGES = ("pymoo", "numpy")
EVERY = 10
"""Generations between two looks at the population."""


class _Market(Problem):
    """Losses of the three parties, all genes of a population at once."""

    def __init__(self, users: int, items: int) -> None:
        self._market = small_market(users, items)
        super().__init__(n_var=users * items, n_obj=3, xl=-8.0, xu=8.0)

    def _evaluate(self, genes: np.ndarray, out: dict, *_: Any, **__: Any) -> None:
        scores, rates = self._market
        logits = genes.reshape(-1, *scores.shape)
        logits = np.exp(logits - logits.max(axis=2, keepdims=True))
        out["F"] = -small_gains(logits / logits.sum(axis=2, keepdims=True), scores, rates)


def answer(request: dict[str, Any], _: Any) -> dict[str, Any]:
    """Runs for the seconds asked for; seconds and the gains of the best rank, look by look, go to a file."""
    config = request["config"]
    algorithm = NSGA2(pop_size=config["population"])
    algorithm.setup(_Market(*config["small"]), seed=SEED % 2**31, termination=("n_gen", 10**9), verbose=False)
    looks, times, spent, generations = [], [], 0.0, 0
    while spent < config["nsga_seconds"]:
        begin = time.perf_counter()
        for _ in range(EVERY):
            algorithm.next()
        spent += time.perf_counter() - begin
        generations += EVERY
        front = -np.atleast_2d(algorithm.opt.get("F"))
        looks.append(np.concatenate([front, np.repeat(front[:1], config["population"] - len(front), axis=0)]))
        times.append(spent)
    np.savez(request["save"], seconds=np.array(times), gains=np.stack(looks))
    return {"generations": generations, "seconds": spent}
