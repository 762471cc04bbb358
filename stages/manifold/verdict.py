"""Which numbers of Sharma & Kaplan (2022) are reproduced.

By the rule of `stages.statistics.equivalence`.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from stages.base.params import Curve, DimensionRule, Fit, FitRule, SharmaKaplan, Verdict
from stages.manifold import readings, selection
from stages.statistics.equivalence import RULE, Target, judge
from stages.statistics.estimate import Estimate, missing, over_networks

ALL = "all"  # widths
READING = "dimension"
EQUIVALENTS = {"gaussian": "as_gaussian", "uniform": "as_uniform"}
"""Columns of metrics/dimension.csv: what is read, and where known data would read the same."""

METRICS = {
    "test_loss": "validation_loss",
    "train_loss": "train_loss",
    "test_error": "validation_error",
    "train_error": "train_error",
}
"""What the published quantities are called in the tables of fits."""
CURVE, DIMENSION, RATIO, NOTEBOOK = (
    "test_loss_curve",
    "intrinsic_dimension",
    "dimension_ratio",
    "notebook",
)


def slope_dimension(curve: Curve) -> float:
    """4/alpha of points read off a figure: least squares of ln loss on ln N.

    NaN where the loss does not fall.
    """
    slope = np.polyfit(np.log(curve.parameters), np.log(curve.loss), 1)[0]
    return float(-4 / slope) if slope < 0 else math.nan


def curve(runs: pd.DataFrame, published: Curve, rule: FitRule) -> pd.DataFrame:
    """Our median test loss beside the published, at each N of both; `ratio` is ours over theirs.

    `runs` has the columns of `stages.cnn.part.SCHEMA`.
    """
    ours = selection.choose(runs[runs["sweep"] == rule.sweep], rule.epochs)
    medians = ours.groupby("parameters")["validation_loss"].median().astype(float)
    table = pd.DataFrame({"parameters": published.parameters, "published": published.loss})
    table["ours"] = table["parameters"].map(medians)
    return table.assign(ratio=table["ours"] / table["published"])


def verdicts(
    fits: pd.DataFrame,
    dimensions: pd.DataFrame,
    published: SharmaKaplan,
    rules: Verdict,
    fit: Fit,
) -> pd.DataFrame:
    """Every comparison: a row for what the rule names (`choice` is "rule"), and one for each
    other choice, with one thing varied ("epochs=last").

    Args:
        fits: metrics/cnn_fits.csv, as `cnn_fits.fit` makes it.
        dimensions: metrics/dimension.csv, as stage `measure_dimension` makes it.
        fit: the ranges of widths and the confidence.
    """
    rows: list[dict[str, Any]] = []

    def add(
        name: str, target: Target, tolerance: float, found: Iterator[tuple[str, Estimate]]
    ) -> None:
        for choice, estimate in found:
            rows.append(
                {
                    "quantity": name,
                    "choice": choice,
                    "published_low": target.low,
                    "published_high": target.high,
                    "tolerance": tolerance,
                    "ours": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "outcome": judge(estimate, target, tolerance),
                    "agrees_from": target.agrees_from(estimate),
                    "differs_below": target.differs_below(estimate),
                    "status": estimate.status,
                }
            )

    def point(value: float) -> Target:
        return Target(value, value)

    for name, metric in METRICS.items():
        value = getattr(published, name)
        add(name, point(value), rules.tolerance, _fitted(fits, metric, rules.fit))
    read_off = slope_dimension(published.test_loss_curve)
    if math.isfinite(read_off):
        found = _fitted(fits, METRICS["test_loss"], rules.fit)
        add(CURVE, point(read_off), rules.tolerance, found)
    measured = point(published.intrinsic_dimension)
    add(DIMENSION, measured, rules.tolerance, _measured(dimensions, rules.dimension, fit))
    ratios = _ratios(fits, dimensions, rules, fit)
    add(RATIO, point(1.0), rules.tolerance, ratios)
    expected = Target(*published.expected)
    notebook = _fitted(fits, rules.notebook_metric, rules.notebook)
    add(NOTEBOOK, expected, rules.range_tolerance, notebook)
    return pd.DataFrame(rows)


def _fit_row(fits: pd.DataFrame, metric: str, rule: FitRule) -> Estimate:
    wanted = {"metric": metric} | rule.model_dump()
    rows = fits[(fits[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    if len(rows) != 1:
        return missing("no such fit")
    row = rows.iloc[0]
    value, low, high = row[["dimension", "dimension_low", "dimension_high"]].astype(float)
    return Estimate(value, low, high, str(row["status"]))


def _fitted(fits: pd.DataFrame, metric: str, rule: FitRule) -> Iterator[tuple[str, Estimate]]:
    """4/alpha as the rule has it, then with each of its choices in turn made otherwise."""
    yield RULE, _fit_row(fits, metric, rule)
    for name, chosen in rule.model_dump().items():
        for other in fits[name].unique():
            if other != chosen:
                value = float(other) if name == "quantile" else str(other)
                varied = rule.model_copy(update={name: value})
                yield f"{name}={other}", _fit_row(fits, metric, varied)


def _dimension(
    dimensions: pd.DataFrame, rule: DimensionRule, fit: Fit, column: str = READING
) -> Estimate:
    rows = readings.networks(dimensions, rule, fit.widths)
    return over_networks(rows[column].tolist(), rows["status"].tolist(), fit.confidence)


def _other_dimensions(
    dimensions: pd.DataFrame, rule: DimensionRule, fit: Fit
) -> Iterator[tuple[str, Estimate]]:
    """Of other layers; by other estimators; and where known data would read the same."""
    networks = dimensions[dimensions["width"].notna()]
    for layer in networks["layer"].unique():
        if layer != rule.layer:
            varied = rule.model_copy(update={"layer": layer})
            yield f"layer={layer}", _dimension(dimensions, varied, fit)
    pairs = networks[["estimator", "neighbours"]].drop_duplicates()
    for estimator, neighbours in pairs.itertuples(index=False):
        if (estimator, neighbours) != (rule.estimator, rule.neighbours):
            update = {"estimator": estimator, "neighbours": int(neighbours)}
            varied = rule.model_copy(update=update)
            yield f"estimator={estimator}_{neighbours}", _dimension(dimensions, varied, fit)
    for shape, column in EQUIVALENTS.items():
        yield f"dimension={shape}_of_equal_reading", _dimension(dimensions, rule, fit, column)


def _measured(
    dimensions: pd.DataFrame, rule: DimensionRule, fit: Fit
) -> Iterator[tuple[str, Estimate]]:
    """The dimension as the rule has it; of other networks; by other means."""
    yield RULE, _dimension(dimensions, rule, fit)
    networks = dimensions[dimensions["width"].notna()]
    sweep_names = [str(name) for name in networks["source"].unique()]
    others: dict[str, list[str]] = {"sweep": sweep_names, "widths": [ALL, *fit.widths]}
    for name, values in others.items():
        for value in values:
            if value != getattr(rule, name):
                varied = rule.model_copy(update={name: value})
                yield f"{name}={value}", _dimension(dimensions, varied, fit)
    yield from _other_dimensions(dimensions, rule, fit)


def _ratios(
    fits: pd.DataFrame, dimensions: pd.DataFrame, rules: Verdict, fit: Fit
) -> Iterator[tuple[str, Estimate]]:
    """4/alpha of the test loss over the measured dimension; of other metrics, by other means."""
    loss = _fit_row(fits, METRICS["test_loss"], rules.fit)
    measured = _dimension(dimensions, rules.dimension, fit)
    yield RULE, loss.over(measured)
    for name, metric in METRICS.items():
        if name != "test_loss":
            yield f"metric={name}", _fit_row(fits, metric, rules.fit).over(measured)
    for choice, estimate in _other_dimensions(dimensions, rules.dimension, fit):
        yield choice, loss.over(estimate)
