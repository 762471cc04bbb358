"""The style that all figures share, and how one is saved: an SVG with the same bytes every time.

A figure has no background of its own, and its ink is a grey that reads on white and on black
alike, so it can stand in a light and in a dark page. No message rests on colour alone: lines carry
their names at their ends.
"""

import io
import re
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
from numpy.typing import NDArray
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
    "figure.constrained_layout.w_pad": 0.12,  # inches: another renderer's font may be wider
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.5,
    "path.simplify": False,  # it would drop lines of no length, which are dots
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

    A thin line leads from an end to a name that stands elsewhere. Call it when the limits and
    scales of the axes are final.

    Args:
        ends: (x, y) of each line's last point, in data units.
    """
    size = mpl.rcParams["font.size"]
    points = axes.transData.transform(ends) * 72 / axes.figure.dpi
    order = np.argsort(points[:, 1], kind="stable")
    more = max((text.count("\n") for text in texts), default=0)
    gap = (1.3 + 1.6 * more) * size  # lines of one name stand closer than two names
    heights = _apart([float(points[i, 1]) for i in order], gap)
    moved = [height - float(points[i, 1]) for i, height in zip(order, heights, strict=True)]
    away = max(map(abs, moved)) > size / 2
    for i, move in zip(order, moved, strict=True):
        lead = {
            "arrowstyle": "-",
            "color": colours[i],
            "linewidth": 0.6,
            "shrinkA": 1,
            "shrinkB": 2,
        }
        axes.annotate(
            texts[i],
            ends[i],
            xytext=(16 if away else 6, move),
            textcoords="offset points",
            color=colours[i],
            va="center",
            arrowprops=lead if away else None,
            annotation_clip=False,
        )


def dots(axes: Axes, points: NDArray[Any], size: float, opacity: float) -> None:
    """Points [n, 2] in ink, as one path: a marker each would take ten times the bytes."""
    there = np.repeat(points.astype(float), 3, axis=0)
    there[2::3] = np.nan  # a line of no length, with round ends
    [line] = axes.plot(there[:, 0], there[:, 1], lw=size, color=INK, alpha=opacity)
    line.set_solid_capstyle("round")


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The nearest heights, by least squares, that keep their order and a gap between them."""
    steps = gap * np.arange(len(heights))
    apart: list[float] = (isotonic_regression(np.asarray(heights) - steps).x + steps).tolist()
    return apart


def save_svg(figure: Figure, path: Path, title: str) -> None:
    """Save the figure as SVG, whole or not at all.

    Each of its axes, with all that is written about it, is a view: `figure.svg#panel-1` shows the
    first alone, and a narrow page stacks them. Numbers have two decimals, a hundredth of a point.

    Args:
        title: the text that stands for the figure where it is not seen.
    """
    metadata = {"Creator": None, "Date": None, "Title": title}
    with mpl.rc_context(_STYLE), io.StringIO() as drawn:
        figure.savefig(drawn, format="svg", metadata=metadata)
        svg = drawn.getvalue()
        height = figure.bbox.height
        boxes = [axes.get_tightbbox() for axes in figure.axes]
    svg = re.sub(r'="[^"]*"', _lean, svg)
    views = ""
    for place, box in enumerate((box for box in boxes if box is not None), 1):
        left, top, wide, high = (
            round(72 / figure.dpi * value, 1)
            for value in (box.x0 - 3, height - box.y1 - 3, box.width + 6, box.height + 6)
        )
        views += f' <view id="panel-{place}" viewBox="{left} {top} {wide} {high}"/>\n'
    files.write(path, svg.replace("</svg>", f"{views}</svg>"))


def _lean(attribute: re.Match[str]) -> str:
    """An attribute with coordinates to a hundredth of a point and few families of fonts."""
    text = re.sub(
        r"font-family: [^;]+", "font-family: 'DejaVu Sans', Verdana, sans-serif", attribute[0]
    )
    return re.sub(
        r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text
    )
