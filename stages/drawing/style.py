"""The style that all figures share, and how one is saved: an SVG with the same bytes every time.

A figure has no background of its own, and its ink is a grey that reads on white and on black
alike, so it can stand in a light and in a dark page. No message rests on colour alone: lines carry
their names at their ends.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.optimize import isotonic_regression

from stages.base import files

INK = "#808080"
"""Text and axes: at least 4 to 1 against white and against near-black (#0d1117)."""
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
"""Of Okabe & Ito's palette for colour-blind readers, those that reach 3 to 1 against both."""
CYCLE = (BLUE, VERMILION, GREEN, PURPLE)

_SEQUENCE = LinearSegmentedColormap.from_list("sequence", ["#2f7bd0", "#9a6fb0", "#d9603b"])

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.5,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and restyled
    "svg.hashsalt": "scaling",  # else every run makes up its own ids
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw the figures of this block in the shared style."""
    with mpl.rc_context(_STYLE):
        yield


def sequence(count: int) -> list[str]:
    """Colours for things in an order, blue to red: 3 to 1 against white and black throughout."""
    return [to_hex(c) for c in _SEQUENCE(np.linspace(0, 1, count))]


def plain_log_axis(axes: Axes, which: str, subs: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """A logarithmic axis ("x" or "y") whose ticks read 200, 500, 1,000 and not powers of ten."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def label_ends(
    axes: Axes, ends: Sequence[tuple[float, float]], texts: Sequence[str], colours: Sequence[str]
) -> None:
    """Write a name to the right of where each line ends, moved apart where they would overlap.

    Call it when the limits and scales of the axes are final.

    Args:
        ends: (x, y) of each line's last point, in data units.
    """
    size = mpl.rcParams["font.size"]
    points = axes.transData.transform(ends) * 72 / axes.figure.dpi
    order = np.argsort(points[:, 1], kind="stable")
    more = max((text.count("\n") for text in texts), default=0)
    gap = (1.15 + 1.6 * more) * size  # lines of one name stand closer than two names
    heights = _apart([float(points[i, 1]) for i in order], gap)
    for i, height in zip(order, heights, strict=True):
        axes.annotate(
            texts[i],
            ends[i],
            xytext=(6, height - points[i, 1]),
            textcoords="offset points",
            color=colours[i],
            va="center",
            annotation_clip=False,
        )


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The nearest heights, by least squares, that keep their order and a gap between them."""
    steps = gap * np.arange(len(heights))
    apart: list[float] = (isotonic_regression(np.asarray(heights) - steps).x + steps).tolist()
    return apart


def save_svg(figure: Figure, path: Path, title: str) -> None:
    """Save the figure as SVG, whole or not at all.

    `title` is the text that stands for it where it is not seen.
    """
    metadata = {"Creator": None, "Date": None, "Title": title}
    with mpl.rc_context(_STYLE), files.aside(path) as temporary:
        figure.savefig(temporary, format="svg", metadata=metadata)
