"""What training on multitask sparse parity leaves: each task's loss and accuracy over time."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.params import ParityConfiguration
from stages.parity.tasks import frequencies

Report = Callable[[int, float], None]
"""Called with the run-steps that have just been taken and their last mean loss (nats)."""


class History:
    """Losses (nats) and accuracies, (seeds, evaluations, tasks) each."""

    def __init__(self, configuration: ParityConfiguration, seeds: Sequence[int]) -> None:
        c = configuration
        self.seeds, self.tasks = list(seeds), c.tasks
        self.steps = np.arange(c.evaluate_every, c.steps + 1, c.evaluate_every)
        shape = (len(seeds), len(self.steps), c.tasks)
        self.losses, self.accuracies = (np.full(shape, np.nan, np.float32) for _ in range(2))
        self._frequencies = frequencies(c.tasks, c.alpha)

    def record(
        self,
        rows: slice | int,
        evaluations: slice | int,
        losses: npt.NDArray[np.float32],
        accuracies: npt.NDArray[np.float32],
    ) -> None:
        """Set some seeds' losses and accuracies at some evaluations (from 0)."""
        self.losses[rows, evaluations] = losses
        self.accuracies[rows, evaluations] = accuracies

    def mean_loss(
        self, rows: slice | int = slice(None), evaluations: slice | int = slice(None)
    ) -> npt.NDArray[np.float64]:
        """The mean of the tasks' losses, weighted by frequency."""
        weighted: npt.NDArray[np.float64] = self.losses[rows, evaluations] @ self._frequencies
        return weighted

    def frame(self, name: str) -> pd.DataFrame:
        """The rows of a part, by seed, step and task."""
        seeds, steps, tasks = np.meshgrid(
            self.seeds, self.steps, np.arange(1, self.tasks + 1), indexing="ij"
        )
        columns = {
            "configuration": name,
            "seed": seeds.reshape(-1),
            "step": steps.reshape(-1),
            "task": tasks.reshape(-1),
            "loss": self.losses.reshape(-1),
            "accuracy": self.accuracies.reshape(-1),
            "mean_loss": np.repeat(self.mean_loss().reshape(-1), self.tasks),
        }
        return pd.DataFrame(columns)
