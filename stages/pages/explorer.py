"""What the report's explorers show: fits and the runs behind them, and each parity task by step.

Nothing is fitted in the browser. Every choice that can be made there is a row of a table that a
stage wrote, so its numbers are the table's. The chart is written in Vega-Lite and compiled here.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import vl_convert

from stages.base.params import Definition, Params, SharmaKaplan
from stages.manifold import selection
from stages.manifold.verdict import METRICS
from stages.quanta.emergence import LEARNED
from stages.statistics.equivalence import Target
from stages.statistics.estimate import Estimate

STEPS = 12
"""Of a parity run that are drawn at most, evenly spaced in the logarithm."""
_BIT = math.log(2)
CHOICES = ["sweep", "metric", "epochs", "quantile", "widths", "failed"]
"""What names a fit, in the order of the controls."""
EPOCHS = ("pooled", "last", "best")
"""Choices of epochs that are shown."""
_FIT = ["slope", "amplitude", "alpha", "dimension", "dimension_low", "dimension_high"]


def cnn(
    runs: pd.DataFrame,
    fits: pd.DataFrame,
    published: SharmaKaplan,
    p: Params,
) -> dict[str, Any]:
    """Every fit of the sweeps as a row, with what a tolerance makes of it; and the runs.

    Args:
        runs: metrics/cnn.parquet.
        fits: metrics/cnn_fits.csv.
    """
    fits = fits[fits["epochs"].isin(EPOCHS) & (fits["failed"] != "short_excluded")]
    theirs = {metric: getattr(published, name) for name, metric in METRICS.items()}
    judged = []
    for row in fits.to_dict("records"):
        bounds = (row["dimension"], row["dimension_low"], row["dimension_high"])
        estimate = Estimate(*bounds, row["status"])
        value = theirs.get(row["metric"], np.nan)
        target = Target(value, value)
        judged.append((value, target.agrees_from(estimate), target.differs_below(estimate)))
    verdicts = dict(zip(["published", "agrees", "differs"], zip(*judged, strict=True), strict=True))
    rows = fits.assign(**verdicts)
    kept = [*CHOICES, "first_width", "last_width", *_FIT, "runs", "rows", "status", *verdicts]
    failures = selection.failures(runs, p.fit.failed_above)
    return {
        "choices": CHOICES,
        "fits": {name: _column(rows[name]) for name in kept},
        "sweeps": {
            str(name): _sweep(part, failures, sorted(fits["quantile"].unique()))
            for name, part in runs.groupby("sweep", observed=True)
        },
        "tolerance": p.verdict.tolerance,
        "start": p.verdict.fit.model_dump() | {"metric": "validation_loss"},
    }


def _sweep(
    runs: pd.DataFrame, failures: pd.DataFrame, quantiles: Iterable[float]
) -> dict[str, Any]:
    """Runs as points, and quantiles at each N, by choice of epochs."""
    failures = failures[failures["sweep"].isin(runs["sweep"])]
    sound = selection.sound(runs, failures)
    ended = runs[runs["epoch"] == runs["epoch"].max()]
    found: dict[str, Any] = {}
    for choice in EPOCHS:
        # of pooled epochs all are fitted, and the last is drawn
        points = ended if choice == "pooled" else selection.choose(runs, choice)
        out = ~points.index.isin(sound.index)
        metrics = selection.metrics(runs)
        shown_of = {name: metric for name, metric in metrics.items() if not metric.grows}
        found[choice] = {
            "width": points["width"].tolist(),
            "seed": points["seed"].tolist(),
            "failed": out.astype(int).tolist(),
            "values": {
                metric.column: _column(points[metric.column], 3)
                for metric in metrics.values()  # the page makes errors of accuracies
            },
            "quantiles": {
                failed: {
                    name: [
                        [n, *_column(group.quantile(list(quantiles)), 4)]
                        for n, group in metric.of(rows).groupby(rows["parameters"])
                    ]
                    for name, metric in shown_of.items()
                }
                for failed, table in (("included", runs), ("excluded", sound))
                for rows in [selection.choose(table, choice)]
            },
        }
    widths = dict(sorted(zip(runs["width"].tolist(), runs["parameters"].tolist(), strict=True)))
    return {"epochs": found, "widths": widths, "quantiles": list(quantiles)}


def parity(
    read: Mapping[str, pd.DataFrame],
    series: pd.DataFrame,
    definition: Definition,
    learned_below: Mapping[str, float],
) -> dict[str, Any]:
    """Of each configuration that kept curves: every task's median loss (bits) by step, the mean's,
    and when each was learned.

    Args:
        read: the tables parity_curves, parity_losses and parity_tasks.
        series: plots/parity_learning_times.csv: the tasks that most seeds learned, and when.
        definition: of the step at which a task is learned.
        learned_below: the loss (bits) at which it is, by configuration.
    """
    found: dict[str, Any] = {}
    for name, curves in read["parity_curves"].groupby("configuration", observed=True):
        steps = np.unique(curves.loc[curves["step"] > 0, "step"])
        wanted = np.geomspace(steps[0], steps[-1], STEPS)
        steps = steps[np.unique(np.abs(np.log(wanted[:, None] / steps)).argmin(axis=1))]
        width = curves["width"].max()
        curves = curves[curves["step"].isin(steps) & (curves["width"] == width)]
        median = curves.pivot_table(index="task", columns="step", values="loss", aggfunc="median")
        losses, tasks = (
            table[
                (table["configuration"] == name)
                & (table["samples"] == 0)
                & (table["width"] == width)
            ]
            for table in (read["parity_losses"], read["parity_tasks"])
        )
        mean = losses[losses["step"].isin(steps)].groupby("step")["mean_loss"].median()
        times = tasks.pivot(index="task", columns="seed", values=LEARNED[definition])
        known = series[series["series"] == name].set_index("task").reindex(median.index)
        found[str(name)] = {
            "learned_below": learned_below[str(name)],
            "steps": steps.tolist(),
            "tasks": median.index.tolist(),
            "loss": [_column(row, 3) for row in median.to_numpy(float) / _BIT],
            "mean": _column(mean.to_numpy(float) / _BIT, 3),
            "learned": [_column(row) for row in times.loc[median.index].to_numpy(float)],
            "median": _column(known["learned"]),
        }
    return found


def _column(values: Iterable[Any], digits: int = 6) -> list[Any]:
    """As JSON: numbers to so many digits, None where there is none."""
    return [
        (None if not np.isfinite(value) else float(f"{value:.{digits}g}"))
        if isinstance(value, float | np.floating)
        else value
        for value in values
    ]


def chart() -> dict[str, Any]:
    """The explorers' chart, compiled: its data are put into `points`, `marks` and `lines`."""
    kind = {
        "type": "quantitative",
        "scale": {"type": "log", "nice": False},
        "axis": {
            "labelExpr": "format(datum.value, datum.value < 1000 ? '~g' : ',')",
            "labelOverlap": "greedy",
            "labelSeparation": 8,
            "tickCount": 6,
        },
    }
    free = {
        "x": kind | {"field": "x", "title": "Parameters N"},
        "y": kind | {"field": "y", "title": None},
    }
    tooltip = [{"field": "label", "title": "run"}, {"field": "x"}, {"field": "y"}]
    layers: list[dict[str, Any]] = [
        {
            "data": {"name": "points"},
            "mark": {"type": "circle", "opacity": 0.35, "size": 14, "aria": False},
            "encoding": {"tooltip": tooltip, "color": {"value": "currentColor"}},
        },
        {
            "data": {"name": "lines"},
            "mark": {"type": "line", "aria": False, "strokeWidth": 2.5},
            "encoding": {"detail": {"field": "label"}, "color": {"field": "colour", "scale": None}},
        },
        {
            "data": {"name": "marks"},
            "mark": {"type": "point", "filled": True, "aria": False, "size": 60},
            "encoding": {
                "color": {"field": "colour", "scale": None},
                "tooltip": [{"field": "label"}, {"field": "x"}, {"field": "y"}],
            },
        },
    ]
    for layer in layers:
        layer["encoding"] = free | layer["encoding"]
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": 600,
        "height": 340,
        "autosize": {"type": "fit", "contains": "padding"},
        "layer": layers,
        "config": {
            "background": None,
            "font": "inherit",
            "axis": {
                "domainColor": "currentColor",
                "gridColor": "currentColor",
                "gridOpacity": 0.15,
                "labelColor": "currentColor",
                "labelFontSize": 12,
                "tickColor": "currentColor",
                "titleColor": "currentColor",
                "titleFontSize": 12,
                "titleFontWeight": "normal",
            },
            "view": {"stroke": None},
        },
    }
    compiled: dict[str, Any] = vl_convert.vegalite_to_vega(spec)
    return compiled


def vega() -> str:
    """Vega as a script that leaves `vegaEmbed` in the window."""
    found: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return found
