"""The table of measured dimensions, and which of its rows a rule names."""

from collections.abc import Mapping

import pandas as pd

from stages.base.params import DimensionRule
from stages.base.tables import where


def by_estimator(table: pd.DataFrame, rule: DimensionRule) -> pd.DataFrame:
    """The readings of all points at once by the estimator that the rule names."""
    return where(table, estimator=rule.estimator, neighbours=rule.neighbours, blocks=1)


def networks(
    table: pd.DataFrame, rule: DimensionRule, ranges: Mapping[str, list[int]]
) -> pd.DataFrame:
    """Those of the layer and networks that the rule names; `ranges` are first and last widths."""
    rows = where(by_estimator(table, rule), source=rule.sweep, layer=rule.layer)
    if rule.widths in ranges:
        first, last = ranges[rule.widths]
        rows = rows[rows["width"].between(first, last)]
    return rows
