"""What is fitted to the training curves of multitask sparse parity, as tables.

Curves have the columns of `stages.runs.PARITY_SCHEMA`: one row per seed, evaluation and task.
Losses are in nats, the threshold under which a task counts as learned is in bits.
"""

from dataclasses import dataclass
from math import isfinite, log, nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from stages.analysis import emergence
from stages.params import Emergence

SHOWN = [1, 2, 3, 5, 10, 20, 40]
"""Tasks whose learning times are headline numbers, where there are so many."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """The losses and accuracies of one configuration: seeds, evaluations, tasks."""

    seeds: npt.NDArray[np.int64]
    steps: Floats
    losses: Floats
    accuracies: Floats
    mean_losses: Floats  # (seeds, evaluations)

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "Curves":
        """The rows of one configuration, in any order.

        Raises:
            ValueError: a seed, step and task has no row, or has several.
        """
        rows = rows.sort_values(["seed", "step", "task"])
        seeds, steps = rows["seed"].unique(), rows["step"].unique()
        shape = (len(seeds), len(steps), rows["task"].nunique())
        doubles = rows.duplicated(["seed", "step", "task"]).any()
        if doubles or len(rows) != np.prod(shape):
            wanted = " x ".join(str(size) for size in shape)
            raise ValueError(f"{len(rows)} rows, not one for each of {wanted} seeds, steps, tasks")
        losses, accuracies, means = (
            rows[column].to_numpy(np.float64).reshape(shape)
            for column in ("loss", "accuracy", "mean_loss")
        )
        return cls(seeds, steps.astype(np.float64), losses, accuracies, means[:, :, 0])


def by_task(curves: Curves, frequencies: Floats, threshold: float) -> pd.DataFrame:
    """How each seed learned each task: when, how sharply, and how well in the end.

    `learned` is the step from which on the loss stays under the threshold, and empty where the
    run is over before (status `censored`); `fall` is the factor by which the steps grow while the
    loss falls from 1 bit less the threshold to the threshold.
    """
    fall = emergence.fall(curves.steps, curves.losses.transpose(0, 2, 1), threshold * log(2))
    seed, task = np.indices(fall.learned.shape)
    columns = {
        "seed": curves.seeds[seed],
        "task": task + 1,
        "frequency": frequencies[task],
        "status": np.where(np.isnan(fall.learned), "censored", "learned"),
        "learned": fall.learned,
        "not_before": fall.before,
        "first_under": fall.first,
        "began": fall.began,
        "fall": fall.factor,
        "final_loss": curves.losses[:, -1],
        "final_accuracy": curves.accuracies[:, -1],
    }
    return pd.DataFrame({name: values.reshape(-1) for name, values in columns.items()})


def headline(curves: Curves, tasks: pd.DataFrame, rules: Emergence) -> dict[str, Any]:
    """The numbers that a reader wants first; None where one cannot be had.

    Mean loss (nats) at the last step with its interval over seeds; median steps until a task is
    learned; the slope of learning time against frequency with its interval, beside what a line
    through the learned tasks alone would give; how sharply a task falls, beside the mean loss.
    """
    learned = tasks["status"] == "learned"
    times = emergence.Times(
        tasks["seed"].to_numpy(),
        tasks["frequency"].to_numpy(),
        tasks["not_before"].to_numpy(),
        tasks["learned"].fillna(np.inf).to_numpy(),
    )
    law = emergence.law(times, rules.confidence)
    mean, low, high = _mean(curves.mean_losses[:, -1], rules.confidence)
    fall = emergence.fall(curves.steps, curves.mean_losses, rules.threshold * log(2))
    end = np.where(np.isnan(fall.learned), curves.steps[-1], fall.learned)
    steps = tasks["learned"].fillna(np.inf).groupby(tasks["task"]).median()
    numbers = {
        "mean_loss": mean,
        "mean_loss_low": low,
        "mean_loss_high": high,
        "learned": law.learned,
        "censored": law.censored,
        "learning_steps": {f"task {i}": steps[i] for i in SHOWN if i in steps.index},
        "slope": law.slope,
        "slope_low": law.slope_low,
        "slope_high": law.slope_high,
        "slope_status": law.status,
        "slope_of_learned_only": _slope(tasks[learned]),
        "fall_of_a_task": float(tasks["fall"].median()),
        "fall_of_the_mean_at_least": float(np.median(end / fall.began)),
    }
    known: dict[str, Any] = _known(numbers)
    return known


def _mean(values: Floats, confidence: float) -> tuple[float, float, float]:
    """Mean of independent values, with Student's interval; none for a single value."""
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, nan, nan
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / sqrt(n))
    return mean, mean - half, mean + half


def _slope(learned: pd.DataFrame) -> float:
    """Least squares on the learned tasks, as in the paper's Figure 7."""
    if learned["frequency"].nunique() < emergence.MIN_TASKS:
        return nan
    return float(np.polyfit(np.log(learned["frequency"]), np.log(learned["learned"]), 1)[0])


def _known(value: Any) -> Any:
    """The value with None for every number that is not finite, and five digits of the others."""
    if isinstance(value, dict):
        return {name: _known(inner) for name, inner in value.items()}
    if isinstance(value, float):
        return float(f"{value:.5g}") if isfinite(value) else None
    return value
