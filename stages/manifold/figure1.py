"""Sharma & Kaplan's claim in one table: 4/alpha beside the measured dimension, of all there is.

Both by the verdict's rule, whatever was trained: 4/alpha of the test loss, of its epochs, quantile
and widths; the dimension of its layer and estimator. 2p/alpha stands for 4/alpha where a loss goes
as |error|^p. The claim is the line on which the two are the same.

An interval of students is over teachers, both ways; the dimension is of each teacher's widest
student. Of networks on images 4/alpha's is over runs, and the dimension's over widths, and seeds
where several were measured. Imported runs come without weights: the dimension of ours by the same
protocol stands for theirs.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from stages.base.params import SharmaKaplan, StudentConfiguration, Verdict
from stages.base.tables import where
from stages.manifold import readings
from stages.manifold.students import OVER_ALL, kind
from stages.statistics.estimate import Estimate, missing

STUDENTS, KNOWN, NETWORKS = "students of teachers", "generated images", "images"
"""The panels of figure 1, in column `panel` of its table."""
PUBLISHED = "published"  # the kind of a mark that is not ours
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


def table(marks: Iterable[Mark]) -> pd.DataFrame:
    """One row for each that has both numbers."""
    columns = ["panel", "kind", "name", "dimension", "dimension_low", "dimension_high"]
    columns += ["dimension_over", "value", "low", "high", "value_over"]
    rows = [(*m[:3], *m.dimension[:3], m.dimension_over, *m.value[:3], m.value_over) for m in marks]
    made = pd.DataFrame(rows, columns=columns)
    return made.dropna(subset=["dimension", "value"]).reset_index(drop=True)


def of_students(
    table: pd.DataFrame, configurations: Mapping[str, StudentConfiguration], rules: Verdict
) -> Iterator[Mark]:
    """A mark of each configuration; `table` is metrics/students.csv."""
    source = LAYERS.get(rules.dimension.layer, "")
    over = where(table, teacher=OVER_ALL)
    over = over[over["widths"].isin(["all", "widest"])]
    for name, c in configurations.items():
        rows = where(over, configuration=name)
        value = _estimate(where(rows, quantity="4/alpha", phase=table["phase"].max()))
        share = 1.0 if c.loss == "kl" else c.loss / 2
        low, high = value.low * share, value.high * share
        value = value._replace(value=value.value * share, low=low, high=high)
        dimension = _estimate(where(rows, quantity=source))
        yield Mark(STUDENTS, kind(c), name, dimension, value, "teachers", "teachers")


def of_known(table: pd.DataFrame, rules: Verdict) -> Iterator[Mark]:
    """A mark of generated images of each dimension; `table` is metrics/method.csv."""
    whole = where(table, widths="all").rename(columns={"dimension": "value"})
    for known, rows in whole.groupby("known"):
        value = _estimate(where(rows, quantity="test_loss"))
        layer = where(rows, quantity=rules.dimension.layer)
        over = next(iter(layer["over"]), "")
        yield Mark(KNOWN, "hard labels", f"d = {known}", _estimate(layer), value, over, "runs")


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
        dimension, over = readings.mean(rows, confidence), readings.over(rows)
        wanted = rules.fit.model_dump(include={"failed", "epochs", "quantile"})
        chosen = where(fits, sweep=name, metric="validation_loss", **wanted)
        named = where(chosen, widths=rules.fit.widths)
        law = named if len(named) else where(chosen, widths="all")
        value = _estimate(law[[*bounds, "status"]].rename(columns=bounds))
        over = over if name in sweeps else f"{over}, of {like}"
        yield Mark(NETWORKS, shown, name, dimension, value, over, "runs")


def published(theirs: SharmaKaplan) -> Mark:
    """Their own point of CIFAR-10, which has no intervals."""
    values = theirs.intrinsic_dimension, theirs.test_loss
    dimension, value = (Estimate(each, math.nan, math.nan) for each in values)
    return Mark(NETWORKS, PUBLISHED, "CIFAR-10", dimension, value, "", "")


def _estimate(rows: pd.DataFrame) -> Estimate:
    if len(rows) != 1:
        return missing("not there")
    return Estimate(*rows.iloc[0][["value", "low", "high", "status"]])
