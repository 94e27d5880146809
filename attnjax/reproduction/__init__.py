"""Experiments, records, claims: from a question to a number with its interval, and back.

    from attnjax.reproduction import Cost, Experiment, Figure, Outcome, Table

An experiment says what it asks (`Experiment`), computes (`Outcome`), and is shown (`Table`, `Figure`). The commands
run it (`run_experiment`), keep what it found (`Record`), compare it with what is written in
`reproducibility/claims.toml` (`verify`), and write the page that shows it (`write_report`, `reproduce`).

Importing this package is quick: JAX, NumPy and matplotlib are imported by what needs them.
"""

from attnjax.reproduction.context import Context
from attnjax.reproduction.experiment import Cost, Experiment, Figure, Outcome, Table, lazily, with_interval
from attnjax.reproduction.project import Project, find_project, load_experiment, load_experiments
from attnjax.reproduction.records import Record, read_record
from attnjax.reproduction.runner import Ran, keep, run_experiment

__all__ = [
    "Context",
    "Cost",
    "Experiment",
    "Figure",
    "Outcome",
    "Project",
    "Ran",
    "Record",
    "Table",
    "find_project",
    "keep",
    "lazily",
    "load_experiment",
    "load_experiments",
    "read_record",
    "run_experiment",
    "with_interval",
]
