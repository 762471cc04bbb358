"""Exponents alpha_N, alpha_S and alpha_D of the mean loss: Michaud et al. (2023), Figures 2 and 10.

All are slopes of least squares in logarithms, as in the paper:

- alpha_N: the final mean loss against N, over all widths and seeds of runs on fresh samples;
- alpha_S: the curve of the widest network against steps, between two stated steps, every
  evaluation counting the same; those are evenly spaced in steps, so late ones make the slope;
- alpha_D: the smallest mean loss of each run (that is early stopping) against its training
  samples, from the first size on whose mean over seeds is below a stated loss.

Intervals: the rescaled bootstrap of `stages.statistics.bootstrap` draws whole runs within each
width or size, the rule that picks the sizes included. Its standard error is multiplied by
Student's t with runs - widths (or sizes) degrees of freedom: with dozens of runs this is the usual
factor of 2, with three runs of the widest network it is 4.3, and has to be.
"""

from dataclasses import dataclass, replace
from math import nan

import numpy as np
import numpy.typing as npt

from stages.quanta.emergence import least_squares
from stages.statistics import bootstrap
from stages.statistics.bootstrap import Resampling
from stages.statistics.estimate import OK
from stages.statistics.intervals import student_margin

Floats = npt.NDArray[np.float64]

MIN_SIZES = 3  # two sizes always lie on a line: three are the fewest that say anything about one
MIN_EVALUATIONS = 10  # evaluations of a curve between the two steps that a fit needs


@dataclass(frozen=True)
class Exponent:
    """-d ln loss / d ln x, NaN where it cannot be had. `first` to `last` is the range of x."""

    status: str
    value: float = nan
    low: float = nan
    high: float = nan
    loss: float = nan  # of the line, at `first`
    first: float = nan
    last: float = nan
    sizes: int = 0  # widths, training set sizes, or evaluations
    runs: int = 0


def by_parameters(parameters: Floats, losses: Floats, resampling: Resampling) -> Exponent:
    """alpha_N, of the N and the final loss of each run. (runs,) each."""
    return _by_size("width", parameters, losses, resampling, np.inf)


def by_samples(samples: Floats, losses: Floats, below: float, resampling: Resampling) -> Exponent:
    """alpha_D, of the training samples and the smallest loss of each run. (runs,) each.

    `below` has the unit of the losses.
    """
    return _by_size("size", samples, losses, resampling, below)


def by_steps(
    steps: Floats, losses: Floats, first: int, last: int, resampling: Resampling
) -> Exponent:
    """alpha_S, of curves (runs, evaluations) after `steps` (evaluations,)."""
    inside = (steps >= first) & (steps <= last)
    runs = len(losses)
    if not runs:
        return Exponent("no runs on fresh samples")
    counted = Exponent(OK, sizes=int(inside.sum()), runs=runs)
    if steps.max() < last:
        return replace(counted, status=f"the runs end at step {steps.max():,.0f}, before {last:,}")
    if counted.sizes < MIN_EVALUATIONS:
        few = f"{counted.sizes} evaluations between steps {first:,} and {last:,}"
        return replace(counted, status=f"{few}: too few, {MIN_EVALUATIONS} are needed")
    if flaw := _flaw(losses[:, inside]):
        return replace(counted, status=flaw)
    x, y = np.log(steps[inside]), np.log(losses[:, inside])
    slopes, _ = np.polyfit(x, y.T, 1)
    weights = bootstrap.weights(np.zeros(runs, int), resampling.resamples, resampling.seed)
    drawn = weights @ slopes / weights.sum(axis=1)
    found = _through(counted, float(slopes.mean()), np.tile(x, runs), y.ravel(), steps[inside])
    return _with_interval(found, drawn[1:], runs - 1, resampling.confidence)


def _by_size(
    what: str, size: Floats, losses: Floats, resampling: Resampling, below: float
) -> Exponent:
    if not len(size):
        return Exponent("no runs on fresh samples" if what == "width" else "no runs on a sample")
    sizes, of_run, counts = np.unique(size, return_inverse=True, return_counts=True)
    counted = Exponent(OK, sizes=len(sizes), runs=len(size))
    if flaw := _flaw(losses):
        return replace(counted, status=flaw)
    weights = bootstrap.weights(of_run, resampling.resamples, resampling.seed).astype(np.float64)
    member = np.eye(len(sizes))[of_run]
    means = (weights * losses) @ member / (weights @ member)
    from_first = np.cumsum(means < below, axis=1) > 0  # (1 + resamples, sizes)
    chosen = from_first[0]
    inside = chosen[of_run]
    counted = replace(counted, sizes=int(chosen.sum()), runs=int(inside.sum()))
    if counted.sizes < MIN_SIZES:
        few = f"{what}s{'' if np.isinf(below) else ' with a loss low enough'}"
        status = f"too few {few}: {counted.sizes} of at least {MIN_SIZES}"
        return replace(counted, status=status)
    x, y = np.log(size), np.log(losses)
    slopes = least_squares(x, y, weights * from_first[:, of_run])
    found = _through(counted, float(slopes[0]), x[inside], y[inside], sizes[chosen])
    single = int(np.count_nonzero(counts[chosen] == 1))
    if single == counted.sizes:
        return replace(found, status=f"no interval: one run per {what}")
    freedom = counted.runs - counted.sizes
    found = _with_interval(found, slopes[1:], freedom, resampling.confidence)
    if single and found.status == OK:
        remark = f"interval too narrow: one run at {single} of {counted.sizes} {what}s"
        return replace(found, status=remark)
    return found


def _through(found: Exponent, slope: float, x: Floats, y: Floats, sizes: Floats) -> Exponent:
    """Add the line of a slope through the mean of logarithms, over sizes (n,) that rise."""
    first, last = float(sizes[0]), float(sizes[-1])
    loss = float(np.exp(y.mean() + slope * (np.log(first) - x.mean())))
    return replace(found, value=-slope, loss=loss, first=first, last=last)


def _flaw(losses: Floats) -> str:
    unusable = int(np.count_nonzero(~(np.isfinite(losses) & (losses > 0))))
    return f"{unusable} of {losses.size} losses zero or not finite" if unusable else ""


def _with_interval(found: Exponent, slopes: Floats, freedom: int, confidence: float) -> Exponent:
    """Add Student's interval from resampled slopes, or say why there is none."""
    if freedom < 1:
        return replace(found, status="no interval: one run")
    error = float(np.std(slopes))
    if not np.isfinite(error):
        return replace(found, status="no interval: some resamples have no slope")
    if error < 1e-12:  # rounding
        return replace(found, status="no interval: no difference between runs")
    half = student_margin(error, freedom, confidence)
    return replace(found, low=found.value - half, high=found.value + half)
