"""Training curves of multitask sparse parity: Michaud et al. (2023), Figure 7, in one figure.

Each task's loss falls at its own time and sharply; their mean, weighted by frequency, falls
smoothly. The curves are the median over seeds of the widest networks, at steps evenly spaced in
their logarithm, in bits: a task that is not learned costs 1.
"""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.base import tables
from stages.base.params import ParityConfiguration, Plot
from stages.base.tables import spaced, spread, where
from stages.drawing import style
from stages.drawing.style import INK, End, Point
from stages.quanta.fits import BIT, widest

TASKS = 12  # tasks that are drawn at most, evenly spaced in the logarithm of their number
HEIGHT = 0.5  # height of one configuration's axes, as a share of the figure's width
TOGETHER = 0.06  # lines that end within this share of each other have one name
DEPTH = 50  # the level at which a task is learned over the smallest loss that is drawn
SPAN = 50  # the last step over the first that is drawn, unless a task is learned before
NO_CURVES = "No configuration keeps the curves of its tasks (task_curves)."


class Drawn(NamedTuple):
    """The aggregated runs and the tables fitted to them."""

    losses: pd.DataFrame
    tasks: pd.DataFrame
    curves: pd.DataFrame
    runs: pd.DataFrame
    emergence: pd.DataFrame
    horizons: pd.DataFrame
    exponents: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Drawn":
        """The tables of a folder, such as metrics.

        Raises:
            InputError: one is missing or damaged, or there are no runs or fits.
        """
        ends = {"losses": "parquet", "tasks": "parquet", "curves": "parquet"}  # of the parts
        rows = dict.fromkeys(("curves", "horizons"), ())  # which may have none
        return cls(
            *(
                tables.read(
                    folder / f"parity_{name}.{ends.get(name, 'csv')}",
                    rows.get(name, ["configuration"]),
                )
                for name in cls._fields
            )
        )

    @property
    def shown(self) -> list[str]:
        """The configurations that kept the curves of their tasks."""
        return [str(name) for name in self.curves["configuration"].unique()]


def missing(axes: Axes, text: str) -> None:
    """Say in the place of a drawing what it would need."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", wrap=True)


def series(tables: Drawn, plot: Plot, count: int = TASKS) -> pd.DataFrame:
    """What is drawn of `count` tasks at most: median loss (bits) over seeds, and its band.

    Columns configuration, series ("task 1", ... and "mean"), step, loss, low, high.
    """
    parts = [pd.DataFrame(columns=["configuration", "series", "step", "loss", "low", "high"])]
    for name in tables.shown:
        rows = where(tables.curves, configuration=name)
        rows = rows[rows["step"] >= earliest(rows, where(tables.tasks, configuration=name))]
        rows = rows[rows["step"].isin(spaced(rows["step"], plot.steps))]
        chosen = rows[rows["task"].isin(spaced(rows["task"], count))]
        of_tasks = _over_seeds(chosen.assign(series=chosen["task"]), "loss", plot)
        of_tasks["series"] = "task " + of_tasks["series"].astype(str)
        means = widest(where(tables.losses, configuration=name, samples=0))
        means = means[means["step"].isin(rows["step"])].assign(series="mean")
        parts.append(pd.concat([of_tasks, _over_seeds(means, "mean_loss", plot)]))
        parts[-1].insert(0, "configuration", name)
    return pd.concat(parts[1:] or parts, ignore_index=True)


def earliest(curves: pd.DataFrame, tasks: pd.DataFrame) -> float:
    """The first step that is worth drawing, of one configuration: nothing is learned before."""
    return float(np.fmin(curves["step"].max() / SPAN, tasks["first_under"].min() / 4))


def _over_seeds(rows: pd.DataFrame, column: str, plot: Plot) -> pd.DataFrame:
    by_step = (rows[column].astype(float) / BIT).groupby([rows["series"], rows["step"]])
    return spread(by_step, loss=0.5, low=plot.band[0], high=plot.band[1])


@style.drawing()
def curves(
    drawn: pd.DataFrame, configurations: dict[str, ParityConfiguration], plot: Plot
) -> Figure:
    """A panel for each configuration of `series`, with the level at which a task is learned."""
    parts = {str(name): rows for name, rows in drawn.groupby("configuration", sort=False)}
    count = max(len(parts), 1)
    height = HEIGHT * plot.width * count
    figure, panels = style.panels(count, 1, 0.62 * plot.width, height)
    if not parts:
        missing(panels[0, 0], NO_CURVES)
    for axes, (name, rows) in zip(panels[:, 0], parts.items(), strict=False):
        c = configurations[name]
        _panel(axes, rows, c)
        words = f"{c.tasks} tasks, width {max(c.widths)}, {c.seeds} seeds"
        axes.set_title(f"{name}: {words}", loc="left")
    figure.draw_without_rendering()
    ends = {
        axes: _line_ends(axes, rows)
        for axes, rows in zip(panels[:, 0], parts.values(), strict=False)
    }
    style.name_ends(figure, ends)
    return figure


def _looks(drawn: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The lines' colours: an order for the tasks, ink for the mean, which is drawn on top."""
    tasks = [name for name in drawn["series"].unique() if name != "mean"]
    looks: dict[str, dict[str, Any]] = {
        name: {"color": colour, "linewidth": 1.2, "zorder": 2}
        for name, colour in zip(tasks, style.sequence(len(tasks)), strict=True)
    }
    return looks | {"mean": {"color": INK, "linewidth": 3.0, "zorder": 3}}


def _panel(axes: Axes, drawn: pd.DataFrame, c: ParityConfiguration) -> None:
    first, level = drawn["step"].min(), c.learned_below
    wide = drawn["step"].max() > 300 * first
    style.plain_log_axis(axes, "x", subs=(1.0,) if wide else (1.0, 3.0))
    style.plain_log_axis(axes, "y")
    for name, look in _looks(drawn).items():
        rows = where(drawn, series=name)
        low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
        axes.fill_between(rows["step"], low, high, color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(rows["step"], rows["loss"], **look)
    axes.margins(x=0)
    axes.set_ylim(bottom=max(level / DEPTH, axes.get_ylim()[0]), top=3)
    axes.axhline(level, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    style.note(axes, f"learned: under {level:g} bit", (first, level), (4, 3))
    axes.set_xlabel("Optimizer steps")
    axes.set_ylabel("Loss (bits)")


def _line_ends(axes: Axes, drawn: pd.DataFrame) -> list[End]:
    """Where lines end, those that end together as one; those that leave the panel it names there.

    It rests on the final layout.
    """
    looks, bottom = _looks(drawn), axes.get_ylim()[0]
    ends: dict[str, Point] = {}
    for rank, (name, look) in enumerate(looks.items()):
        rows = where(drawn, series=name)
        low = rows[rows["loss"] < bottom]
        if low.empty:
            ends[name] = float(rows["step"].iloc[-1]), float(rows["loss"].iloc[-1])
        else:
            at, offset = (float(low["step"].iloc[0]), bottom), (2, 4 + 9 * (rank % 2))
            style.note(axes, name.removeprefix("task "), at, offset, color=look["color"])
    together: list[list[str]] = []
    for name in sorted(ends, key=lambda name: ends[name][1]):
        near = together and ends[name][1] < (1 + TOGETHER) * ends[together[-1][-1]][1]
        if near and "mean" not in (name, together[-1][-1]):
            together[-1].append(name)
        else:
            together.append([name])
    found: list[End] = []
    for names in together:
        words = names[0]
        if len(names) > 1:
            words = "tasks " + ", ".join(map(str, sorted(int(name.split()[1]) for name in names)))
        words = textwrap.fill(words, 15, subsequent_indent="  ")
        found.append((ends[names[-1]], words, looks[names[-1]]["color"]))
    return found
