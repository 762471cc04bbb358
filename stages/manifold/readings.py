"""The table of measured dimensions: which of its rows a rule names, and their mean."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from stages.base.params import DimensionRule
from stages.base.tables import where
from stages.statistics.estimate import MEASURED, Estimate, over_networks, over_seeds

READING = "dimension"
Over = Literal["both", "widths", "seeds"]


def by_estimator(table: pd.DataFrame, rule: DimensionRule) -> pd.DataFrame:
    """The readings of all points at once by the estimator that the rule names."""
    return where(table, estimator=rule.estimator, neighbours=rule.neighbours, blocks=1)


def measured(table: pd.DataFrame, rule: DimensionRule) -> pd.DataFrame:
    """Those of images, and of networks after the epochs that the rule names."""
    rows = by_estimator(table, rule)
    return rows[rows["width"].isna() | (rows["epochs"] == rule.epochs)]


def networks(
    table: pd.DataFrame, rule: DimensionRule, ranges: Mapping[str, list[int]]
) -> pd.DataFrame:
    """Those of the layer and networks that the rule names; `ranges` are first and last widths."""
    rows = where(measured(table, rule), source=rule.sweep, layer=rule.layer)
    if rule.widths in ranges:
        first, last = ranges[rule.widths]
        rows = rows[rows["width"].between(first, last)]
    return rows


def complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the seeds that have a dimension at every width, or all where no seed has.

    A run that dies, as some do at width 1, leaves a network that says the same of all
    images. Its seed is left out at every width, so that each width is of the same seeds.
    """
    lacking = rows.loc[~rows["status"].isin(MEASURED), "seed"]
    kept = rows[~rows["seed"].isin(lacking)]
    return rows if kept.empty else kept


def seeds(rows: pd.DataFrame) -> list[int]:
    """The seeds that `mean` is over: those that are `complete`."""
    return sorted(map(int, complete(rows)["seed"].unique()))


def over(rows: pd.DataFrame) -> str:
    """What the interval of `mean` is over, in words."""
    return "widths" if len(seeds(rows)) < 2 else "widths and seeds"


def mean(
    rows: pd.DataFrame, confidence: float, column: str = READING, interval: Over = "both"
) -> Estimate:
    """The geometric mean over networks, of the seeds that are `complete`, by `over_seeds`.

    Of one seed its interval is that of `over_networks`, over widths alone.
    """
    rows = complete(rows)
    statuses = rows["status"].tolist()
    if len(seeds(rows)) < 2:
        return over_networks(rows[column].tolist(), statuses, confidence)
    values = rows.pivot(index="seed", columns="width", values=column).to_numpy(float)
    return over_seeds(values, statuses, confidence)[interval]


def by_width(rows: pd.DataFrame, column: str = READING) -> pd.DataFrame:
    """The geometric mean over the seeds at each width: columns `width` and that of the reading."""
    rows = complete(rows)
    logs = np.log(rows[column]).groupby(rows["width"]).mean()
    means: pd.DataFrame = np.exp(logs).rename(column).reset_index()
    return means
