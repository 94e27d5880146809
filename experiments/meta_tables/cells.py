"""What the tables and figures of `meta_tables` share."""

from typing import Any

from attnjax.reproduction import Record


def mean_cell(record: Record, name: str, digits: int = 3) -> str:
    """A mean with its interval over seeds."""
    found = record.summary[name]
    return f"{found['mean']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def over_seeds(record: Record) -> str:
    """What the brackets mean."""
    return f"Mean [95 % bootstrap interval] over {record.config['seeds']} seeds, too narrow where they are few."


def canvas_and_axes() -> tuple[Any, Any]:
    """An empty figure."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.4, 4.0), layout="constrained")
    axes = canvas.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes
