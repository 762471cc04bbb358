"""What training networks on images leaves: losses and accuracies of each run, and networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import nn

METRICS = {
    "training": ("train_loss", "train_accuracy"),
    "evaluation": ("evaluated_train_loss", "evaluated_train_accuracy"),
    "validation": ("validation_loss", "validation_accuracy"),
}
"""What each pass over images gives: loss (nats) and accuracy."""
Pair = tuple[float, float] | tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
Report = Callable[[int, float], None]
"""Called with the run-epochs that have just ended and their mean training loss (nats)."""
N = TypeVar("N", bound=nn.Module)


class Run(NamedTuple):
    """A network's width and the seed that it is trained from."""

    width: int
    seed: int


class History:
    """The metrics of each run and epoch: `values[metric]` is (runs, epochs), NaN if not made."""

    def __init__(self, runs: Sequence[Run], epochs: int) -> None:
        self.runs, self.epochs = list(runs), epochs
        metrics = [metric for pair in METRICS.values() for metric in pair]
        self.values = {m: np.full((len(runs), epochs), np.nan) for m in metrics}

    def record(self, rows: slice | int, epoch: int, found: Mapping[str, Pair]) -> None:
        """Set what some passes gave, by their names in `METRICS`, of some runs at an epoch."""
        for name, pair in found.items():
            for metric, value in zip(METRICS[name], pair, strict=True):
                self.values[metric][rows, epoch - 1] = value

    def state(self, rows: slice | int) -> list[npt.NDArray[np.float64]]:
        """What is known of some runs: views."""
        return [values[rows] for values in self.values.values()]

    def frame(self, sweep: str, parameters: Callable[[int], int]) -> pd.DataFrame:
        """The rows of a part, by run and epoch; `parameters` counts those of a width."""
        widths, seeds = zip(*self.runs, strict=True)
        index = {
            "sweep": sweep,
            "width": np.repeat(widths, self.epochs),
            "parameters": np.repeat([parameters(width) for width in widths], self.epochs),
            "seed": np.repeat(seeds, self.epochs),
            "epoch": np.tile(np.arange(1, self.epochs + 1), len(self.runs)),
        }
        return pd.DataFrame(index | {m: v.reshape(-1) for m, v in self.values.items()})


@dataclass(frozen=True)
class Trained(Generic[N]):
    """The history of every run, and the trained network of the first run of each width."""

    history: History
    networks: dict[int, N]
