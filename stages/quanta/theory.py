"""The quantization model of neural scaling in numbers: Michaud et al. (2023), sections 2 and 3.

Tasks ("quanta") are learned whole and in the order of their frequency p_k ~ k^-(alpha + 1). Each
that is not learned costs 1 bit whenever it is drawn, so that after n tasks the mean loss is
sum_{k>n} p_k bits, about n^-alpha. With n ~ N (parameters) the loss falls as N^-alpha; with
n ~ S^(1/(1+alpha)) (steps) as S^-(alpha/(1+alpha)), and so it does with D (samples).

With finitely many tasks the sum ends: it falls faster than n^-alpha, at small alpha by far. With
500 tasks and n from 1 to 40 its slope is 0.279 at alpha = 0.1, 0.460 at 0.4 and 0.761 at 0.8.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from stages.statistics import power_law

Floats = npt.NDArray[np.float64]

Resource = Literal["N", "S", "D"]
RESOURCES: tuple[Resource, ...] = ("N", "S", "D")
"""Parameters, steps, samples: what the loss is a power law of."""
POINTS = 20  # points of a sum over unlearned tasks to fit a line to: Figure 10 has as many widths


def theory(resource: Resource, alpha: float) -> float:
    """The exponent for infinitely many tasks."""
    return alpha if resource == "N" else alpha / (1 + alpha)


def finite(resource: Resource, alpha: float, frequencies: Floats, first: int, last: int) -> float:
    """The exponent for as many tasks as there are, where `first` to `last` have been learned.

    n still grows as N, or as S and D to the power of 1 / (1 + alpha); the sum is as it is.
    """
    slope = finite_slope(frequencies, first, last)
    return slope if resource == "N" else slope / (1 + alpha)


def finite_slope(frequencies: Floats, first: int, last: int) -> float:
    """-d ln(sum_{k>n} p_k) / d ln n by least squares, n spaced as the paper's widths are.

    NaN where fewer than two values of n leave a task to learn.
    """
    n = numbers_learned(first, min(last, len(frequencies) - 1))
    if len(n) < 2:
        return float("nan")
    return -power_law.slope(n, unlearned(frequencies)[n])


def numbers_learned(first: int, last: int) -> npt.NDArray[np.int64]:
    """At most `POINTS` numbers of tasks from first to last, evenly spaced in their logarithm."""
    if last < first:
        return np.empty(0, np.int64)
    return np.unique(np.rint(np.geomspace(first, last, POINTS)).astype(np.int64))


def unlearned(frequencies: Floats) -> Floats:
    """sum_{k>n} p_k for n = 0, 1, ... up to all tasks: the mean loss in bits. (tasks + 1,)."""
    from_last = np.cumsum(frequencies[::-1])
    return np.append(from_last[::-1], 0.0)
