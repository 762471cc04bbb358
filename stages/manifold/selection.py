"""What is fitted of a CNN sweep: which metric, which epochs, with or without failed runs.

Tables have the columns of `stages.cnn.part.SCHEMA`: one row per sweep, width, seed and epoch.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RUN = ["sweep", "width", "seed"]


class Metric(NamedTuple):
    """A quantity to fit against N: a column, or what that lacks to 1."""

    column: str
    grows: bool = False
    complement: bool = False

    def of(self, rows: pd.DataFrame) -> pd.Series:
        """Its values."""
        values = rows[self.column].astype(float)
        return 1 - values if self.complement else values


METRICS = {
    "train_loss": Metric("train_loss"),
    "validation_loss": Metric("validation_loss"),
    "train_error": Metric("train_accuracy", complement=True),
    "validation_error": Metric("validation_accuracy", complement=True),
    "train_accuracy": Metric("train_accuracy", grows=True),
    "validation_accuracy": Metric("validation_accuracy", grows=True),
}
EVALUATED = {
    "evaluated_train_loss": Metric("evaluated_train_loss"),
    "evaluated_train_error": Metric("evaluated_train_accuracy", complement=True),
}
"""Of sweeps that evaluate the training images after each epoch."""


def metrics(table: pd.DataFrame) -> dict[str, Metric]:
    """The metrics that a sweep has."""
    evaluated = table["evaluated_train_loss"].notna().any()
    return METRICS | EVALUATED if evaluated else METRICS


def failures(table: pd.DataFrame, failed_above: float) -> pd.DataFrame:
    """Every run of a table, and how it failed: one row per run, in order.

    Column `failure` is "not finite" where a loss is NaN or infinite in any epoch; "at chance"
    where the training loss never came down to `failed_above` nats (guessing among ten classes
    costs ln 10 = 2.303); "short" where the run has fewer epochs than others of its sweep, which
    only imported ones can; and otherwise empty.
    """
    finite = np.isfinite(table["train_loss"]) & np.isfinite(table["validation_loss"])
    rows = table[RUN].assign(lowest=table["train_loss"], finite=finite, epochs=1)
    kept = {"lowest": "min", "finite": "all", "epochs": "sum"}
    runs = rows.groupby(RUN, observed=True, as_index=False).agg(kept)
    longest = runs.groupby("sweep", observed=True)["epochs"].transform("max")
    failure = np.where(runs["epochs"] < longest, "short", "")
    failure = np.where(runs["lowest"] > failed_above, "at chance", failure)
    return runs[RUN].assign(failure=np.where(runs["finite"], failure, "not finite"))


def sound(table: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """The rows of the runs that did not fail."""
    failed = pd.MultiIndex.from_frame(failures.loc[failures["failure"] != "", RUN])
    return table[~pd.MultiIndex.from_frame(table[RUN]).isin(failed)]


def choose(table: pd.DataFrame, epochs: str) -> pd.DataFrame:
    """The rows of some epochs of each run.

    Args:
        table: of one sweep.
        epochs: "pooled" for all, "last", "best" for the one of smallest validation loss (the
            first of them), or the number of an epoch.

    Raises:
        ValueError: anything else.
    """
    if epochs == "pooled":
        return table
    by_run = table.groupby(RUN, observed=True)
    if epochs == "last":
        return table.loc[by_run["epoch"].idxmax()]
    if epochs == "best":
        ordered = table.sort_values([*RUN, "validation_loss", "epoch"], na_position="last")
        return ordered.drop_duplicates(RUN)
    if not epochs.isdecimal():
        raise ValueError(f"epochs must be pooled, last, best or a number, not {epochs!r}")
    return table[table["epoch"] == int(epochs)]


def run_of(rows: pd.DataFrame) -> NDArray[np.int64]:
    """The number of each row's run, from 0."""
    return rows.groupby(RUN, observed=True).ngroup().to_numpy().astype(np.int64)
