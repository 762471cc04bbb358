"""What the report's explorers show: fits and the runs behind them, and each parity task by step.

Nothing is fitted in the browser. Every choice that can be made there is a row of a table that a
stage wrote, so its numbers are the table's. The chart, templates/chart.json, is
written in Vega-Lite and compiled here.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import vl_convert
from numpy.typing import NDArray

from stages.base.params import Definition, Params, SharmaKaplan
from stages.base.tables import spaced, where
from stages.manifold import selection
from stages.pages.template import TEMPLATES
from stages.quanta.emergence import LEARNED
from stages.statistics.equivalence import Target
from stages.statistics.estimate import Estimate

STEPS = 12  # steps of a parity run that are drawn at most, evenly spaced in the logarithm
RUNS = 20  # runs of a width that are drawn at most, evenly spaced, beside those that failed
_BIT = math.log(2)
_FIRST, _LEVELS = 35, 92
"""The first character that stands for a level, and how many follow: from # on, all printable."""
CHOICES = ["sweep", "metric", "epochs", "quantile", "widths", "failed"]
"""What names a fit, in the order of the controls."""
EPOCHS = ("pooled", "last", "best")
FAILED = ("included", "excluded")  # choices that are shown
ANY = "any"  # the choice of failed runs where a fit is the same with and without them
_SHOWN = {"slope": 6, "amplitude": 4, "agrees": 4, "differs": 4}
_BOUNDS = ["dimension", "dimension_low", "dimension_high"]


def once(fits: pd.DataFrame) -> pd.DataFrame:
    """metrics/cnn_fits.csv with one row for those that are the same whatever failed runs are in."""
    # scikit-learn's number is of all runs alone
    rest = [name for name in fits if name not in ("failed", "alpha_sklearn")]
    same = fits.groupby(rest, sort=False, dropna=False)["failed"]
    return same.agg(lambda f: ANY if {*FAILED} <= {*f} else ", ".join(f)).reset_index()


def cnn(
    runs: pd.DataFrame, fits: pd.DataFrame, published: SharmaKaplan, p: Params
) -> dict[str, Any]:
    """Every fit of the sweeps as a row, with what a tolerance makes of it; and the runs.

    Of metrics/cnn.parquet, and of what `once` gives.
    """
    theirs = {
        (sweep, selection.counterpart(curve, {*has})): getattr(published, curve)
        for sweep, has in fits.groupby("sweep")["metric"]
        for curve in selection.FIGURE_6
    }
    judged = []
    for row in fits.to_dict("records"):
        value, low, high = (row[name] for name in _BOUNDS)
        estimate = Estimate(value, low, high, row["status"])
        value = theirs.get((row["sweep"], row["metric"]), np.nan)
        target = Target(value, value)
        judged.append((value, target.agrees_from(estimate), target.differs_below(estimate)))
    verdicts = pd.DataFrame(judged, fits.index, ["published", "agrees", "differs"])
    # rounded as the tables are: by Python, as numpy's rounding is another at a tie
    rows = fits.assign(**fits[_BOUNDS].map(lambda bound: round(bound, 2))).join(verdicts)
    kept = [*CHOICES, "first_width", "last_width", "runs", "rows", "status", "published", *_BOUNDS]
    failures = selection.failures(runs, p.fit.failed_above)
    return {
        "choices": CHOICES,
        "failed": FAILED,
        "fits": {name: _packed(rows[name], _SHOWN.get(name, 6)) for name in [*kept, *_SHOWN]},
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
    """Runs as points, and quantiles at each N, by choice of epochs. Of pooled epochs, which are
    all fitted, the last is drawn; and quantiles without failed runs are there where some failed.
    """
    metrics = selection.metrics(runs)
    sound = selection.sound(runs, failures[failures["sweep"].isin(runs["sweep"])])
    chosen = {choice: selection.choose(runs, choice) for choice in ("last", "best")}
    last = chosen["last"]
    failed = ~pd.Series(last.index.isin(sound.index), last.index)
    by_width = last.groupby("width")["seed"]
    rank, share = by_width.cumcount(), RUNS / by_width.transform("size")
    drawn = failed | (np.floor((rank + 1) * share) > np.floor(rank * share)) | (share >= 1)
    tables = dict(zip(FAILED, [runs, sound] if failed.any() else [runs], strict=False))
    sizes = dict(sorted(zip(runs["width"].tolist(), runs["parameters"].tolist(), strict=True)))
    return {
        "widths": sizes,
        "width": _packed(last["width"][drawn]),
        "seed": _packed(last["seed"][drawn]),
        "failed": _packed(failed[drawn].astype(int)),
        "values": {
            choice: {
                metric.column: _packed(rows[metric.column][drawn.to_numpy()], 3)
                for metric in metrics.values()  # the page makes errors of accuracies
            }
            for choice, rows in chosen.items()
        },
        "quantiles": {
            choice: {
                which: _quantiles(selection.choose(table, choice), metrics, sizes, quantiles)
                for which, table in tables.items()
            }
            for choice in ("pooled", *chosen)
        },
    }


def _quantiles(
    rows: pd.DataFrame,
    metrics: Mapping[str, selection.Metric],
    sizes: Mapping[int, int],
    quantiles: Iterable[float],
) -> dict[str, Any]:
    """Compute each quantile of each metric at every size N, by metric and quantile."""
    return {
        name: {str(q): _packed(by_n.quantile(q).reindex([*sizes.values()]), 4) for q in quantiles}
        for name, metric in metrics.items()
        if not metric.grows
        for by_n in [metric.of(rows).groupby(rows["parameters"])]
    }


def parity(
    read: Mapping[str, pd.DataFrame],
    series: pd.DataFrame,
    definition: Definition,
    learned_below: Mapping[str, float],
) -> dict[str, Any]:
    """For each configuration that kept curves: every task's median loss (bits) by step, the mean's,
    and when each was learned, by `definition`, at a loss (bits) `learned_below`.

    `read` has the tables parity_curves, parity_losses and parity_tasks; `series` is
    plots/parity_learning_times.csv: the tasks that most seeds learned, and when.
    """
    found: dict[str, Any] = {}
    for name, curves in read["parity_curves"].groupby("configuration", observed=True):
        steps = np.unique(curves.loc[curves["step"] > 0, "step"])
        steps, width = spaced(steps, STEPS), curves["width"].max()
        curves = where(curves[curves["step"].isin(steps)], width=width)
        median = curves.pivot_table(index="task", columns="step", values="loss", aggfunc="median")
        losses, tasks = (
            where(read[f"parity_{kind}"], configuration=name, samples=0, width=width)
            for kind in ("losses", "tasks")
        )
        mean = losses[losses["step"].isin(steps)].groupby("step")["mean_loss"].median()
        times = tasks.pivot(index="task", columns="seed", values=LEARNED[definition])
        known = where(series, series=name).set_index("task").reindex(median.index)
        found[str(name)] = {
            "learned_below": learned_below[str(name)],
            "steps": steps.tolist(),
            "loss": [_packed(row, 3) for row in median.to_numpy(float) / _BIT],
            "mean": _packed(mean.to_numpy(float) / _BIT, 3),
            "learned": [_packed(column) for _, column in times.loc[median.index].items()],
            "median": _packed(known["learned"]),
        }
    return found


def _packed(values: pd.Series | NDArray[Any], digits: int = 6) -> list[Any] | dict[str, Any]:
    """A column as JSON: numbers to so many digits, None where there is none. Where few of them
    differ, those are `levels`, and `rows` has a character for each row.
    """
    column: list[Any] = []
    for value in values.tolist():
        if isinstance(value, float):
            value = float(f"{value:.{digits}g}") if math.isfinite(value) else None
            value = int(value) if value is not None and value.is_integer() else value
        column.append(value)
    levels = list(dict.fromkeys(column))
    if len(levels) > min(_LEVELS, len(column) / 2):
        return column
    rows = "".join(chr(_FIRST + levels.index(value)) for value in column)
    return {"levels": levels, "rows": rows}


def chart() -> dict[str, Any]:
    """The explorers' chart, compiled: its data are put into `points`, `marks` and `lines`."""
    return vl_convert.vegalite_to_vega((TEMPLATES / "chart.json").read_text())


def vega() -> str:
    """Vega alone as a script, its `View` and `parse` in the window: the chart is compiled."""
    found: str = vl_convert.javascript_bundle(
        f'import {{ View, parse }} from "/npm/vega@{vl_convert.get_vega_version()}/+esm";'
        "window.vega = { View, parse };"
    )
    return found
