"""What training on multitask sparse parity leaves: mean losses, when tasks are learned, curves."""

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.base.params import ParityConfiguration
from stages.parity.plan import Family, curve_steps
from stages.parity.tasks import frequencies

Report = Callable[[int, float], None]
"""Called with the run-steps that have just been taken and their last mean loss (nats)."""
Floats = npt.NDArray[np.float32]

BEGAN = 0.9
"""The share of its first loss, ln 2 nats, under which a task has begun to be learned."""
_NEVER = 2**31 - 1


class History:
    """The evaluations of a family's runs, each run's recorded in their order.

    Every evaluation leaves its mean loss and tells when tasks are learned; only those of
    `curve_steps` keep the loss of every task.

    Attributes:
        mean_losses: of the tasks' losses (nats), weighted by frequency; (runs, evaluations).
    """

    def __init__(self, configuration: ParityConfiguration, family: Family) -> None:
        self._c = c = configuration
        self._runs = family.runs
        self._steps = np.array(family.evaluated)
        self._kept = np.array([] if family.limited else curve_steps(c), np.int64)
        self._frequencies = frequencies(c.tasks, c.alpha)
        runs = len(self._runs)
        self.mean_losses = np.full((runs, len(self._steps)), np.nan)
        # the last evaluated step not under a bound, and the first that is
        self._not_learned, self._not_begun = (np.zeros((runs, c.tasks), int) for _ in range(2))
        self._first_under = np.full((runs, c.tasks), _NEVER)
        # loss and accuracy
        self._last = np.full((2, runs, c.tasks), np.nan, np.float32)
        self._curves = np.full((2, runs, len(self._kept), c.tasks), np.nan, np.float32)

    def record(self, rows: slice, first: int, losses: Floats, accuracies: Floats) -> None:
        """Set what evaluations `first`, ... gave, in nats: (rows, evaluations, tasks) each."""
        span = slice(first, first + losses.shape[1])
        self.mean_losses[rows, span] = losses @ self._frequencies
        steps = self._steps[span][:, None]
        under = losses < self._c.learned_below * log(2)
        begun = losses < BEGAN * log(2)
        for last, still in ((self._not_learned, ~under), (self._not_begun, ~begun)):
            last[rows] = np.maximum(last[rows], np.where(still, steps, 0).max(1))
        below = np.where(under, steps, _NEVER).min(1)
        self._first_under[rows] = np.minimum(self._first_under[rows], below)
        values = np.stack([losses, accuracies])
        self._last[:, rows] = values[:, :, -1]
        _, kept, evaluations = np.intersect1d(self._kept, steps, return_indices=True)
        self._curves[:, rows, kept] = values[:, :, evaluations]

    def state(self, rows: slice) -> list[npt.NDArray[Any]]:
        """What is known of some runs: views."""
        by_run = [self.mean_losses, self._not_learned, self._not_begun, self._first_under]
        return [a[rows] for a in by_run] + [a[:, rows] for a in (self._last, self._curves)]

    def frame(self, kind: str) -> pd.DataFrame:
        """The rows of a part, by run, step and task; see `parity_part.SCHEMAS` for the kinds."""
        tasks = np.arange(1, self._c.tasks + 1)
        if kind == "losses":
            return self._frame({"step": self._steps}, {"mean_loss": self.mean_losses})
        if kind == "curves":
            inner = {"step": self._kept, "task": tasks}
            loss, accuracy = self._curves
            frame = self._frame(inner, {"loss": loss, "accuracy": accuracy})
            return frame[frame["width"] == max(self._c.widths)]
        loss, accuracy = self._last
        frame = self._frame(
            {"task": tasks},
            {
                "not_before": self._not_learned,
                "learned": self._not_learned + self._steps[0],
                "first_under": self._first_under,
                "began": self._not_begun,
                "loss": loss,
                "accuracy": accuracy,
            },
        ).astype({name: "Int32" for name in ("learned", "first_under", "began")})
        censored = frame["not_before"] == self._steps[-1]
        frame.loc[censored, ["learned", "began"]] = pd.NA
        frame.loc[frame["began"] == 0, "began"] = pd.NA
        frame.loc[frame["first_under"] == _NEVER, "first_under"] = pd.NA
        return frame

    def _frame(
        self, inner: dict[str, npt.NDArray[np.int64]], measured: dict[str, np.ndarray]
    ) -> pd.DataFrame:
        """Columns of all runs, each with all combinations of `inner`."""
        keys = np.meshgrid(np.arange(len(self._runs)), *inner.values(), indexing="ij")
        run, *others = (key.reshape(-1) for key in keys)
        columns = {
            name: np.array([getattr(run, name) for run in self._runs])[run]
            for name in ("width", "samples", "seed")
        }
        columns |= dict(zip(inner, others, strict=True))
        return pd.DataFrame(
            columns | {name: values.reshape(-1) for name, values in measured.items()}
        )
