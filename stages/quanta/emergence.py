"""When tasks are learned: Michaud et al. (2023), Figure 7, and its law of learning times.

A task is learned at the first evaluation that finds its loss under a threshold, as in the paper, or
at that from which on it stays there: `Times` do not say which. It happened between two evaluations;
of a censored task, not learned within the run, it will after the last step, and no more is known.

The law is ln T = a + b ln p + sigma e: T the learning time, p the task's frequency, e a standard
normal deviate; theory says b = -1. It is fitted in three ways:

- `all`: maximum likelihood on all tasks of all seeds (a Tobit model, or accelerated failure time).
  It takes a censored task for a late one, which it is not where there is no room left: `overdue`;
- `learned`: least squares on the learned tasks, as in the paper. Those rare tasks that are learned
  are the early ones of their kind, which draws b towards 0;
- `complete`: least squares on tasks 1, 2, ... up to the first that some seed did not learn. They
  are chosen by frequency, so there is no such bias and nothing is assumed; but few are left.

The interval of b is over seeds: the rescaled bootstrap draws whole runs, and its standard error is
multiplied by Student's t with seeds - 1 degrees of freedom, 4.3 for three seeds: of so few a
percentile interval would hold the truth in three of four cases at best. A second interval resamples
tasks within seeds: it is narrower, and holds b only if runs differ in their tasks' luck alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from stages.base.params import Definition
from stages.statistics import bootstrap
from stages.statistics.bootstrap import Resampling
from stages.statistics.estimate import OK
from stages.statistics.intervals import student_margin

Floats = npt.NDArray[np.float64]
Kind = Literal["all", "learned", "complete"]
KINDS: tuple[Kind, ...] = ("all", "learned", "complete")
LEARNED: dict[Definition, str] = {"first_under": "first_under", "for_good": "learned"}
"""The column of the tasks' table (`stages.parity.part.SCHEMAS`) that says when, by definition."""

MIN_TASKS = 3  # learned tasks of different frequency that a law needs: two always lie on a line
_MAX_PRECISION = 1e4  # the largest 1 / sigma: no scatter is smaller than a run's last digits
_CERTAIN = 6.0
"""Standard deviations beyond which a censored task could not have been learned: no information."""
_LATE = 4.0  # standard deviations of ln T: three tasks in 100,000 are that late by chance
_GAIN = 1e-10  # in log likelihood, below which a step is not worth taking
_FAILED = 0.05
"""The share of resamples that may have no fit, as all their learned tasks are one and the same."""


@dataclass(frozen=True)
class Times:
    """Learning times to fit, one for each task of each run."""

    seed: npt.NDArray[np.int64]
    frequency: Floats
    after: Floats  # the step after which it was learned: 0 or more
    by: Floats  # the step by which it was learned; infinity where censored

    @property
    def censored(self) -> npt.NDArray[np.bool_]:
        """Which were never learned within the run."""
        return np.isinf(self.by)

    def at(self, horizon: float) -> "Times":
        """What was known when the runs had come to step `horizon`."""
        return replace(
            self,
            after=np.minimum(self.after, horizon),
            by=np.where(self.by <= horizon, self.by, np.inf),
        )

    def where(self, kept: npt.NDArray[np.bool_]) -> "Times":
        """Keep some of the times, by a mask (times,)."""
        return Times(self.seed[kept], self.frequency[kept], self.after[kept], self.by[kept])


@dataclass(frozen=True)
class Law:
    """T = time p^slope, with the scatter sigma of ln T. NaN where it cannot be had.

    `slope_low` to `slope_high` is over seeds, `tasks_low` to `tasks_high` over tasks within seeds.
    """

    status: str
    slope: float = nan
    slope_low: float = nan
    slope_high: float = nan
    tasks_low: float = nan
    tasks_high: float = nan
    time: float = nan
    sigma: float = nan
    seeds: int = 0
    learned: int = 0
    censored: int = 0


def law(times: Times, kind: Kind, resampling: Resampling) -> Law:
    """Fit the law of learning times, with both intervals of its slope."""
    found, chosen = _point(times, kind)
    if found.status != OK:
        return found
    fit = _solver(chosen, kind, found)
    slopes = fit(_within_seeds(times, chosen, kind, resampling))
    there = np.isfinite(slopes)
    if np.mean(there) >= 1 - _FAILED:
        low, high = bootstrap.interval(slopes[there], resampling.confidence)
        found = replace(found, tasks_low=low, tasks_high=high)
    if found.seeds < 2:
        return replace(found, status="no interval over seeds: one seed")
    of_seed = np.searchsorted(np.unique(times.seed), chosen.seed)
    drawn = bootstrap.weights(np.zeros(found.seeds, int), resampling.resamples, resampling.seed)
    weights, counts = np.unique(drawn[1:], axis=0, return_counts=True)  # few seeds, few draws
    slopes = fit(weights[:, of_seed].astype(float))
    there = np.isfinite(slopes)
    if counts[there].sum() < (1 - _FAILED) * counts.sum():
        return replace(found, status="no interval over seeds: some learned too few tasks")
    error = float(np.sqrt(np.cov(slopes[there], fweights=counts[there], ddof=0)))
    half = student_margin(error, found.seeds - 1, resampling.confidence)
    return replace(found, slope_low=found.slope - half, slope_high=found.slope + half)


def overdue(times: Times, found: Law) -> int:
    """How many censored tasks should long have been learned, by a law: `_LATE` sigmas ago or more.

    A network without room for them never learns them, whatever the time; then a fit that takes
    them for merely late makes the slope too steep. 0 where there is no law.
    """
    if not np.isfinite(found.sigma):
        return 0
    rest = times.where(times.censored)
    late = np.log(rest.after) - np.log(found.time) - found.slope * np.log(rest.frequency)
    return int(np.count_nonzero(late > _LATE * found.sigma))


def slope(times: Times, kind: Kind) -> float:
    """The slope alone, without intervals; NaN where it cannot be had."""
    return _point(times, kind)[0].slope


def complete(times: Times) -> float:
    """The smallest frequency down to which every seed learned every task; infinity if none."""
    missed = times.frequency[times.censored]
    above = times.frequency[times.frequency > (missed.max() if len(missed) else 0.0)]
    return float(above.min()) if len(above) else np.inf


def _point(times: Times, kind: Kind) -> tuple[Law, Times]:
    """The law without intervals, and the times that it was fitted to."""
    chosen = times
    if kind != "all":
        sought = times.frequency >= complete(times) if kind == "complete" else ~times.censored
        chosen = times.where(sought)
    known = chosen.where(~chosen.censored)
    learned, seeds = len(known.by), len(np.unique(times.seed))
    counted = Law(OK, seeds=seeds, learned=learned, censored=len(chosen.by) - learned)
    tasks = len(np.unique(known.frequency))
    if tasks < MIN_TASKS:
        status = f"too few learned tasks: {tasks} of at least {MIN_TASKS}"
        return replace(counted, status=status), chosen
    x, y = np.log(known.frequency), np.log(known.by)
    b, a = np.polyfit(x, y, 1)
    sigma = float(np.std(y - a - b * x))
    if kind == "all":
        likelihood = _Likelihood(chosen)
        precision = 1 / max(sigma, 0.01)
        start = np.array([precision, (a + b * likelihood.middle[0]) * precision, b * precision])
        start[1] -= likelihood.middle[1] * precision
        precision, a, b = likelihood.maximum(np.ones((1, len(chosen.by))), start)[0]
        if not np.isfinite(precision):
            return replace(counted, status="no maximum of the likelihood was found"), chosen
        sigma, b = 1 / precision, b / precision
        a = a / precision + likelihood.middle[1] - b * likelihood.middle[0]
    found = replace(counted, slope=float(b), time=float(np.exp(a)), sigma=float(sigma))
    return found, chosen


def _solver(times: Times, kind: Kind, found: Law) -> Callable[[Floats], Floats]:
    """What fits the slope to weighted times: of weights (resamples, times), (resamples,)."""
    if kind != "all":
        x, y = np.log(times.frequency), np.log(times.by)
        return lambda weights: least_squares(x, y, weights)

    mean = np.log(found.time) + found.slope * np.log(times.frequency)
    with np.errstate(divide="ignore"):
        beyond = (np.log(times.after) - mean) / found.sigma
    informative = ~(times.censored & (beyond < -_CERTAIN))
    likelihood = _Likelihood(times.where(informative))
    x_middle, y_middle = likelihood.middle
    level = np.log(found.time) + found.slope * x_middle - y_middle
    start = np.array([1.0, level, found.slope]) / found.sigma

    def fit(weights: Floats) -> Floats:
        kept = weights[:, informative]
        slopes = np.full(len(kept), nan)
        enough = _distinct(times.where(informative), kept) >= 2
        if enough.any():
            best = likelihood.maximum(kept[enough], start)
            slopes[enough] = best[:, 2] / best[:, 0]
        return slopes

    return fit


def _distinct(times: Times, weights: Floats) -> npt.NDArray[np.int64]:
    """How many different frequencies the learned among weighted times have. (resamples,)."""
    known = ~times.censored
    of = np.unique(times.frequency[known], return_inverse=True)[1]
    drawn = (weights[:, known] > 0) @ np.eye(of.max() + 1)[of]
    count: npt.NDArray[np.int64] = np.count_nonzero(drawn, axis=1)
    return count


def _within_seeds(times: Times, chosen: Times, kind: Kind, resampling: Resampling) -> Floats:
    """How often each chosen time is drawn when tasks are drawn anew within each seed."""
    rng = np.random.default_rng(resampling.seed)
    weights = np.empty((resampling.resamples, len(chosen.by)))
    for seed in np.unique(chosen.seed):
        mine = chosen.seed == seed
        among = int(np.sum((chosen if kind == "complete" else times).seed == seed))
        share = np.full(int(mine.sum()), 1 / among)
        rest = max(0.0, 1 - share.sum())  # tasks that were drawn and are not among the chosen
        drawn = rng.multinomial(among, [*share, rest], size=resampling.resamples)
        weights[:, mine] = drawn[:, :-1]
    return weights


def least_squares(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Slopes of weighted lines, (resamples,); NaN where all x of positive weight are the same."""
    x, y = x - x.mean(), y - y.mean()
    total = weights.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_mean, y_mean = weights @ x / total, weights @ y / total
        spread = weights @ x**2 / total - x_mean**2
        slopes: Floats = (weights @ (x * y) / total - x_mean * y_mean) / spread
    slopes[~(spread > 1e-12)] = nan
    return slopes


class _Likelihood:
    """The likelihood of normal deviates that lie in intervals, as a function of (1, a, b) / sigma.

    In these parameters its logarithm is concave (Olsen 1978, Econometrica 46, 1211-1215): there
    is one maximum, and Newton's method with halved steps finds it from any start, for all
    weightings of the same times at once. Logarithms are taken from their middle.
    """

    def __init__(self, times: Times) -> None:
        learned = ~times.censored
        x = np.log(times.frequency)
        with np.errstate(divide="ignore"):
            low, high = np.log(times.after), np.log(times.by)
        self.middle = float(x[learned].mean()), float(high[learned].mean())
        x, low, high = x - self.middle[0], low - self.middle[1], high - self.middle[1]
        self._learned = learned
        # gradients of the standardised ends, (times, 3); an infinite end moves with nothing
        self._low = np.stack([np.where(np.isfinite(low), low, 0.0), -np.ones_like(x), -x], axis=1)
        self._high = np.stack([np.where(learned, high, 0.0), -np.ones_like(x), -x], axis=1)
        self._from_start = np.isneginf(low)

    def maximum(self, weights: Floats, start: Floats) -> Floats:
        """(1, a, b) / sigma for each row of weights; NaN where none was found. (resamples, 3)."""
        best = np.tile(start, (len(weights), 1))
        value, gradient, hessian = self._terms(best, weights)
        step = _newton(gradient, hessian)
        left = np.arange(len(weights))  # those whose maximum is still to be found
        for _ in range(100):
            trial = best[left] + step[left]
            trial[:, 0] = np.maximum(trial[:, 0], best[left, 0] / 10)  # 1 / sigma is positive
            step[left] = trial - best[left]
            now, gradient_now, hessian_now = self._terms(trial, weights[left])
            better = now >= value[left] - 1e-12 * np.abs(value[left])
            to = left[better]
            best[to], value[to] = trial[better], now[better]
            gradient[to], hessian[to] = gradient_now[better], hessian_now[better]
            step[left[~better]] /= 2
            step[to] = _newton(gradient[to], hessian[to])
            gain = np.abs(np.sum(gradient * step, axis=1))  # of one more step, in log likelihood
            left = left[~better | (gain[left] > _GAIN)]
            if not len(left):
                break
        best[left] = nan
        best[best[:, 0] > _MAX_PRECISION] = nan
        return best

    def _terms(self, parameters: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Log likelihood (resamples,), its gradient (resamples, 3) and negative Hessian."""
        known, unknown = self._learned, ~self._learned
        value = np.zeros(len(parameters))
        gradient = np.zeros((len(parameters), 3))
        hessian = np.zeros((len(parameters), 3, 3))
        if unknown.any():
            w, of_low = weights[:, unknown], self._low[unknown]
            low = parameters @ of_low.T
            log_mass = special.log_ndtr(-low)
            density = np.exp(-0.5 * low**2 - 0.5 * np.log(2 * np.pi) - log_mass)
            value += np.sum(w * log_mass, axis=1)
            gradient -= (w * density) @ of_low
            hessian += _quadratic(w * density * (density - low), of_low, of_low)
        w, of_low, of_high = weights[:, known], self._low[known], self._high[known]
        low, high = parameters @ of_low.T, parameters @ of_high.T
        low[:, self._from_start[known]] = -np.inf
        log_mass = _log_mass(low, high)
        constant = log_mass + 0.5 * np.log(2 * np.pi)
        at_low, at_high = np.exp(-0.5 * low**2 - constant), np.exp(-0.5 * high**2 - constant)
        finite_low = np.where(np.isfinite(low), low, 0.0)
        value += np.sum(w * log_mass, axis=1)
        gradient += (w * at_high) @ of_high - (w * at_low) @ of_low
        hessian += _quadratic(w * at_high * (at_high + high), of_high, of_high)
        hessian += _quadratic(w * at_low * (at_low - finite_low), of_low, of_low)
        mixed = _quadratic(w * at_high * at_low, of_high, of_low)
        hessian -= mixed + mixed.transpose(0, 2, 1)
        return value, gradient, hessian


def _quadratic(weights: Floats, left: Floats, right: Floats) -> Floats:
    """Weighted sums of outer products: of (resamples, n), (n, 3), (n, 3), (resamples, 3, 3)."""
    outer = (left[:, :, None] * right[:, None, :]).reshape(len(left), 9)
    return (weights @ outer).reshape(-1, 3, 3)


def _newton(gradient: Floats, hessian: Floats) -> Floats:
    """Newton steps up a concave function, (resamples, 3)."""
    scale = np.trace(hessian, axis1=1, axis2=2)[:, None, None]
    steady = hessian + 1e-12 * scale * np.eye(3)
    return np.linalg.solve(steady, gradient[:, :, None])[:, :, 0]


def _log_mass(low: Floats, high: Floats) -> Floats:
    """Log of the standard normal's mass between two ends."""
    # On the far side the mass would be a difference of numbers next to 1: look from the other.
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    log_low, log_high = special.log_ndtr(low), special.log_ndtr(high)
    log_mass: Floats = log_high + np.log1p(-np.exp(log_low - log_high))
    return log_mass
