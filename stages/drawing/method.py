"""The figure of the method's calibration: what is read at each known dimension, and from what."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.base.params import Plot
from stages.drawing import cnn, style
from stages.drawing.cnn import ALPHA
from stages.drawing.style import BLUE, GREEN, INK, PURPLE, VERMILION

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
    whole = readings[readings["widths"] == "all"]
    known = np.sort(whole["known"].unique()).astype(float)
    left.plot(known[[0, -1]], known[[0, -1]], "--", color=INK, linewidth=1)
    ends: dict[str, list[cnn.End]] = {"left": [], "right": []}
    ends["left"].append(((known[-1], known[-1]), "the true d", INK))
    for rank, (quantity, (name, marker, colour)) in enumerate(SERIES.items()):
        rows = whole[(whole["quantity"] == quantity) & whole["dimension"].notna()]
        if rows.empty:
            continue
        x = rows["known"] * 1.03 ** (rank - 2)  # side by side, so that no interval hides another
        low = rows["low"].fillna(rows["dimension"])
        high = rows["high"].fillna(rows["dimension"])
        left.vlines(x, low, high, color=colour, linewidth=1.2)
        left.plot(x, rows["dimension"], marker, linestyle="-", color=colour, markersize=4)
        last = rows.iloc[-1]
        ends["left"].append(((float(x.iloc[-1]), float(last["dimension"])), name, colour))
    style.plain_log_axis(left, "x", (1, 2, 4, 8))
    style.plain_log_axis(left, "y", (1, 2, 5))
    left.set_xticks(known, [f"{value:g}" for value in known])
    left.set_xlim(known[0] / 1.2, known[-1] * 1.1)
    left.set_xlabel("True dimension d of the images")
    left.set_title("Dimension, and its interval")
    colours = style.sequence(len(known))
    for value, colour in zip(known, colours, strict=True):
        rows = losses[losses["known"] == value]
        right.fill_between(rows["parameters"], rows["low"], rows["high"], color=colour, alpha=0.25)
        right.plot(rows["parameters"], rows["median"], "o-", markersize=3, color=colour)
        last = rows.iloc[-1]
        ends["right"].append(
            ((float(last["parameters"]), float(last["median"])), f"d = {value:g}", colour)
        )
    cnn.n_axis(right, losses["parameters"])
    style.plain_log_axis(right, "y", (1, 2, 5))
    right.set_title("Median test loss (nats), and quartiles")
    cnn.name_ends(figure, {left: ends["left"], right: ends["right"]})
    return figure
