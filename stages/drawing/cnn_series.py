"""What the CNN figures show, as small tables in long form: for `dvc plots`, and to read.

A column `series` names the line that a row is on.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd

from stages.base.params import Plot, SharmaKaplan
from stages.manifold import selection

_NUMBERS = ["dimension", "dimension_low", "dimension_high", "status"]


def curves(runs: pd.DataFrame, plot: Plot) -> pd.DataFrame:
    """Median validation loss by N at the last and the best epoch, and its band over seeds."""

    def of(choice: str) -> pd.DataFrame:
        rows = selection.choose(runs, choice)
        by_size = rows.groupby(["sweep", "parameters"], observed=True)["validation_loss"]
        low, high = (by_size.quantile(quantile) for quantile in plot.band)
        table = pd.DataFrame({"validation_loss": by_size.median(), "low": low, "high": high})
        table = table.reset_index()
        table.insert(0, "series", table.pop("sweep").astype(str) + f", {choice} epoch")
        return table[["series", "parameters", "validation_loss", "low", "high"]]

    return pd.concat([of("last"), of("best")], ignore_index=True)


def dimension_by_epoch(sensitivity: pd.DataFrame) -> pd.DataFrame:
    """4/alpha of the losses, fitted to one epoch alone."""
    rows = sensitivity[sensitivity["factor"] == "epoch"].copy()
    rows["epoch"] = rows["level"].astype(int)
    metric = rows["metric"].str.replace("_", " ")
    rows["series"] = rows["sweep"].astype(str) + ", " + metric
    return rows[["series", "epoch", *_NUMBERS]]


def local_slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Alpha in a sliding window of widths."""
    metric = table["metric"].str.replace("_", " ")
    series = table["sweep"].astype(str) + ", " + metric + ", " + table["epochs"]
    columns = ["parameters", "alpha", "alpha_low", "alpha_high", "status"]
    return table[columns].assign(series=series)[["series", *columns]]


def beside_published(fits: pd.DataFrame, published: SharmaKaplan) -> pd.DataFrame:
    """4/alpha of each published metric, ours beside it: the median over the published widths."""

    def rows() -> Iterator[dict[str, Any]]:
        first, last = published.widths
        ours = fits[(fits["quantile"] == 0.5) & (fits["failed"] == "included")]
        ours = ours[(ours["first_width"] == first) & (ours["last_width"] == last)]
        ours = ours.drop_duplicates(["sweep", "metric", "epochs"])
        for (name, metric), sweep in product(selection.FIGURE_6.items(), ours["sweep"].unique()):
            for _, fit in ours[(ours["metric"] == metric) & (ours["sweep"] == sweep)].iterrows():
                yield {"metric": name, "published": getattr(published, name)} | dict(
                    fit[["sweep", "epochs", *_NUMBERS]]
                )

    columns = ["metric", "published", "sweep", "epochs", *_NUMBERS]
    return pd.DataFrame(rows(), columns=columns)
