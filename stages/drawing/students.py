"""The figure of students of teachers: 4/alpha where d is known, and the losses behind it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.base.params import Plot, StudentConfiguration
from stages.base.tables import where
from stages.drawing import cnn, known, style
from stages.drawing.cnn import ALPHA
from stages.drawing.style import BLUE, GREEN, PURPLE, VERMILION
from stages.manifold.students import DIVERGENCE, OTHER, OVER_ALL, PRODUCT, SQUARED, kind

LOOKS: dict[str, tuple[str, str, str, int]] = {
    SQUARED: ("o", BLUE, "-", -1),
    DIVERGENCE: ("s", VERMILION, "-", 0),  # its other end is among the other lines
    OTHER: ("D", GREEN, "", -1),
    PRODUCT: ("^", PURPLE, "", -1),
}
"""Marker, colour and line of each kind of students, and which end of it has its name."""


def shown(
    readings: pd.DataFrame, configurations: Mapping[str, StudentConfiguration]
) -> pd.DataFrame:
    """4/alpha at the end of training over all widths and teachers: what the figure has of it."""
    last = readings["phase"].max()
    whole = where(readings, quantity="4/alpha", phase=last, widths="all", teacher=OVER_ALL)
    series = whole["configuration"].map({name: kind(c) for name, c in configurations.items()})
    columns = ["configuration", "series", "known", "expected", "value", "low", "high", "outcome"]
    return whole.assign(series=series)[columns]


def draw(
    readings: pd.DataFrame,
    losses: pd.DataFrame,
    configurations: Mapping[str, StudentConfiguration],
    plot: Plot,
) -> Figure:
    """4/alpha against what the theory says, with the line on which it is right; and the losses.

    The tables are those of `stages.manifold.students`.
    """
    figure, grid = cnn.grid(1, 2, plot, 0.5, width_ratios=[1.2, 1])
    left, right = grid[0]
    drawn = shown(readings, configurations)
    span = drawn["expected"].min(), drawn["expected"].max()
    there = drawn.dropna(subset="value").assign(x=drawn["expected"]).sort_values("x")
    series = [
        known.Series(name, marker, colour, where(there, series=name), line, named)
        for name, (marker, colour, line, named) in LOOKS.items()
    ]
    ticks = np.unique(drawn.loc[drawn["expected"] == drawn["known"], "expected"])  # 5.33 is no d
    ends = known.against_truth(left, ("theory", span), ticks, series)
    left.set_xlim(span[0] / 1.2, span[1] * 1.2)
    left.set_xlabel("What the theory says: d, or 2d/p")
    left.set_title(f"4/{ALPHA}, and its interval over teachers")
    last = where(losses, step=losses["step"].max())
    squared = where(drawn, series=SQUARED).sort_values("known")[["known", "configuration"]]
    of_losses = known.losses(
        right, ((d, where(last, configuration=name)) for d, name in squared.to_numpy().tolist())
    )
    style.plain_log_axis(right, "x", (1, 3))
    right.set_yscale("log")
    right.set_xlabel("Parameters N")
    right.set_title("Median squared error, and quartiles")
    style.name_ends(figure, {left: ends, right: of_losses})
    return figure
