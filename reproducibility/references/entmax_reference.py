"""Records what the `entmax` package answers on random inputs: tests/references/entmax.json.

The package needs torch, so the tests don't import it: they read this file. To make it again:

    python3.11 -m venv throwaway && throwaway/bin/pip install torch==2.13.0 entmax numpy
    throwaway/bin/python reproducibility/references/entmax_reference.py

Scores are normal in float64, rows of 16, each multiplied by its spread, so that supports range from full to one entry.
"""

import importlib.metadata
import json
import pathlib

import numpy as np
import torch
from entmax import entmax15, entmax_bisect, sparsemax

ROWS, ENTRIES, SEED = 8, 16, 20240917
SPREADS = (0.1, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 20.0)
ALPHAS = (1.05, 1.25, 1.5, 1.75, 2.0)
TARGET = pathlib.Path(__file__).parents[2] / "tests" / "references" / "entmax.json"


def main() -> None:
    """Draws the inputs, asks the package, writes the file."""
    draws = np.random.default_rng(SEED).normal(size=(ROWS, ENTRIES))
    scores = torch.tensor(draws * np.array(SPREADS)[:, None], dtype=torch.float64)
    answers = {"entmax15": entmax15(scores, dim=-1), "sparsemax": sparsemax(scores, dim=-1)}
    for alpha in ALPHAS:
        answers[f"entmax_bisect({alpha})"] = entmax_bisect(scores, alpha=alpha, dim=-1, n_iter=100)
    record = {
        "versions": {name: importlib.metadata.version(name) for name in ("entmax", "torch", "numpy")},
        "seed": SEED,
        "scores": scores.tolist(),
        "answers": {name: answer.tolist() for name, answer in answers.items()},
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
