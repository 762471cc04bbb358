"""Rows of a CNN sweep as what a power law is fitted to."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.manifold.selection import EVALUATED, METRICS, run_of
from stages.statistics.power_law import Sample


def sample(rows: pd.DataFrame, metric: str, run: NDArray[np.int64] | None = None) -> Sample:
    """Rows of one sweep as a sample of one metric, to fit; `run` is `run_of(rows)`, once made."""
    quantity = (METRICS | EVALUATED)[metric]
    return Sample(
        width=rows["width"].to_numpy(np.int64),
        parameters=rows["parameters"].to_numpy(np.float64),
        value=quantity.of(rows).to_numpy(),
        run=run_of(rows) if run is None else run,
        grows=quantity.grows,
    )
