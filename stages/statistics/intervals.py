"""Intervals by known distributions, without scipy.stats, whose import takes a second a process."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, stdtrit


def clopper_pearson(held: int, of: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a share, from `held` of `of` (Clopper & Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = betaincinv(held, of - held + 1, tail) if held else 0.0
    high = betaincinv(held + 1, of - held, 1 - tail) if held < of else 1.0
    return float(low), float(high)


def coverage(
    found: ArrayLike, truth: float, confidence: float, of: str, mean: str = "mean"
) -> dict[str, Any]:
    """How often estimates and their ends, (fits, 3), hold a truth; one without ends holds nothing.

    The columns `mean`, the estimates' own, `of`, how many there are, and what their number leaves
    open of the `coverage`.
    """
    value, low, high = np.transpose(found)
    held = int(np.count_nonzero((low <= truth) & (truth <= high)))
    covered_low, covered_high = clopper_pearson(held, len(value), 0.95)
    return {
        mean: float(np.nanmean(value)),
        "mean_interval": float(np.nanmean(high - low)),
        of: len(value),
        "nominal": confidence,
        "coverage": held / len(value),
        "coverage_low": covered_low,
        "coverage_high": covered_high,
    }


def scatter_margin(values: NDArray[np.floating], confidence: float) -> float:
    """Half the width of Student's interval about the mean of two or more values."""
    scatter, of = float(np.std(values, ddof=1)), np.size(values)
    return student_margin(scatter / math.sqrt(of), of - 1, confidence)


def student_margin(error: float, freedom: float, confidence: float) -> float:
    """Half the width of Student's interval about a mean of standard error `error`."""
    return float(stdtrit(freedom, (1 + confidence) / 2) * error)
