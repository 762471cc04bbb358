"""What figures of known dimension share: readings beside the truth, and the losses behind them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from stages.drawing import style
from stages.drawing.style import INK, End


class Series(NamedTuple):
    """Readings of one kind: `rows` have `x`, `value`, `low` and `high`; which of them is named."""

    name: str
    marker: str
    colour: str
    rows: pd.DataFrame
    line: str = "-"
    named: int = -1


def against_truth(
    axes: Axes, truth: tuple[str, Sequence[float]], ticks: NDArray[np.float64], series: list[Series]
) -> list[End]:
    """Draw readings with their intervals, and the line on which they are right: its name and ends.

    Returns where each line ends, to be named.
    """
    name, (first, last) = truth
    axes.plot([first, last], [first, last], "--", color=INK, linewidth=1)
    ends: list[End] = [((last, last), name, INK)]
    for rank, (name, marker, colour, rows, line, named) in enumerate(series):
        if rows.empty:
            continue
        x = rows["x"] * 1.03 ** (rank - (len(series) - 1) / 2)  # side by side: none hides another
        y = rows["value"]
        axes.vlines(x, rows["low"].fillna(y), rows["high"].fillna(y), color=colour, linewidth=1.2)
        axes.plot(x, y, marker, linestyle=line, color=colour, markersize=4)
        ends.append(((float(x.iloc[named]), float(y.iloc[named])), name, colour))
    style.plain_log_axis(axes, "x", (1, 2, 4, 8))
    style.plain_log_axis(axes, "y", (1, 2, 5))
    axes.set_xticks(ticks, [f"{value:.3g}" for value in ticks])
    return ends


def losses(axes: Axes, by_dimension: Iterable[tuple[float, pd.DataFrame]]) -> list[End]:
    """Draw medians by `parameters`, and quartiles, a line for each d; where each ends."""
    found, ends = list(by_dimension), []
    for (d, rows), colour in zip(found, style.sequence(len(found)), strict=True):
        n, median = rows["parameters"], rows["median"]
        axes.fill_between(n, rows["low"], rows["high"], color=colour, alpha=0.25)
        axes.plot(n, median, "o-", markersize=3, color=colour)
        ends.append(((float(n.iloc[-1]), float(median.iloc[-1])), f"d = {d:g}", colour))
    return ends
