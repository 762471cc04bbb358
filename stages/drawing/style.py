"""The style that all figures share, and how one is saved: an SVG with the same bytes every time.

A figure has no background of its own, and its ink is a grey that reads on white and on black
alike, so it can stand in a light and in a dark page. No message rests on colour alone: lines carry
their names at their ends.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from stages.base import files

INK = "#808080"
"""Text and axes: at least 4 to 1 against white and against near-black (#0d1117)."""
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
"""The colours of Okabe & Ito's palette for colour-blind readers that reach 3 to 1 against both."""
CYCLE = (BLUE, VERMILION, GREEN, PURPLE)

Point = tuple[float, float]
End = tuple[Point, str, str]  # where a line ends, in data units, and its name and colour
Look = dict[str, Any]  # arguments of matplotlib's

SVG = "{http://www.w3.org/2000/svg}"
ElementTree.register_namespace("", SVG[1:-1])
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")

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
    """A logarithmic axis ("x" or "y") whose ticks read 200, 500, 1,000 and not powers of ten.

    Where what is drawn already spans less than a factor of two, they are evenly spaced.
    """
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = getattr(axes, f"get_{which}lim")()
    axis.set_major_locator(AutoLocator() if high < 2 * low else LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def panels(
    rows: int, columns: int, width: float, height: float, **more: Any
) -> tuple[Figure, NDArray[Any]]:
    """A figure of this size in inches, and its axes (rows, columns); `more` as of `subplots`."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, squeeze=False, **more)


def note(axes: Axes, text: str, at: Point, offset: Point, **more: Any) -> None:
    """Small words, so many points from a place in data units; `more` as of `annotate`."""
    of: Look = {"xytext": offset, "textcoords": "offset points", "fontsize": "small"}
    axes.annotate(text, at, **of | more)


def name_ends(figure: Figure, ends: Mapping[Axes, Sequence[End]], *, aligned: bool = False) -> None:
    """Write a name to the right of where each line ends, moved apart where they would overlap.

    A thin line leads from an end to a name that stands elsewhere; `aligned`, all stand to the right
    of the last end. Call it last: it rests on the final layout, limits and scales.
    """
    figure.draw_without_rendering()
    size = mpl.rcParams["font.size"]
    for axes, named in ends.items():
        if not named:
            continue
        places = axes.transData.transform([at for at, _, _ in named]) * 72 / figure.dpi
        heights, short = places[:, 1], aligned * (places[:, 0].max() - places[:, 0])
        order = np.argsort(heights, kind="stable")
        more = max(text.count("\n") for _, text, _ in named)
        gap = (1.3 + 1.6 * more) * size  # lines of one name stand closer than two names
        moved = np.array(_apart(heights[order].tolist(), gap)) - heights[order]
        away = max(np.abs(moved).max(), short.max()) > size / 2
        for i, move in zip(order, moved, strict=True):
            at, text, colour = named[i]
            lead = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1}
            axes.annotate(
                text,
                at,
                xytext=(short[i] + (16 if away else 6), move),
                textcoords="offset points",
                color=colour,
                va="center",
                arrowprops=lead | {"shrinkB": 2} if away else None,
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
    """Save the figure as SVG, whole or not at all, in a fraction of matplotlib's bytes.

    Its legend and each of its axes, with all that is written about it, are views:
    `figure.svg#panel-1` shows the first alone, and a narrow page stacks them. `title` is the text
    that stands for the figure where it is not seen.
    """
    with mpl.rc_context(_STYLE), io.StringIO() as drawn:
        figure.savefig(drawn, format="svg", metadata={"Creator": None, "Date": None})
        root = ElementTree.fromstring(drawn.getvalue())
        height = figure.bbox.height
        boxes = [part.get_tightbbox() for part in (*figure.legends, *figure.axes)]
    _lean(root, title)
    for place, box in enumerate((box for box in boxes if box is not None), 1):
        left, top, wide, high = (
            round(72 / figure.dpi * value, 1)
            for value in (box.x0 - 3, height - box.y1 - 3, box.width + 6, box.height + 6)
        )
        view = {"id": f"panel-{place}", "viewBox": f"{left} {top} {wide} {high}"}
        ElementTree.SubElement(root, f"{SVG}view", view).tail = "\n"
    files.write(path, ElementTree.tostring(root, "unicode").replace(" />", "/>") + "\n")


def _lean(root: Element, title: str) -> None:
    """Looks that elements share become classes; what is not seen or not asked for goes."""
    looks: dict[str, str] = {}
    asked = set(re.findall(r"[\"(]#([^\")]+)", ElementTree.tostring(root, "unicode")))
    for element in root.iter():
        if element.get("id") not in {*asked, "figure_1"}:
            element.attrib.pop("id", None)
        look = re.sub(r"font-family: [^;]+;", "", element.attrib.pop("style", ""))
        look = re.sub(r"([:;]) +", r"\1", look)
        if look == "fill:none":
            element.tag = "unseen"
        elif look:
            element.set("class", looks.setdefault(look, f"s{len(looks)}"))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        for name, value in element.attrib.items():
            if name == "d":  # what is drawn in many places is drawn finer
                element.set(name, _relative(value, 2 if "id" in element.attrib else 1))
            elif not name.endswith("href"):
                element.set(name, re.sub(r"\d+\.\d{3,}", lambda n: _short(float(n[0]), 2), value))
    _unwrap(root)
    root[:] = [child for child in root if not child.tag.endswith(("metadata", "title"))]
    rules = "".join(f".{name}{{{look}}}" for look, name in looks.items())
    for tag, text in {"style": rules, "title": title}.items():
        added = Element(f"{SVG}{tag}")
        added.text, added.tail = text, "\n"
        root.insert(0, added)
    root.set("style", "stroke-linejoin:round;font-family:'DejaVu Sans',Verdana,sans-serif")


def _unwrap(element: Element) -> None:
    """Replace groups that say nothing by what they hold; a line of text for each element."""
    kept: list[Element] = []
    for child in element:
        child.tail = "\n"
        if child.tag in (f"{SVG}g", f"{SVG}defs"):
            _unwrap(child)
            bare = child.tag == f"{SVG}g" and not child.attrib
            kept += child if bare or not len(child) else [child]
        elif child.tag != "unseen":
            kept.append(child)
    element.text = "\n"
    element[:] = kept


def _relative(path: str, digits: int) -> str:
    """Path data with every point seen from the last, in fewer digits.

    Where a point is gets rounded, not how far it is from the last, so that errors do not add up.
    """
    written: list[str] = []
    start = at = (0.0, 0.0)
    before = ""
    for command, numbers in re.findall(r"([MLCQz])([^MLCQz]*)", path):
        values = [round(float(number), digits) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        if (before, command) not in {("M", "L"), ("L", "L")}:  # a line is what follows anyway
            written.append(command.lower())
        written += [_short(x - at[i], digits) for point in points for i, x in enumerate(point)]
        at = points[-1] if points else start
        start = at if command == "M" else start
        before = command
    return re.sub(r"(?<=[a-z]) | (?=[a-z-])", "", " ".join(written))


def _short(number: float, digits: int) -> str:
    """A number to so many decimals, without zeros that say nothing."""
    text = f"{number:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else re.sub(r"^(-?)0\.", r"\1.", text)
