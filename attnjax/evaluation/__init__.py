"""Evaluation: how good, and how sure. Bootstrap intervals so far."""

from attnjax.evaluation.intervals import Interval, bootstrap_interval, difference_interval, overlap

__all__ = ["Interval", "bootstrap_interval", "difference_interval", "overlap"]
