"""What training networks on images leaves: losses and accuracies of each run, and networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from stages.base.params import Snapshot

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
Tensors = dict[str, Tensor]
"""A network's tensors by their names in its module."""


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

    def improved(self, rows: Sequence[int], epoch: int) -> npt.NDArray[np.bool_]:
        """Whether an epoch is the best so far of each of some runs: (rows,).

        In float32, as parts have losses, so that the best epoch is that which a table says.
        """
        losses = self.values["validation_loss"][rows, :epoch].astype(np.float32)
        best = np.where(np.isnan(losses), np.inf, losses).argmin(axis=1)
        improved: npt.NDArray[np.bool_] = best == epoch - 1
        return improved

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
    """The history of every run, and weights of some.

    Attributes:
        networks: the trained network of the first run of each width.
        further: the other weights that are kept, by width.
    """

    history: History
    networks: dict[int, N]
    further: dict[int, dict[Snapshot, Tensors]]

    @classmethod
    def of(
        cls, history: History, networks: Mapping[int, N], best: Mapping[int, Tensors], seeds: int
    ) -> Self:
        """What is kept of so many seeds, from the networks and the best weights of some rows."""
        firsts: dict[int, N] = {}
        further: dict[int, dict[Snapshot, Tensors]] = {run.width: {} for run in history.runs}
        for row, network in networks.items():
            width, seed = history.runs[row]
            firsts.setdefault(width, network)
            if 0 < seed < seeds:
                further[width][Snapshot(seed)] = network.state_dict()
        for row, weights in best.items():
            width, seed = history.runs[row]
            further[width][Snapshot(seed, "best")] = weights
        return cls(history, firsts, further)

    def tensors(self, width: int, prefix: str = "") -> Tensors:
        """All weights of a width by their names in a file: a snapshot's prefix, `prefix`, its own.

        Those of the first run after its last epoch are as they are; of the others float32 becomes
        float16, in which a measured dimension is the same to 0.03% (LOG.md).
        """
        named = {prefix + name: t for name, t in self.networks[width].state_dict().items()}
        for snapshot, weights in self.further[width].items():
            for name, t in weights.items():
                half = t.half() if t.dtype == torch.float32 else t
                named[f"{snapshot.prefix}{prefix}{name}"] = half.contiguous()
        return named
