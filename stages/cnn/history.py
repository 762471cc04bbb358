"""What training a CNN leaves: losses and accuracies of each seed and epoch, and a network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.cnn.network import Network
from stages.cnn.part import parameters
from stages.images.arrays import CLASSES

METRICS = {
    "training": ("train_loss", "train_accuracy"),
    "evaluation": ("evaluated_train_loss", "evaluated_train_accuracy"),
    "validation": ("validation_loss", "validation_accuracy"),
}
"""What each pass over images gives: loss (nats) and accuracy."""
Pair = tuple[float, float] | tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
Report = Callable[[int, float], None]
"""Called with the run-epochs that have just ended and their mean training loss (nats)."""


class History:
    """The metrics of each seed and epoch: `values[metric]` is (seeds, epochs), NaN if not made."""

    def __init__(self, seeds: Sequence[int], epochs: int, classes: int = CLASSES) -> None:
        self.seeds, self.epochs, self.classes = list(seeds), epochs, classes
        metrics = [metric for pair in METRICS.values() for metric in pair]
        self.values = {m: np.full((len(seeds), epochs), np.nan) for m in metrics}

    def record(self, rows: slice | int, epoch: int, found: Mapping[str, Pair]) -> None:
        """Set what some passes gave, by their names in `METRICS`, of some seeds at an epoch."""
        for name, pair in found.items():
            for metric, value in zip(METRICS[name], pair, strict=True):
                self.values[metric][rows, epoch - 1] = value

    def state(self, rows: slice | int) -> list[npt.NDArray[np.float64]]:
        """What is known of some seeds: views."""
        return [values[rows] for values in self.values.values()]

    def frame(self, sweep: str, width: int) -> pd.DataFrame:
        """The rows of a part, by seed and epoch."""
        index = {
            "sweep": sweep,
            "width": width,
            "parameters": parameters(width, self.classes),
            "seed": np.repeat(self.seeds, self.epochs),
            "epoch": np.tile(np.arange(1, self.epochs + 1), len(self.seeds)),
        }
        return pd.DataFrame(index | {m: v.reshape(-1) for m, v in self.values.items()})


@dataclass(frozen=True)
class Trained:
    """The history of every seed, and the trained network of the first."""

    history: History
    network: Network
