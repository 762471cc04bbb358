"""What is fitted of a CNN sweep: which metric, which epochs, with or without failed runs.

Tables have the columns of `stages.cnn.part.SCHEMA`: one row per sweep, width, seed and epoch.
"""

from collections.abc import Container
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
        """The metric of each row, as float64."""
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
"""Metrics of sweeps that evaluate the training images after each epoch."""
COLUMNS = [*RUN, "parameters", "epoch", *{m.column: m for m in (METRICS | EVALUATED).values()}]
"""What a table must have."""


FIGURE_6 = {
    "test_loss": "validation_loss",
    "train_loss": "train_loss",
    "test_error": "validation_error",
    "train_error": "train_error",
}
"""What the curves of Sharma & Kaplan's Figure 6 are called among `METRICS`."""
FAILURES = ("at_chance", "not_finite", "short")
FAILED: dict[str, tuple[str, ...]] = {
    "included": (),
    "short_excluded": ("short",),
    "excluded": FAILURES,
}
"""What may be done with failed runs: the kinds that are left out."""
STOPS = {"best": "validation_loss", "best_error": "validation_error"}
"""Choices of a run's epoch by early stopping, and what is smallest there."""


def metrics(table: pd.DataFrame) -> dict[str, Metric]:
    """The metrics that a sweep has."""
    evaluated = table["evaluated_train_loss"].notna().any()
    return METRICS | EVALUATED if evaluated else METRICS


def counterpart(curve: str, has: Container[str]) -> str:
    """What a curve of Figure 6 is called among the metrics that a sweep has: where it evaluates the
    training images after each epoch, as theirs did, not the running mean over the epoch.
    """
    evaluated = f"evaluated_{FIGURE_6[curve]}"
    return evaluated if evaluated in has else FIGURE_6[curve]


def failures(table: pd.DataFrame, failed_above: float) -> pd.DataFrame:
    """Every run of a table, and how it failed, in several ways perhaps: a row per run, in order.

    A run is `not_finite` where a loss is NaN or infinite in any epoch; else `at_chance` where the
    training loss never came down to `failed_above` nats (guessing among ten classes costs
    ln 10 = 2.303); and `short` where it has fewer epochs than others of its sweep, which only
    imported ones can.
    """
    finite = np.isfinite(table["train_loss"]) & np.isfinite(table["validation_loss"])
    rows = table[RUN].assign(lowest=table["train_loss"], finite=finite, epochs=1)
    kept = {"lowest": "min", "finite": "all", "epochs": "sum"}
    runs = rows.groupby(RUN, observed=True, as_index=False).agg(kept)
    longest = runs.groupby("sweep", observed=True)["epochs"].transform("max")
    return runs[RUN].assign(
        at_chance=runs["finite"] & (runs["lowest"] > failed_above),
        not_finite=~runs["finite"],
        short=runs["epochs"] < longest,
    )


def sound(table: pd.DataFrame, failures: pd.DataFrame, failed: str = "excluded") -> pd.DataFrame:
    """The rows of some runs, `failed` being one of `FAILED`."""
    left_out = failures.loc[failures[list(FAILED[failed])].any(axis=1), RUN]
    return table[~pd.MultiIndex.from_frame(table[RUN]).isin(pd.MultiIndex.from_frame(left_out))]


def choose(table: pd.DataFrame, epochs: str) -> pd.DataFrame:
    """The rows of some epochs of each run.

    Args:
        table: of one sweep.
        epochs: "pooled" for all, "last", one of `STOPS` for the one where that metric is smallest
            (the first of them; none of a run without its error), or the number of an epoch.

    Raises:
        ValueError: anything else.
    """
    if epochs == "pooled":
        return table
    by_run = table.groupby(RUN, observed=True)
    if epochs == "last":
        return table.loc[by_run["epoch"].idxmax()]
    if epochs in STOPS:
        rows = table.assign(stop=METRICS[STOPS[epochs]].of(table))
        rows = rows if epochs == "best" else rows.dropna(subset=["stop"])
        ordered = rows.sort_values([*RUN, "stop", "epoch"], na_position="last")
        return ordered.drop(columns="stop").drop_duplicates(RUN)
    if not epochs.isdecimal():
        known = ", ".join(["pooled", "last", *STOPS])
        raise ValueError(f"epochs must be {known} or a number, not {epochs!r}")
    return table[table["epoch"] == int(epochs)]


def run_of(rows: pd.DataFrame) -> NDArray[np.int64]:
    """The number of each row's run, from 0."""
    return rows.groupby(RUN, observed=True).ngroup().to_numpy().astype(np.int64)
