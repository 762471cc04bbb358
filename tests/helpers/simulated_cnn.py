"""Sweeps of the CNN whose exponent is known, without training."""

import numpy as np
import pandas as pd

from stages.cnn.part import parameters
from stages.statistics.bootstrap import Resampling

RESAMPLING = Resampling(confidence=0.95, resamples=200, seed=0)
WIDTHS = [1, 2, 4, 6, 9, 13, 20]


def sweep(dimension: float, known: int, bend: float = 0) -> pd.DataFrame:
    """Runs whose loss falls as N^(-4 / dimension), faster or slower at large N by a bend."""
    random = np.random.default_rng(known)
    rows = []
    for width in WIDTHS:
        log_n = np.log(parameters(width) / parameters(WIDTHS[0]))
        for seed in range(8):
            log_loss = -4 / dimension * log_n + bend * log_n**2 + 0.01 * random.standard_normal()
            rows.append((f"d{known}", width, parameters(width), seed, 1, np.exp(log_loss)))
    names = ["sweep", "width", "parameters", "seed", "epoch", "validation_loss"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(train_loss=frame["validation_loss"])
