"""Pictures of explanations: attention maps, deletion and insertion curves, and the reasons of an exposure.

Each function returns a `matplotlib.figure.Figure`, for a notebook to show or an experiment's figure to draw. matplotlib
comes with the extra `experiments`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnjax.errors import fail
from attnjax.evaluation.faithfulness import Faithfulness
from attnjax.evaluation.reasons import ExposureReasons
from attnjax.extras import need

GAIN, LOSS, TOTAL, CHANCE = "#009E73", "#D55E00", "#0072B2", "#5b6470"


def plot_attention(weights: Any, queries: Sequence[str] = (), keys: Sequence[str] = ()) -> Any:
    """An attention map as an image: rows ask, columns are read.

    Args:
        weights: (q, k), e.g. of `attention_map` or `attention_rollout`.
        queries: names of the rows, or none.
        keys: names of the columns, or none.

    Returns:
        The figure.

    Raises:
        UserError: for another shape, names that don't fit, or no matplotlib.
    """
    weights = np.asarray(weights)
    if weights.ndim != 2 or any(
        len(names) not in (0, size) for names, size in zip((queries, keys), weights.shape, strict=True)
    ):
        fail(
            "plot_attention",
            expected="one map (q, k), with a name per row and per column, or none",
            got=f"shape {weights.shape} with {len(queries)} and {len(keys)} names",
            advice="Pick one example, and one map of it: see attention_map.",
        )
    figure, axes = _canvas("plot_attention", (1.8 + 0.42 * weights.shape[1], 1.2 + 0.42 * weights.shape[0]))
    image = axes.imshow(weights, cmap="Blues", vmin=0, aspect="equal")
    axes.set_xticks(range(len(keys)), keys, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(queries)), queries)
    axes.set_xlabel("is read")
    axes.set_ylabel("asks")
    axes.grid(False)
    figure.colorbar(image, ax=axes, label="attention", shrink=0.8)
    return figure


def plot_faithfulness(found: Faithfulness, unit: str = "units") -> Any:
    """Deletion and insertion curves beside those of random orders.

    Args:
        found: of `faithfulness`, for one example.
        unit: what is deleted, in the plural.

    Returns:
        The figure.

    Raises:
        UserError: if there is no matplotlib.
    """
    figure, axes = _canvas("plot_faithfulness")
    share = np.asarray(found.share)
    axes.plot(share, found.deletion, color=LOSS, label=f"deletion, area {float(found.deletion_area):.3g}")
    axes.plot(share, found.insertion, color=GAIN, label=f"insertion, area {float(found.insertion_area):.3g}")
    mean = float(np.mean(found.random_areas))
    axes.plot(share, found.random, color=CHANCE, ls="--", label=f"at random, area {mean:.3g}")
    axes.plot(share, np.asarray(found.random)[::-1], color=CHANCE, ls="--")
    axes.set_xlabel(f"share of {unit} deleted or inserted, most important first")
    axes.set_ylabel("output")
    axes.legend()
    return figure


def plot_reasons(why: ExposureReasons, creator: int, names: Sequence[str] = (), most: int = 5) -> Any:
    """A creator's exposure as a sum of reasons, from an even share to what it is.

    Args:
        why: of `why_exposure`, for one creator.
        creator: which one.
        names: of the creators, or none.
        most: how many rivals' prices and rates are shown apart; the rest are one bar.

    Returns:
        The figure.

    Raises:
        UserError: for a creator who is not there, names that don't fit, or no matplotlib.
    """
    prices, rates = np.asarray(why.prices), np.asarray(why.rates)
    if prices.ndim != 1 or not 0 <= creator < prices.size or len(names) not in (0, prices.size):
        fail(
            "plot_reasons",
            expected="the reasons of one creator, who is among them, and a name for each creator, or none",
            got=f"prices of shape {prices.shape}, creator {creator} and {len(names)} names",
            advice="Pick one row where reasons were vmapped.",
        )
    called = names or [f"creator {k}" for k in range(prices.size)]
    own = {1: "own price: its floor binds", -1: "own price: its cap binds", 0: "own price"}[int(why.binding)]
    steps = [("users' scores", float(why.scores)), (own, float(prices[creator]))]
    steps += _rivals(prices, creator, called, "price", most)
    steps += [("platform's own rate", float(rates[creator])), *_rivals(rates, creator, called, "rate", most)]
    steps = [step for step in (*steps, ("not accounted for", float(why.rest))) if step[1] != 0]
    labels = ["an even share", *(name for name, _ in steps), "exposure"]
    starts = float(why.even) + np.concatenate([[0.0], np.cumsum([size for _, size in steps])])
    figure, axes = _canvas("plot_reasons", (6.8, 1.1 + 0.34 * len(labels)))
    axes.barh(0, float(why.even), color=TOTAL)
    for row, ((_, size), start) in enumerate(zip(steps, starts, strict=False), start=1):
        axes.barh(row, size, left=start, color=GAIN if size > 0 else LOSS)
    axes.barh(len(labels) - 1, float(why.exposure), color=TOTAL)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(f"exposure of {called[creator]}")
    return figure


def _rivals(values: np.ndarray, creator: int, names: Sequence[str], what: str, most: int) -> list[tuple[str, float]]:
    """The largest parts of rivals, and the sum of the rest."""
    rivals = [k for k in np.argsort(-np.abs(values), kind="stable") if k != creator]
    shown = [(f"{what} of {names[k]}", float(values[k])) for k in rivals[:most]]
    return [*shown, (f"other {what}s", float(values[rivals[most:]].sum()))]


def _canvas(where: str, size: tuple[float, float] = (6.4, 3.8)) -> tuple[Any, Any]:
    figure = need("matplotlib.figure", where).Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
