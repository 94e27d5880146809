"""Drawing figures: one style for all of them, and files that are the same bytes each time.

The style suits a page and a slide alike: no frame where there is no data, light grid, and colours that people with
any colour vision tell apart (Okabe and Ito, 2008), in an order that also differs in lightness.
"""

import io
import sys
from typing import Any, NamedTuple

from attnjax.errors import fail
from attnjax.extras import need
from attnjax.reproduction.experiment import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of the house: blue, vermilion, green, purple, orange, sky, black."""

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#5b6470",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": "#1f2933",
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "semibold",
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.figsize": (6.8, 3.9),
    "font.size": 10,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 5,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "attnjax",
    "xtick.color": "#5b6470",
    "ytick.color": "#5b6470",
}


class Drawn(NamedTuple):
    """A figure as files.

    Attributes:
        svg: for the page and for print.
        png: for a slide, 200 dots per inch.
    """

    svg: bytes
    png: bytes


def canvas(width: float = 6.4, height: float = 3.8) -> tuple[Any, Any]:
    """An empty figure and its axes, for an experiment's `build`.

    Args:
        width: in inches.
        height: likewise.

    Returns:
        A matplotlib `Figure` and `Axes`.

    Raises:
        UserError: if matplotlib is missing.
    """
    figure = need("matplotlib.figure", "attnjax report").Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw(figure: Figure, where: str) -> Drawn:
    """Draws a figure in the house's style.

    Args:
        figure: what to draw.
        where: the experiment, for messages.

    Returns:
        The figure as SVG and PNG; the same record gives the same SVG bytes.

    Raises:
        UserError: if matplotlib is missing, or the builder returns no figure.
    """
    matplotlib = need("matplotlib", "attnjax report")
    need("matplotlib.figure", "attnjax report")
    matplotlib.use("Agg")
    from cycler import cycler

    with matplotlib.rc_context({**STYLE, "axes.prop_cycle": cycler(color=PALETTE)}):
        drawn = figure.build()
        if not isinstance(drawn, matplotlib.figure.Figure):
            fail(
                f"{where}, figure {figure.title!r}",
                expected="`build` to return a matplotlib Figure",
                got=type(drawn).__name__,
                advice="End it with `return figure`.",
            )
        svg, png = io.BytesIO(), io.BytesIO()
        drawn.savefig(svg, format="svg", metadata={"Date": None})
        drawn.savefig(png, format="png", dpi=200, metadata={"Software": None})
        if "matplotlib.pyplot" in sys.modules:
            need("matplotlib.pyplot", "attnjax report").close(drawn)
    return Drawn(svg.getvalue(), png.getvalue())
