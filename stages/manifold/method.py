"""The whole method where the truth is known: 4/alpha and measured dimensions beside the true d.

The theory says alpha = 4/d where the loss is limited by the size of the network alone. 4/alpha may
miss d because that is not so (training too short, too few images), because the theory is of a
smooth target with a loss quadratic in the error, or because there is no power law. The last shows
in the exponents of the narrower and the wider half of the widths, which would be the same.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from stages.base.params import DimensionRule
from stages.base.tables import spread, where
from stages.manifold import readings, samples, selection
from stages.statistics import power_law
from stages.statistics.bootstrap import Resampling
from stages.statistics.equivalence import OUTCOMES, Target, judge
from stages.statistics.estimate import OK, Estimate, missing

LOSSES = {"test_loss": "validation_loss", "train_loss": "train_loss"}
MEDIAN = 0.5
NUMBERS = ["dimension", "low", "high", "status"]
JUDGED = ["dimension", "low", "high", "ratio", "outcome", "side", "status"]
SIDES = {
    "holds": "holds the theory's value",
    "below": "lies below it, as a bound allows",
    "above": "lies above it",
    "": "is none",
}
"""Where an interval lies, whatever the tolerance: what `side` says, in words."""


def side(estimate: Estimate, value: float) -> str:
    """Where an interval lies: it `holds` a value, or is `below` or `above`; "" for no interval."""
    if not estimate.sound:
        return ""
    return "below" if estimate.high < value else "above" if estimate.low > value else "holds"


def halves(widths: Iterable[int]) -> dict[str, tuple[int, int]]:
    """First and last of all widths, of the narrower and of the wider half; the middle is in both
    where their number is odd."""
    ordered = sorted(widths)
    half = (len(ordered) + 1) // 2
    parts = {"all": ordered, "narrower": ordered[:half], "wider": ordered[-half:]}
    return {name: (part[0], part[-1]) for name, part in parts.items()}


def exponents(
    runs: pd.DataFrame, epochs: str, resampling: Resampling
) -> Iterable[tuple[str, str, Estimate]]:
    """4/alpha of each loss over each range of widths: quantity, widths, estimate.

    `runs` are those of one known dimension, in the columns of `stages.cnn.part.SCHEMA`.
    """
    rows = selection.choose(runs.reset_index(drop=True), epochs)
    ranges = halves(rows["width"].unique())
    for quantity, metric in LOSSES.items():
        laws = power_law.over_ranges(samples.sample(rows, metric), ranges, MEDIAN, resampling)
        for name, law in laws.items():
            yield quantity, name, law.estimate


def measured(
    dimensions: pd.DataFrame, rule: DimensionRule, confidence: float
) -> Iterable[tuple[str, str, Estimate]]:
    """The dimension of the images, and of each of the networks' last layers over all widths.

    `dimensions` are the rows of both in metrics/dimension.csv.
    """
    rows = readings.measured(dimensions, rule)
    of_images = rows["width"].isna()
    for row in rows[of_images][NUMBERS].to_numpy():
        yield "images", "all", Estimate(*row)
    for layer, networks in rows[~of_images].groupby("layer", sort=False):
        estimate = readings.mean(networks, confidence)
        yield str(layer), "all", estimate._replace(over=readings.over(networks))


def cube(calibration: pd.DataFrame, known: int, rule: DimensionRule) -> Estimate:
    """What points drawn straight from the cube read, as many as there are test images.

    `calibration` is metrics/dimension_calibration.csv.
    """
    rows = where(readings.by_estimator(calibration, rule), shape="uniform", known=known)
    if rows.empty:
        return missing("not among dimension.known.dimensions")
    return Estimate(*rows.iloc[0][NUMBERS])


def judged(estimate: Estimate, known: int, tolerance: float) -> dict[str, Any]:
    """The columns from `dimension` on: an estimate beside the true dimension.

    `outcome` is by the rule of `verdict`: whether the interval lies within `tolerance` of d; `side`
    says where it lies, whatever the tolerance.
    """
    numbers = dict(zip(NUMBERS, estimate, strict=False))
    outcome = judge(estimate, Target(known, known), tolerance)
    ratio = estimate.value / known
    return numbers | {"ratio": ratio, "outcome": outcome, "side": side(estimate, known)}


def table(
    runs: dict[int, pd.DataFrame],
    dimensions: dict[int, pd.DataFrame],
    calibration: pd.DataFrame,
    epochs: str,
    rule: DimensionRule,
    tolerance: float,
    resampling: Resampling,
) -> pd.DataFrame:
    """One row per known dimension, quantity and range of widths, as `judged` says.

    Of a layer's dimension `over` says what its interval is over.
    """
    rows: list[dict[str, Any]] = []
    for known, sweep in runs.items():
        found = [
            *exponents(sweep, epochs, resampling),
            *measured(dimensions[known], rule, resampling.confidence),
            ("cube", "all", cube(calibration, known, rule)),
        ]
        for quantity, widths, estimate in found:
            labels = {"known": known, "quantity": quantity, "widths": widths}
            numbers = judged(estimate, known, tolerance)
            rows.append(labels | numbers | {"over": estimate.over})
    return pd.DataFrame(rows, columns=["known", "quantity", "widths", *JUDGED, "over"])


def losses(runs: dict[int, pd.DataFrame], epochs: str) -> pd.DataFrame:
    """The test loss that the exponents are fitted to: `median` and quartiles, by d and N."""
    if not runs:
        return pd.DataFrame(columns=["known", "parameters", "low", "median", "high"])
    chosen = [selection.choose(rows, epochs).assign(known=known) for known, rows in runs.items()]
    by_size = pd.concat(chosen).groupby(["known", "parameters"])["validation_loss"]
    return spread(by_size, low=0.25, median=0.5, high=0.75)


def statement(table: pd.DataFrame, tolerance: float) -> str:
    """Say in words, by rules, where 4/alpha is d, and where it is not."""
    rows = {(r.known, r.quantity, r.widths): r for r in table.itertuples()}
    said = [_one(known, rows) for known in table["known"].unique()]
    whole = where(table, quantity="test_loss", widths="all")
    counted = []
    for outcome in OUTCOMES:
        at = ", ".join(map(str, where(whole, outcome=outcome)["known"]))
        counted.append(f"{outcome} at {f'd = {at}' if at else 'none'}")
    summary = f"4/alpha of the test loss, held against d to {tolerance:.0%}: {', '.join(counted)}."
    return "\n".join([summary, "", *(f"- {line}" for line in said), ""])


def shown(row: Any) -> str:
    """The `dimension` of a row with its interval, or why there is none."""
    if pd.isna(row.dimension):
        return f"none ({row.status})"
    bounds = ["?" if pd.isna(bound) else f"{bound:.1f}" for bound in (row.low, row.high)]
    remark = "" if row.status == OK else f", {row.status}"
    return f"{row.dimension:.1f} ({bounds[0]} to {bounds[1]}{remark})"


def _one(known: int, rows: dict[Any, Any]) -> str:
    def of(quantity: str, widths: str = "all") -> str:
        return shown(rows[known, quantity, widths])

    return (
        f"d = {known}: 4/alpha of the test loss {of('test_loss')}, of the training loss "
        f"{of('train_loss')}; of the test loss over the narrower half of the widths "
        f"{of('test_loss', 'narrower')}, over the wider {of('test_loss', 'wider')}. Measured on "
        f"the images {of('images')}, on the last hidden layer before its ReLU "
        f"{of('preactivation')}, after it {of('activation')}, on the logits {of('logits')}; points "
        f"of the cube itself read {of('cube')}."
    )
