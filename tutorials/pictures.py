"""The notebooks' figures: each function draws numbers that the notebook has computed, and computes none itself.

Colours are those of Okabe and Ito (2008) and steps of cividis, which most colour-blind readers can tell apart; lines
carry their names directly. A figure is shown as a PNG with a text that says what is on it; if the environment
variable ATTNJAX_FIGURES names a folder, it is also saved there for slides (SVG, and PNG at 200 dpi).
"""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from IPython.display import publish_display_data
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

BLUE, ORANGE, GREEN, RED, SKY, PINK, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#6B6B6B",
)
STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 2.2,
    "figure.facecolor": "white",
    "svg.hashsalt": "attnjax",
}
DPI = 140


def _canvas(columns: int, height: float, widths: Sequence[float] | None = None, **options: object) -> tuple:
    figure = Figure(figsize=(10.4, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, wspace=0.04)
    return figure, figure.subplots(1, columns, gridspec_kw={"width_ratios": widths}, **options)


def _show(figure: Figure, name: str, text: str) -> None:
    """Publishes a figure, and saves it where ATTNJAX_FIGURES says."""
    drawn, picture = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    # 128 colours are enough for flat areas and lines, and make the notebook a third of the size.
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(picture, format="png", optimize=True)
    folder = os.environ.get("ATTNJAX_FIGURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        figure.savefig(Path(folder) / f"{name}.svg", metadata={"Date": None})
        figure.savefig(Path(folder) / f"{name}.png", dpi=200, metadata={"Software": None})
    publish_display_data(
        {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": f"[figure] {text}"},
        metadata={"image/png": {"alt": text}},
    )


def _steps(count: int) -> list:
    """Ordered colours, dark for the first; legible to colour-blind readers and in grey."""
    return [colormaps["cividis"](x) for x in np.linspace(0.05, 0.95, count)]


def _ink(colour: Sequence[float]) -> str:
    """Black or white, whichever reads better on a colour."""
    return "white" if 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] < 0.55 else "black"


def _column(axes: Axes, x: float, bottom: float, top: float, colour: str, **options: object) -> None:
    axes.bar(x, top - bottom, 0.62, bottom=bottom, color=colour, **options)


def price_of_attention(
    scores: NDArray, weights: NDArray, price: float, prices: NDArray, demand: Mapping[str, NDArray], budget: float
) -> None:
    """Sparsemax as bars cut by a price; and how much attention is asked for at each price, per regulariser."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 3.6, [1, 1.25])
        floor = min(scores.min(), 0) - 0.25
        for i, (score, weight) in enumerate(zip(scores, weights, strict=True)):
            _column(left, i, floor, min(score, price), "#C9CDD2")
            if weight > 0:
                _column(left, i, price, score, BLUE)
                left.text(i, (price + score) / 2, f"{weight:g}", ha="center", va="center", color="white", weight="bold")
            else:
                left.text(i, score + 0.04, "gets 0", ha="center", va="bottom", color=GREY)
        left.axhline(price, color=RED, lw=1.8)
        left.text(len(scores) - 0.55, price + 0.05, f"price {price:g}", color=RED, ha="right", va="bottom")
        left.set(xticks=range(len(scores)), xticklabels="ABC"[: len(scores)], ylabel="score", ylim=(floor, None))
        left.set_title("What stands above the price is attention")
        for amount, colour in zip(demand.values(), (BLUE, GREEN, ORANGE, PINK), strict=True):
            right.plot(prices, amount, color=colour)
            near = int(np.argmin(abs(amount - budget)))
            right.plot(prices[near], budget, "o", color=colour, ms=7, zorder=4)
        right.axhline(budget, color="#444444", lw=1.2, ls=(0, (4, 3)))
        right.text(prices[0] + 0.03, budget + 0.04, "budget", color="#444444")
        right.set(
            xlabel="price of attention", ylabel="attention asked for", ylim=(0, 2.6), xlim=(prices[0], prices[-1])
        )
        for k, ((name, _), colour) in enumerate(zip(demand.items(), (BLUE, GREEN, ORANGE, PINK), strict=True)):
            right.text(0.97, 0.95 - 0.085 * k, name, color=colour, transform=right.transAxes, ha="right", va="top")
        right.set_title("Dearer attention, less of it asked for")
    _show(
        figure,
        "01-price-of-attention",
        "Left: three bars of scores cut by a horizontal price; the part above is the attention each gets. Right: for "
        "four regularisers, the attention asked for falls as its price rises and crosses the budget once.",
    )


def allocation_against_temperature(temperatures: NDArray, panels: Mapping[str, NDArray], names: Sequence[str]) -> None:
    """One panel per regulariser: how the whole budget is split, from greedy (left) to even (right)."""
    with rc_context(STYLE):
        figure, axes = _canvas(len(panels), 3.5, sharey=True)
        colours = _steps(len(names))
        for axis, (title, weights) in zip(axes, panels.items(), strict=True):
            axis.stackplot(temperatures, weights.T, colors=colours, edgecolor="white", linewidth=0.8)
            edge = np.concatenate([[0], np.cumsum(weights[-1])])
            for name, colour, low, high in zip(names, colours, edge[:-1], edge[1:], strict=True):
                if high - low > 0.05:
                    axis.text(
                        temperatures[-1] * 0.8, (low + high) / 2, name, ha="right", va="center", color=_ink(colour)
                    )
            axis.set(
                xscale="log",
                xticks=[0.1, 1, 10],
                xticklabels=["0.1", "1", "10"],
                title=title,
                ylim=(0, 1),
                xlim=(temperatures[0], temperatures[-1]),
            )
            axis.spines[["left", "bottom"]].set_visible(False)
        axes[0].set_ylabel("share of the budget")
        figure.supxlabel("greedy   ←   temperature: how much variety is worth   →   even", fontsize=11)
    _show(
        figure,
        "01-allocation-against-temperature",
        "Four panels, one per regulariser. Each shows five uses sharing a budget as coloured bands. At low temperature "
        "the best use has everything; towards high temperature the five bands become equal. Entropy never gives a use "
        "exactly nothing; the other three do.",
    )


def jacobians(panels: Mapping[str, NDArray], names: Sequence[str]) -> None:
    """How much the attention of each row moves when the score of each column rises."""
    with rc_context({**STYLE, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure, axes = _canvas(len(panels), 3.9)
        figure.set_figwidth(8.6)
        reach = max(abs(matrix).max() for matrix in panels.values())
        for axis, (title, matrix) in zip(axes, panels.items(), strict=True):
            axis.imshow(matrix, cmap="RdBu", vmin=-reach, vmax=reach)
            for (row, column), number in np.ndenumerate(matrix):
                strong = abs(number) > 0.6 * reach
                shown = f"{number:+.2f}".replace("-", "−") if abs(number) >= 0.005 else "0"
                axis.text(
                    column, row, shown, ha="center", va="center", fontsize=10, color="white" if strong else "#222222"
                )
            ticks = range(len(names))
            axis.set(xticks=ticks, xticklabels=names, yticks=ticks, yticklabels=names, title=title)
            axis.set(xlabel="… when this score rises by one", ylabel="attention gained by …")
            axis.tick_params(length=0)
    _show(
        figure,
        "01-jacobians",
        "Two matrices of derivatives. Blue diagonal: raising a use's score brings it attention. Red elsewhere: the "
        "others pay for it. For entropy everyone pays; for the squared norm only the uses that have attention.",
    )


def learning(losses: NDArray, observed: NDArray, learned: NDArray) -> None:
    """The loss over the steps, and learned against observed attention in contexts never seen."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 3.5, [1.4, 1])
        left.semilogy(np.arange(len(losses)), losses, color=BLUE)
        left.set(xlabel="step of Adam", ylabel="Fenchel-Young loss", title="The loss falls to zero")
        right.plot([0, 1], [0, 1], color="#BBBBBB", lw=1.2)
        right.plot(observed.ravel(), learned.ravel(), "o", ms=4, color=RED, alpha=0.45, mew=0)
        right.set(xlabel="attention, true", ylabel="attention, predicted", aspect="equal", xlim=(-0.03, 1.03))
        right.set(ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], title="New contexts are predicted")
    _show(
        figure,
        "01-learning",
        "Left: the loss falls over the steps, on a logarithmic scale. Right: predicted against true attention in new "
        "contexts; all points lie on the diagonal.",
    )


def shop(worth: NDArray, weights: NDArray, price: float, budgets: NDArray, paths: NDArray, enough: float) -> None:
    """The virtual shop: worth above the price buys attention; and who is served as the budget grows."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 3.7, [1, 1.3])
        colours = (PINK, ORANGE, BLUE)
        names = [f"good {i + 1}" for i in range(len(worth))]
        for i, (w, a, colour) in enumerate(zip(worth, weights, colours, strict=True)):
            _column(left, i, 0, min(w, price), "#C9CDD2")
            if w > price:
                _column(left, i, price, w, colour)
            left.text(i, w + 0.5, rf"$\sqrt{{{max(w - price, 0):g}/3}}$ = {a:g}", ha="center", va="bottom")
        left.axhline(price, color=RED, lw=1.8)
        left.text(-0.4, price + 0.4, f"price {price:g}", color=RED, ha="left", va="bottom")
        left.set_xlim(-0.5, len(worth) - 0.5)
        left.set(xticks=range(len(worth)), xticklabels=names, ylabel="worth $b^2$", ylim=(0, worth.max() * 1.15))
        left.set_title("The hand case: worth above the price")
        for path, name, colour in zip(paths.T, names, colours, strict=True):
            right.plot(budgets, path, color=colour)
            right.text(budgets[-1] * 1.012, path[-1], name, color=colour, va="center")
        right.plot([weights.sum()] * len(weights), weights, "o", color="#222222", ms=6, zorder=4)
        right.text(weights.sum() + 0.12, weights[-1] - 0.03, "hand case", va="top", color="#222222")
        right.axvline(enough, color=RED, lw=1.4, ls=(0, (4, 3)))
        right.text(enough - 0.08, 0.06, "from here on\nthe price is 0", color=RED, ha="right")
        right.set(xlabel="budget $R$", ylabel="attention", xlim=(0, budgets[-1]), ylim=(0, None))
        right.set_title("Scarcity decides who is served")
    _show(
        figure,
        "01-virtual-shop",
        "Left: bars of worth 9, 16 and 25 cut at the price 13; the goods get 0, 1 and 2. Right: attention of each good "
        "as the budget grows; the dearest good is served first, and beyond a budget nothing more is spent.",
    )


def failures(
    grid: NDArray, loss: NDArray, trails: Mapping[str, NDArray], edge: float, errors: Mapping[str, NDArray]
) -> None:
    """Two failures: descent that runs away without a >= 0, and a fixed point that is reached slowly."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 3.8)
        left.plot(grid, loss, color="#999999", lw=1.6)
        left.axvspan(grid[0], edge, color=RED, alpha=0.09, lw=0)
        places = ((-9, 3, "right"), (10, 3, "left"), (10, 3, "left"))
        for (name, trail), colour, (right_by, up_by, side) in zip(
            trails.items(), (RED, GREEN, BLUE), places, strict=True
        ):
            height = np.interp(trail, grid, loss)
            left.plot(trail, height, "o-", color=colour, ms=4.5, lw=1)
            left.annotate(
                name.replace("-", "−"),
                (trail[0], height[0]),
                xytext=(right_by, up_by),
                textcoords="offset points",
                color=colour,
                ha=side,
            )
        left.text(edge - 0.06, loss.min(), "no way back", color=RED, ha="right", va="bottom")
        left.set(xlabel="attention to good 1, without the bound at 0", ylabel="its loss  $a^3 - b^2 a$")
        left.set(xlim=(grid[0], grid[-1]), title="Descent from three starts")
        for (name, error), colour in zip(errors.items(), (SKY, ORANGE, PINK), strict=True):
            exact = np.flatnonzero(error < 1e-15)
            last = exact[0] if exact.size else len(error)
            right.semilogy(np.arange(1, last + 1), error[:last], color=colour)
            right.text(last + 2, error[last - 1], name, color=colour, va="center")
        right.set(xlabel="iterations of  $b \\leftarrow p/(1+b)$", ylabel="relative error of $b$")
        right.set(title="The larger the income, the slower", xlim=(0, 1.25 * len(error)), ylim=(1e-16, 100))
    _show(
        figure,
        "01-two-failures",
        "Left: gradient descent on the loss of one good from three starts; two roll into the minimum, the one left of "
        "the hill runs off to minus infinity. Right: the error of the fixed-point iteration on a logarithmic scale: "
        "straight lines, flatter for larger incomes.",
    )


def market(curves: Mapping[str, NDArray], ginis: Mapping[str, float], before: NDArray, after: NDArray) -> None:
    """Lorenz curves of exposure, and every director's exposure before and after Nash welfare."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 4.3)
        left.plot([0, 1], [0, 1], color="#BBBBBB", lw=1.2)
        left.text(
            0.3, 0.33, "equal exposure", rotation=45, color=GREY, ha="center", va="bottom", rotation_mode="anchor"
        )
        for k, ((name, curve), colour) in enumerate(zip(curves.items(), (RED, GREEN, BLUE), strict=True)):
            left.plot(np.linspace(0, 1, len(curve)), curve, color=colour)
            left.text(0.03, 0.95 - 0.075 * k, f"{name}: Gini {ginis[name]:.2f}", color=colour, va="top")
        left.set(
            xlabel="share of directors, least exposed first",
            ylabel="their share of all attention",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        left.set_title("How unequal exposure is")
        ends = [min(before.min(), after.min()) / 1.3, max(before.max(), after.max()) * 1.3]
        right.plot(ends, ends, color="#BBBBBB", lw=1.2)
        gains = after > before
        for which, colour, mark in ((gains, BLUE, "^"), (~gains, RED, "v")):
            right.plot(before[which], after[which], mark, color=colour, ms=5.5, alpha=0.75, mew=0)
        right.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        right.set(xlabel="exposure, users alone", ylabel="exposure, Nash welfare")
        right.text(0.05, 0.93, f"{gains.sum()} directors gain", color=BLUE, transform=right.transAxes)
        right.text(0.95, 0.06, f"{(~gains).sum()} directors lose", color=RED, transform=right.transAxes, ha="right")
        right.set_title("Who gains, who loses")
    _show(
        figure,
        "01-market",
        "Left: Lorenz curves of the directors' exposure for users alone, for guarantees and for Nash welfare, with "
        "their Gini coefficients. Right: each director's exposure under Nash welfare against users alone; those who "
        "were little seen gain.",
    )


def duals(
    line: NDArray,
    curves: Mapping[float, NDArray],
    lowest: Mapping[float, tuple[float, float]],
    first: NDArray,
    second: NDArray,
    surface: NDArray,
    best: NDArray,
) -> None:
    """The dual function over one price, for several floors; and over two prices, for Nash welfare."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 4.1, [1.15, 1])
        for (floor, curve), colour in zip(curves.items(), (BLUE, GREEN, RED), strict=True):
            left.plot(line, curve, color=colour)
            ends = np.array(lowest[floor])
            bottom = np.interp(ends, line, curve)
            left.plot(ends, bottom, "o-", color=colour, lw=5, ms=8, zorder=4)
            told = f"floor {floor:g}:\nwelfare {bottom[0]:g}"
            left.text(line[-1] + 0.04, curve[-1], told, color=colour, va="center")
        left.set(xlabel="price of Yuri's exposure", ylabel="bound $D(p)$", xlim=(0, line[-1]))
        left.set(
            ylim=(min(c.min() for c in curves.values()) - 0.25, None), title="A floor: the lowest bound is welfare"
        )
        above = surface - surface.min()
        right.contourf(first, second, above, levels=18, cmap="cividis_r")
        right.contour(first, second, above, levels=[0.02, 0.1, 0.25, 0.5, 1], colors="white", linewidths=0.8)
        right.plot(*best, "o", color=RED, ms=9, mec="white", zorder=4)
        right.annotate(
            f"({best[0]:.2f}, {best[1]:.2f})", best, xytext=(8, 8), textcoords="offset points", color=RED, weight="bold"
        )
        right.set(xlabel="price of Xenia", ylabel="price of Yuri", aspect="equal", title="Nash: the lighter, the lower")
    _show(
        figure,
        "02-duals",
        "Left: the bound over the price for floors of half an hour, one hour and an hour and a half: three curves of "
        "straight pieces, lowest at the price one half, on the whole edge from one half to two, and at two. Right: the "
        "bound over both prices for Nash welfare, a bowl with its lowest point at one quarter and three quarters.",
    )


def floor_costs(floors: NDArray, worth: NDArray, price: NDArray, slope: NDArray, away: NDArray) -> None:
    """Welfare against the floor, and its slope against the price; row 0 without variety, row 1 with it."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 3.9)
        for row, (name, colour) in enumerate((("without variety", RED), ("with variety", BLUE))):
            left.plot(floors, worth[row], color=colour)
            left.text(
                *((0.06, 0.1), (0.98, 0.62))[row],
                name,
                color=colour,
                ha=("left", "right")[row],
                transform=left.transAxes,
            )
            shown = away | (row == 1)
            right.plot(floors, np.where(shown, price[row], np.nan), color=colour)
            right.plot(floors[shown], -slope[row, shown], "x", color="#222222", ms=5, mew=1.1)
        middle = len(floors) // 3
        near = abs(floors - floors[middle]) < 0.42
        left.plot(
            floors[near],
            worth[1, middle] - price[1, middle] * (floors[near] - floors[middle]),
            color="#222222",
            lw=1.3,
            ls=(0, (4, 3)),
        )
        left.plot(floors[middle], worth[1, middle], "o", color="#222222", ms=6, zorder=4)
        left.text(
            floors[middle], worth[1, middle] + 0.12, f"slope −{price[1, middle]:.2f}", color="#222222", va="bottom"
        )
        left.set(xlabel="Yuri's floor, hours", ylabel="welfare, stars", title="A floor costs welfare")
        right.text(0.04, 0.95, "lines: price of the floor", color="#222222", transform=right.transAxes, va="top")
        right.text(
            0.04,
            0.86,
            "crosses: slope of welfare, by jax.grad, negated",
            transform=right.transAxes,
            va="top",
            color="#222222",
        )
        right.set(xlabel="Yuri's floor, hours", ylabel="stars per hour", title="The price is the slope")
        right.set(ylim=(-0.08, 3.3))
    _show(
        figure,
        "02-floor-costs",
        "Left: welfare falls as the floor rises, along two straight lines without variety and along a smooth curve "
        "with it; a tangent is drawn. Right: the price, a step from one half to two without variety and a rising curve "
        "with it; crosses, the derivative of welfare with its sign changed, lie on both.",
    )


def certificates(values: NDArray, bounds: NDArray, best: float) -> None:
    """What allocations are worth, and what prices bound: two histograms that touch at the optimum."""
    with rc_context({**STYLE, "axes.spines.left": False}):
        figure, axis = _canvas(1, 3.0)
        width = 0.05
        edges = best + width * np.arange(np.floor((values.min() - best) / width), (bounds.max() - best) / width + 1)
        axis.hist(values, edges, color=BLUE, alpha=0.85)
        axis.hist(bounds, edges, color=ORANGE, alpha=0.85)
        axis.axvline(best, color=RED, lw=2)
        top = 1.3 * axis.get_ylim()[1]
        axis.set_ylim(0, top)
        axis.text(best - 0.06, 0.97 * top, "allocations:\nwhat they are worth", color=BLUE, ha="right", va="top")
        axis.text(best + 0.06, 0.97 * top, "prices:\nwhat they prove to be the most", color="#A66F00", va="top")
        axis.text(best, 1.01 * top, f"optimum {best:g}", color=RED, ha="center", va="bottom")
        axis.set(xlabel="stars", yticks=[], xlim=(edges[0], edges[-1]))
    _show(
        figure,
        "02-certificates",
        "Two histograms on one axis: values of random allocations that keep the floor, all left of the optimum, and "
        "bounds from random prices, all right of it. They touch at the optimum.",
    )


def ideas_of_fair(
    curves: Mapping[str, NDArray],
    points: Mapping[str, tuple[float, float]],
    costs: NDArray,
    inequality: NDArray,
) -> None:
    """Lorenz curves of several ideas of fairness, and the front of Nash welfare with all of them on it or off it."""
    with rc_context(STYLE):
        figure, (left, right) = _canvas(2, 4.3)
        colours = dict(zip(curves, (GREY, RED, BLUE, GREEN, PINK), strict=True))
        left.plot([0, 1], [0, 1], color="#BBBBBB", lw=1.2)
        for k, (name, curve) in enumerate(curves.items()):
            left.plot(np.linspace(0, 1, len(curve)), curve, color=colours[name])
            left.text(0.03, 0.95 - 0.075 * k, f"{name}: Gini {points[name][1]:.2f}", color=colours[name], va="top")
        left.set(xlabel="share of directors, least exposed first", ylabel="their share of all attention")
        left.set(xlim=(0, 1), ylim=(0, 1), title="At the same cost to users")
        right.plot(costs, inequality, color=BLUE, lw=1.6)
        right.plot(costs, inequality, "o", color=BLUE, ms=3.5)
        right.text(costs[-3] + 0.005, inequality[-3], "Nash, all weights", color=BLUE, ha="left", va="bottom")
        for name, (cost, each) in points.items():
            right.plot(cost, each, "o", color=colours[name], ms=9, mec="white", zorder=4)
            aside = (-9, -9) if name == "Nash" else (9, 3)
            side = "right" if name == "Nash" else "left"
            right.annotate(
                name,
                (cost, each),
                xytext=aside,
                textcoords="offset points",
                color=colours[name],
                va="center",
                ha=side,
            )
        right.set(xlabel="cost to users, stars each", ylabel="Gini of exposure", title="What a sacrifice buys")
        right.set(xlim=(-0.005, None))
    _show(
        figure,
        "02-ideas-of-fair",
        "Left: Lorenz curves of directors' exposure for users alone, linear, Nash, alpha 2 and max-min welfare, with "
        "Gini coefficients; linear lies below users alone, the others above. Right: the Gini coefficient against the "
        "cost to users falls along the front of Nash weights; the other ideas are points beside it.",
    )
