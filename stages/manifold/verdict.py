"""Which numbers of Sharma & Kaplan (2022) are reproduced.

By the rule of `stages.statistics.equivalence`.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import pandas as pd

from stages.base.params import DimensionRule, Fit, FitRule, SharmaKaplan, Verdict
from stages.base.tables import where
from stages.manifold import readings, selection
from stages.manifold.figure6 import level, points, slope_dimension
from stages.manifold.selection import FIGURE_6
from stages.statistics.equivalence import RULE, Target, compared
from stages.statistics.estimate import Estimate, missing

ALL = "all"  # widths
EQUIVALENTS = {"gaussian": "as_gaussian", "uniform": "as_uniform"}
"""Columns of metrics/dimension.csv: where known data would read the same."""

LEVEL, DRAWN = "level", "drawn"
"""What is judged of a curve: the ratio of our values to theirs; 4/alpha of the points as drawn."""
DIMENSION, RATIO, NOTEBOOK = "intrinsic_dimension", "dimension_ratio", "notebook"
THEIRS = "runs of theirs: the interval is of their scatter"
NETWORKS = "networks of more seeds: one was measured at each width"
Rule = TypeVar("Rule", FitRule, DimensionRule)
SOURCES: tuple[readings.Over, ...] = ("widths", "seeds")
"""What the interval of the dimension is over, each alone."""
Choice = tuple[str, Estimate]  # what is made otherwise, or `RULE`, and what comes of it


def verdicts(
    runs: pd.DataFrame,
    fits: pd.DataFrame,
    dimensions: pd.DataFrame,
    published: SharmaKaplan,
    rules: Verdict,
    fit: Fit,
) -> pd.DataFrame:
    """Every comparison: a row for what the rule names (`choice` is "rule"), and one for each other
    choice, with one thing varied ("epochs=last").

    Of metrics/cnn.parquet, cnn_fits.csv and dimension.csv; `fit` has the ranges of widths and the
    confidence.
    """
    rows: list[dict[str, Any]] = []

    def add(name: str, target: Target, found: Iterable[Choice], lacking: str = "") -> None:
        for choice, estimate in found:
            judged = compared(estimate, target, rules.tolerance, fit.confidence, lacking)
            rows.append({"quantity": name, "choice": choice} | judged)

    for name in FIGURE_6:
        value = getattr(published, name)
        add(name, Target(value, value), _fitted(fits, name, rules.fit))
    for name in FIGURE_6:
        theirs = published.figure_6
        read_off = slope_dimension(theirs.parameters, getattr(theirs, name))
        if math.isfinite(read_off):
            ours = _fit_row(fits, name, rules.fit)
            add(f"{name}_{DRAWN}", Target(read_off, read_off), [(RULE, ours)])
    curves = list(_levels(runs, published, rules.fit, fit))
    for name in FIGURE_6:
        levels = [(choice, level(where(of, curve=name), fit.confidence)) for choice, of in curves]
        add(f"{name}_{LEVEL}", Target(1, 1), levels, THEIRS)
    measured = Target(published.intrinsic_dimension, published.intrinsic_dimension)
    lacking = _lacking(dimensions, rules.dimension, fit)
    add(DIMENSION, measured, _measured(dimensions, rules.dimension, fit), lacking)
    add(RATIO, Target(1, 1), _ratios(fits, dimensions, rules, fit), lacking)
    notebook = _fitted(fits, "test_loss", rules.notebook)
    add(NOTEBOOK, Target(*published.expected), notebook)
    return pd.DataFrame(rows)


def _levels(
    runs: pd.DataFrame, published: SharmaKaplan, rule: FitRule, fit: Fit
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The points of Figure 6 beside ours by the rule; of other sweeps and other early stopping."""
    sizes, by_sweep = {*published.figure_6.parameters}, runs.groupby("sweep", observed=True)
    alike = [sweep for sweep, rows in by_sweep if sizes <= {*rows["parameters"]}]
    for choice, each in _varied(rule, sweep=alike, epochs=selection.STOPS):
        yield choice, points(runs, published.figure_6, each, fit)


def _varied(rule: Rule, **others: Iterable[Any]) -> Iterator[tuple[str, Rule]]:
    """A rule, then with each of some other choices in turn, and which."""
    yield RULE, rule
    for name, values in others.items():
        for value in values:
            if value != getattr(rule, name):
                yield f"{name}={value}", rule.model_copy(update={name: value})


def _fit_row(fits: pd.DataFrame, curve: str, rule: FitRule) -> Estimate:
    rows = where(fits, **rule.model_dump(exclude={"sweep"}), sweep=rule.sweep)
    rows = where(rows, metric=selection.counterpart(curve, {*rows["metric"]}))
    if len(rows) != 1:
        return missing("no such fit")
    row = rows.iloc[0]
    value, low, high = row[["dimension", "dimension_low", "dimension_high"]].astype(float)
    widths = max(1, int(row["width_count"]))
    each = int(row["runs"]) // widths
    return Estimate(value, low, high, row["status"], "runs at each width", each, widths)


def _fitted(fits: pd.DataFrame, curve: str, rule: FitRule) -> Iterator[Choice]:
    """4/alpha as the rule has it, then with each of its choices in turn made otherwise."""
    choices = {name: fits[name].unique() for name in rule.model_dump()}
    for choice, each in _varied(rule, **choices):
        yield choice, _fit_row(fits, curve, each)


def _dimension(
    dimensions: pd.DataFrame,
    rule: DimensionRule,
    fit: Fit,
    column: str = readings.READING,
    interval: readings.Over = "both",
) -> Estimate:
    rows = readings.networks(dimensions, rule, fit.widths)
    return readings.mean(rows, fit.confidence, column, interval)


def _lacking(dimensions: pd.DataFrame, rule: DimensionRule, fit: Fit) -> str:
    """What would narrow the interval of the dimension."""
    rows = readings.networks(dimensions, rule, fit.widths)
    seeds = len(readings.seeds(rows))
    if seeds < 2:
        return NETWORKS
    of_widths, of_seeds = (_dimension(dimensions, rule, fit, interval=i) for i in SOURCES)
    if of_seeds.high > of_widths.high:  # about the same mean
        return f"networks of more seeds than {seeds}"
    return f"not networks of more seeds than {seeds}: the widths differ more"


def _other_dimensions(dimensions: pd.DataFrame, rule: DimensionRule, fit: Fit) -> Iterator[Choice]:
    """Readings of other layers, of other epochs, by other estimators, and where known data would
    read the same; and where there are several seeds the intervals over widths and seeds alone.
    """
    networks = dimensions[dimensions["width"].notna()]
    epochs = where(networks, source=rule.sweep)["epochs"].unique()
    others = _varied(rule, layer=networks["layer"].unique(), epochs=epochs)
    for choice, each in islice(others, 1, None):
        yield choice, _dimension(dimensions, each, fit)
    rows = readings.networks(dimensions, rule, fit.widths)
    if len(readings.seeds(rows)) > 1:
        for interval in SOURCES:
            estimate = _dimension(dimensions, rule, fit, interval=interval)
            yield f"interval=over_{interval}_alone", estimate
    pairs = networks[["estimator", "neighbours"]].drop_duplicates()
    for estimator, neighbours in pairs.itertuples(index=False):
        if (estimator, neighbours) != (rule.estimator, rule.neighbours):
            update = {"estimator": estimator, "neighbours": int(neighbours)}
            varied = rule.model_copy(update=update)
            yield f"estimator={estimator}_{neighbours}", _dimension(dimensions, varied, fit)
    for shape, column in EQUIVALENTS.items():
        yield f"dimension={shape}_of_equal_reading", _dimension(dimensions, rule, fit, column)


def _measured(dimensions: pd.DataFrame, rule: DimensionRule, fit: Fit) -> Iterator[Choice]:
    """The dimension as the rule has it; of other networks; by other means."""
    sources = dimensions.loc[dimensions["width"].notna(), "source"].unique()
    for choice, each in _varied(rule, sweep=sources, widths=[ALL, *fit.widths]):
        yield choice, _dimension(dimensions, each, fit)
    yield from _other_dimensions(dimensions, rule, fit)


def _ratios(
    fits: pd.DataFrame, dimensions: pd.DataFrame, rules: Verdict, fit: Fit
) -> Iterator[Choice]:
    """4/alpha of the test loss over the measured dimension; of other metrics, by other means."""
    loss, *others = (_fit_row(fits, name, rules.fit) for name in FIGURE_6)  # of the test first
    measured = _dimension(dimensions, rules.dimension, fit)
    yield RULE, loss.divided_by(measured)
    for name, other in zip([*FIGURE_6][1:], others, strict=True):
        yield f"metric={name}", other.divided_by(measured)
    for choice, estimate in _other_dimensions(dimensions, rules.dimension, fit):
        yield choice, loss.divided_by(estimate)
