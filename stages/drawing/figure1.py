"""The figure that says where the theory holds: 4/alpha against measured dimension."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.base.params import Plot
from stages.drawing import style
from stages.drawing.cnn import ALPHA
from stages.drawing.style import BLUE, GREEN, INK, PURPLE, VERMILION, End
from stages.manifold.figure1 import KNOWN, NETWORKS, PUBLISHED, STUDENTS

COLOURS = {STUDENTS: BLUE, KNOWN: GREEN, NETWORKS: VERMILION}
MARKERS = "osD^vPX<>ph8"
"""Markers of the kinds, in their order: no two look alike, whatever their colours."""

BOUNDS = ["low", "high", "dimension_low", "dimension_high"]


def draw(marks: pd.DataFrame, tolerance: float, plot: Plot) -> Figure:
    """One mark each with both intervals, the line on which the two are the same, and the published.

    `marks` is the table of `stages.manifold.figure1`.
    """
    figure, [[axes]] = style.panels(1, 1, 0.55 * plot.width, 0.65 * plot.width)
    ends = marks[["dimension", "value"]].to_numpy(float)
    span = np.array([ends.min() / 1.25, ends.max() * 1.25])
    axes.plot(span, span, "--", color=INK, linewidth=1)
    band = span * (1 - tolerance), span * (1 + tolerance)
    axes.fill_between(span, *band, color=INK, alpha=0.15, linewidth=0)
    legend: list[Line2D] = []
    named: list[End] = []
    markers = cycle(MARKERS)
    for panel, of_panel in marks.groupby("panel", sort=False):
        legend.append(Line2D([], [], linestyle="", label=str(panel)))
        for kind, rows in of_panel.groupby("kind", sort=False):
            theirs = kind == PUBLISHED
            colour = PURPLE if theirs else COLOURS[str(panel)]
            marker = "*" if theirs else next(markers)
            x, y = rows["dimension"], rows["value"]
            low, high, left, right = (
                rows[bound].fillna(at) for bound, at in zip(BOUNDS, (y, y, x, x), strict=True)
            )
            axes.vlines(x, low, high, color=colour, linewidth=1, alpha=0.7)
            axes.hlines(y, left, right, color=colour, linewidth=1, alpha=0.7)
            size = 10 if theirs else 5
            axes.plot(x, y, marker, linestyle="", color=colour, markersize=size)
            if len(rows) > 1 and panel == NETWORKS:  # several protocols on the same images
                places = rows[["dimension", "value", "name"]].to_numpy().tolist()
                named += [((x, y), name, colour) for x, y, name in places]
            look: style.Look = {"marker": marker, "color": colour, "label": f"  {kind}"}
            legend.append(Line2D([], [], linestyle="", **look))
    words = f"4/{ALPHA} = d, and {tolerance:.0%}"
    legend.append(Line2D([], [], linestyle="--", color=INK, label=words))
    half = (len(legend) - 1) // 2
    if legend[half].get_label() in COLOURS:  # a heading begins a column, and does not end it
        legend.insert(half, Line2D([], [], linestyle="", label=" "))
    style.plain_log_axis(axes, "x", (1, 1.5, 2, 3, 5, 7))
    style.plain_log_axis(axes, "y", (1, 1.5, 2, 3, 5, 7))
    x = marks["dimension"]
    axes.set_xlim(x.min() / 1.2, x.max() * 1.2)
    axes.set_ylim(*span)
    axes.set_xlabel("Dimension measured in the last hidden layer")
    axes.set_title(f"4/{ALPHA} of the test loss (2p/{ALPHA} of |error|^p)")
    axes.legend(handles=legend, loc="upper center", bbox_to_anchor=(0.6, -0.14), ncols=2)
    style.name_ends(figure, {axes: named}, aligned=True)
    return figure
