"""The figure of students of teachers: 4/alpha where d is known, and the losses behind it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.base.params import Plot, StudentConfiguration
from stages.drawing import cnn, style
from stages.drawing.cnn import ALPHA
from stages.drawing.style import BLUE, GREEN, INK, PURPLE, VERMILION
from stages.manifold.students import DIVERGENCE, OTHER, OVER_ALL, PRODUCT, SQUARED, kind

LOOKS = {
    SQUARED: ("o", BLUE),
    DIVERGENCE: ("s", VERMILION),
    OTHER: ("D", GREEN),
    PRODUCT: ("^", PURPLE),
}
"""Marker and colour of each kind of students."""


def shown(
    readings: pd.DataFrame, configurations: Mapping[str, StudentConfiguration]
) -> pd.DataFrame:
    """4/alpha at the end of training over all widths and teachers: what the figure has of it."""
    whole = readings[
        (readings["quantity"] == "4/alpha")
        & (readings["phase"] == readings["phase"].max())
        & (readings["widths"] == "all")
        & (readings["teacher"] == OVER_ALL)
    ]
    series = whole["configuration"].map({name: kind(c) for name, c in configurations.items()})
    columns = ["configuration", "series", "known", "expected", "value", "low", "high", "outcome"]
    table: pd.DataFrame = whole.assign(series=series)[columns]
    return table


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
    left.plot(span, span, "--", color=INK, linewidth=1)
    ends: dict[str, list[cnn.End]] = {"left": [((span[1], span[1]), "theory", INK)], "right": []}
    for rank, (name, (marker, colour)) in enumerate(LOOKS.items()):
        rows = drawn[(drawn["series"] == name) & drawn["value"].notna()].sort_values("expected")
        if rows.empty:
            continue
        x = rows["expected"] * 1.03 ** (rank - 1.5)  # side by side
        low, high = (rows[bound].fillna(rows["value"]) for bound in ("low", "high"))
        left.vlines(x, low, high, color=colour, linewidth=1.2)
        line = "-" if name in (SQUARED, DIVERGENCE) else ""
        left.plot(x, rows["value"], marker, linestyle=line, color=colour, markersize=4)
        place = 0 if name == DIVERGENCE else -1  # its other end is among the other lines
        end = float(x.iloc[place]), float(rows["value"].iloc[place])
        ends["left"].append((end, name, colour))
    style.plain_log_axis(left, "x", (1, 2, 4, 8))
    style.plain_log_axis(left, "y", (1, 2, 5))
    ticks = np.unique(drawn.loc[drawn["expected"] == drawn["known"], "expected"])  # 5.33 is no d
    left.set_xticks(ticks, [f"{value:.3g}" for value in ticks])
    left.set_xlim(span[0] / 1.2, span[1] * 1.2)
    left.set_xlabel("What the theory says: d, or 2d/p")
    left.set_title(f"4/{ALPHA}, and its interval over teachers")
    _losses(right, losses, drawn[drawn["series"] == SQUARED], ends["right"])
    cnn.name_ends(figure, {left: ends["left"], right: ends["right"]})
    return figure


def _losses(axes: Axes, losses: pd.DataFrame, of: pd.DataFrame, ends: list[cnn.End]) -> None:
    """Losses by size at the end of training, a line for each d."""
    last = losses[losses["step"] == losses["step"].max()]
    of = of.sort_values("known")
    for name, known, colour in zip(
        of["configuration"], of["known"], style.sequence(len(of)), strict=True
    ):
        rows = last[last["configuration"] == name]
        axes.fill_between(rows["parameters"], rows["low"], rows["high"], color=colour, alpha=0.25)
        axes.plot(rows["parameters"], rows["median"], "o-", markersize=3, color=colour)
        end = float(rows["parameters"].iloc[-1]), float(rows["median"].iloc[-1])
        ends.append((end, f"d = {known}", colour))
    style.plain_log_axis(axes, "x", (1, 3))
    axes.set_yscale("log")
    axes.set_xlabel("Parameters N")
    axes.set_title("Median squared error, and quartiles")
