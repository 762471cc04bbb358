"""What the figures of the CNN sweeps share: the tables that they show, and how a law is drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stages.base import tables
from stages.base.params import Plot
from stages.base.tables import where
from stages.drawing import style
from stages.drawing.style import BLUE, GREEN, VERMILION, Point

LOSSES = {"validation_loss": "validation loss", "train_loss": "training loss"}
EPOCHS = {"pooled": ("o", BLUE), "last": ("s", VERMILION), "best": ("D", GREEN)}
"""Marker and colour of each choice of epochs."""
ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
TICKS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
FINE_TICKS = (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)


@dataclass(frozen=True)
class Drawn:
    """What is drawn: the runs, and the tables of `stages.manifold.fits`."""

    runs: pd.DataFrame
    fits: pd.DataFrame
    sensitivity: pd.DataFrame
    local_slopes: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Drawn":
        """The tables of a folder, such as metrics.

        Raises:
            InputError: one is missing or damaged, or there are no runs or fits.
        """
        return cls(
            tables.read(folder / "cnn.parquet", ["sweep"]),
            tables.read(folder / "cnn_fits.csv", ["sweep"]),
            tables.read(folder / "cnn_sensitivity.csv"),
            tables.read(folder / "cnn_local_slopes.csv"),
        )

    def only(self, sweeps: Sequence[str]) -> "Drawn":
        """Keep the rows of some of the sweeps, in every table."""
        return Drawn(*(table[table["sweep"].isin(sweeps)] for table in vars(self).values()))

    @property
    def sweeps(self) -> list[str]:
        """The names of the sweeps that have runs, in order."""
        return [str(name) for name in self.runs["sweep"].unique()]

    def of(self, sweep: str) -> pd.DataFrame:
        """The runs of one sweep."""
        return where(self.runs, sweep=sweep)

    def fit(
        self, sweep: str, metric: str, epochs: str, quantile: float = 0.5, widths: str = "all"
    ) -> pd.Series:
        """One fit over all runs, failed ones included; its numbers are NaN where there is none."""
        keys = {"sweep": sweep, "metric": metric, "epochs": epochs, "quantile": quantile}
        found = where(self.fits, **keys, failed="included", widths=widths)
        return found.iloc[0] if len(found) else pd.Series(np.nan, self.fits.columns, dtype=object)


def grid(
    rows: int, columns: int, plot: Plot, aspect: float, **more: Any
) -> tuple[Figure, NDArray[Any]]:
    """A figure of two columns as wide as params say, and its axes; `more` as subplots.

    One column alone makes it narrower, three wider: on a phone each panel fills the screen, and
    its text should be no smaller there. What there may be many of, as sweeps, are rows. `aspect` is
    the height of a row, as a share of the width of two columns.
    """
    width = plot.width * {1: 0.6, 2: 1, 3: 1.2}[columns]
    return style.panels(rows, columns, width, rows * plot.width * aspect, **more)


def positive(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Parameters and metric, where a logarithm can be taken."""
    values = rows[["parameters", metric]].astype(float)
    usable: pd.DataFrame = values[np.isfinite(values[metric]) & (values[metric] > 0)]
    return usable


def power_law(axes: Axes, law: pd.Series, rows: pd.DataFrame, colour: str) -> Point | None:
    """Draw a fit over the range of N; its right end, or None where there is no fit."""
    if pd.isna(law["slope"]):
        return None
    n = np.array([rows["parameters"].min(), rows["parameters"].max()], float)
    value = law["amplitude"] * n ** law["slope"]
    axes.plot(n, value, color=colour)
    return float(n[-1]), float(value[-1])


def dimension(law: pd.Series) -> str:
    """4/alpha and its interval in words, or why there is none."""
    if pd.isna(law["dimension"]):
        return f"none, {ALPHA} ≤ 0" if law["alpha"] <= 0 else "none"
    bounds = [law["dimension_low"], law["dimension_high"]]
    low, high = ("?" if pd.isna(bound) else f"{bound:.1f}" for bound in bounds)
    return f"{law['dimension']:.1f} ({low} to {high})"


def n_axis(axes: Axes, sizes: Iterable[float], label: str = "Parameters N") -> None:
    """A logarithmic axis that holds these N."""
    sizes = list(sizes)
    subs = (1.0, 3.0) if max(sizes) > 8 * min(sizes) else (1.0, 2.0, 5.0)
    style.plain_log_axis(axes, "x", subs)
    axes.set_xlim(min(sizes) / 1.1, max(sizes) * 1.1)
    axes.set_xlabel(label)
