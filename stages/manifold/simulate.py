"""Simulated CNN sweeps of known exponent: what fits and intervals are checked on.

The validation loss of a run at an epoch is, in logs,

    ln L = ln(E + A N^-alpha) + s(N) (t + d(epoch)),   s(N) = spread (1 + tilt ln(N / N_middle)),

where t follows Student's distribution, alike within a run and independent between runs, and
d falls from `drift` at the first epoch by half every `half_life` epochs. So tails are heavy, a
run's epochs are not independent, and the scatter may change with N. The other columns follow
the validation loss: the training loss is 0.9 of it, and both errors are 0.35 of their loss.
"""

from dataclasses import dataclass
from math import log

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, stdtr, stdtrit

from stages.cnn.part import parameters

CHANCE = log(10)  # the loss of guessing among ten classes, nats


@dataclass(frozen=True)
class Truth:
    """What a simulated sweep is made of."""

    alpha: float = 0.22
    loss: float = 1.6  # at the smallest width, nats, without noise
    irreducible: float = 0.0  # E, nats
    spread: float = 0.02  # in ln L
    tilt: float = 0.0
    tail: float = 4.0  # degrees of freedom
    likeness: float = 0.7  # correlation of two epochs of one run, before the heavy tail
    epochs: int = 1
    drift: float = 0.0  # in spreads
    half_life: float = 3.0  # epochs
    failing: float = 0.0  # the share of runs at the smallest width that stay at chance

    def drifts(self) -> NDArray[np.float64]:
        """The drift of every epoch, (epochs,), in spreads of ln L."""
        return self.drift * 0.5 ** (np.arange(self.epochs) / self.half_life)

    def slope(self, quantile: float, epochs: str) -> float:
        """d ln L / d ln N at a quantile of the pooled or the last epochs, if E is 0."""
        drifts = self.drifts() if epochs == "pooled" else self.drifts()[-1:]

        def excess(noise: float) -> float:
            return float(np.mean(stdtr(self.tail, noise - drifts))) - quantile

        noise = float(brentq(excess, -1e3, 1e3 + self.drift))
        return -self.alpha + self.spread * self.tilt * noise


def sweep(
    truth: Truth, widths: ArrayLike, seeds: int, rng: np.random.Generator, name: str = "simulated"
) -> pd.DataFrame:
    """A sweep with the columns of `stages.cnn.part.SCHEMA`."""
    n = np.sort(np.asarray(widths, np.int64))
    sizes = np.array([parameters(width) for width in n.tolist()], np.int64)
    log_n = np.log(sizes)[:, None, None]
    size = (len(n), seeds, truth.epochs)
    own, of_run = rng.normal(size=size), rng.normal(size=(*size[:2], 1))
    z = np.sqrt(truth.likeness) * of_run + np.sqrt(1 - truth.likeness) * own
    noise = stdtrit(truth.tail, ndtr(z)) + truth.drifts()
    scale = truth.spread * (1 + truth.tilt * (log_n - (log_n.min() + log_n.max()) / 2))
    law = (truth.loss - truth.irreducible) * np.exp(-truth.alpha * (log_n - log_n.min()))
    loss = (truth.irreducible + law) * np.exp(scale * noise)
    failed = np.zeros(size, bool)
    failed[0] = rng.random(size=(seeds, 1)) < truth.failing
    validation, train = np.where(failed, CHANCE, loss), np.where(failed, CHANCE, 0.9 * loss)
    width, seed, epoch = (index.ravel() for index in np.indices(size))
    columns = {
        "width": n[width],
        "parameters": sizes[width],
        "seed": seed,
        "epoch": epoch + 1,
        "train_loss": train.ravel(),
        "train_accuracy": 1 - 0.35 * train.ravel(),
        "evaluated_train_loss": np.full(train.size, np.nan),
        "evaluated_train_accuracy": np.full(train.size, np.nan),
        "validation_loss": validation.ravel(),
        "validation_accuracy": 1 - 0.35 * validation.ravel(),
    }
    kinds = {c: np.int32 if v.dtype.kind == "i" else np.float32 for c, v in columns.items()}
    table = pd.DataFrame(columns).astype(kinds)
    table.insert(0, "sweep", pd.Series([name] * len(table), dtype="category"))
    return table
