"""When tasks of multitask sparse parity are learned: Michaud et al. (2023), Figures 7 and 8.

The heat map has every task's loss at every step: tasks switch from 1 bit to nothing, rarer ones
later. The other figure has learning time against frequency, with the tasks that no run has learned
at its end, and what becomes of the slope if the runs had ended earlier.
"""

import textwrap

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.base.params import Definition, Michaud, ParityConfiguration, Plot
from stages.base.tables import spaced, where
from stages.drawing import style
from stages.drawing.parity import NO_CURVES, Drawn, earliest, missing
from stages.drawing.style import INK, End
from stages.parity.tasks import frequencies
from stages.quanta.emergence import LEARNED
from stages.quanta.fits import BIT, widest

HEAT_TASKS = 40  # tasks in the series of the heat map at most, evenly spaced in the logarithm
HORIZONS = 3  # ends of the runs that a line of slopes needs
LOOKS = {
    "all": (style.VERMILION, "-", "all tasks, censored"),
    "learned": (style.BLUE, "--", "learned tasks"),
    "complete": (style.GREEN, "-.", "tasks all seeds learned"),
}
"""Colour, line and words of each fit."""


def heat_series(tables: Drawn) -> pd.DataFrame:
    """Median loss (bits) over seeds by configuration, task and step, thinned out."""
    parts = [pd.DataFrame(columns=["configuration", "step", "task", "loss"])]
    for name in tables.shown:
        losses = _heat(where(tables.curves, configuration=name))
        kept = losses.loc[losses.index.isin(spaced(losses.index, HEAT_TASKS))]
        long = kept.melt(ignore_index=False, var_name="step", value_name="loss").reset_index()
        parts.append(long[["step", "task", "loss"]])
        parts[-1].insert(0, "configuration", name)
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _heat(curves: pd.DataFrame) -> pd.DataFrame:
    """Take the median loss (bits) over seeds, (tasks, steps)."""
    bits = curves["loss"].astype(float) / BIT
    return bits.groupby([curves["task"], curves["step"]]).median().unstack()


@style.drawing()
def heat_map(
    tables: Drawn,
    configurations: dict[str, ParityConfiguration],
    plot: Plot,
    definition: Definition,
) -> Figure:
    """A panel for each configuration that kept curves, both axes logarithmic."""
    names = tables.shown
    width = plot.width * max(0.7, len(names) / 2)
    figure, panels = style.panels(1, max(len(names), 1), width, 0.5 * plot.width)
    if not names:
        missing(panels[0, 0], NO_CURVES)
    for axes, name in zip(panels[0], names, strict=False):
        c, curves = configurations[name], where(tables.curves, configuration=name)
        of_tasks, losses = where(tables.tasks, configuration=name), _heat(curves)
        steps, tasks = losses.columns.to_numpy(float), losses.index.to_numpy(float)
        late = steps >= earliest(curves, of_tasks)
        steps, values = steps[late], losses.to_numpy()[:, late]
        edges = np.log(np.append(tasks - 0.5, tasks[-1] + 0.5))
        look: style.Look = {"vmin": 0, "vmax": 1, "cmap": "cividis", "rasterized": True}
        mesh = axes.pcolormesh(_edges(np.log(steps)), edges, values, **look)
        _log_ticks(axes, steps, tasks)
        first = where(widest(where(of_tasks, samples=0)), task=1)[LEARNED[definition]]
        if first.notna().any():
            rates = frequencies(c.tasks, c.alpha)
            expected = float(first.median()) * rates[0] / rates
            inside = expected <= steps[-1]
            line = np.log(expected[inside]), np.log(tasks[inside])
            axes.plot(*line, "--", color="white", lw=1.5)
        axes.grid(visible=False)
        axes.set_title(f"{name}, width {max(c.widths)}; dashed: 1/p", loc="left", pad=34)
        axes.set_xlabel("Optimizer steps")
        axes.set_ylabel("Task, by falling frequency")
        above = axes.inset_axes((0, 1.02, 0.5, 0.03))
        bar = figure.colorbar(mesh, cax=above, orientation="horizontal")
        bar.ax.xaxis.set_ticks_position("top")
        bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1 bit"])
        bar.outline.set_visible(False)
    return figure


def _edges(centres: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])


def _log_ticks(axes: Axes, steps: npt.NDArray[np.float64], tasks: npt.NDArray[np.float64]) -> None:
    """Plain numbers on axes that hold natural logarithms."""
    for axis, values in [(axes.xaxis, steps), (axes.yaxis, tasks)]:
        shares = (1, 3) if values[-1] > 100 * values[0] else (1, 2, 5)
        ticks = np.outer(10.0 ** np.arange(0, 8), shares).ravel()
        ticks = ticks[(values[0] <= ticks) & (ticks <= values[-1])]
        axis.set_ticks(np.log(ticks), [f"{t:,.0f}" for t in ticks])


def times_series(
    tables: Drawn, configurations: dict[str, ParityConfiguration], definition: Definition
) -> pd.DataFrame:
    """Median steps until each task is learned, where more than half of the seeds learned it.

    Of the widest networks on fresh samples. Columns series, task, frequency, learned, seeds.
    """
    parts: list[pd.DataFrame] = []
    for name, c in configurations.items():
        rows = widest(where(tables.tasks, configuration=name, samples=0))
        steps = rows[LEARNED[definition]].astype(float)
        median = steps.fillna(np.inf).groupby(rows["task"]).median().rename("learned")
        table = median.reset_index().assign(seeds=steps.groupby(rows["task"]).count().to_numpy())
        table.insert(0, "series", name)
        table.insert(2, "frequency", frequencies(c.tasks, c.alpha)[table["task"] - 1])
        parts.append(table[np.isfinite(table["learned"])])
    return pd.concat(parts, ignore_index=True)


@style.drawing()
def learning_times(
    tables: Drawn,
    configurations: dict[str, ParityConfiguration],
    plot: Plot,
    published: Michaud,
    alpha: float,
    definition: Definition,
) -> Figure:
    """Times by frequency for each configuration that kept curves, and slopes by horizon below.

    Slopes are drawn where there are `HORIZONS` at least. `alpha` is that of the published learning
    times; they stand beside configurations like theirs.
    """
    names = tables.shown
    horizons = where(tables.horizons, definition=definition)
    horizons = horizons[np.isfinite(horizons["slope"].astype(float))]
    many = horizons.groupby("configuration")["step"].nunique() >= HORIZONS
    long = [name for name in names if many.get(name, default=False)]
    figure = Figure(figsize=(plot.width, plot.width * (1 if long else 0.55)))
    rows = figure.add_gridspec(2 if long else 1, 1, height_ratios=[1.3, 1][: 1 + bool(long)])
    above = rows[0].subgridspec(1, max(len(names), 1)).subplots(squeeze=False)[0]
    if not names:
        missing(above[0], NO_CURVES)
    for axes, name in zip(above, names, strict=False):
        c = configurations[name]
        alike = c.tasks == published.tasks and c.alpha == alpha
        fits = where(tables.emergence, definition=definition, configuration=name)
        times = widest(where(tables.tasks, configuration=name, samples=0))
        times = times.assign(step=times[LEARNED[definition]].astype(float))
        _times(axes, times, fits, c, published if alike else None)
        axes.set_title(name, loc="left")
    ends: dict[Axes, list[End]] = {}
    if long:
        grid = rows[1].subgridspec(1, len(names))
        below = [figure.add_subplot(grid[names.index(name)]) for name in long]
        for axes, name in zip(below, long, strict=True):
            ends[axes] = _horizons(axes, where(horizons, configuration=name), published)
            axes.set_title(f"{name}: slope, had it ended earlier", loc="left")
        style.name_ends(figure, ends)
    return figure


def _times(
    axes: Axes,
    rows: pd.DataFrame,
    fits: pd.DataFrame,
    c: ParityConfiguration,
    published: Michaud | None,
) -> None:
    """Each task's `step`, a row each: NaN where it was not learned."""
    style.plain_log_axis(axes, "y")
    of_task = frequencies(c.tasks, c.alpha)
    rates, learned = of_task[rows["task"] - 1], rows["step"].notna().to_numpy()
    times = rows.loc[learned, "step"]
    lowest = max(rates.min(), (rates[learned].min() if learned.any() else rates.max()) / 10)
    wide = rates.max() > 30 * lowest
    style.plain_log_axis(axes, "x", subs=(1.0,) if wide else (1.0, 2.0, 5.0))
    style.dots(axes, np.column_stack([rates[learned], times]), 3, 0.6)
    lost = ~learned & (rates >= lowest)
    if lost.any():
        label = f"not learned by the end: {np.count_nonzero(~learned)} of {len(rows)}"
        ends = np.unique(rates[lost])
        axes.plot(ends, 0 * ends + c.steps, "^", color=INK, ms=4, mfc="none", label=label)
    line = np.array([rates.min(), rates.max()])
    for kind, (colour, dashes, words) in LOOKS.items():
        fit = where(fits, tasks=kind).iloc[0]
        if np.isfinite(fit["slope"]):
            time = fit["time"] * line ** fit["slope"]
            axes.plot(line, time, dashes, color=colour, label=f"{_signed(fit['slope'])}: {words}")
    if published is not None:
        points, label = published.learning_steps, _signed(-published.learning_exponent)
        look: style.Look = {"color": style.PURPLE, "ms": 5, "mfc": "none"}
        of_points = of_task[np.array(points.tasks) - 1]
        axes.plot(of_points, points.steps, "D", **look, label=f"{label}: published")
    first = float(times.min()) if learned.any() else c.steps
    axes.set_ylim(first / 8, 3 * c.steps)  # the legend is below
    axes.set_xlim(lowest / 1.3, 1.3 * rates.max())
    axes.set_xlabel("Frequency p of the task")
    axes.set_ylabel("Steps until it is learned")
    axes.legend(fontsize="small", loc="lower left")


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")  # noqa: RUF001


def _horizons(axes: Axes, rows: pd.DataFrame, published: Michaud) -> list[End]:
    """Returns where the line of each fit ends."""
    style.plain_log_axis(axes, "x", subs=(1.0, 3.0))
    ends: list[End] = []
    for kind, (colour, dashes, words) in LOOKS.items():
        of_kind = where(rows, tasks=kind)
        axes.plot(of_kind["step"], of_kind["slope"], dashes, color=colour, marker="o", ms=3)
        if len(of_kind):
            step, slope = of_kind[["step", "slope"]].iloc[-1].astype(float)
            ends.append(((step, slope), textwrap.fill(words, 15), colour))
    slopes = rows["slope"].astype(float)
    for level, words in [(-1.0, "theory"), (-published.learning_exponent, "published")]:
        axes.axhline(level, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        style.note(axes, words, (0.0, level), (4, 2), xycoords=("axes fraction", "data"))
    axes.set_ylim(max(-2.0, min(slopes.min(), -1.0) - 0.1), min(0.2, max(slopes.max(), -0.8) + 0.1))
    axes.set_xlabel("Steps")
    return ends
