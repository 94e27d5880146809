"""Training: one loop for every experiment."""

from attnjax.training.loop import Fit, fit

__all__ = ["Fit", "fit"]
