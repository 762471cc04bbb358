"""A bootstrap over runs, stratified by width: the epochs of one run are not independent.

From a stratum (width) of m runs m - 1 are drawn with replacement and weighted by m / (m - 1):
the rescaled bootstrap of Rao & Wu (1988, JASA 83, 231-241). Drawing m runs instead would
understate every variance by the factor (m - 1) / m, a half for the two seeds of a first try.
The percentiles of the resampled estimates make the interval; `stages.calibrate_cnn` measures
how often it holds the truth.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ONE = 1000  # a weight of 1 where weights are not counts: they are rounded to a thousandth


@dataclass(frozen=True)
class Resampling:
    """How intervals are made."""

    confidence: float
    resamples: int
    seed: int


def weights(strata: ArrayLike, resamples: int, seed: int) -> NDArray[np.int64]:
    """Weights of the runs, (1 + resamples, runs); in the first row, the sample, all are the same.

    Of `strata` (runs,), not negative. A stratum's draws depend on its label and size only: another
    width, or a failed run left out elsewhere, does not change them. One of one run keeps its
    weight. The weights are integers, which add up exactly and faster: counts where strata are of
    one size, as the factor m / (m - 1) is common to them; otherwise in thousandths.
    """
    return _weights(tuple(np.asarray(strata).tolist()), resamples, seed)


@lru_cache(maxsize=4)  # a sweep's fits all want the same
def _weights(strata: tuple[int, ...], resamples: int, seed: int) -> NDArray[np.int64]:
    labels, stratum_of_run, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    drawn = np.ones((1 + resamples, len(stratum_of_run)), np.int64)
    for stratum, (label, size) in enumerate(zip(labels, sizes, strict=True)):
        if size > 1:
            rng = np.random.default_rng([seed, int(label)])
            counts = rng.multinomial(size - 1, np.full(size, 1 / size), size=resamples)
            drawn[1:, stratum_of_run == stratum] = counts
    if len(set(sizes)) > 1:
        factor = np.where(sizes > 1, sizes / np.maximum(sizes - 1, 1), 1.0)
        drawn[0] = _ONE
        drawn[1:] = np.rint(_ONE * factor[stratum_of_run] * drawn[1:])
    drawn.flags.writeable = False
    return drawn


def interval(estimates: ArrayLike, confidence: float) -> tuple[float, float]:
    """The percentile interval of resampled estimates, (resamples,)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(estimates), [tail, 1 - tail])
    return float(low), float(high)
