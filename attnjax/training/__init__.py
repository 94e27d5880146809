"""Training: one loop for every experiment, its checkpoints and trackers, and sweeps over its settings."""

from attnjax.training.checkpoints import Checkpoints
from attnjax.training.epochs import NOISE, SHUFFLE
from attnjax.training.loop import Fit, count_steps, fit
from attnjax.training.losses import in_precision, named, penalised
from attnjax.training.search import Range, search
from attnjax.training.sweep import Candidate, grid, run_key, sweep
from attnjax.training.tables import read_trials
from attnjax.training.trackers import (
    JsonLines,
    Several,
    TensorBoard,
    Tracker,
    WeightsAndBiases,
    progress_bar,
    read_lines,
)

__all__ = [
    "NOISE",
    "SHUFFLE",
    "Candidate",
    "Checkpoints",
    "Fit",
    "JsonLines",
    "Range",
    "Several",
    "TensorBoard",
    "Tracker",
    "WeightsAndBiases",
    "count_steps",
    "fit",
    "grid",
    "in_precision",
    "named",
    "penalised",
    "progress_bar",
    "read_lines",
    "read_trials",
    "run_key",
    "search",
    "sweep",
]
