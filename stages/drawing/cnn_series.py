"""What the CNN figures show, as small tables in long form: for `dvc plots`, and to read.

A column `series` names the line that a row is on.
"""

import pandas as pd

from stages.base.params import Plot, SharmaKaplan
from stages.base.tables import spread, where
from stages.manifold import selection

_NUMBERS = ["dimension", "dimension_low", "dimension_high", "status"]


def curves(runs: pd.DataFrame, plot: Plot) -> pd.DataFrame:
    """Median validation loss by N at the last and the best epoch, and its band over seeds."""
    parts, (low, high) = [], plot.band
    for choice in ("last", "best"):
        rows = selection.choose(runs, choice)
        by_size = rows.groupby(["sweep", "parameters"], observed=True)["validation_loss"]
        table = spread(by_size, validation_loss=0.5, low=low, high=high)
        table.insert(0, "series", table.pop("sweep").astype(str) + f", {choice} epoch")
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def dimension_by_epoch(sensitivity: pd.DataFrame) -> pd.DataFrame:
    """4/alpha of the losses, fitted to one epoch alone."""
    rows = where(sensitivity, factor="epoch")
    rows = rows.assign(series=_series(rows), epoch=rows["level"].astype(int))
    return rows[["series", "epoch", *_NUMBERS]]


def local_slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Alpha in a sliding window of widths."""
    columns = ["series", "parameters", "alpha", "alpha_low", "alpha_high", "status"]
    return table.assign(series=_series(table) + ", " + table["epochs"])[columns]


def _series(rows: pd.DataFrame) -> pd.Series:
    return rows["sweep"].astype(str) + ", " + rows["metric"].str.replace("_", " ")


def beside_published(fits: pd.DataFrame, published: SharmaKaplan) -> pd.DataFrame:
    """4/alpha of each published metric, ours beside it: the median over the published widths."""
    first, last = published.widths
    ours = where(fits, quantile=0.5, failed="included", first_width=first, last_width=last)
    ours = ours.drop_duplicates(["sweep", "metric", "epochs"])
    parts = [
        where(ours, metric=metric).assign(metric=name, published=getattr(published, name))
        for name, metric in selection.FIGURE_6.items()
    ]
    return pd.concat(parts)[["metric", "published", "sweep", "epochs", *_NUMBERS]]
