"""Sharma & Kaplan's claim in one table: 4/alpha beside the measured dimension, of all there is.

Both by the verdict's rule, whatever was trained: 4/alpha of the test loss, of its epochs, quantile
and widths; the dimension of its layer and estimator. 2p/alpha stands for 4/alpha where a loss goes
as |error|^p. The claim is the line on which the two are the same.

An interval of students is over teachers, both ways; the dimension is of each teacher's widest
student. Of networks on images 4/alpha's is over runs, and the dimension's over widths. Imported
runs come without weights: the dimension of ours by the same protocol stands for theirs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from stages.base.params import SharmaKaplan, StudentConfiguration, Verdict
from stages.manifold import readings
from stages.manifold.students import OVER_ALL, kind
from stages.statistics.estimate import Estimate, missing, over_networks

STUDENTS, KNOWN, NETWORKS = "students of teachers", "generated images", "images"
"""Panels of the table."""
PUBLISHED = "published"
"""The kind of a mark that is not ours."""
LAYERS = {"preactivation": "before_relu", "activation": "last_hidden"}
"""What students' readings of a layer are called; of their output there are none."""


class Mark(NamedTuple):
    """One point of the figure: what it is of, both numbers, and what their intervals are over."""

    panel: str
    kind: str
    name: str
    dimension: Estimate
    value: Estimate
    dimension_over: str
    value_over: str

    def row(self) -> dict[str, object]:
        """As the table has it."""
        x, y = self.dimension, self.value
        return {
            "panel": self.panel,
            "kind": self.kind,
            "name": self.name,
            "dimension": x.value,
            "dimension_low": x.low,
            "dimension_high": x.high,
            "dimension_over": self.dimension_over,
            "value": y.value,
            "low": y.low,
            "high": y.high,
            "value_over": self.value_over,
        }


def table(marks: Iterable[Mark]) -> pd.DataFrame:
    """One row for each that has both numbers."""
    rows = pd.DataFrame([mark.row() for mark in marks])
    found: pd.DataFrame = rows.dropna(subset=["dimension", "value"]).reset_index(drop=True)
    return found


def of_students(
    table: pd.DataFrame, configurations: Mapping[str, StudentConfiguration], rules: Verdict
) -> Iterator[Mark]:
    """A mark of each configuration; `table` is metrics/students.csv."""
    source = LAYERS.get(rules.dimension.layer, "")
    over = table[(table["teacher"] == OVER_ALL) & table["widths"].isin(["all", "widest"])]
    for name, c in configurations.items():
        rows = over[over["configuration"] == name]
        exponent = rows[(rows["quantity"] == "4/alpha") & (rows["phase"] == table["phase"].max())]
        share = 1.0 if c.loss == "kl" else c.loss / 2
        value = _estimate(exponent)
        scaled = value._replace(
            value=value.value * share, low=value.low * share, high=value.high * share
        )
        dimension = _estimate(rows[rows["quantity"] == source])
        yield Mark(STUDENTS, kind(c), name, dimension, scaled, "teachers", "teachers")


def of_known(table: pd.DataFrame, rules: Verdict) -> Iterator[Mark]:
    """A mark of generated images of each dimension; `table` is metrics/method.csv."""
    whole = table[table["widths"] == "all"].rename(columns={"dimension": "value"})
    for known, rows in whole.groupby("known"):
        value = _estimate(rows[rows["quantity"] == "test_loss"])
        dimension = _estimate(rows[rows["quantity"] == rules.dimension.layer])
        yield Mark(KNOWN, "hard labels", f"d = {known}", dimension, value, "widths", "runs")


def of_networks(
    fits: pd.DataFrame,
    dimensions: pd.DataFrame,
    sweeps: Mapping[str, str],
    imports: Sequence[str],
    rules: Verdict,
    ranges: Mapping[str, list[int]],
    confidence: float,
) -> Iterator[Mark]:
    """A mark of each sweep and study, given with the name of its images, and of each imported one.

    `fits` and `dimensions` are metrics/cnn_fits.csv and metrics/dimension.csv.
    """
    like = rules.notebook.sweep
    images = {name: sweeps.get(like, "") for name in imports} | dict(sweeps)
    bounds = {"dimension": "value", "dimension_low": "low", "dimension_high": "high"}
    for name, shown in images.items():
        alike = name if name in sweeps else like
        rule = rules.dimension.model_copy(update={"sweep": alike})
        rows = readings.networks(dimensions, rule, ranges)
        values, statuses = rows["dimension"].tolist(), rows["status"].tolist()
        dimension = over_networks(values, statuses, confidence)
        wanted: dict[str, object] = {
            "sweep": name,
            "metric": "validation_loss",
            "failed": rules.fit.failed,
            "epochs": rules.fit.epochs,
            "quantile": rules.fit.quantile,
        }
        chosen = fits[(fits[list(wanted)] == pd.Series(wanted)).all(axis=1)]
        named = chosen[chosen["widths"] == rules.fit.widths]
        law = named if len(named) else chosen[chosen["widths"] == "all"]
        value = _estimate(law[[*bounds, "status"]].rename(columns=bounds))
        over = "widths" if name in sweeps else f"widths, of {like}"
        yield Mark(NETWORKS, shown, name, dimension, value, over, "runs")


def published(theirs: SharmaKaplan) -> Mark:
    """Their own point of CIFAR-10, which has no intervals."""
    nan = float("nan")
    dimension = Estimate(theirs.intrinsic_dimension, nan, nan)
    return Mark(
        NETWORKS, PUBLISHED, "CIFAR-10", dimension, Estimate(theirs.test_loss, nan, nan), "", ""
    )


def _estimate(rows: pd.DataFrame) -> Estimate:
    if len(rows) != 1:
        return missing("not there")
    row = rows.iloc[0]
    return Estimate(float(row["value"]), float(row["low"]), float(row["high"]), str(row["status"]))
