"""Data of known dimension, and what a measured dimension looks like beside them.

Every estimator of `dimension` reads low where the density changes within a neighbourhood: towards
the edge of a Gaussian, and more so at the faces of a cube, where half of a neighbourhood is empty.
Real data lie between or beyond the two, so their readings are context and no correction.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from stages.dimension.neighbours import Floats

Shape = Literal["gaussian", "uniform"]
SHAPES: tuple[Shape, ...] = ("gaussian", "uniform")
MISSING = 0.05
"""The share of points that may be missing for readings to be comparable: it moves them by < 1%."""


def points(shape: Shape, dimension: int, samples: int, seed: int) -> Floats:
    """Random points, (samples, dimension): of a standard Gaussian, or in the unit cube."""
    rng = np.random.default_rng([seed, SHAPES.index(shape), dimension])
    size = (samples, dimension)
    return rng.standard_normal(size) if shape == "gaussian" else rng.random(size)


def equivalent(reading: float, readings: Mapping[int, float]) -> float:
    """The known dimension at which an estimator would read `reading`, by linear interpolation.

    `readings` maps known dimensions to what was read there. NaN where `reading` lies outside of
    them, or where they do not rise.
    """
    dimensions = sorted(readings)
    values = [readings[dimension] for dimension in dimensions]
    rising = all(a < b for a, b in pairwise(values))
    if not values or not rising or not values[0] <= reading <= values[-1]:
        return math.nan
    return float(np.interp(reading, values, dimensions))


def in_context(table: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """`table` with the columns `as_gaussian` and `as_uniform`: `equivalent` in either shape.

    Both hold the fields of `Estimate`; `calibration` also holds `shape` and `known`, the true
    dimension. NaN where there is no reading, or none comparable (other estimators, fewer points).
    """
    key = ["estimator", "neighbours", "blocks"]
    groups = {name: group for name, group in calibration.groupby(["shape", *key])}

    def same(row: Any, shape: Shape) -> float:
        group = groups.get((shape, row.estimator, row.neighbours, row.blocks))
        if group is None or row.samples < (1 - MISSING) * group["samples"].iloc[0]:
            return math.nan
        readings = dict(zip(group["known"], group["dimension"], strict=True))
        return equivalent(row.dimension, readings)

    return table.assign(
        **{f"as_{shape}": [same(row, shape) for row in table.itertuples()] for shape in SHAPES}
    )
