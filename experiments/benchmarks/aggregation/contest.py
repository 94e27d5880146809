"""Starts the contestants, lets them take turns, and compares what they find."""

import dataclasses
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from attnjax.pareto import hypervolume
from attnjax.reproduction.project import Project
from attnjax.reproduction.runner import Say
from experiments.benchmarks.aggregation.config import DRAWN, EXACT, Config
from experiments.benchmarks.turns import Contestant

CHILD = "experiments.benchmarks.aggregation.child"
OURS, TORCHJD, PYMOO = "ours", "peers.torchjd_directions", "peers.pymoo_nsga2"
SHARES = (0.8, 0.9, 0.95, 0.99)
"""Shares of the certified front's hypervolume that NSGA-II is waited for."""

MARGIN = 0.1
"""By how much of the front's range the reference point is worse than the worst on it."""


def contestant(project: Project, module: str, python: Path) -> Contestant:
    """A module of the benchmark in a process of its own."""
    return Contestant(project.root, python, CHILD, [module])


def measure(project: Project, config: Config, python: Path | None, say: Say) -> dict[str, Any]:
    """All parts of the benchmark.

    Args:
        project: where it lives.
        config: its settings.
        python: the peers' interpreter, or None without peers.
        say: prints a line of progress.

    Returns:
        `directions` by size and method, `steps`, `ways`, `fronts`, and `versions` of what took part.
    """
    settings = dataclasses.asdict(config)
    versions: dict[str, str] = {}
    with (
        tempfile.TemporaryDirectory(prefix="attnjax-") as name,
        contestant(project, OURS, Path(sys.executable)) as ours,
    ):
        folder = Path(name)
        versions |= _checked(ours.ready)["versions"]
        say("training steps with every aggregator")
        steps = _checked(ours.ask(do="steps", config=settings))
        say("one front in three ways")
        ways = _checked(ours.ask(do="ways", config=settings))
        say("a certified front, and NSGA-II")
        fronts: dict[str, Any] = _checked(ours.ask(do="front", config=settings, save=str(folder / "front.npy")))
        if python is not None:
            with contestant(project, PYMOO, python) as pymoo:
                found = pymoo.ready if "problem" in pymoo.ready else None
                found = found or pymoo.ask(config=settings, save=str(folder / "nsga2.npz"))
                versions |= pymoo.ready.get("versions", {})
            fronts["nsga2"] = found if "problem" in found else found | _compared(folder, fronts["seconds"])
    # The contest of directions in fresh processes: the memory of what came before is not theirs.
    return {
        "steps": steps,
        "ways": ways,
        "fronts": fronts,
        "directions": _directions(project, config, python, versions, say),
        "versions": versions,
    }


def _directions(
    project: Project, config: Config, python: Path | None, versions: dict[str, str], say: Say
) -> list[dict[str, Any]]:
    """Sizes by methods: seconds of both, their ratio, and how far the directions are apart."""
    rows = []
    for size in config.sizes:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="attnjax-")))
            ours, peer = stack.enter_context(contestant(project, OURS, Path(sys.executable))), None
            if python is not None:
                peer = stack.enter_context(contestant(project, TORCHJD, python))
                versions |= peer.ready.get("versions", {})
            for method in config.methods:
                say(f"{size[0]} gradients of {size[1]:,}: {method}")
                rows.append(_direction(config, size, method, ours, peer, folder))
    return rows


def _direction(
    config: Config, size: tuple[int, int], method: str, ours: Contestant, peer: Contestant | None, folder: Path
) -> dict[str, Any]:
    """One method at one size."""
    playing = {"ours": ours} | ({"torchjd": peer} if peer is not None else {})
    row: dict[str, Any] = {"objectives": size[0], "parameters": size[1], "method": method}
    times: dict[str, list[float]] = {}
    for name, contestant in playing.items():
        found = contestant.ask(method=method, size=size, save=str(folder / f"{name}.npy"))
        row[name] = {"seconds": None, "problem": found.get("problem", "")}
        if "problem" not in found:
            times[name] = []
            row[name]["first"] = found["first"]
    for _ in range(config.rounds):
        for name in list(times):
            if sum(times[name]) < config.patience:
                found = playing[name].ask(seconds=config.seconds)
                if "problem" in found:
                    row[name]["problem"] = found["problem"]
                    del times[name]
                else:
                    times[name] += found["times"]
    for name, taken in times.items():
        row[name] |= {"seconds": statistics.median(taken), "calls": len(taken)}
    if len(times) == 2:
        row["ratio"] = row["torchjd"]["seconds"] / row["ours"]["seconds"]
        if method not in DRAWN:
            row["apart"] = _apart(folder / "ours.npy", folder / "torchjd.npy")
        if method == EXACT and peer is not None:
            exact = peer.ask(do=f"exact {EXACT}", save=str(folder / "exact.npy"))
            if "problem" not in exact:
                for name in times:
                    row[name]["error"] = _apart(folder / f"{name}.npy", folder / "exact.npy")
    return row


def _apart(path: Path, reference: Path) -> float:
    """The largest difference of two directions, relative to the reference's largest entry."""
    wanted = np.load(reference)
    return float(np.max(np.abs(np.load(path) - wanted)) / np.max(np.abs(wanted)))


def _compared(folder: Path, seconds: float) -> dict[str, Any]:
    """When NSGA-II has what shares of the certified front's hypervolume; and what it has after our seconds.

    Gains are scaled to the certified front's range; the reference point is a tenth of it worse than the worst.
    """
    ours = np.load(folder / "front.npy")
    with np.load(folder / "nsga2.npz") as file:
        times, looks = file["seconds"], file["gains"]
    best, worst = ours.max(axis=0), ours.min(axis=0)

    def volume(gains: np.ndarray) -> float:
        return float(hypervolume(jnp.asarray((best - gains) / (best - worst)), jnp.full(3, 1 + MARGIN)))

    whole = volume(ours)
    # Every tenth look, and the last: it grows slowly.
    chosen = sorted({*range(0, len(times), max(1, len(times) // 60)), len(times) - 1})
    shares = [volume(looks[k]) / whole for k in chosen]
    reached = {
        str(share): next((float(times[k]) for k, got in zip(chosen, shares, strict=True) if got >= share), None)
        for share in SHARES
    }
    return {
        "share_after_our_seconds": volume(looks[int(np.searchsorted(times, seconds).clip(max=len(times) - 1))]) / whole,
        "seconds_to_share": reached,
        "share_at_the_end": shares[-1],
        "course": [[float(times[k]), got] for k, got in zip(chosen, shares, strict=True)],
    }


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    """Ours must not fail."""
    if "problem" in answer:
        raise RuntimeError(f"experiments.benchmarks.aggregation.ours failed: {answer['problem']}")
    return answer
