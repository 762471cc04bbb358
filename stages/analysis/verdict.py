"""Whether a published number is reproduced, by a rule that knows nothing of either number.

The rule is an equivalence test with three outcomes. A published value v and a relative tolerance t
make a band, v (1 - t) to v (1 + t); a published range is widened by t at either end. Then, of the
interval of our estimate:

- it lies within the band: `reproduced`;
- it lies wholly outside, with no point in common: `not reproduced`;
- it crosses an end of the band, or there is no sound interval: `cannot be told`.

So the two definite outcomes need the same strength of evidence, and a wide interval or a missing
number earns neither: an interval that merely holds v proves no agreement. (Schuirmann 1987; in
Bayesian form Kruschke 2018, the region of practical equivalence.) What the tolerance has to do
with the outcome is given beside it: `agrees_from`, the smallest tolerance at which it reads
`reproduced`, and `differs_below`, under which it reads `not reproduced`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from stages.analysis import sweeps
from stages.params import Curve, DimensionRule, Fit, FitRule, SharmaKaplan, Verdict

Outcome = Literal["reproduced", "not reproduced", "cannot be told"]
OUTCOMES: tuple[Outcome, ...] = ("reproduced", "not reproduced", "cannot be told")
OK = "ok"
ALL = "all"  # widths
READING = "dimension"
EQUIVALENTS = {"gaussian": "as_gaussian", "uniform": "as_uniform"}
"""Columns of metrics/dimension.csv: what is read, and where known data would read the same."""
FEW = 3
"""Networks, under which their scatter gives no interval."""

RULE = "rule"
"""The `choice` of the row that the rule in params.yaml names; the others vary one thing of it."""
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


class Estimate(NamedTuple):
    """A number of ours, its interval, and `ok` or why there is none."""

    value: float
    low: float
    high: float
    status: str = OK

    @property
    def sound(self) -> bool:
        """Whether there is an interval to judge by."""
        finite = all(map(math.isfinite, [self.value, self.low, self.high]))
        return self.status == OK and finite and self.low <= self.high

    def over(self, other: "Estimate") -> "Estimate":
        """The quotient of two positive numbers; its interval holds all quotients of the two."""
        for each in (self, other):
            if not each.sound or each.low <= 0:
                return missing(each.status if each.status != OK else "no positive interval")
        return Estimate(self.value / other.value, self.low / other.high, self.high / other.low, OK)


def missing(status: str) -> Estimate:
    """No number, and why."""
    return Estimate(math.nan, math.nan, math.nan, status)


@dataclass(frozen=True)
class Published:
    """A published value (`low` and `high` the same) or range; positive."""

    low: float
    high: float

    def band(self, tolerance: float) -> tuple[float, float]:
        """What agrees with it."""
        return self.low * (1 - tolerance), self.high * (1 + tolerance)

    def agrees_from(self, estimate: Estimate) -> float:
        """The smallest tolerance at which `estimate` reproduces it; NaN for no sound estimate."""
        if not estimate.sound:
            return math.nan
        return max(1 - estimate.low / self.low, estimate.high / self.high - 1, 0.0)

    def differs_below(self, estimate: Estimate) -> float:
        """The tolerance under which `estimate` does not; 0 where no tolerance makes it so."""
        if not estimate.sound:
            return math.nan
        return max(1 - estimate.high / self.low, estimate.low / self.high - 1, 0.0)


def judge(estimate: Estimate, published: Published, tolerance: float) -> Outcome:
    """The outcome, by the rule above; ends that touch count as in common."""
    if not estimate.sound:
        return "cannot be told"
    low, high = published.band(tolerance)
    if low <= estimate.low and estimate.high <= high:
        return "reproduced"
    if estimate.high < low or high < estimate.low:
        return "not reproduced"
    return "cannot be told"


def slope_dimension(curve: Curve) -> float:
    """4/alpha of points read off a figure: least squares of ln loss on ln N.

    NaN where the loss does not fall.
    """
    slope = np.polyfit(np.log(curve.parameters), np.log(curve.loss), 1)[0]
    return float(-4 / slope) if slope < 0 else math.nan


def curve(runs: pd.DataFrame, published: Curve, rule: FitRule) -> pd.DataFrame:
    """Our median test loss beside the published, at each N of both; `ratio` is ours over theirs.

    `runs` has the columns of `stages.runs.CNN_SCHEMA`.
    """
    ours = sweeps.choose(runs[runs["sweep"] == rule.sweep], rule.epochs)
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
        name: str, target: Published, tolerance: float, found: Iterator[tuple[str, Estimate]]
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

    def point(value: float) -> Published:
        return Published(value, value)

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
    expected = Published(*published.expected)
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
    rows = dimensions[
        (dimensions["source"] == rule.sweep)
        & (dimensions["estimator"] == rule.estimator)
        & (dimensions["neighbours"] == rule.neighbours)
        & (dimensions["blocks"] == 1)
        & dimensions["width"].notna()
    ]
    if rule.widths in fit.widths:
        first, last = fit.widths[rule.widths]
        rows = rows[rows["width"].between(first, last)]
    return over_networks(rows[column].tolist(), rows["status"].tolist(), fit.confidence)


def over_networks(values: list[float], statuses: list[str], confidence: float) -> Estimate:
    """The geometric mean of the dimensions of several networks.

    Its interval is Student's, from the scatter of the logarithm between networks. That is some
    times the scatter within one, which says how well a network is measured, not what another of
    the same training would have had.
    """
    if len(values) < FEW:
        return missing(f"fewer than {FEW} networks")
    for value, status in zip(values, statuses, strict=True):
        if status not in (OK, "no interval"):
            return missing(f"a network without a dimension: {status}")
        if not (math.isfinite(value) and value > 0):
            return missing("a network without a dimension")
    logs = np.log(values)
    quantile = float(stdtrit(len(logs) - 1, (1 + confidence) / 2))
    margin = quantile * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    mean = float(logs.mean())
    return Estimate(math.exp(mean), math.exp(mean - margin), math.exp(mean + margin))


def _other_dimensions(
    dimensions: pd.DataFrame, rule: DimensionRule, fit: Fit
) -> Iterator[tuple[str, Estimate]]:
    """By other estimators; and as the dimension at which known data would read the same."""
    networks = dimensions[dimensions["width"].notna()]
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
