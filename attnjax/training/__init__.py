"""Training: one loop for every experiment, its checkpoints and trackers, sweeps over its settings, and export."""

from attnjax.training.checkpoints import Checkpoints
from attnjax.training.epochs import NOISE, SHUFFLE
from attnjax.training.export import AdaptAndRecommend, Slate, UserHistory, export_recommender, load_recommender
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
    "AdaptAndRecommend",
    "Candidate",
    "Checkpoints",
    "Fit",
    "JsonLines",
    "Range",
    "Several",
    "Slate",
    "TensorBoard",
    "Tracker",
    "UserHistory",
    "WeightsAndBiases",
    "count_steps",
    "export_recommender",
    "fit",
    "grid",
    "in_precision",
    "load_recommender",
    "named",
    "penalised",
    "progress_bar",
    "read_lines",
    "read_trials",
    "run_key",
    "search",
    "sweep",
]
