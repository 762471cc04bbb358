"""Stage `calibrate_dimension`: what each estimator of dimension reads where the truth is known.

Gaussian and uniform points, as many as there are test images and in the same blocks: by how much
the readings of `measure_dimension` may be off. At d = 17 and 10,000 points a Gaussian reads about
15 and a cube about 14. About 10 s on 2 cores.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from stages.base import errors, params, tables
from stages.dimension import known as known_dimension
from stages.dimension.estimators import measure_each


def calibrate(settings: params.Dimension) -> pd.DataFrame:
    """One row per shape, known dimension, estimator and number of blocks."""
    known = settings.known
    asked = [(shape, true) for shape in known_dimension.SHAPES for true in known.dimensions]
    sets = [
        partial(known_dimension.points, shape, true, known.samples, settings.seed)
        for shape, true in asked
    ]
    rows = [
        {"shape": shape, "known": true} | vars(estimate)
        for (shape, true), estimates in zip(asked, measure_each(sets, settings), strict=True)
        for estimate in estimates
    ]
    return pd.DataFrame(rows).drop(columns=["duplicates", "coordinates"])


def main() -> None:
    table = calibrate(params.load().dimension)
    tables.write(table, Path("metrics/dimension_calibration.csv"), digits=5)


if __name__ == "__main__":
    errors.run(main)
