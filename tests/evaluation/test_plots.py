"""Pictures show the numbers they are given."""

import numpy as np
import pytest

from attnjax.errors import UserError
from attnjax.evaluation.faithfulness import Faithfulness
from attnjax.evaluation.plots import plot_attention, plot_faithfulness, plot_reasons
from attnjax.evaluation.reasons import ExposureReasons

WHY = ExposureReasons(
    exposure=np.float32(2.0),
    even=np.float32(1.0),
    scores=np.float32(-0.5),
    prices=np.array([1.5, -0.25, -0.05, -0.1], np.float32),
    rates=np.array([0.0, 0.4, 0.0, 0.0], np.float32),
    rest=np.float32(0.0),
    binding=np.int32(1),
)


def test_bars_of_reasons_lead_from_the_even_share_to_the_exposure():
    (axes,) = plot_reasons(WHY, 0, ["a", "b", "c", "d"], most=1).axes
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == [
        "an even share",
        "users' scores",
        "own price: its floor binds",
        "price of b",
        "other prices",
        "rate of b",
        "exposure",
    ]
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    at = bars[0][1]
    for left, width in bars[1:-1]:
        assert left == pytest.approx(at)
        at += width
    assert at == pytest.approx(bars[-1][1]) == pytest.approx(2.0)
    axes.figure.draw_without_rendering()


def test_curves_and_maps_are_drawn_as_they_are():
    path = np.array([0.0, 3.0, 4.0])
    found = Faithfulness(path / 4, path[::-1] / 2, path, 1.0, 2.5, path / 3, np.array([1.5, 2.0]), 0.3, 0.3)
    (axes,) = plot_faithfulness(found, "events").axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.deletion)
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), found.insertion)
    assert "events" in axes.get_xlabel()
    weights = np.array([[0.25, 0.75], [1.0, 0.0]])
    figure = plot_attention(weights, ["first", "second"])
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), weights)
    for drawn in (axes.figure, figure):
        drawn.draw_without_rendering()


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"plot_attention: expected one map .*got shape \(2, 2\) with 1 and 0 names"):
        plot_attention(np.ones((2, 2)), ["only"])
    with pytest.raises(UserError, match=r"plot_reasons: expected the reasons of one creator.*creator 4 and 0 names"):
        plot_reasons(WHY, 4)
