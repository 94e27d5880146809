"""Long training that goes on where it was interrupted: what the parts of `meta_tables` that train share."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from attnjax.reproduction import Context


class Trained(NamedTuple):
    """What training left.

    Attributes:
        state: at the end.
        reports: one per compiled call.
        finite: whether all that was learned stayed finite.
    """

    state: Any
    reports: list[Any]
    finite: bool


def train_in_stages(
    advance: Callable[[Any], tuple[Any, Any]],
    state: Any,
    context: Context,
    label: str,
    *,
    total: int,
    call: int,
    stage: int,
    report: Callable[[Any], Any] = lambda progress: None,
) -> Trained:
    """Trains from a state, and keeps it after every stage of so many iterations.

    Args:
        advance: `advance(state) -> (state, progress)`, compiled: `call` iterations; progress has a field `finite`.
        state: to begin with, a tree of arrays.
        context: of the run.
        label: names the training; a stage is `label_iterations`.
        total: iterations, a multiple of `call`.
        call: of one compiled call.
        stage: between two states that are kept, a multiple of `call`.
        report: what is kept of a call's progress.
    """
    structure = jax.tree.structure(state)
    reports: list[Any] = []
    finite = True

    def go_on(state: Any, begin: int, end: int) -> dict[str, Any]:
        told: list[Any] = []
        well = True
        for _ in context.progress(range(begin, end, call), label):
            state, progress = advance(state)
            told.append(report(progress))
            well &= bool(progress.finite.all())
        return {"leaves": jax.tree.leaves(state), "reports": told, "finite": well}

    for begin in range(0, total, stage):
        end = min(begin + stage, total)
        kept = context.stage(f"{label}_{end}", functools.partial(go_on, state, begin, end))
        state = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in kept["leaves"]])
        reports.extend(kept["reports"])
        finite &= kept["finite"]
    return Trained(state, reports, finite)
