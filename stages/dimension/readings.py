"""The table of measured dimensions, and which of its rows a rule names."""

import pandas as pd

from stages.base.params import DimensionRule


def chosen(table: pd.DataFrame, rule: DimensionRule) -> pd.DataFrame:
    """The readings of all points at once by the estimator that the rule names."""
    rows: pd.DataFrame = table[
        (table["estimator"] == rule.estimator)
        & (table["neighbours"] == rule.neighbours)
        & (table["blocks"] == 1)
    ]
    return rows
