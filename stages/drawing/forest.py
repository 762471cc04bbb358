"""Forest plots of 4/alpha: an estimate and its interval per line, beside the published value."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from stages.drawing import style
from stages.drawing.cnn import ALPHA, EPOCHS, dimension
from stages.drawing.style import INK

HIGHEST = 100.0  # 4/alpha above this is written and not drawn: alpha is then next to 0


Line = tuple[str, dict[str, pd.Series]]
"""A line of the plot: its name, and a fit for each choice of epochs."""
Reference = tuple[float, int, int]
"""A published value, and the first and last line that it stands beside."""


def limits(dimensions: pd.Series, expected: Sequence[float]) -> tuple[float, float]:
    """The range of 4/alpha to draw, the same for panels to compare."""
    drawn = pd.concat([dimensions[dimensions <= HIGHEST], pd.Series(expected, dtype=float)])
    return 0.85 * drawn.min(), 1.15 * drawn.max()


def forest(
    axes: Axes,
    lines: Sequence[Line],
    references: Sequence[Reference],
    expected: Sequence[float],
    span: tuple[float, float],
    values: bool = False,
) -> None:
    """Draw the lines from the top down, on a logarithmic axis.

    `values` writes out what is drawn, or why it is not, where each line has one fit; without, the
    choices of epochs are named above, and what cannot be drawn stands hollow at the right edge. The
    band is the dimension `expected`.
    """
    style.plain_log_axis(axes, "x", (1.0, 3.0))
    room = 1.4 if values else 0.3  # for words on the right, as a share of the range
    axes.set_xlim(span[0], span[1] * (span[1] / span[0]) ** room)
    axes.axvspan(*expected, color=INK, alpha=0.22, linewidth=0)
    words = "expected {:g} to {:g}".format(*expected)
    style.note(axes, words, (expected[1], len(lines) + 0.2), (4, 0), va="bottom")
    if not values:
        handles = [
            Line2D([], [], marker=marker, color=colour, markersize=4, label=choice)
            for choice, (marker, colour) in EPOCHS.items()
        ]
        close: style.Look = {"handlelength": 1.2, "handletextpad": 0.4, "columnspacing": 1.0}
        above = axes.legend(handles=handles, ncols=3, loc="lower left", **close)
        above.set_bbox_to_anchor((0, 0.985), axes.transAxes)
    for value, first, last in references:
        axes.plot([value, value], [first - 0.6, last + 0.45], "--", color=INK, linewidth=1)
        at = max(value, expected[1]), first - 0.55
        style.note(axes, f"published {value:g}", at, (4, 0), va="center")
    for place, (_, fits) in enumerate(lines):
        for rank, (choice, fit) in enumerate(fits.items()):
            marker, colour = EPOCHS[choice]
            y = place + 0.26 * (rank - (len(fits) - 1) / 2)
            if not fit["dimension"] <= HIGHEST:
                if values:
                    _at_right(axes, place, f"{_why(fit)}: {choice}")
                else:
                    edge = axes.get_yaxis_transform()
                    axes.plot(0.97, y, marker, color=colour, ms=4, mfc="none", transform=edge)
                continue
            axes.plot([fit["dimension_low"], fit["dimension_high"]], [y, y], color=colour, lw=1.2)
            axes.plot(fit["dimension"], y, marker, color=colour, markersize=4)
            if values:
                _at_right(axes, place, dimension(fit), colour)
    axes.set_yticks(range(len(lines)), [name for name, _ in lines])
    axes.yaxis.set_minor_locator(NullLocator())
    below = len(lines) + 0.3  # where it says what the band is, and what is hollow
    drawn = [fit["dimension"] <= HIGHEST for _, fits in lines for fit in fits.values()]
    if not values and not all(drawn):
        _at_right(axes, below + 0.6, f"hollow: none to {HIGHEST:g}")
        below += 1
    axes.set_ylim(below, -1)


def _at_right(axes: Axes, place: float, text: str, colour: str = INK) -> None:
    look: style.Look = {"ha": "right", "va": "center", "color": colour, "fontsize": "small"}
    axes.annotate(text, (0.995, place), xycoords=("axes fraction", "data"), **look)


def _why(fit: pd.Series) -> str:
    if fit["dimension"] > HIGHEST:
        return f"over {HIGHEST:g}"
    return f"{ALPHA} ≤ 0" if fit["alpha"] <= 0 else "no fit"
