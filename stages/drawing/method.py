"""The figure of the method's calibration: what is read at each known dimension, and from what."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.base.params import Plot
from stages.base.tables import where
from stages.drawing import cnn, known, style
from stages.drawing.cnn import ALPHA
from stages.drawing.style import BLUE, GREEN, PURPLE, VERMILION

SERIES = {
    "test_loss": (f"4/{ALPHA}, test loss", "o", BLUE),
    "train_loss": (f"4/{ALPHA}, training loss", "s", VERMILION),
    "preactivation": ("last hidden layer", "D", GREEN),
    "activation": ("after its ReLU", "v", GREEN),
    "images": ("images", "^", PURPLE),
}
"""Name, marker and colour of each quantity."""


def draw(readings: pd.DataFrame, losses: pd.DataFrame, plot: Plot) -> Figure:
    """Readings against the true dimension, with the line of truth; and the losses behind them.

    The tables are those of `stages.manifold.method`.
    """
    figure, grid = cnn.grid(1, 2, plot, 0.5, width_ratios=[1.2, 1])
    left, right = grid[0]
    if readings.empty:
        for axes in (left, right):
            axes.set_axis_off()
        left.text(0, 0.5, "No study is on images of known dimension.")
        return figure
    whole = where(readings, widths="all").dropna(subset="dimension")
    whole = whole.assign(x=whole["known"], value=whole["dimension"])
    true = np.sort(readings["known"].unique()).astype(float)
    series = [known.Series(*look, where(whole, quantity=name)) for name, look in SERIES.items()]
    ends = known.against_truth(left, ("the true d", true[[0, -1]].tolist()), true, series)
    left.set_xlim(true[0] / 1.2, true[-1] * 1.1)
    left.set_xlabel("True dimension d of the images")
    left.set_title("Dimension, and its interval")
    of_losses = known.losses(right, ((d, where(losses, known=d)) for d in true))
    cnn.n_axis(right, losses["parameters"])
    style.plain_log_axis(right, "y", (1, 2, 5))
    right.set_title("Median test loss (nats), and quartiles")
    style.name_ends(figure, {left: ends, right: of_losses})
    return figure
