"""Training curves of multitask sparse parity: Michaud et al. (2023), Figure 7, in one figure.

Each task's loss falls at its own time and sharply; their mean, weighted by frequency, falls
smoothly. The curves are the median over seeds, at steps evenly spaced in their logarithm.
"""

from math import log
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages import figures
from stages.params import Plot

TASKS = 12
"""Tasks that are drawn at most, evenly spaced in the logarithm of their number."""
HEIGHT = 0.58
"""Of a configuration's axes, as a share of the width."""
SPAN = 50
"""The last step over the first that is drawn: before, nothing is learned."""


def series(curves: pd.DataFrame, plot: Plot) -> pd.DataFrame:
    """What is drawn, in long form: median loss (nats) over seeds, and its band.

    Columns configuration, series ("task 1", ... and "mean"), step, loss, low, high.
    """
    parts = []
    for name, rows in curves.groupby("configuration", observed=True, sort=False):
        rows = rows[rows["step"] >= rows["step"].max() / SPAN]
        rows = rows[rows["step"].isin(_spaced(rows["step"], plot.steps))]
        chosen = rows[rows["task"].isin(_spaced(rows["task"], TASKS))]
        of_tasks = _over_seeds(chosen.assign(series=chosen["task"]), "loss", plot)
        of_tasks["series"] = "task " + of_tasks["series"].astype(str)
        means = rows[rows["task"] == 1].assign(series="mean")
        parts.append(pd.concat([of_tasks, _over_seeds(means, "mean_loss", plot)]))
        parts[-1].insert(0, "configuration", name)
    return pd.concat(parts, ignore_index=True)


def _over_seeds(rows: pd.DataFrame, column: str, plot: Plot) -> pd.DataFrame:
    by_step = rows.groupby(["series", "step"])[column]
    low, high = (by_step.quantile(quantile) for quantile in plot.band)
    return pd.DataFrame({"loss": by_step.median(), "low": low, "high": high}).reset_index()


def _spaced(values: pd.Series, count: int) -> np.ndarray:
    """At most `count` of the distinct values, evenly spaced in their logarithm."""
    distinct: np.ndarray = np.sort(values.unique())
    if len(distinct) <= count:
        return distinct
    wanted = np.geomspace(distinct[0], distinct[-1], count)
    nearest = np.abs(np.log(wanted[:, None] / distinct)).argmin(axis=1)
    chosen: np.ndarray = distinct[np.unique(nearest)]
    return chosen


def curves(drawn: pd.DataFrame, threshold: float, plot: Plot) -> Figure:
    """A panel for each configuration of `series`, with the threshold (bits) of being learned."""
    names = drawn["configuration"].unique()
    with figures.style():
        figure, panels = plt.subplots(
            len(names),
            1,
            figsize=(plot.width, HEIGHT * plot.width * len(names)),
            squeeze=False,
        )
        for axes, name in zip(panels[:, 0], names, strict=True):
            _panel(axes, drawn[drawn["configuration"] == name], threshold)
            if len(names) > 1:
                axes.set_title(name, loc="left")
        figure.draw_without_rendering()
        for axes, name in zip(panels[:, 0], names, strict=True):
            _name_lines(axes, drawn[drawn["configuration"] == name])
        plt.close(figure)
    return figure


def _looks(drawn: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The lines' colours: an order for the tasks, ink for the mean, which is drawn on top."""
    tasks = [name for name in drawn["series"].unique() if name != "mean"]
    looks: dict[str, dict[str, Any]] = {
        name: {"color": colour, "linewidth": 1.2, "zorder": 2}
        for name, colour in zip(tasks, figures.sequence(len(tasks)), strict=True)
    }
    return looks | {"mean": {"color": figures.INK, "linewidth": 3.0, "zorder": 3}}


def _panel(axes: Axes, drawn: pd.DataFrame, threshold: float) -> None:
    figures.plain_log_axis(axes, "x")
    figures.plain_log_axis(axes, "y")
    for name, look in _looks(drawn).items():
        rows = drawn[drawn["series"] == name]
        axes.fill_between(
            rows["step"], rows["low"], rows["high"], color=look["color"], alpha=0.15, linewidth=0
        )
        axes.plot(rows["step"], rows["loss"], **look)
    axes.margins(x=0)
    level = threshold * log(2)
    axes.axhline(level, color=figures.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        f"learned: under {threshold:g} bit",
        (drawn["step"].min(), level),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize="small",
    )
    axes.set_xlabel("Optimizer steps")
    axes.set_ylabel("Loss (nats)")


def _name_lines(axes: Axes, drawn: pd.DataFrame) -> None:
    looks = _looks(drawn)
    ends = [drawn[drawn["series"] == name].iloc[-1] for name in looks]
    points = [(float(end["step"]), float(end["loss"])) for end in ends]
    figures.label_ends(axes, points, list(looks), [look["color"] for look in looks.values()])
