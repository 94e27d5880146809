"""Records what the `torchjd` package answers on random gradients: tests/references/torchjd.json.

The package needs torch, so the tests don't import it: they read this file. To make it again:

    python3.11 -m venv throwaway
    throwaway/bin/pip install torch==2.13.0 torchjd==0.18.0 numpy scipy qpsolvers quadprog cvxpy clarabel ecos
    throwaway/bin/python reproducibility/references/torchjd_reference.py

Everything is in float64, and each method is asked for its exact answer: programs without the package's default
regularisation, iterations without their early stop. What methods draw at random (orders, lots) is recorded beside the
answers. A method that can't answer for a matrix is recorded as null.
"""

import importlib.metadata
import json
import pathlib

import numpy as np
import torch
import torchjd.aggregation as tj
from torchjd.aggregation import _cagrad as cagrad
from torchjd.linalg import QuadprogProjector

SEED = 20260117
SHAPE = (5, 8)
SHIFTS = (0.0, 0.0, 0.0, 0.0, 0.6, 0.6, -0.4, -0.4, 1.0, 1.5)
TARGET = pathlib.Path(__file__).parents[2] / "tests" / "references" / "torchjd.json"
PREFERENCE = "preference"


class _Precise(cagrad.cp.Problem):
    """A conic program that Clarabel, CAGrad's solver, is not to leave at its usual 1e-8."""

    def solve(self, solver: str, **options: object) -> float:
        """Solves it as far as the solver gets."""
        if solver == cagrad.cp.CLARABEL:
            options |= {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13}
        return super().solve(solver, **options)


class _Nash(tj.NashMTL):
    """Nash-MTL that uses all its iterations: the package stops at an error of 1e-3."""

    def __init__(self, count: int) -> None:
        super().__init__(n_tasks=count, max_norm=0.0, optim_niter=200)
        self.weighting._stop_criteria = lambda gtg, alpha: self.weighting.alpha_param.value is None


def aggregators(count: int, preference: torch.Tensor) -> dict[str, tj.Aggregator]:
    """Every method with the settings under which it has one answer."""
    exact = QuadprogProjector(norm_eps=0.0, reg_eps=1e-13)
    return {
        "mean": tj.Mean(),
        "total": tj.Sum(),
        "weighted": tj.Constant(preference),
        "mgda": tj.MGDA(epsilon=1e-12, max_iters=150_000),
        "upgrad": tj.UPGrad(projector=exact),
        f"upgrad {PREFERENCE}": tj.UPGrad(pref_vector=preference, projector=exact),
        "dualproj": tj.DualProj(projector=exact),
        f"dualproj {PREFERENCE}": tj.DualProj(pref_vector=preference, projector=exact),
        "cagrad 0.5": tj.CAGrad(c=0.5, norm_eps=1e-12),
        "cagrad 1.5": tj.CAGrad(c=1.5, norm_eps=1e-12),
        "imtl_g": tj.IMTLG(),
        "config": tj.ConFIG(),
        f"config {PREFERENCE}": tj.ConFIG(pref_vector=preference),
        "aligned_mtl": tj.AlignedMTL(),
        f"aligned_mtl {PREFERENCE}": tj.AlignedMTL(pref_vector=preference),
        "nash_mtl": _Nash(count),
        "fairgrad 0.5": tj.FairGrad(alpha=0.5),
        "fairgrad 2": tj.FairGrad(alpha=2.0),
    }


def rounded(tensor: torch.Tensor) -> list:
    """The tensor as a list, to ten digits."""
    return [float(f"{x:.10g}") for x in tensor.tolist()]


def orders(seed: int, count: int, *, with_self: bool) -> list[list[int]]:
    """The orders that the package draws from this seed, one per gradient."""
    torch.manual_seed(seed)
    if with_self:
        return [torch.randperm(count).tolist() for _ in range(count)]
    others = [[j for j in range(count) if j != i] for i in range(count)]
    return [[rest[k] for k in torch.randperm(len(rest)).tolist()] for rest in others]


def drawn(matrix: torch.Tensor, seed: int) -> dict:
    """The methods that draw, with what they drew."""
    count, width = matrix.shape
    record: dict = {"pcgrad": {"orders": orders(seed, count, with_self=True)}}
    torch.manual_seed(seed)
    record["pcgrad"]["direction"] = rounded(tj.PCGrad()(matrix))
    vaccine, steps = tj.GradVac(beta=0.5, eps=0.0), []
    for step in (seed + 1, seed + 2):
        used = orders(step, count, with_self=False)
        torch.manual_seed(step)
        steps.append({"orders": used, "direction": rounded(vaccine(matrix * (-1) ** torch.arange(count)[:, None]))})
    record["gradvac"] = steps
    torch.manual_seed(seed)
    lots = torch.rand(width, dtype=matrix.dtype)
    torch.manual_seed(seed)
    record["graddrop"] = {"uniform": rounded(lots), "direction": rounded(tj.GradDrop()(matrix))}
    return record


def main() -> None:
    """Draws the inputs, asks the package, writes the file."""
    cagrad.cp.Problem = _Precise
    draws = np.random.default_rng(SEED)
    cases = []
    count, width = SHAPE
    for shift in SHIFTS:
        lengths = np.exp(draws.normal(size=(count, 1)))
        matrix = torch.tensor(np.round(lengths * (draws.normal(size=(count, width)) + shift), 3))
        preference = torch.tensor(np.round(draws.dirichlet(np.ones(count)), 3))
        preference[0] += 1 - preference.sum()
        answers = {}
        for name, aggregator in aggregators(count, preference).items():
            answer = aggregator(matrix)
            answers[name] = rounded(answer) if torch.isfinite(answer).all() else None
        case = {"gradients": matrix.tolist(), PREFERENCE: rounded(preference), "answers": answers}
        cases.append(case | {"drawn": drawn(matrix, len(cases))})
    packages = ("torchjd", "torch", "numpy", "scipy", "quadprog", "clarabel", "ecos")
    versions = {name: importlib.metadata.version(name) for name in packages}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps({"versions": versions, "seed": SEED, "cases": cases}) + "\n")
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
