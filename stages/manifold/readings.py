"""The table of measured dimensions, and which of its rows a rule names."""

from collections.abc import Mapping

import pandas as pd

from stages.base.params import DimensionRule


def by_estimator(table: pd.DataFrame, rule: DimensionRule) -> pd.DataFrame:
    """The readings of all points at once by the estimator that the rule names."""
    rows: pd.DataFrame = table[
        (table["estimator"] == rule.estimator)
        & (table["neighbours"] == rule.neighbours)
        & (table["blocks"] == 1)
    ]
    return rows


def networks(
    table: pd.DataFrame, rule: DimensionRule, ranges: Mapping[str, list[int]]
) -> pd.DataFrame:
    """The same of the layer and the networks that the rule names; `ranges` are of widths."""
    rows = by_estimator(table, rule)
    rows = rows[(rows["source"] == rule.sweep) & (rows["layer"] == rule.layer)]
    if rule.widths in ranges:
        first, last = ranges[rule.widths]
        rows = rows[rows["width"].between(first, last)]
    return rows
